"""Talks: views of the dashboard in an order, with notes, as a small JSON. Two are shipped; others come as a file, from
the store or in an address.

    {"title": "...", "minutes": 5, "scenes": [{"title": "...", "view": "variance?stage=predicted", "notes": "..."}]}

A view names a page and its parameters. One that names no setting shows the setting that lessons show.
"""

import base64
import json
import re
import zlib
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl

from asr_core.errors import SpecError, UnknownName
from asr_core.store import Store

HERE = Path(__file__).with_name("talks")
SHIPPED = ("five", "fifteen")
MOST_SCENES, MOST_LETTERS = 99, 20_000
VIEW = re.compile(r"[a-z]{1,30}(\?[^#\s]*)?")
STAGE = "talk"  # of the store


@dataclass(frozen=True)
class Scene:
    """One view with what is said to it. view: 'page?parameter=value&...'."""

    title: str
    view: str
    notes: str = ""

    @property
    def page(self) -> str:
        """The page that it shows."""
        return self.view.partition("?")[0]

    @property
    def parameters(self) -> dict[str, str]:
        """What the view's address says."""
        return dict(parse_qsl(self.view.partition("?")[2]))


@dataclass(frozen=True)
class Talk:
    """Scenes in their order; minutes: how long it is meant to be."""

    title: str
    minutes: int
    scenes: tuple[Scene, ...]

    @classmethod
    def read(cls, text: str) -> Self:
        """From JSON; raises SpecError that says what is wrong.

        >>> Talk.read('{"title": "t", "minutes": 5, "scenes": [{"title": "s", "view": "idea"}]}').scenes[0].page
        'idea'
        """
        if len(text) > MOST_LETTERS:
            raise SpecError(f"a talk has {len(text):,} letters; at most {MOST_LETTERS:,}.")
        try:
            found = json.loads(text)
            scenes = tuple(_scene(number, **one) for number, one in enumerate(found["scenes"], 1))
            talk = cls(title=str(found["title"]), minutes=int(found["minutes"]), scenes=scenes)
        except (ValueError, TypeError, KeyError) as error:
            raise SpecError(f"this is no talk ({error}); give JSON with title, minutes and scenes.") from None
        if not 1 <= len(scenes) <= MOST_SCENES:
            raise SpecError(f"a talk has {len(scenes)} scenes; give 1 to {MOST_SCENES}.")
        return talk

    @property
    def text(self) -> str:
        """As JSON."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False)

    @property
    def packed(self) -> str:
        """As one word for an address."""
        return "z" + base64.urlsafe_b64encode(zlib.compress(json.dumps(asdict(self)).encode(), 9)).decode().rstrip("=")


def _scene(number: int, title: Any, view: Any, notes: Any = "") -> Scene:
    if not VIEW.fullmatch(str(view)):
        raise SpecError(f"the view of scene {number} is {str(view)[:60]!r}; give one like 'variance?stage=predicted'.")
    return Scene(str(title), str(view), str(notes))


def find(name: str, store: Store) -> Talk:
    """The talk of that name: shipped, stored (24 hex digits) or packed; raises UnknownName or SpecError."""
    if name in SHIPPED:
        return Talk.read((HERE / f"{name}.json").read_text())
    if re.fullmatch("[0-9a-f]{24}", name) and (entry := store.find(STAGE, name)):
        return Talk.read(json.dumps(entry["talk"]))
    if name.startswith("z"):
        return Talk.read(_unpacked(name))
    raise UnknownName("talk", name[:40], [*SHIPPED, *(manifest["key"] for manifest in store.manifests(STAGE))])


def _unpacked(word: str) -> str:
    """The JSON of `Talk.packed`; never more than MOST_LETTERS of it, whatever the word holds."""
    try:
        packed = base64.urlsafe_b64decode(word[1:] + "=" * (-len(word[1:]) % 4))
        return zlib.decompressobj().decompress(packed, MOST_LETTERS).decode()
    except (ValueError, zlib.error):
        raise SpecError("the talk in the address is damaged; copy the whole address again.") from None


def keep(talk: Talk, store: Store) -> str:
    """Store a talk; returns its name."""
    key = sha256(talk.text.encode()).hexdigest()[:24]
    if not store.has(STAGE, key):
        store.put(STAGE, key, {}, {"talk": json.loads(talk.text)})
    return key
