"""The ends of files that a job writes."""

import os
from pathlib import Path

TAIL = 8192  # bytes that are read of it


def words(path: Path, lines: int) -> str:
    """The last lines of a log; empty without a file."""
    return "\n".join(tail(path).splitlines()[-lines:])


def tail(path: Path) -> str:
    """The end of a file, from a whole line on; empty without a file."""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - TAIL))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
    return text if size <= TAIL else text.partition("\n")[2]
