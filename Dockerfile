# ASR Lens in a container; sizes, volume and proxy: docs/serving.md.
FROM python:3.11-slim

WORKDIR /app
# Of requirements.txt what stands above its tests. EXTRA_INDEX: of an index with torch for the CPU alone, which is some
# gigabytes smaller.
ARG EXTRA_INDEX=""
COPY requirements.txt .
RUN sed '/^# Tests/,$d' requirements.txt > needed.txt \
    && pip install --no-cache-dir ${EXTRA_INDEX:+--extra-index-url "$EXTRA_INDEX"} -r needed.txt
COPY app.py .
COPY .streamlit .streamlit
COPY asr_core asr_core
COPY pages pages
COPY cache/shipped cache/shipped

RUN useradd --create-home lens && mkdir /data && chown lens /data
USER lens
ENV ASR_CACHE_DIR=/data ASR_DATA_DIR=/data/images PYTHONDONTWRITEBYTECODE=1
VOLUME /data
EXPOSE 8501
HEALTHCHECK CMD python -c "import urllib.request as u; u.urlopen('http://127.0.0.1:8501/_stcore/health')"
# What is computed lies in the volume; the shipped results are those of this image, whatever the volume held before.
CMD ln -sfn /app/cache/shipped /data/shipped \
    && exec python -m streamlit run app.py --server.address 0.0.0.0 --server.port 8501
