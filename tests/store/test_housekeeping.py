"""The bound of the local store: the least recently used of what can be computed again goes, nothing else."""

import os
import time

import numpy as np
import pytest
from click.testing import CliRunner
from fake_results import fake_result
from made_jobs import make_job
from small import SMALL

from asr_core.cli.main import main
from asr_core.errors import SpecError
from asr_core.jobs import needs
from asr_core.jobs.jobs import Wanted
from asr_core.spec.keys import recipe_key
from asr_core.store import Store, housekeeping

HOUR = 3600
BYTES = 8 * 10_000


def kept(store: Store, stage: str, key: str, hours: float) -> tuple[str, str]:
    """An entry of 80 kB, last used some hours ago."""
    facts = {"layer": "conv1", "images": 8} if stage == "maps" else {}
    folder = store.put(stage, key, {"a.npy": np.zeros(BYTES // 8)}, facts).folder
    os.utime(folder / "manifest.json", (time.time() - hours * HOUR,) * 2)
    return stage, key


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "cache")


def there(store: Store) -> set[tuple[str, str]]:
    return {(path.parent.name, path.name) for path in store.root.glob("[!.]*/*")}


def test_the_least_recently_used_go_until_the_bound_is_met(store):
    entries = [kept(store, "stats", name, hours) for name, hours in (("a", 3), ("b", 1), ("c", 2))]
    done = housekeeping.trim(store, 2 * BYTES)
    assert done.entries == 2
    assert done.after <= 2 * BYTES < done.before
    assert there(store) == {entries[1]}


def test_an_entry_that_was_found_again_counts_as_used(store):
    old, new = kept(store, "stats", "a", 9), kept(store, "stats", "b", 1)
    assert Store(store.root).find(*old)
    housekeeping.trim(store, int(1.5 * BYTES))
    assert there(store) == {old}
    assert new not in there(store)


def test_dense_networks_results_images_uploads_and_shipped_entries_stay(store):
    fake_result(store)
    Store(store.shipped).put("stats", "s", {"a.npy": np.zeros(9)}, {})
    store.put("dense", "d", {"weights.npy": np.zeros(9)}, {"recipe": "r", "dense_id": "d"})
    store.put("images", "i", {"a.npy": np.zeros(9)}, {})
    (store.uploads / "3f2a").mkdir(parents=True)
    before = there(store)
    kept(store, "maps", "m", 1)
    assert housekeeping.trim(store, 0).entries == 1
    assert there(store) == before
    assert Store(store.root).verify() == []


def test_what_was_set_aside_as_damaged_goes_first(store):
    entry = kept(store, "stats", "a", 9)
    (store.root / ".damaged" / "stats-b").mkdir(parents=True)
    (store.root / ".damaged" / "stats-b" / "a.npy").write_bytes(bytes(BYTES))
    housekeeping.trim(store, int(1.5 * BYTES))
    assert there(store) == {entry}
    assert not list((store.root / ".damaged").iterdir())


def test_what_was_just_used_stays(store):
    entry = kept(store, "stats", "a", 0)
    assert housekeeping.trim(store, 0).entries == 0
    assert there(store) == {entry}


def test_nothing_goes_that_a_waiting_or_running_job_needs(store):
    store.put("dense", "d", {"weights.safetensors": {}}, {"recipe": recipe_key(SMALL), "dense_id": "d"})
    wanted = Wanted(SMALL)
    needed = {kept(store, stage, key, 5) for stage, key in needs.of(wanted, store)}
    kept(store, "stats", "other", 1)
    make_job(store, "queued", wanted=wanted)
    assert needs.trim(store, 0).entries == 1
    assert needed <= there(store)
    assert {stage for stage, _ in needed} == {"prune", "stats", "repair", "recalibration", "evaluation"}


def test_an_ended_job_needs_nothing(store):
    store.put("dense", "d", {"weights.safetensors": {}}, {"recipe": recipe_key(SMALL), "dense_id": "d"})
    entries = [kept(store, stage, key, 5) for stage, key in needs.of(Wanted(SMALL), store)]
    make_job(store, "finished")
    assert needs.trim(store, 0).entries == len(entries)


@pytest.mark.parametrize(("words", "size"), [("5GB", 5 * 10**9), ("1.5 mb", 1_500_000), ("0KB", 0)])
def test_sizes_in_words(words, size):
    assert housekeeping.size_of(words) == size


@pytest.mark.parametrize("words", ["5", "GB", "-1GB", "nanGB", "five GB", "", "infGB"])
def test_what_is_no_size_is_refused(words):
    with pytest.raises(SpecError, match="is no size; give a number and one of KB, MB, GB, TB"):
        housekeeping.size_of(words)


def test_the_bound_comes_from_the_option_or_the_environment(store, monkeypatch):
    kept(store, "stats", "a", 1)
    asked = ["--cache-dir", str(store.root), "cache", "trim"]
    refused = CliRunner().invoke(main, asked, prog_name="python -m asr_core")
    assert (refused.exit_code, "no bound is given" in refused.stderr) == (2, True)
    monkeypatch.setenv(housekeeping.BOUND, "1GB")
    assert "removed 0 entries" in CliRunner().invoke(main, asked, prog_name="python -m asr_core").stdout
    said = CliRunner().invoke(main, [*asked, "--at-most", "0KB"], prog_name="python -m asr_core").stdout
    assert "removed 1 entries: 0.1 MB before, 0.0 MB now." in said
