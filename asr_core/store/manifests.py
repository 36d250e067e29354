"""What a `manifest.json` says, and whether it still says what was written: one schema, one digest over its text.

The first line of a manifest is the sha256 of all that follows it, so that no byte of it changes unseen. What does not
fit is Unfit: damaged, or sound but of another version of this project. Nothing unfit is ever shown as a result.
"""

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any

import msgspec

MANIFEST = "manifest.json"
FORMAT = 2  # raise it when the meaning of a manifest changes; 1 had no digest
HEAD = '{\n "digest": "'  # before the 64 digits, in each manifest the same
DIGITS = 64
UPGRADE = "`python -m asr_core cache migrate` takes it over"

Sha256 = Annotated[str, msgspec.Meta(pattern=f"^[0-9a-f]{{{DIGITS}}}$")]
Count = Annotated[int, msgspec.Meta(ge=0)]
FileName = Annotated[str, msgspec.Meta(pattern=r"^[\w-][\w.-]*$")]


class Unfit(ValueError):
    """An entry that cannot be used: `damaged`, or else of another version."""

    def __init__(self, reason: str, damaged: bool = True):
        super().__init__(reason)
        self.damaged = damaged


class Listing(msgspec.Struct, forbid_unknown_fields=True):
    """One file of an entry: its digest, its size in bytes, and how many rows a table has."""

    sha256: Sha256
    bytes: Count
    rows: Count | None = None


class Manifest(msgspec.Struct, forbid_unknown_fields=True):
    """What each manifest holds below its digest."""

    format: Count
    stage: str
    key: str
    spec: Any
    facts: dict[str, Any]
    files: dict[FileName, Listing]
    seconds: float
    finished: Annotated[str, msgspec.Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]
    versions: dict[str, str | None]


class Damage(msgspec.Struct):
    """Facts of a result that lists and pages read; whether its setting is known here, `store.catalogue` checks."""

    dense_id: str
    dataset_label: str
    sparsity_asked: float
    sparsity_achieved: float
    severity: float
    overshoot: float
    dead: Count
    channels: Count
    within_share: float | None
    live_share: float | None


class ResultFacts(msgspec.Struct):
    """Of a result."""

    setting: Damage
    recipe: str


class DenseFacts(msgspec.Struct):
    """Of a dense network."""

    recipe: str
    dense_id: str


class MapFacts(msgspec.Struct):
    """Of spatial maps."""

    layer: str
    images: Count


class Titled(msgspec.Struct):
    """A talk, as lists name it."""

    title: str


class TalkFacts(msgspec.Struct):
    """Of a stored talk."""

    talk: Titled


FACTS: dict[str, Any] = {"result": ResultFacts, "dense": DenseFacts, "maps": MapFacts, "talk": TalkFacts}
TABLES = ("accuracy.parquet", "layers.parquet", "alphas.parquet", "convs.parquet")  # that each result has


def text_of(manifest: dict[str, Any]) -> str:
    """What stands in the file of a manifest, its digest first."""
    body = json.dumps({"format": FORMAT} | manifest, indent=1, default=str).removeprefix("{\n")
    return f'{HEAD}{_digest(body)}",\n{body}'


def _digest(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()


def read(folder: Path) -> dict[str, Any]:
    """The manifest of the entry in `folder`, sound and of this version.

    Raises Unfit, and FileNotFoundError where there is none.
    """
    text = _text(folder)
    found = _parsed(text)
    if not found.keys() & {"digest", "format"}:
        check(folder, {"format": 1} | found)
        raise Unfit(f"it is of an earlier version; {UPGRADE}", damaged=False)
    if (
        not text.startswith(HEAD)
        or text[len(HEAD) : len(HEAD) + DIGITS + 3] != f'{_digest(text[len(HEAD) + DIGITS + 3 :])}",\n'
    ):
        raise Unfit("its manifest has changed")
    del found["digest"]
    if isinstance(found.get("format"), int) and found["format"] > FORMAT:
        raise Unfit(f"it is of a newer version (format {found['format']}; this one reads {FORMAT})", damaged=False)
    check(folder, found)
    return found


def _text(folder: Path) -> str:
    try:
        with open(folder / MANIFEST, encoding="utf-8", newline="") as file:
            return file.read()
    except (IsADirectoryError, NotADirectoryError, UnicodeDecodeError):
        raise Unfit("its manifest is unreadable") from None


def _parsed(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise Unfit("its manifest is unreadable") from None
    if not isinstance(found, dict):
        raise Unfit("its manifest is unreadable")
    return found


def earlier(folder: Path) -> dict[str, Any] | None:
    """The manifest in `folder` where it is whole and of format 1, which had no digest, else None."""
    try:
        found = _parsed(_text(folder))
        check(folder, {"format": 1} | found)
    except (Unfit, OSError):
        return None
    return found if not found.keys() & {"digest", "format"} else None


def check(folder: Path, found: dict[str, Any]) -> None:
    """Raise Unfit where a manifest does not fit the schema, its folder, or what this version knows."""
    manifest = _converted(found, Manifest, "its manifest")
    if (manifest.stage, manifest.key) != (folder.parent.name, folder.name):
        raise Unfit(f"its manifest is that of {manifest.stage}/{manifest.key}")
    if manifest.stage in FACTS:
        _converted(manifest.facts, FACTS[manifest.stage], "its manifest's facts")
    if manifest.stage == "result" and (absent := [name for name in TABLES if not _has_rows(manifest, name)]):
        raise Unfit(f"its manifest lists no {absent[0]} with its rows", damaged=False)


def _converted(found: Any, kind: Any, what: str) -> Any:
    try:
        return msgspec.convert(found, kind)
    except (msgspec.ValidationError, RecursionError) as error:
        raise Unfit(f"{what} does not fit: {error}", damaged=False) from None


def _has_rows(manifest: Manifest, name: str) -> bool:
    return name in manifest.files and manifest.files[name].rows is not None
