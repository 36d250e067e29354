"""Files sent to the dashboard: their size, their digest, and how they come to stay."""

import hashlib
import os
from pathlib import Path
from typing import Any, BinaryIO, cast

from asr_core.store import Store, disk, disk_errors

LARGEST = 256  # MB of one upload; as server.maxUploadSize in .streamlit/config.toml
TOTAL = 8 * 2**30  # bytes that all kept uploads may take


def check_size(file: BinaryIO, kind: type[Exception], remedy: str) -> None:
    """Raise `kind` for an empty file, or one of more than LARGEST MB."""
    size = file.seek(0, os.SEEK_END)
    if not 0 < size <= LARGEST * 2**20:
        raise kind(
            f"the file has {size / 2**20:.0f} MB; it must hold something, and at most {LARGEST} MB. For a larger "
            f"one, {remedy}."
        )


def digest_of(file: BinaryIO) -> str:
    """sha256 of the content."""
    file.seek(0)
    return hashlib.file_digest(cast(Any, file), "sha256").hexdigest()  # typeshed asks for readinto


def check_total(store: Store, made: Path, kind: type[Exception]) -> None:
    """Raise `kind` where all uploads with `made`, which is to be kept, would take more than TOTAL bytes."""
    kept, more = disk.size(store.uploads), disk.size(made)
    if kept + more > TOTAL:
        raise kind(
            f"uploads take {kept / 2**30:.2g} of the {TOTAL / 2**30:g} GiB that they may here, and this one "
            f"{more / 2**30:.2g} more; have `python -m asr_core cache clear uploads` remove them, or use the command "
            "line, which keeps no copy."
        )


def publish(made: Path, target: Path) -> None:
    """Move a finished file or folder to its place, unless another process was faster with the same content."""
    with disk_errors(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.rename(made, target)
        except OSError:
            if not target.is_dir():
                raise
