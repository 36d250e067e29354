"""Images sent to the dashboard: a zip of an ImageFolder tree, unpacked and kept. Imports no torch."""

import shutil
from typing import BinaryIO

from asr_core.errors import DataError
from asr_core.images import archives, folders
from asr_core.store import Store
from asr_core.store.received import check_size, check_total, digest_of, is_whole, publish

DIGITS = 24  # of the sha256 that names a zip


def keep_images(store: Store, archive: BinaryIO) -> dict:
    """Unpack a zip of an ImageFolder tree into the store; returns what `folders.identify` says of it, and of
    files that are no images.

    Raises DataError (see archives.unpack), StoreError.
    """
    check_size(archive, DataError, "name a folder on the server's machine instead")
    digest = digest_of(archive)[:DIGITS]
    target = store.uploads / digest / f"upload-{digest[:8]}"
    if not is_whole(target.parent):
        with store.workspace() as part:
            archives.unpack(archive, part / "images")
            check_total(store, part / "images", DataError)
            publish(store, part / "images", digest, target.name)
    try:
        found, left_out = folders.identify(target, store), archives.left_out(archive)
    except DataError:  # an image of it cannot be read: nothing of it is kept
        shutil.rmtree(target.parent, ignore_errors=True)
        raise
    return found | {"notes": [*found["notes"], *([left_out] if left_out else [])]}
