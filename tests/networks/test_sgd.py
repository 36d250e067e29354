"""How a network is trained: the schedule, the averaged weights, and that a stopped training goes on as if nothing had
been."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from asr_core.networks import resume, sgd
from asr_core.networks.resume import Kept
from asr_core.networks.sgd import Training
from asr_core.spec.dense import DenseSpec
from asr_core.store import Store
from asr_core.store.entries import PROJECT

IMAGES, LABELS = torch.randn(24, 3, 8, 8, generator=torch.Generator().manual_seed(0)), np.arange(24) % 2


def tiny() -> nn.Module:
    """A network with all that has a state: BatchNorm, dropout, weights and biases."""
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.2)),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)),
    ).train()


def inputs(indices, rng):
    return [IMAGES[indices] + torch.from_numpy(rng.normal(0, 0.1, (len(indices), 3, 8, 8))).float()]


def training(network=None, **recipe) -> Training:
    return Training(network or tiny(), inputs, LABELS, DenseSpec(**{"epochs": 6, "batch_size": 8} | recipe), "cpu")


@pytest.fixture
def store(tmp_path, monkeypatch):
    """A store in which each epoch is kept."""
    monkeypatch.setattr(resume, "PAUSE", 0)
    monkeypatch.setattr(resume, "COST", float("inf"))
    return Store(tmp_path)


class Stopped(Exception):
    """Raised in the middle of a training."""


def stop_after(images: int):
    seen = []

    def progress(stage, count):
        seen.append(count)
        if sum(seen) > images:
            raise Stopped

    return progress


def trained(**recipe) -> tuple[nn.Module, dict]:
    """The network of an undisturbed training, and its facts."""
    run = training(**recipe)
    facts = run.run()
    return run.network, facts


def interrupt(store: Store, **recipe) -> None:
    """Stop a training in its third epoch."""
    with pytest.raises(Stopped):
        training(**recipe).run(stop_after(60), Kept(store, "k"))


def same(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


# --- the recipe ---


def test_weight_decay_spares_batchnorm_and_biases():
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    decayed, rest = sgd.optimizer(network.parameters(), 0.1).param_groups
    assert decayed["params"] == [network[0].weight]
    assert (decayed["weight_decay"], rest["weight_decay"]) == (sgd.WEIGHT_DECAY, 0)


def test_the_learning_rate_rises_over_the_first_fifth_and_falls_to_zero():
    assert [sgd.schedule(done) for done in (0, 0.1, 0.2, 0.6, 1)] == pytest.approx([0, 0.5, 1, 0.5, 0])


# --- the average ---


def test_averaged_weights_are_the_exponential_moving_average_of_those_after_each_step(monkeypatch):
    monkeypatch.setattr(sgd, "AVERAGED", 0.25)
    run, seen = training(average=True), []
    expected = [p.detach().clone() for p in run.network.parameters()]
    run.run(lambda stage, count: seen.append([p.detach().clone() for p in run.network.parameters()]))
    assert len(seen) == run.steps == 18
    for weights in seen:
        expected = [a + (w - a) / (0.25 * 18) for a, w in zip(expected, weights, strict=True)]
    for average, parameter in zip(expected, run.network.parameters(), strict=True):
        assert torch.allclose(average, parameter, atol=1e-6)


def test_averaging_changes_no_step_only_what_is_taken_in_the_end():
    (plain, facts), (averaged, others) = trained(), trained(average=True)
    assert facts["losses"] == others["losses"]
    assert not same(plain, averaged)


def test_running_statistics_of_an_averaged_network_are_means_over_batches_under_its_own_weights(monkeypatch):
    monkeypatch.setattr(sgd, "MEASURED", 20)  # two full batches and a short one, which would count as much
    run = Training(tiny(), lambda i, rng: [IMAGES[i]], LABELS, DenseSpec(epochs=2, batch_size=8, average=True), "cpu")
    measured = []
    run.network[1].register_forward_hook(lambda _, args, output: measured.append(args[0].mean((0, 2, 3))))
    run.run()
    assert int(run.network[1].num_batches_tracked) == 2
    assert torch.allclose(run.network[1].running_mean, torch.stack(measured[-2:]).mean(0), atol=1e-6)
    assert run.network[1].momentum == 0.1
    assert all(module.training for module in run.network.modules())


# --- stopping ---


@pytest.mark.parametrize("recipe", [{}, {"average": True}, {"average": True, "precision": "bfloat16"}])
def test_a_stopped_training_goes_on_to_the_same_weights_and_losses(store, recipe):
    (network, facts), heard = trained(**recipe), []
    interrupt(store, **recipe)
    rest = training(**recipe)
    assert rest.run(lambda *item: heard.append(item), Kept(store, "k")) == facts
    assert same(network, rest.network)
    assert heard[:2] == [("resumed", 48), ("train", 8)]
    assert sum(count for _, count in heard) == 6 * 24


def test_a_finished_training_leaves_nothing_behind(store):
    training().run(kept=Kept(store, "k"))
    assert not list(store.trainings.iterdir())


def test_short_trainings_are_not_kept(tmp_path):
    interrupt(Store(tmp_path))
    assert not (tmp_path / "trainings").exists()


def test_a_state_that_cannot_be_read_is_left_with_a_warning(store):
    interrupt(store)
    (store.trainings / "k" / resume.STATE).write_bytes(b"half of it")
    assert resume.stopped(store) == []
    with pytest.warns(UserWarning, match="cannot be taken up"):
        facts = training().run(kept=Kept(store, "k"))
    assert facts == trained()[1]


def test_a_stopped_training_can_be_looked_at(store):
    interrupt(store)
    ((key, facts),) = resume.stopped(store)
    assert key == "k"
    assert facts["epochs"] == 6
    assert facts["losses"] == trained()[1]["losses"][:2]


HERE = Path(__file__).parent
KILLED = """
import sys, time
sys.path += sys.argv[2:]
from test_sgd import Kept, Store, resume, training
resume.PAUSE, resume.COST = 0, float("inf")
training(average=True).run(lambda stage, count: time.sleep(0.05), Kept(Store(sys.argv[1]), "k"))
"""


def test_a_training_killed_without_warning_goes_on_to_the_same_weights(store):
    network, _ = trained(average=True)
    started = subprocess.Popen([sys.executable, "-c", KILLED, store.root, PROJECT, HERE, HERE.parent])
    try:
        state, end = store.trainings / "k" / resume.STATE, time.monotonic() + 120
        while not state.exists() and started.poll() is None and time.monotonic() < end:
            time.sleep(0.01)
        started.send_signal(signal.SIGKILL)
    finally:
        started.kill()
        started.wait()
    assert 0 < len(resume.stopped(store)[0][1]["losses"]) < 6
    rest = training(average=True)
    rest.run(kept=Kept(store, "k"))
    assert same(network, rest.network)
