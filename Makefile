# Each target is all the set-up there is: it creates .venv from requirements.txt when needed.
PYTHON ?= python3
PY := .venv/bin/python
# Files of tests/browser that `make test` runs; all of them are run by `make test-browser`.
BROWSER := choices click_through colour_schemes compute

.PHONY: run example test test-browser test-walks docs bench bench-ui bench-load bench-draws bench-signals bench-live bench-cluster bench-published test-words chaos clean

.venv/installed: requirements.txt
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), f"Python 3.11 or newer is needed, this is {sys.version.split()[0]}; set PYTHON=..."'
	$(PYTHON) -m venv .venv
	$(PY) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

run: .venv/installed  ## start the dashboard on http://127.0.0.1:8501
	$(PY) -m streamlit run app.py --server.headless false --server.showEmailPrompt false

example: .venv/installed  ## run the main job on the embedded default and print its table
	$(PY) -m asr_core run

test: .venv/installed  ## format, lint, types, imports, all tests, those in a real browser one by one
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy
	.venv/bin/lint-imports
	$(PY) -m pytest --numprocesses auto --dist loadfile --ignore tests/browser --ignore tests/journeys
	$(PY) -m pytest $(addprefix tests/browser/test_,$(addsuffix .py,$(BROWSER)))

test-words: .venv/installed  ## what pages say of every shipped setting, against the stored files
	ASR_EVERY_SETTING=1 $(PY) -m pytest --numprocesses auto tests/store tests/studies/test_no_difference.py -k "shipped or no_difference"

test-browser: .venv/installed  ## all tests that drive a real browser
	$(PY) -m pytest tests/browser

test-walks: .venv/installed  ## three random walks of fixed seeds through the dashboard, in a real browser
	$(PY) -m pytest --numprocesses 2 tests/journeys

docs: .venv/installed  ## an API reference from docstrings, in docs/api
	$(PY) -W ignore -m pdoc --output-directory docs/api asr_core $(addprefix asr_core.,spec store images networks measure pruning repairs pipeline studies figures)

bench: .venv/installed  ## speed against a straightforward script and against the bare forward pass
	$(PY) -m benchmarks

bench-ui: .venv/installed  ## speed and memory of the dashboard, over a running server and headless Chromium
	$(PY) -m benchmarks.ui
	$(PY) -m benchmarks.teaching

bench-load: .venv/installed  ## 30 sessions that explore stored results for five minutes: times per page, memory, errors
	$(PY) -m benchmarks.load

bench-draws: .venv/installed  ## cost of 16 calibration draws against the bare forward passes
	$(PY) -m benchmarks.draws

bench-signals: .venv/installed  ## signal against the bare forward passes, and seconds of masked least squares
	$(PY) -m benchmarks.signals

bench-live: .venv/installed  ## seconds until a warm worker's first number, and all rows of the first view, of a new sparsity
	$(PY) -m benchmarks.live

bench-cluster: .venv/installed  ## a sweep on two local Dask workers against one (pip install distributed)
	$(PY) -m benchmarks.cluster --write

bench-published: .venv/installed  ## accuracy of public checkpoints beside the published one, where ../shared/data is
	$(PY) -m benchmarks.published

chaos: .venv/installed  ## faults, each done for real: kills, full disks, flipped bits ...; writes docs/reliability.md
	$(PY) -m benchmarks.chaos --write

clean:  ## remove the environment; results in cache/ stay
	rm -rf .venv
