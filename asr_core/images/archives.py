"""A zip of an ImageFolder tree, from somebody else: everything is checked before a byte is unpacked. Imports no
torch."""

import os
import re
import stat
import struct
import warnings
import zipfile
import zlib
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from asr_core.errors import DataError
from asr_core.images.trees import HIDDEN, OTHER, SPLITS, SUFFIXES, VAL, Tree, read_tree, skipped_words

UNPACKED = 2 * 2**30  # bytes that the images of one archive may take
IMAGE = 64 * 2**20  # bytes of one image
FILES = 60_000  # images in one archive; no zip64 listing is needed for so few
LISTING = 16 * 2**20  # bytes of its table of contents, read into memory as a whole
END, END64 = b"PK\5\6", b"PK\6\7"  # end of the table of contents; where a zip64 one says to go on
COPY = 2**20  # bytes written at a time


def unpack(archive: BinaryIO, target: Path) -> Tree:
    """Write the images of a zip into the new folder `target`; returns the ImageFolder tree that they are.

    A single folder around train/ and test/ is taken off. Files without an image suffix and hidden ones
    are left out. Raises DataError for an archive that is damaged, encrypted, too large (UNPACKED,
    FILES), holds a link or a name that leads elsewhere, or is no ImageFolder tree.
    """
    with _damaged():
        _check_listing(archive)
        with zipfile.ZipFile(archive) as opened:
            images = _images(opened.infolist())
            target.mkdir()
            for name, info in images.items():
                _write(opened, info, target / name)
    try:
        return read_tree(target)
    except DataError as error:
        raise DataError(str(error).replace(f"{target}/", "").replace(str(target), "the archive")) from None


def left_out(archive: BinaryIO) -> str:
    """What of an archive that was unpacked is no image, in words; '' for nothing."""
    skipped: Counter[str] = Counter()
    with zipfile.ZipFile(archive) as opened:
        for name in (_plain(info.filename) for info in opened.infolist() if not info.is_dir()):
            if not _is_image(name):
                skipped[OTHER if not _is_hidden(name) else HIDDEN] += 1
    return skipped_words(skipped)


@contextmanager
def _damaged():
    """Whatever a broken or unusual archive provokes, in one line."""
    try:
        yield
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        ValueError,
        NotImplementedError,
        RuntimeError,
        struct.error,
    ) as error:
        why = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise DataError(f"the archive cannot be read ({why[:120]}); make it again as a plain zip.") from None


def _check_listing(archive: BinaryIO) -> None:
    """Refuse a huge table of contents before it is read: each name in it costs memory, however small the archive."""
    size = archive.seek(0, os.SEEK_END)
    archive.seek(max(0, size - 2**16 - 22))
    tail = archive.read()
    at = tail.rfind(END)
    if at < 0 or len(tail) < at + 22:
        raise zipfile.BadZipFile("it is no zip")
    (listing,) = struct.unpack_from("<L", tail, at + 12)
    if END64 in tail[max(0, at - 20) : at] or listing > LISTING:
        raise DataError(
            f"the archive lists too many files; at most {FILES:,} images fit. Leave some out, or name a folder on "
            "the server's machine."
        )


def _images(listed: list[zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
    """Path within the tree -> member, for the images of a harmless archive within the bounds."""
    for info in listed:
        _check_member(info)
    images = {info: name for info in listed if _is_image(name := _plain(info.filename))}
    if len(images) > FILES:
        raise DataError(
            f"the archive holds {len(images):,} images; at most {FILES:,} fit. Leave some out, or name a folder "
            "on the server's machine."
        )
    if large := next((info for info in images if info.file_size > IMAGE), None):
        raise DataError(
            f"{large.filename[:80]!r} in the archive has {large.file_size / 2**20:,.0f} MB; one image may have "
            f"{IMAGE / 2**20:g}. Make it smaller, or leave it out."
        )
    if (total := sum(info.file_size for info in images)) > UNPACKED:
        raise DataError(
            f"the archive unpacks to {total / 2**30:.1f} GiB; at most {UNPACKED / 2**30:g} fit. Make the images "
            "smaller, or name a folder on the server's machine."
        )
    around = _around(list(images.values()))
    found = {name.removeprefix(around): info for info, name in images.items()}
    if len(found) < len(images):
        raise DataError("the archive holds several images of the same name; make it again.")
    return found


def _check_member(info: zipfile.ZipInfo) -> None:
    """Refuse names that lead elsewhere, links, devices and encrypted files."""
    name, kind = info.filename, stat.S_IFMT(info.external_attr >> 16)
    parts = name.split("/")
    if name.startswith("/") or re.match("[A-Za-z]:", name) or "\\" in name or ".." in parts:
        raise DataError(
            f"the archive holds the name {name[:80]!r}, which leads out of it; give names relative to the tree, "
            "with / between."
        )
    if max(len(os.fsencode(part)) for part in parts) > 255:
        raise DataError(f"the archive holds a name of more than 255 bytes ({name[:40]!r}...); shorten it.")
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise DataError(f"{name[:80]!r} in the archive is a link or no plain file; put the image itself into it.")
    if info.flag_bits & 1:
        raise DataError(f"{name[:80]!r} in the archive is encrypted; make it again without a password.")


def _plain(name: str) -> str:
    """A harmless name without the parts that lead nowhere: './train//a.png' is train/a.png."""
    return "/".join(part for part in name.split("/") if part not in ("", "."))


def _is_image(name: str) -> bool:
    return not _is_hidden(name) and name.lower().endswith(SUFFIXES)


def _is_hidden(name: str) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in name.split("/"))


def _around(names: list[str]) -> str:
    """The one folder ('NAME/') that all names are in, unless it is a split itself."""
    tops = {name.partition("/")[0] for name in names if "/" in name}
    inside = len(tops) == 1 and all("/" in name for name in names)
    return f"{tops.pop()}/" if inside and not tops & {*SPLITS, VAL} else ""


def _check_image(opened: zipfile.ZipFile, info: zipfile.ZipInfo) -> None:
    """Refuse what is no image by its first bytes, or has too many pixels, before anything of it is written."""
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings(), opened.open(info) as source:
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            Image.open(source).close()
    except (OSError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        why = "is no image" if isinstance(error, UnidentifiedImageError) else f"cannot be used ({error})"
        raise DataError(f"{info.filename[:80]!r} in the archive {why}; leave it out, or make it again.") from None


def _write(opened: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> None:
    """One image; zipfile hands out no more bytes than the listing says, and checks their sum."""
    _check_image(opened, info)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with opened.open(info) as source, open(path, "xb") as file:
            while block := source.read(COPY):
                file.write(block)
    except (FileExistsError, NotADirectoryError):
        raise DataError(
            f"{info.filename[:80]!r} in the archive is a file and a folder at once; make it again."
        ) from None
