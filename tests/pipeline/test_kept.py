"""What a worker keeps from one experiment to the next saves time and changes no number."""

import json

import pytest
from made_maps import SPEC, copy

from asr_core.errors import AsrError
from asr_core.jobs import jobs, queue, worker
from asr_core.networks import models
from asr_core.pipeline import run as pipeline
from asr_core.pipeline.kept import Kept
from asr_core.pipeline.lab import Report
from asr_core.runtime import Runtime
from asr_core.spec.model import ModelSpec
from asr_core.spec.parts import PruneSpec


def pruned(sparsity: float):
    return SPEC.with_(prune=PruneSpec.of("global_l1", sparsity=sparsity))


@pytest.fixture
def built(monkeypatch):
    """Networks that were built from nothing."""
    found, build = [], models.build
    monkeypatch.setattr(models, "build", lambda *arguments: (found.append(arguments), build(*arguments))[1])
    return found


def numbers(result) -> list:
    columns = (result.accuracy["top1"], result.repairs["gamma"], result.channels["v_pruned"])
    return [column.fillna(-1).tolist() for column in columns]  # BN only has no factors


class Stopped(Report):
    """Stops in the first recalibration, as Cancel does."""

    def started(self, task):
        self.stage = task.stage

    def advance(self, images):
        if self.stage == "recalibration":
            raise KeyboardInterrupt


def test_after_a_run_that_was_stopped_the_next_one_builds_no_network_and_has_the_same_numbers(tmp_path, built):
    kept, store = Kept(), copy(tmp_path / "kept")
    with pytest.raises(KeyboardInterrupt):
        pipeline.run(pruned(0.6), store, Stopped(), kept=kept)
    built.clear()
    found = pipeline.run(pruned(0.7), store, kept=kept)
    assert built == []
    assert numbers(found) == numbers(pipeline.run(pruned(0.7), copy(tmp_path / "fresh")))


def test_another_network_takes_the_place_of_the_one_that_was_kept(tmp_path, built):
    kept = Kept()
    store = copy(tmp_path)
    pipeline.prepare(SPEC, store, Runtime(), kept)
    (layout,) = {known[:3] for name, (known, _) in kept._have.items() if name == "network"}
    assert layout == (SPEC.model, SPEC.data.classes, SPEC.data.image_size)
    other = ModelSpec(architecture="mobilenet_v3_small")
    kept.get("network", (other, 10, 32), lambda: "the other")
    assert kept.find("network", (other, 10, 32)) == "the other"
    assert [name for name in kept._have if name == "network"] == ["network"]


def test_an_idle_worker_loads_what_is_expected_and_then_builds_nothing_for_it(tmp_path, built):
    store, kept = copy(tmp_path), Kept()
    queue.expect(store, pruned(0.5))
    worker._load(store, kept)
    assert built
    built.clear()
    worker._load(store, kept)
    pipeline.run(pruned(0.5), store, kept=kept)
    assert built == []


@pytest.mark.parametrize("text", ["{", "[]", '{"model": 1}'])
def test_what_is_expected_and_cannot_be_read_is_let_be(tmp_path, text):
    store, kept = copy(tmp_path), Kept()
    store.jobs.mkdir()
    (store.jobs / jobs.NEXT).write_text(text)
    worker._load(store, kept)
    assert worker.PREPARED not in kept._have


def test_what_is_expected_stores_nothing_and_trains_nothing(tmp_path):
    store = copy(tmp_path)
    before = sorted(path.relative_to(store.root) for path in store.root.rglob("*") if path.is_dir())
    pipeline.prepare(SPEC.with_(dense=SPEC.dense.__class__(epochs=3)), store, Runtime(), Kept())
    pipeline.prepare(SPEC, store, Runtime(), Kept())
    after = sorted(path.relative_to(store.root) for path in store.root.rglob("*") if path.is_dir())
    assert after == before


def test_what_is_expected_is_one_file_beside_the_jobs(tmp_path):
    store = copy(tmp_path)
    queue.expect(store, SPEC)
    queue.expect(store, pruned(0.5))
    assert [path.name for path in store.jobs.iterdir()] == [jobs.NEXT]
    assert json.loads((store.jobs / jobs.NEXT).read_text()) == json.loads(json.dumps(pruned(0.5).as_dict()))
    assert jobs.listed(store) == []


def test_a_setting_that_cannot_be_computed_is_no_end_of_a_worker(tmp_path):
    store, kept = copy(tmp_path), Kept()
    unfit = SPEC.with_(model=ModelSpec(architecture="densenet121"))
    with pytest.raises(AsrError):
        pipeline.check(pipeline.Lab(unfit.with_(data=unfit.data.__class__(image_size=16)), store, Report(), Runtime()))
    queue.expect(store, unfit)
    worker._load(store, kept)
    assert worker.PREPARED in kept._have
