"""The gallery: what it will cost comes first, each piece is shipped when it is there, what is shipped is not computed
again."""

from collections import Counter

import pytest
from made_maps import LAYER, SPEC, copy
from PIL import Image

from asr_core.cli import gallery, gallery_command
from asr_core.cli.gallery import Piece
from asr_core.pipeline import run as experiment
from asr_core.runtime import Runtime
from asr_core.spec.keys import Keys
from asr_core.store import Store, results

OTHER = SPEC.but(sparsity=0.5)
PIECES = [Piece(SPEC, maps=(LAYER,)), Piece(OTHER, channels=False)]


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """The gallery holds PIECES, and measures for a moment."""
    monkeypatch.setattr(gallery, "pieces", lambda store, images: PIECES)
    monkeypatch.setattr(gallery_command, "MEASURED", 0.05)


def run(store, capsys) -> list[str]:
    """The lines that one run of the gallery prints."""
    gallery_command.compute(store, None, Runtime(threads=1))
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


def test_the_digits_come_first_then_every_network_on_the_pictures_at_every_pruning(tmp_path, pictures, monkeypatch):
    monkeypatch.undo()
    store = Store(tmp_path / "cache")
    alone, found = gallery.pieces(store, None), gallery.pieces(store, pictures)
    assert {piece.experiment.data.dataset for piece in alone} == {"digits"}
    assert found[0] == alone[0] and {piece.experiment for piece in found} > {piece.experiment for piece in alone}
    assert max(Counter((piece.experiment, piece.maps) for piece in found).values()) == 1
    prunings = {}
    for spec in (piece.experiment for piece in found if piece.experiment.data.dataset == "folder"):
        prunings.setdefault(
            (spec.model.architecture, spec.model.parameters["stem"], spec.dense.epochs, spec.dense.seed), set()
        ).add((spec.prune.pruning, spec.prune.parameters.get("sparsity")))
    wanted = {("n_m", None), *(("global_l1", s) for s in (0.5, 0.7, 0.8, 0.9, 0.95, 0.97))}
    whole = [name for name, some in prunings.items() if some >= wanted]
    assert {name[0] for name in whole} == {"resnet18", "densenet121", "resnet50", "vgg16_bn"}
    assert (
        sum(name[:2] == ("resnet18", "imagenet") for name in whole) == 3
        and sum(name[1] == "half" for name in whole) == 1
    )
