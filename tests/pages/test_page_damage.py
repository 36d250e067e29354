"""A damaged file of what a page shows: the heading stays, the damage is named, a click leads to what is sound."""

import shutil
import warnings

import filelock
import pytest
from made_jobs import make_job
from made_results import store_result
from paged import arrived, switched, turned

from asr_core.jobs import jobs, runner
from asr_core.jobs.jobs import Wanted
from asr_core.store import Store, entries
from pages._frame import common


@pytest.fixture(params=["local", "shipped"])
def damaged(request, tmp_path, use, known_speed):
    """A store whose default result has a changed file, beside a sound one of another sparsity."""
    store = use(Store(tmp_path))
    folder = store_result(store, sparsity=0.95).entry.folder
    store_result(store, sparsity=0.8)
    if request.param == "shipped":
        shutil.copytree(store.root / "result", store.shipped / "result")
        shutil.rmtree(store.root / "result")
        folder = store.shipped / "result" / folder.name
    (folder / "layers.parquet").write_bytes(b"broken")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield folder


@pytest.mark.parametrize("address", [{}, {"dataset": "digits", "sparsity": 0.95}])
def test_the_first_view_keeps_its_heading_names_the_damage_and_offers_the_nearest_and_to_compute(damaged, address):
    app = turned(arrived(**address), "overview")
    assert [title.value for title in app.title] == ["Overview"]
    assert not app.error
    assert f"result/{damaged.name}: layers.parquet has changed" in app.warning[0].value
    assert "is damaged (layers.parquet has changed), so nothing is drawn of it" in app.info[0].value
    labels = [button.label for button in app.button]
    assert "Compute" in labels
    assert "Show the nearest stored setting (sparsity 95 % → 80 %)" in labels


def test_a_click_shows_the_nearest_sound_result_as_such(damaged):
    app = turned(arrived(dataset="digits", sparsity=0.95), "overview")
    app.button("_nearest").click().run()
    assert not app.exception
    assert any("Not what was chosen" in warning.value for warning in app.warning)
    assert app.metric


@pytest.mark.parametrize("page", ["idea", "severity", "allocation", "paper", "variance", "lesson"])
def test_other_pages_go_on_without_it(damaged, page):
    app = turned(arrived(), page)
    assert not app.error
    assert app.title


@pytest.mark.parametrize("page", ["overview", "jobs", "curves"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), OSError(30, "Read-only file system")])
def test_pages_go_on_where_a_job_died_on_a_disk_that_takes_no_more(
    tmp_path, use, known_speed, monkeypatch, page, error
):
    store = use(Store(tmp_path))
    store_result(store, sparsity=0.95)
    monkeypatch.setattr(runner.Runner, "tend", lambda self: None)
    asked = []
    with monkeypatch.context() as patch:
        patch.setattr(common, "compute_panel", lambda experiment, store, **_: asked.append(experiment))
        switched(arrived(dataset="digits", sparsity=0.7), "overview")
    jobs.update(store, make_job(store, "running", wanted=Wanted(asked[-1])), born=0.0)

    def refused(*_, **__):
        raise error

    monkeypatch.setattr(entries, "_replace", refused)
    monkeypatch.setattr(filelock.FileLock, "acquire", refused)
    app = switched(arrived(dataset="digits", sparsity=0.7), page)
    assert app.title
    assert any(error.strerror in box.value for box in app.error)
    assert "Retry" in [button.label for button in app.button]
