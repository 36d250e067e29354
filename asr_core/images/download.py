"""Sets that torchvision downloads: where they lie, and what to say where they cannot be had."""

import os
import socket
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path

from asr_core.errors import DataError
from asr_core.store.entries import PROJECT

STALL_SECONDS = 30


def data_directory(data_dir: Path | str | None = None) -> Path:
    """Where torchvision's sets lie: `data_dir`, else `ASR_DATA_DIR`, else data/ beside the package."""
    return Path(data_dir or os.environ.get("ASR_DATA_DIR") or PROJECT / "data").expanduser()


@contextmanager
def download_errors(label: str, page: str, archive: str, directory: Path):
    """Say what to do when torchvision cannot fetch or unpack; a stalled connection ends after 30 s."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(STALL_SECONDS)
    try:
        yield
    except (OSError, RuntimeError, HTTPException, EOFError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(
            f"cannot get {label}: {reason.rstrip('.')}. Download {archive} from {page} into {directory} "
            "and run again, or use images of your own: --dataset folder:PATH."
        ) from error
    finally:
        socket.setdefaulttimeout(before)
