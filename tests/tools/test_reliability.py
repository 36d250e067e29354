"""What faults found: each mend by itself. And docs/reliability.md says what its runs said."""

import json
import os
import shutil
import warnings
from pathlib import Path

import pytest
from made_jobs import make_job
from made_uploads import zipped

from asr_core.errors import DataError, Gone, SpecError
from asr_core.images import data, folders, uploads
from asr_core.jobs import jobs, queue, unreadable
from asr_core.jobs.jobs import Wanted
from asr_core.jobs.runner import Runner
from asr_core.networks import resume
from asr_core.pipeline import assembly, run
from asr_core.store import Store, disk, entries, owners, received, results
from asr_core.store.housekeeping import RECENT, trim
from asr_core.store.manifests import MANIFEST
from benchmarks.chaos import reliability
from benchmarks.chaos.faults import FAULTS
from benchmarks.chaos.ground import SMALL, Ground

GONE = 2**22 + 1  # no process has this number


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "cache")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A store with images and a dense network."""
    return Ground(tmp_path_factory.mktemp("ground"))


def taken_away(monkeypatch, stage: str, times: int) -> list[Path]:
    """The first `times` entries of a stage go as soon as they are stored, as if another process trimmed the store."""
    put, gone = Store.put, list[Path]()

    def putting(self, name, *rest, **more):
        entry = put(self, name, *rest, **more)
        if name == stage and len(gone) < times:
            gone.append(entry.folder)
            shutil.rmtree(entry.folder)
        return entry

    monkeypatch.setattr(Store, "put", putting)
    return gone


@pytest.fixture(scope="module")
def whole(base):
    """A store with the result of SMALL."""
    store = base.fresh()
    run.run(SMALL, store)
    return store


@pytest.mark.parametrize("stage", ["prune", "recalibration", "evaluation"])
def test_a_stage_that_goes_from_under_a_run_is_computed_again(base, whole, monkeypatch, stage):
    gone = taken_away(monkeypatch, stage, times=1)
    assert len(run.run(SMALL, base.fresh()).accuracy) == len(results.find(SMALL, whole).accuracy)
    assert len(gone) == 1


def test_no_result_is_stored_without_the_rows_of_a_stage_that_went(whole, tmp_path):
    store = Store(shutil.copytree(whole.root, tmp_path / "cache"))
    found = results.find(SMALL, store)
    store.clear(["result"])
    shutil.rmtree(next((store.root / "evaluation").iterdir()))
    with pytest.raises(Gone, match="evaluation/"):
        assembly.publish(SMALL, store, found.setting["dense_id"], data.load(SMALL.data, store), 0.0)
    assert results.find(SMALL, store) is None


def test_a_run_whose_stages_go_again_and_again_says_so(base, monkeypatch):
    taken_away(monkeypatch, "stats", times=1000)
    with pytest.raises(Gone, match="run again"):
        run.run(SMALL, base.fresh())


def test_what_a_killed_process_was_replacing_a_file_by_is_swept_up(store):
    folder = store.jobs / "job"
    folder.mkdir(parents=True)
    dead, mine = (folder / f"{owners.PART}{owners.machine()}-{pid}-{began}-0" for pid, began in ((GONE, 5), _me()))
    for path in (dead, mine):
        path.touch()
    store.sweep()
    assert not dead.exists()
    assert mine.exists()


def _me() -> tuple[int, int]:
    return os.getpid(), round(owners.born(os.getpid()))


def test_a_process_with_the_number_of_a_dead_one_keeps_nothing_of_it(store):
    pid, began = _me()
    left = store.root / ".tmp" / f"{owners.machine()}-{pid}-{began - 60}-0"
    left.mkdir(parents=True)
    with store.workspace() as mine:
        assert not left.exists()
        assert mine.exists()


def test_a_process_is_known_again_after_the_clock_was_set(monkeypatch):
    before, boot = owners.born(os.getpid()), owners.psutil._psplatform.boot_time
    monkeypatch.setattr(owners.psutil._psplatform, "boot_time", lambda: boot() + 3600)
    assert owners.born(os.getpid()) == pytest.approx(before, abs=1)
    assert owners.lives(os.getpid(), before)
    assert not owners.lives(os.getpid(), before - 60)
    assert not owners.lives(GONE, before)


def test_a_use_in_the_future_counts_as_one_now(store):
    folder = store.put("stats", "k", {"a.json": [1]}, {}).folder
    ahead = disk.now(store.root) + 9 * RECENT
    os.utime(folder / MANIFEST, (ahead, ahead))
    assert trim(store, 0).entries == 0
    assert (folder / MANIFEST).stat().st_mtime < ahead - 8 * RECENT


def test_what_is_just_used_stays_whatever_this_machine_s_clock_says(store, monkeypatch):
    folder = store.put("stats", "k", {"a.json": [1]}, {}).folder
    monkeypatch.setattr("time.time", lambda: 9e9)
    assert trim(store, 0).entries == 0
    assert folder.exists()


def test_an_entry_that_is_written_to_after_it_was_read_is_not_shown_again(store):
    entry = store.put("stats", "k", {"a.json": [1], "b.json": [2]}, {})
    assert store.find("stats", "k")
    (entry.folder / "b.json").write_text("[9]")
    with pytest.warns(UserWarning, match=r"b\.json has changed"):
        assert store.find("stats", "k") is None


def test_a_job_that_is_asked_for_is_there_as_a_whole_or_not_at_all(store, monkeypatch):
    crew, written = Runner(store), queue.write_json

    def full(path, value):
        if path.name == "status.json":
            raise OSError(28, "No space left on device")
        written(path, value)

    monkeypatch.setattr(queue, "write_json", full)
    with pytest.raises(Exception, match="No space left"):
        crew.submit(Wanted(SMALL))
    assert list(store.jobs.glob("*")) == []
    assert list((store.root / ".tmp").glob("*")) == []


def test_a_job_that_says_something_else_than_it_was_named_for_is_refused(store):
    folder = store.jobs / make_job(store, "queued")
    text = (folder / "spec.json").read_text()
    (folder / "spec.json").write_text(text.replace('"sparsity": 0.5', '"sparsity": 0.6'))
    with pytest.raises(SpecError, match="not what the job was named for"):
        jobs.status(folder).asked()
    assert len(unreadable.lines(store)) == 1


def test_a_stopped_training_with_a_changed_byte_begins_anew(store):
    import torch

    kept = resume.Kept(store, "k")
    kept.save({"w": torch.arange(4.0)}, {"losses": [1.0], "epochs": 2})
    path = store.trainings / "k" / resume.STATE
    assert kept.load()[0]["w"].tolist() == [0, 1, 2, 3]
    assert unreadable.lines(store) == []
    content = bytearray(path.read_bytes())
    for place in range(0, len(content), 7):
        path.write_bytes(content[:place] + bytes([content[place] ^ 16]) + content[place + 1 :])
        assert len(unreadable.lines(store)) == 1, place
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert kept.load() is None, place


def test_an_image_that_was_sent_and_has_changed_is_refused_until_it_is_sent_again(store):
    known = uploads.keep_images(store, zipped())
    (path,) = store.uploads.glob("*/*/train/cat/0.png")
    content = path.read_bytes()
    path.write_bytes(content[:-1] + b"\0")
    assert [line.partition(";")[0] for line in received.damaged(store)] == [
        f"upload {path.parents[3].name}: {path.relative_to(path.parents[3])} has changed"
    ]
    with pytest.raises(DataError, match="send their zip again"):
        received.check_whole(store, path.parents[2])
    assert uploads.keep_images(store, zipped())["digest"] == known["digest"]
    assert path.read_bytes() == content
    assert received.damaged(store) == []
    assert folders.opened(known["digest"], store).class_names == ("cat", "dog")


def test_a_memory_with_a_changed_digit_is_forgotten(tmp_path):
    path = tmp_path / "memory.json"
    entries.write_cache(path, {"a": {"digest": "12"}})
    assert entries.read_cache(path, dict[str, str]) == {"a": {"digest": "12"}}
    path.write_text(path.read_text().replace("12", "13"))
    assert entries.read_cache(path, dict[str, str]) == {}


def test_the_signs_of_life_of_another_machine_are_told_by_the_disk_s_clock(store, monkeypatch):
    job_id = make_job(store, "running")
    jobs.update(store, job_id, host="elsewhere")
    alive = store.jobs / job_id / jobs.ALIVE
    alive.touch()
    monkeypatch.setattr("time.time", lambda: 9e9)
    assert jobs.exists(jobs.read(store, job_id))
    old = alive.stat().st_mtime - 2 * jobs.SILENCE
    os.utime(alive, (old, old))
    assert not jobs.exists(jobs.read(store, job_id))


def test_a_full_disk_can_still_be_emptied(store, monkeypatch):
    folder = store.put("stats", "k", {"a.json": [1]}, {}).folder
    os.utime(folder / MANIFEST, (1, 1))

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(disk, "now", full)
    assert trim(store, 0).entries == 1


def test_the_page_says_what_the_runs_said():
    rows = json.loads(reliability.JSON.read_text())
    assert reliability.PAGE.read_text() == reliability.page(rows)
    assert {row["name"] for row in rows} == set(FAULTS)
