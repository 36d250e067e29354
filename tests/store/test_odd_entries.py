"""One odd entry takes nothing down: it is set aside and named, the rest is shown."""

import copy
import json
import shutil
import warnings
from pathlib import Path

import pytest
from click.testing import CliRunner
from made_jobs import make_job
from made_results import store_result
from paged import clean, opened
from small import SMALL

from asr_core.cli.main import main
from asr_core.jobs.jobs import Wanted
from asr_core.spec.samples import CalibrationSpec
from asr_core.store import Store, catalogue, manifests
from asr_core.store.entries import write_manifest
from asr_core.store.manifests import MANIFEST

NESTED = '{"a":' * 50_000 + "1" + "}" * 50_000


def rewritten(change):
    """What makes the manifest of a result say something else, as a program of another version would write it."""

    def spoil(store: Store, folder: Path) -> str:
        manifest = copy.deepcopy(manifests.read(folder))
        change(manifest)
        write_manifest(folder, manifest)
        return folder.name

    return spoil


def changed(*place, to):
    """The same: the value at `place` becomes `to`."""

    def change(manifest):
        *way, last = place
        inner = manifest
        for step in way:
            inner = inner[step]
        inner[last] = to

    return rewritten(change)


def without(*place):
    """The same: there is nothing at `place`."""

    def change(manifest):
        *way, last = place
        inner = manifest
        for step in way:
            inner = inner[step]
        del inner[last]

    return rewritten(change)


def unknown(part: str, name: str, to):
    """The same: a setting that has a part which this version does not know."""

    def change(manifest):
        manifest["spec"][part][name] = manifest["facts"]["setting"][part][name] = to

    return rewritten(change)


def text(content: str):
    """What replaces the manifest by text."""

    def spoil(store, folder):
        (folder / MANIFEST).write_text(content)
        return folder.name

    return spoil


def folder_in_place_of(name: str):
    """What puts a folder where a file was."""

    def spoil(store, folder):
        (folder / name).unlink()
        (folder / name).mkdir()
        return folder.name

    return spoil


def file_in_place(store, folder):
    shutil.rmtree(folder)
    folder.write_text("a file")
    return folder.name


def maps_without_layer(store, folder):
    folder = store.put("maps", "0" * 24, {}, {"layer": "conv1", "images": 8}).folder
    return changed("facts", to={"images": 8})(store, folder)


def speeds(content):
    def spoil(store, folder):
        (store.root / "speeds.json").write_text(json.dumps(content))
        return "speeds.json"

    return spoil


def job(file: str, content: str):
    def spoil(store, folder):
        spec = SMALL.with_(calibration=CalibrationSpec(stat_images=2 + len(list(store.jobs.glob("*")))))
        name = make_job(store, "finished", wanted=Wanted(spec))
        (store.jobs / name / file).write_text(content)
        return name

    return spoil


ACCURACY = ("files", "accuracy.parquet")
ODD = {
    "facts are a list": changed("facts", to=[1]),
    "facts are empty": changed("facts", to={}),
    "files are a list": changed("files", to=["accuracy.parquet"]),
    "files are text": changed("files", to="all"),
    "a table without rows": without(*ACCURACY, "rows"),
    "a file without sha256": without(*ACCURACY, "sha256"),
    "a file outside": changed("files", "../../x", to={"sha256": "0" * 64, "bytes": 1}),
    "no key": without("key"),
    "another key": changed("key", to="0" * 24),
    "no accuracy": without(*ACCURACY),
    "a number as text": changed("facts", "setting", "severity", to="0.8"),
    "rows as text": changed(*ACCURACY, "rows", to="12"),
    "no setting": without("facts", "setting"),
    "finished some day": changed("finished", to="yesterday"),
    "finished a number": changed("finished", to=5),
    "no spec": changed("spec", to=None),
    "spec is a list": changed("spec", to=[]),
    "facts of another setting": changed("facts", "setting", "prune", "sparsity", to=0.1),
    "facts say text for a part": changed("facts", "setting", "data", to="digits"),
    "unknown rule": unknown("prune", "pruning", "of_tomorrow"),
    "unknown architecture": unknown("model", "architecture", "resnet9000"),
    "unknown field": unknown("prune", "of_tomorrow", 1),
    "unknown method": changed("spec", "repairs", to=[{"method": "x", "order": None, "bias": None, "params": ""}]),
    "newer format": changed("format", to=manifests.FORMAT + 1),
    "no text": text("\0"),
    "empty": text(""),
    "nested deeply": text(NESTED),
    "nested deeply in facts": text('{"facts": ' + NESTED + "}"),
    "a folder for a table": folder_in_place_of("layers.parquet"),
    "a folder for the manifest": folder_in_place_of(MANIFEST),
    "a file for the entry": file_in_place,
    "maps without a layer": maps_without_layer,
    "speeds are a list": speeds([1]),
    "speeds are text": speeds({"networks": {"x": {"build": "fast"}}, "decoding": {}}),
    "a job asks for nothing": job("spec.json", "{}"),
    "a job's spec is a list": job("spec.json", "[]"),
    "a job's spec is nested": job("spec.json", NESTED),
    "a job's status is a list": job("status.json", "[]"),
    "a job was submitted some day": job("status.json", '{"state": "failed", "submitted": "today"}'),
    "a job dreams": job("status.json", '{"state": "dreams", "submitted": 1.0}'),
    "a job's progress is none": job("progress.jsonl", '{"stage": 1}\n'),
}
SILENT = {"a job's progress is none"}  # nothing that anybody asked for is lost with it


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """The root of a store with two results."""
    store = Store(tmp_path_factory.mktemp("two"))
    for sparsity in (0.95, 0.8):
        store_result(store, sparsity=sparsity)
    shutil.rmtree(store.root / "made")
    return store.root


def copied(root: Path, target: Path) -> tuple[Store, Path]:
    """(a copy of the store, the folder of its result at 80 %)."""
    shutil.copytree(root, target)
    store = Store(target)
    item = next(item for item in catalogue.stored(store) if item.setting.prune.parameters["sparsity"] == 0.8)
    return store, store.root / "result" / item.key


@pytest.fixture(scope="module")
def everything_odd(two, tmp_path_factory):
    """A store with all of ODD beside two sound results."""
    store, like = copied(two, tmp_path_factory.mktemp("odd") / "store")
    for number, spoil in enumerate(ODD.values()):
        folder = like.with_name(f"{number:024x}")
        shutil.copytree(like, folder)
        write_manifest(folder, json.loads((like / MANIFEST).read_text()) | {"key": folder.name})
        spoil(store, folder)
    return store.root


@pytest.fixture
def odd(everything_odd, tmp_path, use, known_speed):
    """A copy of that store, which pages open; what they warn of is tested elsewhere."""
    shutil.copytree(everything_odd, tmp_path / "odd")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield use(Store(tmp_path / "odd"))


def said(store: Store, *words: str):
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        return CliRunner().invoke(main, ["--cache-dir", str(store.root), *words], prog_name="python -m asr_core")


@pytest.mark.parametrize("what", ODD)
def test_an_odd_entry_is_set_aside_and_the_rest_is_listed(two, tmp_path, what):
    store, folder = copied(two, tmp_path / "odd")
    ODD[what](store, folder)
    listed = said(store, "cache", "ls")
    assert (listed.exit_code, listed.exception) == (0, None)
    assert "95%" in listed.stdout


@pytest.mark.parametrize("what", ODD)
def test_an_odd_entry_is_named_by_verify(two, tmp_path, what):
    store, folder = copied(two, tmp_path / "odd")
    named = ODD[what](store, folder)
    verified = said(store, "cache", "verify")
    assert verified.exit_code == (0 if what in SILENT else 1)
    assert ("all entries are sound" if what in SILENT else named) in verified.stdout


@pytest.mark.parametrize("page", ["overview", "jobs", "settings", "severity", "paper", "maps", "idea", "talk"])
def test_pages_draw_the_rest_beside_all_that_is_odd(odd, page):
    assert clean(opened(page)).title


def test_papers_tables_are_printed_beside_all_that_is_odd(odd):
    assert said(odd, "paper").exit_code == 0


def test_an_experiment_runs_beside_all_that_is_odd(odd):
    asked = "run --dataset digits --architecture cifar_resnet20 --epochs 1 --methods bn_only --budgets 0,1"
    result = said(odd, *asked.split(), "--stat-images", "4", "--eval-images", "8", "--calib-batch-size", "4")
    assert result.exit_code == 0, result.output


def test_what_is_left_out_is_told_once_on_stderr_and_above_a_page(two, tmp_path, use):
    store, folder = copied(two, tmp_path / "odd")
    ODD["unknown rule"](use(store), folder)
    told = said(store, "cache", "ls").stderr
    assert told.count("warning:") == 1
    assert "unknown pruning rule 'of_tomorrow'" in told
    with pytest.warns(UserWarning, match="of_tomorrow"):
        app = opened("overview")
    assert folder.name in app.warning[0].value
