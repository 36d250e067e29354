"""One stored entry: a folder with files and a readable `manifest.json` that holds their hashes."""

import hashlib
import json
import os
import subprocess
import sys
from contextlib import suppress
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from asr_core.errors import StoreError
from asr_core.store import manifests
from asr_core.store.manifests import MANIFEST
from asr_core.store.owners import PART, owner

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

WEIGHTS = "weights.safetensors"  # of a dense network; a shipped one can come without
PROJECT = Path(__file__).resolve().parent.parent.parent


@cache
def versions() -> dict:
    """Versions that stand in each manifest (torch's without importing it)."""
    found = {name: metadata.version(name) for name in ("torch", "torchvision", "numpy", "pandas")}
    return {"python": sys.version.split()[0], **found, "commit": commit_of(PROJECT)}


def commit_of(project: Path) -> str | None:
    """Commit of a checkout, with `-dirty` where files differ from it; None outside a checkout or without git."""
    # git answers no process of another user than the checkout's owner, as in a container, unless it is told to
    git = ["git", "-c", "safe.directory=*", "-C", str(project)]
    asked = [*git, "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    with suppress(OSError, subprocess.CalledProcessError):
        if (project / ".git").exists():  # else git would answer for a folder above
            return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    return None


def digest_file(path: Path | str) -> str:
    """sha256 of a file's content."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_json(path: Path, value: Any) -> None:
    """Write JSON so that a reader never sees half of it."""
    _replace(path, json.dumps(value, indent=1, default=str))


def write_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    """Write the manifest of the entry in `folder`, so that a reader never sees half of it."""
    _replace(folder / MANIFEST, manifests.text_of(manifest))


def _replace(path: Path, text: str) -> None:
    """Replace a file by `text` as a whole; a full disk leaves the old one, and nothing else."""
    part = path.with_name(f"{PART}{owner()}")
    try:
        part.write_text(text, encoding="utf-8")
        os.replace(part, path)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def read_json(path: Path, kind: Any) -> Any:
    """The JSON in `path` as `kind`, a type that msgspec knows; raises OSError, and ValueError where it is no such."""
    try:
        return msgspec.convert(json.loads(path.read_text()), kind)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def write_cache(path: Path, values: dict[str, Any]) -> None:
    """Write name -> value so that `read_cache` sees whether a byte of it has changed."""
    write_json(path, {"sha256": _digest_of(values), "values": values})


def _digest_of(values: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def read_cache(path: Path, kind: Any) -> dict[str, Any]:
    """Name -> value of a JSON object that is only a cache: what has changed, or is no `kind`, is left out."""
    found = {}
    with suppress(OSError, ValueError, KeyError, AttributeError, RecursionError):
        kept = read_json(path, dict[str, Any])
        if "sha256" in kept and kept["sha256"] != _digest_of(kept["values"]):
            return {}
        for name, value in (kept["values"] if "sha256" in kept else kept).items():  # else of before there was a digest
            with suppress(ValueError, RecursionError):
                msgspec.convert(value, kind)
                found[name] = value
    return found


def write(path: Path, value: Any) -> None:
    """Write one file of an entry; the suffix says how. A Path is a finished file to move here."""
    if isinstance(value, Path):
        os.replace(value, path)
    elif path.suffix == ".parquet":
        _write_table(path, value)
    elif path.suffix == ".npz":
        import numpy as np

        floats = all(array.dtype.kind == "f" for array in value.values())
        save = np.savez if floats else np.savez_compressed  # floats shrink by 8 % only, and take 20 times as long
        save(path, allow_pickle=False, **value)
    elif path.suffix == ".npy":
        import numpy as np

        np.save(path, value, allow_pickle=False)
    elif path.suffix == ".safetensors":
        from safetensors.torch import save_file

        save_file({name: tensor.contiguous() for name, tensor in value.items()}, path)
    else:
        write_json(path, value)


def _write_table(path: Path, table: Any) -> None:
    """Parquet with the bytes of floats apart: a fifth smaller, and read in two thirds of the time.

    Of what would be said of the columns only pandas' types are, once: all of it was a third of a small table.
    Categories are read as words.
    """
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    arrow = pa.Table.from_pandas(table, preserve_index=False)
    floats = [name for name, dtype in table.dtypes.items() if dtype.kind == "f"]
    how: dict[str, Any] = {"use_byte_stream_split": floats, "compression": "zstd"}
    how |= {"use_dictionary": [name for name in table if name not in floats]}
    with ParquetWriter(path, arrow.schema, store_schema=False, write_statistics=False, **how) as file:
        file.write_table(arrow)
        file.add_key_value_metadata({"pandas": arrow.schema.metadata[b"pandas"]})


class Entry:
    """One stored entry: read access to its manifest and files."""

    def __init__(self, folder: Path, manifest: dict[str, Any] | None = None):
        """Reads the manifest where it is not given; raises manifests.Unfit, and OSError where there is none."""
        self.folder = folder
        self.manifest = manifests.read(folder) if manifest is None else manifest

    def __getitem__(self, field: str) -> Any:
        """A field of the manifest's `facts`: the small results of the stage."""
        return self.manifest["facts"][field]

    def has(self, name: str) -> bool:
        """Whether the entry holds file `name`."""
        return name in self.manifest["files"]

    def path(self, name: str) -> Path:
        """Path of file `name`; raises StoreError if the entry does not hold it."""
        if not self.has(name):
            raise StoreError(
                f"{self.folder} holds no {name}; it has {', '.join(self.manifest['files']) or 'no files'}."
            )
        return self.folder / name

    def table(self, name: str) -> "pd.DataFrame":
        """A Parquet file as a pandas DataFrame."""
        import pandas as pd

        return pd.read_parquet(self.path(f"{name}.parquet"))

    def arrays(self, name: str) -> dict:
        """An npz file as a dict of numpy arrays; pickles are refused."""
        import numpy as np

        with np.load(self.path(f"{name}.npz"), allow_pickle=False) as file:
            return dict(file)

    def array(self, name: str) -> "np.ndarray":
        """An npy file as a read-only memory map."""
        import numpy as np

        return np.load(self.path(f"{name}.npy"), mmap_mode="r", allow_pickle=False)

    def weights(self, name: str = WEIGHTS) -> dict:
        """A .safetensors file as a dict of torch tensors (CPU)."""
        from safetensors.torch import load_file

        return load_file(self.path(name))

    def mark(self) -> tuple[tuple[int, int, int], ...] | None:
        """Changes when a file is written or replaced; None where one is missing."""
        try:
            found = [(self.folder / name).stat() for name in self.manifest["files"]]
        except OSError:
            return None
        return tuple((one.st_ino, one.st_size, one.st_mtime_ns) for one in found)

    def damage(self) -> str | None:
        """What is wrong with the files, or None if each has the hash in the manifest."""
        for name, expected in self.manifest["files"].items():
            if not (self.folder / name).is_file():
                return f"{name} is missing"
            if digest_file(self.folder / name) != expected["sha256"]:
                return f"{name} has changed"
        return None
