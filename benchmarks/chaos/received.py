"""Files that somebody sends to do harm: each is refused in one line or kept harmless, nothing of it is run or left."""

import io
import pickle
import resource
import stat
import struct
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

from asr_core.errors import AsrError
from asr_core.images import uploads as images
from asr_core.networks import uploads as weights
from asr_core.store import Store
from benchmarks.chaos.flips import pictures
from benchmarks.chaos.ground import SMALL, Ground, debris
from benchmarks.chaos.tally import Tally

MOST = 300 << 20  # bytes that looking at a file may take of memory


def uploads(ground: Ground, count: int, chance: Random) -> Tally:
    """The files named below, then sound ones with some bytes changed or cut off."""
    tally, store = Tally("hostile uploads"), ground.fresh()
    ran = ground.folder / "ran"
    for number, (name, content) in zip(range(count), _files(ran, chance), strict=False):
        tally.tries += 1
        tally.broken += [f"{number} {name}: {word}" for word in _sent(store, name, content)]
        if ran.exists():
            tally.wrong += 1
            tally.broken.append(f"{name} was run")
            ran.unlink()
    outside = [path for path in ground.folder.rglob("*evil*") if path.is_file()]
    left = [*debris(store), *map(str, outside)]
    tally.debris, tally.broken = len(left), tally.broken + [f"left behind: {name}" for name in left]
    return tally


def _sent(store: Store, name: str, content: bytes) -> list[str]:
    """What is wrong with how a file was met."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    wrong = []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _keep(store, name, io.BytesIO(content))
    except AsrError as error:
        wrong += [f"said in several lines: {error}"] if "\n" in str(error) else []
    except Exception as error:
        wrong.append(f"{type(error).__name__}: {error}")
    used = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10) - before
    return wrong + ([f"took {used >> 20} MiB of memory"] if used > MOST else [])


def _keep(store: Store, name: str, file: io.BytesIO) -> None:
    if name.endswith(".zip"):
        images.keep_images(store, file)
    else:
        weights.keep_weights(store, name, file, SMALL.model, SMALL.data.classes, SMALL.data.image_size)


def _files(ran: Path, chance: Random) -> Iterator[tuple[str, bytes]]:
    """(name, content), without an end."""
    yield from _archives()
    yield from _checkpoints(ran)
    sound = pictures().getvalue()
    while True:
        spoilt = bytearray(sound)
        for _ in range(chance.randint(1, 8)):
            spoilt[chance.randrange(len(spoilt))] = chance.randrange(256)
        yield "spoilt.zip", bytes(spoilt[: chance.randint(1, len(spoilt))] if chance.random() < 0.3 else spoilt)


class Runs:
    """A pickle of it writes a file when it is read."""

    def __init__(self, ran: Path):
        self.ran = ran

    def __reduce__(self):
        return (Path.write_text, (self.ran, "it ran"))


def _archives() -> Iterator[tuple[str, bytes]]:
    """Zips that lead out, grow, lie about what they hold, or name classes in markup."""
    for name in ("../evil.png", "/tmp/evil.png", "train/../../../evil.png", "C:\\evil.png", "train\\cat\\evil.png"):
        yield "leads-out.zip", _with((name, picture()))
    yield "link.zip", _with(("train/cat/evil.png", b"/etc/passwd"), change=_link)
    yield "bomb.zip", _with(("train/cat/9.png", bytes(100 << 20)))
    yield "nested.zip", _with(("train/cat/inner.zip", _with(("a.png", bytes(1 << 20)))))
    yield "many.zip", _with(*((f"train/cat/{n}.png", b"") for n in range(61_000)))
    yield "listing.zip", pictures().getvalue()[:-22] + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 9, 9, 1 << 30, 0, 0)
    yield "giant.zip", _with(("train/cat/9.png", giant()))
    yield "truncated.zip", _with(("train/cat/9.png", picture()[:-9]))
    yield "pickled.zip", _with(("train/cat/9.png", pickle.dumps({"a": 1})))
    yield "empty.zip", b""
    yield "cut.zip", pictures().getvalue()[:200]
    yield "no.zip", b"PK\3\4" + bytes(5000)
    for name in ("<img src=x onerror=alert(1)>", "[x](http:@127.0.0.1:9)", "\u202egnp", "a\nb", "`$HOME`", "x" * 300):
        yield "markup.zip", _with(*((f"{split}/{name}/1.png", picture()) for split in ("train", "test")))


def picture(side: int = 8) -> bytes:
    """A PNG."""
    from PIL import Image

    found = io.BytesIO()
    Image.new("RGB", (side, side), (9, 9, 9)).save(found, "PNG")
    return found.getvalue()


def giant() -> bytes:
    """A PNG of some bytes that says it has 100,000 x 100,000 pixels."""
    small = picture()
    return small[:16] + struct.pack(">2L", 100_000, 100_000) + small[24:]


def _link(info: zipfile.ZipInfo) -> None:
    if "evil" in info.filename:
        info.external_attr = (stat.S_IFLNK | 0o777) << 16


def _with(*more: tuple[str, bytes], change: Callable[[zipfile.ZipInfo], None] | None = None) -> bytes:
    """A small sound tree and more, zipped."""
    found = pictures()
    with zipfile.ZipFile(found, "a", zipfile.ZIP_DEFLATED) as archive:
        for name, content in more:
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            if change:
                change(info)
            archive.writestr(info, content)
    return found.getvalue()


def _checkpoints(ran: Path) -> Iterator[tuple[str, bytes]]:
    """Files that say they are weights."""
    import torch

    code = pickle.dumps(Runs(ran))
    yield "a.safetensors", code
    yield "a.pt", code
    yield "a.pth.tar", _saved({"state_dict": {"w": torch.ones(2)}, "more": Runs(ran)}, torch)
    yield "a.bin", _saved({"<img src=x onerror=alert(1)>": torch.ones(2)}, torch)
    yield "../../evil.safetensors", code
    yield "long.safetensors", struct.pack("<Q", 1 << 62) + b"{}"
    yield "large.safetensors", _header('{"w":{"dtype":"F32","shape":[1000000000000],"data_offsets":[0,4]}}')
    yield "deep.safetensors", _header('{"a":' * 3000 + "1" + "}" * 3000)
    yield "bomb.pt", _zeros(torch)
    yield "nan.pt", _saved({"conv1.weight": torch.full((16, 3, 3, 3), float("nan"))}, torch)


def _saved(value, torch) -> bytes:
    found = io.BytesIO()
    torch.save(value, found)
    return found.getvalue()


def _header(text: str) -> bytes:
    return struct.pack("<Q", len(text)) + text.encode() + bytes(4)


def _zeros(torch) -> bytes:
    """torch's own format, zeros of 400 MB deflated to some bytes."""
    plain, found = io.BytesIO(_saved({"w": torch.zeros(100 << 20)}, torch)), io.BytesIO()
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(found, "w", zipfile.ZIP_DEFLATED) as target:
        for info in source.infolist():
            target.writestr(info.filename, source.read(info))
    return found.getvalue()
