"""A manifest says what was written, of the entry that it lies in; every byte that changes is found."""

import json
import random
import shutil
import warnings

import numpy as np
import pandas as pd
import pytest
from fake_results import fake_result

from asr_core.spec.repairs import BN_ONLY
from asr_core.store import Store, catalogue, manifests
from asr_core.store.entries import write_manifest
from asr_core.store.manifests import MANIFEST, Unfit
from asr_core.store.results import entry_of

FLIPS = 300


def small_store(folder) -> Store:
    """A store with a result, a table, arrays and JSON."""
    store = Store(folder)
    fake_result(store, repairs=(BN_ONLY,), layers={"conv1": 4, "conv2": 4})
    files = {"table.parquet": pd.DataFrame({"x": [0.949]}), "bits.npz": {"a": np.arange(3)}, "names.json": ["a"]}
    store.put("stats", "k", files, {"severity": 2.1280253742876494, "none": float("nan")})
    return store


def flip(path, byte: int, mask: int) -> None:
    content = bytearray(path.read_bytes())
    content[byte] ^= mask
    path.write_bytes(content)


def shown(store: Store, stage: str, key: str):
    """What a page would get of an entry."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if stage == "result":
            return entry_of(store, key) if any(item.key == key for item in catalogue.stored(store)) else None
        return store.find(stage, key)


def test_each_of_many_random_flips_of_manifests_and_files_is_found_and_none_is_shown(tmp_path):
    sound = small_store(tmp_path / "sound").root
    paths = sorted(path for path in sound.rglob("*") if path.is_file() and ".tmp" not in path.parts)
    chance, missed, seen = random.Random(0), [], []
    for number in range(FLIPS):
        root = tmp_path / str(number)
        shutil.copytree(sound, root)
        path = chance.choice([p for p in paths if p.name == MANIFEST] if number % 2 else paths)
        where, (stage, key) = root / path.relative_to(sound), path.relative_to(sound).parts[:2]
        flipped = chance.randrange(where.stat().st_size), chance.randrange(1, 256)
        flip(where, *flipped)
        if shown(Store(root), stage, key) is not None:
            seen.append((path.name, flipped))
        shutil.rmtree(root / ".damaged", ignore_errors=True)
        shutil.copytree(sound / stage / key, root / stage / key, dirs_exist_ok=True)
        flip(where, *flipped)
        if len(Store(root).verify()) != 1:
            missed.append((path.name, flipped))
        shutil.rmtree(root)
    assert missed == []
    assert seen == []


def test_two_digits_changed_in_a_manifest_are_found(tmp_path):
    store = small_store(tmp_path)
    (folder,) = (store.root / "result").iterdir()
    text = (folder / MANIFEST).read_text()
    (folder / MANIFEST).write_text(text.replace('"sparsity": 0.9', '"sparsity": 0.8'))
    with pytest.warns(UserWarning, match="its manifest has changed"):
        assert catalogue.stored(store) == []
    assert len(store.verify()) == 1


def test_an_entry_that_was_moved_to_another_key_is_none(tmp_path):
    store = small_store(tmp_path)
    (store.root / "stats" / "k").rename(store.root / "stats" / "other")
    with pytest.raises(Unfit, match="that of stats/k"):
        manifests.read(store.root / "stats" / "other")


def test_a_newer_entry_is_told_as_such_and_left_where_it_is(tmp_path):
    store = small_store(tmp_path)
    folder = store.root / "stats" / "k"
    newer = {name: value for name, value in manifests.read(folder).items() if name != "facts"}
    write_manifest(folder, newer | {"format": manifests.FORMAT + 1, "figures": {}})
    with pytest.warns(UserWarning, match="of a newer version"):
        assert store.find("stats", "k") is None
    assert len(store.verify()) == 1
    assert folder.is_dir()


def test_a_manifest_stays_json_that_a_person_can_read(tmp_path):
    store = small_store(tmp_path)
    found = json.loads((store.root / "stats" / "k" / MANIFEST).read_text())
    assert list(found)[:4] == ["digest", "format", "stage", "key"]
    assert found["facts"]["severity"] == 2.1280253742876494


def test_an_entry_that_is_mended_in_its_place_is_shown_again(tmp_path):
    store = Store(tmp_path)
    folder = Store(store.shipped).put("stats", "k", {"a.json": [1]}, {}).folder
    (folder / "a.json").write_text("[2]")
    with pytest.warns(UserWarning, match=r"a\.json has changed"):
        assert store.find("stats", "k") is None
    assert store.manifests("stats") == []
    (folder / "a.json").unlink()
    (folder / "a.json").write_text("[\n 1\n]")
    assert store.find("stats", "k") is not None
    assert len(store.manifests("stats")) == 1
