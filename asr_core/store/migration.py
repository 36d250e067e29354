"""Entries of the format before this one, taken over as they are: their manifests get a digest.

Run by `python -m asr_core cache migrate`; stopped, it can be run again.
"""

from pathlib import Path

from asr_core.store import Store, manifests
from asr_core.store.entries import Entry, write_manifest


def migrate(store: Store) -> int:
    """Rewrite the manifests of all entries of `store`, shipped ones too, that are whole and of the earlier format;
    returns how many."""
    folders = [f for base in (store.shipped, store.root) for stage in store.stages() for f in (base / stage).glob("*")]
    return sum(_taken_over(folder) for folder in sorted(folders))


def _taken_over(folder: Path) -> bool:
    """Whether the entry was of the earlier format with sound files: only then its manifest can be vouched for."""
    found = manifests.earlier(folder)
    if found is None or Entry(folder, found).damage():
        return False
    write_manifest(folder, found)
    return True
