"""Figures as files fit for a paper, made by kaleido and this machine's Chromium."""

import re
from pathlib import Path

import plotly.graph_objects as go

from asr_core.errors import AsrError

DPI = 600  # of a PNG


def write(figures: dict[str, go.Figure], folder: Path, form: str) -> list[Path]:
    """Draw figures that have a size (`sized.for_paper`) into `folder`, numbered in their order; the files' paths.

    form: `pdf`, `png` or `svg`. Nothing is fetched. Raises AsrError where no Chromium is found.
    """
    import kaleido
    from choreographer.errors import ChromeNotFoundError

    folder.mkdir(parents=True, exist_ok=True)
    wanted = [
        {
            "fig": figure,
            "path": folder / f"{number}-{re.sub(r'[^a-z0-9.]+', '-', name.lower())}.{form}",
            "opts": {"format": form, "scale": DPI / 96 if form == "png" else 1},
        }
        for number, (name, figure) in enumerate(figures.items(), 1)
    ]
    try:
        kaleido.write_fig_from_object_sync(wanted, kopts={"n": 1, "mathjax": False})
    except ChromeNotFoundError as error:
        raise AsrError(
            f"pictures are drawn by Chromium, and none is on this machine ({error}); install it (on Debian: apt-get "
            "install chromium), or ask for --format html."
        ) from error
    return [one["path"] for one in wanted]
