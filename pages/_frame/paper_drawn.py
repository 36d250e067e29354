"""The paper's figures 3 to 12: what each shows, and the chart of this dashboard that draws it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

import streamlit as st

from asr_core.figures import curves, heatmaps, maps, paper, severity, spectrum
from asr_core.store.tables import is_of
from asr_core.studies import reproduction
from asr_core.studies import severity as settings
from asr_core.studies.cells import CELLS, DATASETS, METHODS, Cell, Variant
from pages._frame import charts, common, state
from pages._frame import paper_tables as printed
from pages._frame.text import plain


@dataclass(frozen=True)
class Figure:
    """One figure of the paper: what it shows, the networks in it, the page that draws it in full,
    `draw(view, variant)`, the numbers that the paper gives for it, and what is selected on that page."""

    about: str
    cells: tuple[Cell, ...]
    page: str
    draw: Callable
    numbers: str = ""
    layer: str | None = None
    channel: int | None = None


def _cells(dataset: str) -> tuple[Cell, ...]:
    return tuple(cell for cell in CELLS if cell.dataset == dataset)


def _repairs(variant: Variant):
    """The stored ones of the paper's three methods, as `charts.show` wants them."""
    wanted = [variant.repair(method) for method in METHODS]
    return lambda view: [repair for repair in wanted if is_of(view.result.accuracy, repair).any()]


def _layer(view: common.View, name: str) -> str:
    """The paper's layer; in another network the one with the nearest name."""
    layer = get_close_matches(name, view.layers, 1, cutoff=0)[0]
    st.caption(plain(f"Shown: {layer}" + ("." if layer == name else f", as this network has no {name}.")))
    return layer


def _curves(view, variant):
    way = "cumulative" if variant.averaging == "cumulative" else variant.start
    charts.show(
        curves.CURVES,
        "paper_curves",
        views=[view],
        how={"x": "batches"},
        repairs=_repairs(variant),
        ways=(way,),
        momentum=variant.momentum,
        x="batches",
    )


def variances(view, variant):
    charts.show(
        spectrum.SORTED,
        "paper_sorted",
        views=[view],
        layer=_layer(view, "layer4.0.conv3"),
        repairs=_repairs(variant),
        stage="repaired",
    )


def _maps(view, variant):
    what: dict[str, Any] = {"store": common.store(), "layer": _layer(view, "layer2.0.conv1"), "channel": 1}
    charts.show(maps.MAPS, "paper_maps", views=[view], how={"scale": "row"}, repairs=_repairs(variant), **what)


def _gains(view, variant, gain: str, against: str, b: int, width: int = charts.WIDE):
    charts.show(
        severity.GAIN,
        f"paper_{gain}_{against}_{b}",
        views=[view],
        width=width,
        store=common.store(),
        groups=settings.groups(common.stored(), view.setting),
        gain=gain,
        against=against,
        orders=(variant.order,),
        biases=(False, True) if variant.bias is None else (variant.bias,),
        state=replace(variant, calib_batches=b).state,
    )


def _figure9(view, variant):
    for b in (10, 20):
        for column, against in zip(st.columns(2), ("severity", "overshoot"), strict=True):
            with column:
                _gains(view, variant, "bn_lw", against, b, charts.HALF)


def _steps(view, variant):
    table = printed.made(reproduction.table3, variant)
    rows = table.astype(object).where(table.notna(), None).itertuples(index=False, name=None)
    charts.show(paper.STEPS, "paper_steps", views=[view], rows=tuple(rows))


def _heatmap(view, variant):
    charts.show(
        heatmaps.CELLS,
        "paper_cells",
        views=[view],
        how={"scale": state.get("cells")},
        repairs=_repairs(variant),
        stage="repaired",
        by="depth",
    )


FIGURES = {
    3: Figure("Accuracy against the budget b on CIFAR-10.", _cells("cifar10"), "curves", _curves),
    4: Figure(
        "Channel variances of layer4.0.conv3 after each repair, sorted by the dense ones: ResNet-50, CIFAR-10, 2:4.",
        (Cell("resnet50", "cifar10", "nm_2:4"),),
        "variance",
        variances,
        "α: no repair 0.23, LW+BN 3.84, ASR+BN 1.68. The paper calls α a slope; such values read like a ratio of "
        "variances (α ratio on the page Channel variance).",
        "layer4.0.conv3",
    ),
    5: Figure(
        "Maps of layer2.0.conv1, channel 1: ResNet-18, Imagenette, 90 %.",
        (Cell("resnet18", "imagenette", "global_l1_0.90"),),
        "maps",
        _maps,
        layer="layer2.0.conv1",
        channel=1,
    ),
    6: Figure(
        "Gain of ASR+BN over LW+BN against severity at b = 20.",
        CELLS,
        "severity",
        lambda view, variant: _gains(view, variant, "asr_lw", "severity", 20),
        "r = 0.61, ρ = 0.70.",
    ),
    7: Figure(
        "BN only against b, median and band over settings, by dataset.",
        CELLS,
        "curves",
        _steps,
        "The medians are those of table 3.",
    ),
    8: Figure("Accuracy against the budget b on CIFAR-100.", _cells("cifar100"), "curves", _curves),
    9: Figure(
        "Gain of BN only over LW+BN against severity and overshoot, at b = 10 and 20.",
        CELLS,
        "severity",
        _figure9,
        "For ASR+BN over LW+BN: r = 0.19, ρ = 0.33 at b = 10; r = 0.61, ρ = 0.70 at b = 20.",
    ),
    10: Figure(
        "Variance statistics of all layers: ResNet-18, CIFAR-100, 90 %.",
        (Cell("resnet18", "cifar100", "global_l1_0.90"),),
        "heatmaps",
        _heatmap,
        "Largest 75th percentile of v_lw / v_dense: 12.6, in layer3.1.conv1; colours clamped to [0, 2].",
    ),
    11: Figure(
        "Variance statistics of all layers: VGG-16-BN, CIFAR-10, 90 %.",
        (Cell("vgg16_bn", "cifar10", "global_l1_0.90"),),
        "heatmaps",
        _heatmap,
        "Largest 75th percentile of v_lw / v_dense: 19.4, in features.40; colours clamped to [0, 2].",
    ),
    12: Figure(
        "Accuracy against the budget b: ResNet-50, 2:4, three datasets.",
        tuple(Cell("resnet50", d, "nm_2:4") for d in DATASETS),
        "curves",
        _curves,
    ),
}
