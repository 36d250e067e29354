"""The paper's figures 3 to 12, each drawn by a chart of this dashboard from the stored network that is nearest to the paper's."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from difflib import get_close_matches

import streamlit as st

from asr_core.figures import curves, heatmaps, maps, paper, severity, variance
from asr_core.studies import protocol
from asr_core.studies import severity as settings
from asr_core.studies.protocol import Cell, Match, Variant
from pages._frame import charts, common, state
from pages._frame.text import plain


@dataclass(frozen=True)
class Figure:
    """One figure of the paper: what it shows, the networks in it, the page that draws it in full, `draw(view, variant)`,
    the numbers that the paper gives for it, and what is selected on that page."""

    about: str
    cells: tuple[Cell, ...]
    page: str
    draw: Callable
    numbers: str = ""
    layer: str | None = None
    channel: int | None = None


def _cells(dataset: str) -> tuple[Cell, ...]:
    return tuple(cell for cell in protocol.CELLS if cell.dataset == dataset)


def _slugs(variant: Variant):
    """The stored ones of the paper's three methods, as `charts.show` wants them."""
    wanted = [variant.repair(method).slug for method in protocol.METHODS]
    return lambda view: [slug for slug in wanted if slug in set(view.result.accuracy["slug"])]


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
        slugs=_slugs(variant),
        ways=(way,),
        momentum=variant.momentum,
        x="batches",
    )


def _variances(view, variant):
    charts.show(
        variance.SORTED,
        "paper_sorted",
        views=[view],
        layer=_layer(view, "layer4.0.conv3"),
        slugs=_slugs(variant),
        stage="repaired",
    )


def _maps(view, variant):
    layer = _layer(view, "layer2.0.conv1")
    charts.show(
        maps.MAPS, "paper_maps", views=[view], layer=layer, channel=1, slugs=_slugs(variant), how={"scale": "row"}
    )


def _gains(view, variant, gain: str, against: str, b: int):
    biases = (False, True) if variant.bias is None else (variant.bias,)
    grouped = settings.groups(common.stored(), view.setting)
    charts.show(
        severity.GAIN,
        f"paper_{gain}_{against}_{b}",
        views=[view],
        groups=grouped,
        gain=gain,
        against=against,
        orders=(variant.order,),
        biases=biases,
        prior="median",
        start=variant.start,
        averaging=variant.averaging,
        momentum=variant.momentum,
        b=b,
    )


def _figure9(view, variant):
    for b in (10, 20):
        for column, against in zip(st.columns(2), ("severity", "overshoot"), strict=True):
            with column:
                _gains(view, variant, "bn_lw", against, b)


def _steps(view, variant):
    keys = tuple(item.key for item in common.stored() if protocol.cell_of(item))
    charts.show(
        paper.STEPS,
        "paper_steps",
        views=[view],
        keys=keys,
        start=variant.start,
        averaging=variant.averaging,
        momentum=variant.momentum,
    )


def _heatmap(view, variant):
    charts.show(
        heatmaps.CELLS,
        "paper_cells",
        views=[view],
        how={"scale": state.get("cells")},
        slugs=_slugs(variant),
        stage="repaired",
        by="depth",
    )


FIGURES = {
    3: Figure("Accuracy against the budget b on CIFAR-10.", _cells("cifar10"), "curves", _curves),
    4: Figure(
        "Channel variances of layer4.0.conv3 after each repair, sorted by the dense ones: ResNet-50, CIFAR-10, 2:4.",
        (Cell("resnet50", "cifar10", "nm_2:4"),),
        "variance",
        _variances,
        "α: no repair 0.23, LW+BN 3.84, ASR+BN 1.68. The paper calls α a slope; such values read like a ratio of variances (α ratio on the page Channel variance).",
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
        protocol.CELLS,
        "severity",
        lambda view, variant: _gains(view, variant, "asr_lw", "severity", 20),
        "r = 0.61, ρ = 0.70.",
    ),
    7: Figure(
        "BN only against b, median and band over settings, by dataset.",
        protocol.CELLS,
        "curves",
        _steps,
        "The medians are those of table 3.",
    ),
    8: Figure("Accuracy against the budget b on CIFAR-100.", _cells("cifar100"), "curves", _curves),
    9: Figure(
        "Gain of BN only over LW+BN against severity and overshoot, at b = 10 and 20.",
        protocol.CELLS,
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
        tuple(Cell("resnet50", d, "nm_2:4") for d in protocol.DATASETS),
        "curves",
        _curves,
    ),
}
TITLES = {
    "curves": "Calibration curves",
    "variance": "Channel variance",
    "maps": "Spatial maps",
    "severity": "Severity",
    "heatmaps": "Layer heatmaps",
}


def draw(variant: Variant) -> None:
    """The chosen figure of the paper, redrawn, with a button to the page that draws it in full."""
    st.pills("Figure of the paper", list(FIGURES), key="drawn", required=True, help="Figures 1 and 2 are schemes.")
    figure = FIGURES[state.get("drawn")]
    st.markdown(
        f"**Figure {state.get('drawn')}.** {figure.about}"
        + (f" The paper's numbers: {figure.numbers}" if figure.numbers else "")
    )
    found = _shown(figure, variant)
    if found is None:
        st.info(
            "Nothing is stored yet, so there is nothing to draw. Compute a cell under Table 1, or choose a setting on the Overview."
        )
        return
    if isinstance(found, Match):
        found = common.View(common.opened(found.keys), found.keys, found.setting, common.look())
    st.button(
        f"Open in {TITLES[figure.page]}",
        key="_open_figure",
        icon=":material/open_in_new:",
        on_click=_go,
        args=(figure, found.setting),
    )
    if figure.draw is _variances and found.result.channels.empty:
        st.info(
            "Of this network only layers and accuracy are stored; its channel tables must be computed: open it and press Compute."
        )
        return
    figure.draw(found, replace(variant, batches=20))


def _shown(figure: Figure, variant: Variant) -> Match | common.View | None:
    """The stored network of the figure that is picked; without one the nearest stored network, which is said, or None.

    Figures over settings need no network; the present one is marked in them.
    """
    present = st.session_state.get("_view")
    if figure.cells == protocol.CELLS:  # drawn over settings
        return present
    every = [match for match in protocol.matches(common.stored(), variant.linear) if match.repeat == 0]
    own = [match for match in every if match.cell in figure.cells]
    if own:
        labels = {match.cell.label: match for match in own}
        picked = st.selectbox("Network", list(labels), key="_panel", width=360)
        st.caption(
            plain(f"{picked}; here {labels[picked].network}.")
            + f" {len(own)} of the figure's {len(figure.cells)} networks are stored."
        )
        return labels[picked]
    cell = figure.cells[0]
    near = min(
        every, key=lambda m: (m.cell.architecture != cell.architecture, m.cell.pruning != cell.pruning), default=present
    )
    if near is not None:
        instead = f"{near.cell.label} ({near.network})" if isinstance(near, Match) else near.title
        st.warning(f"None of the networks of this figure is stored. Drawn instead: **{plain(instead)}**.")
    return near


def _go(figure: Figure, setting) -> None:
    for item in [item for item in common.stored() if item.setting == setting][:1]:
        common.adopt(item)
    state.go(figure.page, layer=figure.layer, channel=figure.channel)
