"""Files sent to the dashboard: their size, their digest, how they come to stay, and whether they are as they came.

Beside what was kept of an upload lies SUMS, with the sha256 of each file.
"""

import hashlib
import os
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, cast

from asr_core.errors import DataError
from asr_core.store import Store, disk, disk_errors
from asr_core.store.entries import digest_file, read_json, write_json

LARGEST = 256  # MB of one upload; as server.maxUploadSize in .streamlit/config.toml
SUMS = "sums.json"
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


def publish(store: Store, made: Path, digest: str, name: str) -> Path:
    """Have a finished file or folder at uploads/`digest`/`name`, with its sums; what lies there and is no longer as it
    came makes room, and else stays: another process was faster."""
    folder = store.uploads / digest
    with store.workspace() as part, store.workspace() as old, disk_errors(store.root):
        made.rename(part / name)
        write_json(part / SUMS, _sums(part))
        store.uploads.mkdir(parents=True, exist_ok=True)
        if not is_whole(folder):
            with suppress(FileNotFoundError):
                folder.rename(old / digest)
            with suppress(OSError):
                part.rename(folder)
    return folder / name


def _sums(folder: Path) -> dict[str, str]:
    """Path within the folder -> sha256, of every file but SUMS."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != SUMS)
    return {str(path.relative_to(folder)): digest_file(path) for path in files}


def is_whole(folder: Path) -> bool:
    """Whether an upload is there, as it came."""
    return folder.is_dir() and not _changed(folder)


def _changed(folder: Path) -> str:
    """What of an upload is not as it came, in words; '' for nothing. One without sums is from before there were any."""
    try:
        said = read_json(folder / SUMS, dict[str, str])
    except FileNotFoundError:
        return ""
    except (OSError, ValueError):
        return f"{SUMS} is unreadable"
    found = _sums(folder)
    differ = [name for name in sorted(said.keys() | found.keys()) if said.get(name) != found.get(name)]
    return f"{differ[0]} has changed" if differ else ""


def check_whole(store: Store, path: Path) -> None:
    """Raise DataError where `path` lies in an upload that is not as it came."""
    if store.uploads.resolve() in path.resolve().parents:
        folder = store.uploads / path.resolve().relative_to(store.uploads.resolve()).parts[0]
        if wrong := _changed(folder):
            raise DataError(f"the images that were sent are damaged ({wrong}); send their zip again.")


def damaged(store: Store) -> list[str]:
    """A line for each upload that is not as it came."""
    found = [(folder.name, _changed(folder)) for folder in sorted(store.uploads.glob("*"))]
    return [f"upload {name}: {wrong}; send it again" for name, wrong in found if wrong]
