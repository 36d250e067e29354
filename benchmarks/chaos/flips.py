"""Single bits that flip in stored files of every kind: each is found by `cache verify`, none is shown."""

import os
import shutil
import warnings
from io import BytesIO
from pathlib import Path
from random import Random

from asr_core.images import data, folders, uploads
from asr_core.jobs import jobs, unreadable
from asr_core.jobs.jobs import Wanted
from asr_core.networks import resume
from asr_core.pipeline.maps import MapSpec
from asr_core.store import Store, catalogue
from asr_core.store.manifests import MANIFEST
from benchmarks.chaos.ground import Ground, crew, ended, finished, setting
from benchmarks.chaos.tally import Tally


def bits(ground: Ground, count: int, chance: Random) -> Tally:
    """One bit of one file at a time; kinds of files take turns."""
    tally, store = Tally("a bit flips in a stored file"), _store_of_all_kinds(ground)
    kinds = _kinds(store)
    names = sorted(kinds)
    for number in range(count):
        kind = names[number % len(names)]
        path = chance.choice(kinds[kind])
        tally.tries += 1
        tally.counted[kind] = tally.counted.get(kind, 0) + 1
        _flip(tally, store, path, chance)
    return tally


def _store_of_all_kinds(ground: Ground) -> Store:
    """Results, every stage, maps, signal, repairability, a job, an upload of images and one of weights, a stopped
    training."""
    import torch

    store, spec = ground.fresh(), setting(0)
    with crew(store) as runner:
        finished(runner, spec)
        for part in ({"maps": MapSpec(layer="conv1", images=2)}, {"repairability": True}, {"signal": spec.states[-1]}):
            job = ended(runner, runner.submit(Wanted(spec, **part)).id)
            assert job.state == "finished", job.reason
    resume.Kept(store, "0" * 24).save({"w": torch.arange(64.0)}, {"losses": [1.0], "epochs": 3})
    uploads.keep_images(store, pictures())
    return store


def pictures() -> BytesIO:
    """A zip of a small ImageFolder tree."""
    import zipfile

    import numpy as np
    from PIL import Image

    found, grey = BytesIO(), np.random.default_rng(0)
    with zipfile.ZipFile(found, "w") as archive:
        for split in ("train", "test"):
            for name in ("cat", "dog"):
                for number in range(3):
                    picture = BytesIO()
                    Image.fromarray(grey.integers(0, 256, (8, 8, 3), np.uint8)).save(picture, "BMP")
                    archive.writestr(f"{split}/{name}/{number}.bmp", picture.getvalue())
    return found


def _kinds(store: Store) -> dict[str, list[Path]]:
    """Files of the store by kind."""
    kinds: dict[str, list[Path]] = {}
    for stage in store.local_stages():
        for path in sorted((store.root / stage).glob("*/*")):
            kinds.setdefault(f"{stage} manifest" if path.name == MANIFEST else f"{stage} {path.suffix[1:]}", []).append(
                path
            )
    kinds["job spec"] = sorted(store.jobs.glob("*/spec.json"))
    kinds["stopped training"] = sorted(store.trainings.glob("*/*"))
    kinds["uploaded images"] = sorted(path for path in store.uploads.rglob("*.bmp"))
    return kinds


def _flip(tally: Tally, store: Store, path: Path, chance: Random) -> None:
    """Flip one bit; look at it as a page and as a job would, then as `cache verify` does; put it back."""
    content, times, named = path.read_bytes(), path.stat(), path.relative_to(store.root)
    place, mask = chance.randrange(len(content)), 1 << chance.randrange(8)
    changed = bytearray(content)
    changed[place] ^= mask

    def spoil() -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(changed)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))  # a disk that rots writes no time

    kept = store.root.parent / "kept"
    shutil.copytree(path.parent, kept)
    spoil()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if _shown(store.root, named):
            tally.wrong += 1
            tally.broken.append(f"shown: {named} byte {place} bit {mask}")
        _put_back(store, path.parent, kept)
        spoil()
        if not verified(Store(store.root)):
            tally.broken.append(f"not found: {named} byte {place} bit {mask}")
    _put_back(store, path.parent, kept)
    shutil.rmtree(kept)


def _put_back(store: Store, folder: Path, kept: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(store.root / ".damaged", ignore_errors=True)
    shutil.copytree(kept, folder)


def verified(store: Store) -> list[str]:
    """What `python -m asr_core cache verify` prints."""
    return [*catalogue.verify(store), *unreadable.lines(store)]


def _shown(root: Path, named: Path) -> bool:
    """Whether a new process would use the changed file."""
    store, (top, key, *_) = Store(root), named.parts
    if top == "jobs":
        try:
            return jobs.read(store, key).asked()[0].id != key
        except ValueError:
            return False
    if top == "trainings":
        kept = resume.Kept(store, key).load()
        return kept is not None and kept[0]["w"].tolist() != list(range(64))
    if top == "uploads":
        return _decoded(store)
    return store.find(top, key) is not None


def _decoded(store: Store) -> bool:
    """Whether changed images would be decoded as those that were sent."""
    from asr_core.errors import AsrError

    (known,) = {value["digest"]: value for value in folders._sources(store).values()}.values()
    spec = data.DataSpec.pick(dataset="folder", digest=known["digest"], classes=known["classes"], image_size=8)
    try:
        data.load(spec, store)
    except AsrError:
        return False
    finally:
        shutil.rmtree(store.root / "images" / data.images_key(spec), ignore_errors=True)
    return True
