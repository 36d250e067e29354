"""The ends of files that a job writes."""

import json
import os
from contextlib import suppress
from pathlib import Path

import msgspec

from asr_core.jobs.schema import Line

TAIL = 8192  # bytes that are read of it


def last(path: Path) -> Line | None:
    """The last line of progress, None before the first one; what is damaged counts as none: the next one will do."""
    whole = tail(path).rpartition("\n")[0]  # the last line may be half written
    with suppress(ValueError, RecursionError):
        return msgspec.convert(json.loads(whole.splitlines()[-1]), Line) if whole else None
    return None


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
