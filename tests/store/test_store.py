"""The store: content-addressed, atomic, safe for several processes, honest about damage."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
import warnings
from pathlib import Path

import filelock
import numpy as np
import pandas as pd
import pytest

from asr_core.errors import StoreError
from asr_core.store import Store, disk, owners
from asr_core.store.entries import commit_of, write_json


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "cache")


def number(value=1.0, calls=None):
    """A stage that counts how often it is computed."""

    def compute():
        if calls is not None:
            calls.append(value)
        return {"table.parquet": pd.DataFrame({"x": [value]}), "bits.npz": {"a": np.arange(3)}}, {"value": value}

    return compute


def test_a_stage_is_computed_once_and_read_back(store):
    calls = []
    first = store.get_or_compute("stats", "k", number(2.5, calls))
    again = Store(store.root).get_or_compute("stats", "k", number(9.9, calls))
    assert calls == [2.5]
    assert first["value"] == again["value"] == 2.5
    assert again.table("table")["x"].tolist() == [2.5]
    assert again.arrays("bits")["a"].tolist() == [0, 1, 2]


def test_the_commit_is_told_in_a_checkout_and_in_a_worktree_with_packed_refs_and_a_change_shows(tmp_path, monkeypatch):
    def git(folder, *words):
        done = subprocess.run(
            ["git", "-C", folder, "-c", "user.name=a", "-c", "user.email=a@b", *words],
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()

    here, beside = tmp_path / "here", tmp_path / "beside"
    here.mkdir()
    assert commit_of(here) is None
    git(here, "init", "-q")
    (here / "file").write_text("one")
    git(here, "add", ".")
    git(here, "commit", "-qm", "one")
    git(here, "pack-refs", "--all")
    git(here, "worktree", "add", "-q", "--detach", beside)
    assert commit_of(here) == commit_of(beside) == git(here, "rev-parse", "HEAD")[:12]
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")  # as in a container whose user does not own the files
    assert commit_of(here) == commit_of(beside)
    assert commit_of(here) is not None
    (beside / "file").write_text("two")
    assert commit_of(beside) == f"{commit_of(here)}-dirty"


TABLE = {
    "words": pd.Series(["a", None, "b"], dtype="str"),
    "bits": pd.Series([True, None, False], dtype="boolean"),
    "whole": pd.Series([1, None, 3], dtype="Int64"),
    "half": np.array([1.5, np.nan, -np.inf], np.float16),
    "number": [1e300, np.nan, 0.1],
}


@pytest.mark.parametrize("rows", [3, 0])
def test_a_table_is_read_as_it_was_written_holes_and_types_too(store, rows):
    table = pd.DataFrame(TABLE).head(rows)
    read = store.put("stats", "k", {"table.parquet": table}, {}).table("table")
    pd.testing.assert_frame_equal(read, table, check_exact=True)


def test_the_manifest_names_versions_duration_rows_and_hashes(store):
    manifest = store.get_or_compute("stats", "k", number(), spec={"asked": 1}).manifest
    assert manifest["spec"] == {"asked": 1}
    assert manifest["versions"]["torch"].startswith("2.")
    assert manifest["files"]["table.parquet"]["rows"] == 1
    assert len(manifest["files"]["bits.npz"]["sha256"]) == 64
    assert manifest["seconds"] >= 0


@pytest.mark.parametrize("name", ["table.parquet", "bits.npz"])
def test_a_changed_file_is_set_aside_with_a_warning_and_computed_again(store, name):
    store.get_or_compute("stats", "k", number(1.0))
    with open(store.root / "stats" / "k" / name, "r+b") as file:
        file.write(b"broken")
    calls = []
    with pytest.warns(UserWarning, match=f"stats/k: {name} has changed; set aside"):
        entry = Store(store.root).get_or_compute("stats", "k", number(3.0, calls))
    assert calls == [3.0] and entry["value"] == 3.0
    assert len(list((store.root / ".damaged").iterdir())) == 1


@pytest.mark.parametrize("content", ["", "{", "[]", '"text"', "null", "[" * 100_000])
def test_a_half_written_manifest_is_set_aside(store, content):
    store.get_or_compute("stats", "k", number())
    (store.root / "stats" / "k" / "manifest.json").write_text(content)
    with pytest.warns(UserWarning, match="manifest is unreadable"):
        assert Store(store.root).find("stats", "k") is None
    assert Store(store.root).manifests("stats") == []


def test_a_missing_file_or_manifest_is_set_aside(store):
    for name, reason in (("bits.npz", "bits.npz is missing"), ("manifest.json", "its manifest is missing")):
        store.get_or_compute("stats", "k", number())
        (store.root / "stats" / "k" / name).unlink()
        with pytest.warns(UserWarning, match=reason):
            assert Store(store.root).find("stats", "k") is None


def test_a_stage_that_fails_leaves_nothing_behind(store):
    def fail():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.get_or_compute("stats", "k", fail)
    with pytest.raises(AttributeError):
        store.put("stats", "k", {"good.npz": {"a": np.ones(2)}, "bad.parquet": "no table"}, {})
    assert store.find("stats", "k") is None
    assert list((store.root / ".tmp").glob("*")) == []


def test_shipped_entries_come_first_and_are_never_moved(store):
    Store(store.root).put("stats", "k", {}, {"value": "local"})
    shipped = Store(store.root / "elsewhere").put("stats", "k", {"a.npz": {"a": np.ones(2)}}, {"value": "shipped"})
    (store.shipped / "stats").mkdir(parents=True)
    shipped.folder.rename(store.shipped / "stats" / "k")
    assert Store(store.root).find("stats", "k")["value"] == "shipped"
    (store.shipped / "stats" / "k" / "a.npz").write_bytes(b"broken")
    with pytest.warns(UserWarning, match=r"a\.npz has changed"):
        assert Store(store.root).find("stats", "k")["value"] == "local"
    assert (store.shipped / "stats" / "k").is_dir()


def test_verify_reports_each_damaged_entry(store):
    for key in "abc":
        store.get_or_compute("stats", key, number())
    assert store.verify() == []
    (store.root / "stats" / "b" / "bits.npz").write_bytes(b"broken")
    assert len(store.verify()) == 1
    assert store.verify() == []


def test_clear_removes_local_entries_of_the_named_stages_only(store):
    store.get_or_compute("stats", "k", number())
    store.get_or_compute("repair", "k", number())
    assert store.clear(["stats"]) == 1
    assert store.find("repair", "k") and not store.find("stats", "k")


def test_uploads_can_be_cleared_and_are_no_stage(store):
    assert store.clearable() == []
    (store.uploads / "3f2a").mkdir(parents=True)
    assert store.clearable() == ["uploads"] and store.local_stages() == []
    assert store.clear(store.clearable()) == 1 and not list(store.uploads.iterdir())


def test_trainings_can_be_cleared_and_are_no_stage(store):
    (store.trainings / "3f2a").mkdir(parents=True)
    assert store.clearable() == ["trainings"]
    assert store.local_stages() == []
    assert store.verify() == []
    assert store.clear(store.clearable()) == 1
    assert not list(store.trainings.iterdir())


def test_a_cache_directory_that_cannot_be_written_is_named_with_the_remedy(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match=r"cannot write to the cache directory .*--cache-dir or ASR_CACHE_DIR"):
        Store(tmp_path / "file").check_writable()


def test_an_entry_is_whole_at_the_moment_it_appears(store, monkeypatch):
    seen, rename = [], Path.rename

    def watched(part, target):
        rename(part, target)
        seen.append(Store(store.root).find("stats", "k"))

    monkeypatch.setattr(Path, "rename", watched)
    store.get_or_compute("stats", "k", number(2.5))
    assert [entry["value"] for entry in seen] == [2.5]


def test_whoever_reads_a_json_file_while_it_is_written_again_finds_the_old_one_whole(tmp_path, monkeypatch):
    path, seen, write_text = tmp_path / "status.json", [], Path.write_text

    def halting(part, text, **_):
        write_text(part, text[: len(text) // 2])
        seen.append(json.loads(path.read_text()))
        write_text(part, text)

    write_json(path, {"state": "queued"})
    monkeypatch.setattr(Path, "write_text", halting)
    write_json(path, {"state": "running"})
    assert seen == [{"state": "queued"}]
    assert json.loads(path.read_text()) == {"state": "running"}
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_one_clear_error_and_no_debris(store, monkeypatch):
    def full(path, value):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("asr_core.store.write", full)
    with pytest.raises(StoreError, match="No space left on device"):
        store.put("stats", "k", {"a.npz": {}}, {})
    assert list((store.root / ".tmp").glob("*")) == [] and store.find("stats", "k") is None


def python(code: str, *args) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, args)], stdout=subprocess.PIPE, text=True
    )


SLOW_STAGE = """
    import sys, time
    from asr_core.store import Store
    store = Store(sys.argv[1])
    def compute():
        print("computing", flush=True)
        time.sleep(float(sys.argv[2]))
        return {}, {"value": 7}
    print(store.get_or_compute("stats", "k", compute)["value"], flush=True)
"""


def test_two_processes_that_ask_for_one_key_compute_once(store):
    workers = [python(SLOW_STAGE, store.root, 0.5) for _ in range(2)]
    said = "".join(worker.communicate()[0] for worker in workers)
    assert said.count("computing") == 1 and said.count("7") == 2


def test_after_kill_9_in_the_middle_of_a_stage_a_rerun_succeeds_and_sweeps_up(store):
    worker = python(
        """
        import sys, time, numpy as np
        import asr_core.store as module
        store = module.Store(sys.argv[1])
        def stuck(path, value):
            path.write_bytes(b"half")
            print("writing", flush=True)
            time.sleep(600)
        module.write = stuck
        store.get_or_compute("stats", "k", lambda: ({"a.npz": {}}, {}))
        """,
        store.root,
    )
    assert worker.stdout.readline() == "writing\n"
    os.kill(worker.pid, signal.SIGKILL)
    worker.communicate()
    debris = list((store.root / ".tmp").iterdir())
    assert len(debris) == 1 and store.find("stats", "k") is None
    lock = filelock.FileLock(store.root / ".locks" / "stats-k.lock")
    with lock.acquire(blocking=False):  # the dead hold nobody up
        assert lock.is_locked
    assert store.get_or_compute("stats", "k", number(4.0))["value"] == 4.0
    assert not debris[0].exists()


def test_reading_a_stored_table_imports_neither_torch_nor_streamlit(store):
    store.get_or_compute("stats", "k", number())
    reader = python(
        """
        import sys
        from asr_core.store import Store
        Store(sys.argv[1]).find("stats", "k").table("table")
        print([name for name in ("torch", "streamlit", "plotly", "scipy") if name in sys.modules])
        """,
        store.root,
    )
    assert reader.communicate()[0] == "[]\n"


def test_pickles_are_neither_written_nor_read(store):
    objects = np.array([{}], dtype=object)
    with pytest.raises(ValueError, match="allow_pickle=False"):
        store.put("stats", "k", {"a.npz": {"a": objects}}, {})
    entry = store.put("stats", "k", {"a.npz": {"a": np.ones(1)}}, {})
    np.savez(entry.folder / "a.npz", a=objects)
    with pytest.raises(ValueError, match="allow_pickle=False"):
        entry.arrays("a")


def test_json_in_a_manifest_is_readable_text(store):
    entry = store.put("stats", "k", {}, {"value": 1})
    assert json.loads((entry.folder / "manifest.json").read_text())["facts"] == {"value": 1}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Store(store.root).find("stats", "k")


def test_a_tilde_in_the_cache_directory_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("ASR_CACHE_DIR", "~/cache")
    assert Store().root == tmp_path / "cache"
    assert Store("~/other").root == tmp_path / "other"


def foreign(store: Store, idle: float) -> Path:
    """A workspace of another machine, unchanged for `idle` seconds."""
    folder = store.root / ".tmp" / f"{'0' * 12}-1-abcdef12"
    folder.mkdir(parents=True)
    (folder / "part.npy").write_bytes(b"half")
    for path in (folder / "part.npy", folder):
        os.utime(path, (time.time() - idle,) * 2)
    return folder


def test_the_workspace_of_another_machine_is_not_taken_for_abandoned(store):
    folder = foreign(store, idle=disk.IDLE / 2)
    with store.workspace():
        assert (folder / "part.npy").exists()


def test_what_another_machine_left_a_day_ago_is_swept_up(store):
    folder = foreign(store, idle=disk.IDLE + 60)
    store.sweep()
    assert not folder.exists()


def test_two_machines_with_the_same_process_ids_do_not_delete_each_others_workspaces(store, monkeypatch):
    with store.workspace() as mine:
        monkeypatch.setattr(owners, "machine", lambda: "1" * 12)
        monkeypatch.setattr(owners, "lives", lambda *_: False)
        with store.workspace() as theirs:
            assert mine.is_dir() and theirs.is_dir()


def test_without_locks_two_processes_leave_the_same_entry_as_with_them(store):
    unlocked = "import filelock; filelock.FileLock.acquire = filelock.FileLock.release = lambda *_, **__: None"
    workers = [python(f"{unlocked}\n{textwrap.dedent(SLOW_STAGE)}", store.root, 0.5) for _ in range(2)]
    said = "".join(worker.communicate()[0] for worker in workers)
    assert said.count("computing") == 2 and said.count("7") == 2
    assert [entry["facts"] for entry in store.manifests("stats")] == [{"value": 7}]
    assert store.verify() == []
    assert list((store.root / ".tmp").iterdir()) == []
