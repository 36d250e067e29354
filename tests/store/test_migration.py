"""Entries of the earlier format, whose manifests had no digest, are taken over; others are left alone."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from fake_results import fake_result

from asr_core.cli.main import main
from asr_core.store import Store, catalogue, manifests, migration
from asr_core.store.manifests import MANIFEST


def make_earlier(folder, **changes) -> None:
    """The entry in `folder` as the format before this one had it, with `changes` of its manifest."""
    found = {name: value for name, value in manifests.read(folder).items() if name != "format"}
    (folder / MANIFEST).write_text(json.dumps(found | changes, indent=1))


@pytest.fixture
def old(tmp_path):
    """A store with a shipped result and local maps of the earlier format."""
    store = Store(tmp_path)
    make_earlier(fake_result(Store(store.shipped)).folder)
    make_earlier(store.put("maps", "k", {"maps.npy": np.ones(2)}, {"layer": "conv1", "images": 8}).folder)
    return store


def test_an_earlier_entry_is_recognised_left_where_it_is_and_told_with_the_remedy(old):
    with pytest.warns(UserWarning, match="of an earlier version; `python -m asr_core cache migrate` takes it over"):
        assert old.find("maps", "k") is None
    assert (old.root / "maps" / "k" / MANIFEST).is_file()


def test_of_many_earlier_entries_the_first_is_told(old):
    for name in "ab":
        make_earlier(old.put("maps", name, {}, {"layer": "conv1", "images": 8}).folder)
    with pytest.warns(UserWarning) as told:
        assert old.manifests("maps") == []
    assert len(told) == 1


def test_a_migrated_store_has_what_it_had_and_nothing_left_to_migrate(old):
    before = json.loads((old.root / "maps" / "k" / MANIFEST).read_text())
    asked = ["--cache-dir", str(old.root), "cache", "migrate"]
    said = [CliRunner().invoke(main, asked, prog_name="python -m asr_core").output for _ in range(2)]
    assert said == ["took over 2 entries.\n", "took over 0 entries.\n"]
    assert Store(old.root).verify() == []
    assert Store(old.root).find("maps", "k").manifest == {"format": manifests.FORMAT} | before
    assert len(catalogue.stored(Store(old.root))) == 1


def test_an_earlier_entry_with_a_damaged_file_or_of_unknown_meaning_is_not_vouched_for(old):
    (old.root / "maps" / "k" / "maps.npy").write_bytes(b"broken")
    make_earlier(old.put("maps", "b", {}, {"layer": "conv1", "images": 8}).folder, facts={"layer": 7})
    assert migration.migrate(old) == 1  # the shipped result
    assert not manifests.earlier(old.root / "maps" / "b")


def test_a_computation_takes_the_place_of_an_earlier_entry_that_was_not_migrated(old):
    with pytest.warns(UserWarning, match="earlier version"):
        entry = old.get_or_compute("maps", "k", lambda: ({}, {"layer": "conv2", "images": 1}))
    assert entry["layer"] == "conv2"
    assert len(list((old.root / ".damaged").iterdir())) == 1
