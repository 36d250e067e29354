"""The gallery: what it will cost comes first, each piece is shipped when it is there, what is shipped is not computed
again."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from made_maps import LAYER, SPEC, copy
from PIL import Image

from asr_core.cli import costs, gallery, gallery_command, sections
from asr_core.cli.gallery import Piece
from asr_core.pipeline import factors
from asr_core.pipeline import run as experiment
from asr_core.pipeline.lab import Report
from asr_core.runtime import Runtime
from asr_core.spec.keys import Keys
from asr_core.store import Store, results, shipping
from asr_core.store.entries import Entry

OTHER = SPEC.but(sparsity=0.5)
PIECES = [Piece(SPEC, maps=(LAYER,)), Piece(OTHER, channels=False)]


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """The gallery measures for a moment."""
    monkeypatch.setattr(costs, "MEASURED", 0.05)


def run(store, capsys) -> list[str]:
    """The lines that one run of the gallery prints."""
    with ThreadPoolExecutor(1) as pool:
        gallery_command.compute(store, PIECES, Runtime(threads=1), pool)
    return capsys.readouterr().out.splitlines()


def test_the_cost_comes_first_each_piece_is_shipped_with_what_it_should_have_and_nothing_is_computed_twice(
    tmp_path, capsys, monkeypatch
):
    store = copy(tmp_path)
    *costs, whole, first, second = run(store, capsys)
    assert (
        len(costs) == 2
        and "image passes (maps " in costs[0]
        and "evaluation 120" in costs[1]
        and "global_l1 (sparsity 0.5)" in costs[1]
    )
    assert whole.startswith("2 pieces to compute, about ")
    assert (
        first.startswith("1 of 2 shipped after ")
        and second.startswith("2 of 2 shipped after ")
        and second.endswith(" of the estimate")
    )
    shipped = Store(store.shipped)
    (dense_id,) = results.dense_ids(shipped, SPEC)
    assert all(shipped.has(*name) for piece in PIECES for name in gallery.names(piece, dense_id))
    tables = [set(shipped.find("result", Keys(spec, dense_id).result).manifest["files"]) for spec in (SPEC, OTHER)]
    assert tables[0] - tables[1] == {"channels.parquet", "repairs.parquet"} and "accuracy.parquet" in tables[1]
    assert not shipped.find("dense", dense_id).manifest["files"] and len(list((store.shipped / "prune").iterdir())) == 1
    monkeypatch.setattr(experiment, "run", lambda *a: pytest.fail("computed again"))
    assert run(store, capsys) == ["0 pieces to compute, about 1 s"]


def test_maps_are_shipped_in_less_room_and_are_the_same_maps(tmp_path, capsys):
    store = copy(tmp_path)
    run(store, capsys)
    own, small = ({e.folder.name: e for e in entries(where)} for where in (store.root, store.shipped))
    assert own.keys() == small.keys()
    for key, entry in own.items():
        assert shipping.maps_of(small[key]).tobytes() == shipping.maps_of(entry).tobytes()
        assert small[key]["test_images"] == entry["test_images"]
        assert small[key].manifest["files"]["maps.npz"]["bytes"] < entry.manifest["files"]["maps.npy"]["bytes"]


def entries(root) -> list:
    """The maps in one folder."""
    return [Entry(folder) for folder in (root / "maps").iterdir()]


def test_factors_over_draws_are_added_to_what_is_shipped_without_running_it_again(tmp_path, capsys, monkeypatch):
    store = copy(tmp_path)
    run(store, capsys)
    monkeypatch.setattr(experiment, "run", lambda *a: pytest.fail("computed again"))
    piece = Piece(OTHER, channels=False, factors=2)
    assert {task.stage for task in gallery.missing(piece, store)} <= {"stats", "repair"}
    gallery_command.make(piece, store, Report(), Runtime(threads=1))
    assert gallery.shipped(piece, store)
    assert gallery.missing(piece, store) == []
    (dense_id,) = results.dense_ids(Store(store.shipped), OTHER)
    (spread,) = factors.stored(Store(store.shipped), OTHER, dense_id)
    assert set(spread["draws"]) == {2}


def test_a_gallery_that_was_stopped_goes_on_with_the_next_piece(tmp_path, capsys, monkeypatch):
    store = copy(tmp_path)
    real = experiment.run

    def until_the_second(spec, *rest):
        if spec == OTHER:
            raise KeyboardInterrupt
        return real(spec, *rest)

    monkeypatch.setattr(experiment, "run", until_the_second)
    with pytest.raises(KeyboardInterrupt):
        run(store, capsys)
    assert [gallery.shipped(piece, store) for piece in PIECES] == [True, False]
    monkeypatch.setattr(experiment, "run", real)
    capsys.readouterr()
    assert [line[:19] for line in run(store, capsys)[1:]] == ["1 pieces to compute", "1 of 1 shipped afte"]
    assert all(gallery.shipped(piece, store) for piece in PIECES)


@pytest.fixture
def pictures(tmp_path):
    """An ImageFolder tree of four pictures."""
    for split in ("train", "test"):
        for name in ("cat", "dog"):
            folder = tmp_path / "pictures" / split / name
            folder.mkdir(parents=True)
            Image.new("RGB", (8, 8)).save(folder / "0.png")
    return str(tmp_path / "pictures")


def prunings(pieces) -> dict:
    """(rule, sparsity) of each network's pieces that hold channel tables."""
    found = {}
    for piece in pieces:
        if piece.channels:
            spec = piece.experiment
            found.setdefault((spec.data.dataset, spec.model.architecture, spec.dense.source), set()).add(
                (spec.prune.pruning, spec.prune.parameters.get("sparsity"))
            )
    return found


def test_the_digits_come_first_then_a_network_trained_on_the_pictures_at_every_pruning(tmp_path, pictures, monkeypatch):
    monkeypatch.undo()
    store = Store(tmp_path / "cache")
    alone, found = (sections.pieces(store, given) for given in (sections.Sources(), sections.Sources(cifar10=pictures)))
    wanted = {("n_m", None), *(("global_l1", s) for s in (0.5, 0.7, 0.8, 0.9, 0.95))}
    assert found[: len(alone)] == alone
    assert max(Counter(piece.experiment for piece in found).values()) == 1
    assert {name: set(held) for name, held in prunings(found).items()} == {
        ("digits", "cifar_resnet20", "scratch"): wanted,
        ("folder", "cifar_resnet20", "scratch"): wanted,
        **{("folder", name, "scratch"): {("global_l1", 0.9)} for name in ("resnet18", "vgg16_bn", "densenet121")},
        ("folder", "small_convnext", "scratch"): {("global_l1", 0.8)},
    }


def test_sections_are_what_was_asked_for_as_far_as_their_images_are_given(tmp_path, pictures, monkeypatch):
    monkeypatch.undo()
    store, given = Store(tmp_path / "cache"), sections.Sources(cifar10=pictures)
    several = sections.pieces(store, given, ["noise", "cifar100"])
    seeds = Counter(piece.experiment.dense.seed for piece in several)
    assert seeds.keys() == {0, 1, 2} and seeds[1] == seeds[2] == len(sections.PRUNINGS)
    draws = {piece.experiment.calibration.draw for piece in several if piece.experiment.dense.seed == 0}
    assert draws == set(range(1, sections.DRAWS))
    assert {piece.experiment.data.dataset for piece in several} == {"folder"}


def test_weights_of_a_large_network_are_not_shipped(tmp_path, monkeypatch):
    store = copy(tmp_path)
    monkeypatch.setattr(gallery_command, "LARGEST", 10)
    with ThreadPoolExecutor(1) as pool:
        gallery_command.compute(store, PIECES[1:], Runtime(threads=1), pool)
    (shipped,) = Store(store.shipped).manifests("dense")
    assert shipped["files"] == {}


def test_published_networks_are_read_from_their_files(tmp_path, pictures, monkeypatch):
    from asr_core.networks import models
    from asr_core.spec.model import ModelSpec

    monkeypatch.undo()
    torch.manual_seed(0)
    for architecture, name in sections.PUBLISHED.items():
        torch.save(models.build(ModelSpec(architecture=architecture), 2, 32).state_dict(), tmp_path / name)
    found = sections.pieces(Store(tmp_path / "cache"), sections.Sources(cifar10=pictures, checkpoints=str(tmp_path)))
    published = [piece for piece in found if piece.weights]
    assert {Path(piece.weights).name for piece in published} == set(sections.PUBLISHED.values())
    assert {piece.experiment.data.normalization for piece in published} == {"imagenet"}
    assert len(prunings(published)) == 2
