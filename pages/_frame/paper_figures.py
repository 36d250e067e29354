"""The paper's figures redrawn: which one is picked, and from the stored network that is nearest to the paper's."""

from dataclasses import replace

import streamlit as st

from asr_core.spec.experiment import Setting
from asr_core.studies import protocol
from asr_core.studies.cells import CELLS, Variant
from asr_core.studies.protocol import Match
from pages._frame import common, state
from pages._frame.paper_drawn import FIGURES, Figure, variances
from pages._frame.text import plain

TITLES = {
    "curves": "Calibration curves",
    "variance": "Channel variance",
    "maps": "Spatial maps",
    "severity": "Severity",
    "heatmaps": "Layer heatmaps",
}


def draw(variant: Variant) -> None:
    """The chosen figure of the paper, redrawn, with a button to the page that draws it in full."""
    st.pills(
        "Figure of the paper", list(FIGURES), key=state.key("drawn"), required=True, help="Figures 1 and 2 are schemes."
    )
    figure = FIGURES[state.get("drawn")]
    st.markdown(
        f"**Figure {state.get('drawn')}.** {figure.about}"
        + (f" The paper's numbers: {figure.numbers}" if figure.numbers else "")
    )
    found = _shown(figure, variant)
    if found is None:
        st.info(
            "Nothing is stored yet, so there is nothing to draw. Compute a cell under Table 1, or choose a setting "
            "on the Overview."
        )
        return
    if isinstance(found, Match):
        found = common.View(
            common.opened(found.keys), found.keys, found.setting, found.dense_id, common.look().on(found.setting.model)
        )
    st.button(
        f"Open in {TITLES[figure.page]}",
        key="_open_figure",
        icon=":material/open_in_new:",
        on_click=_go,
        args=(figure, found.setting, found.dense_id),
    )
    if figure.draw is variances and found.result.channels.empty:
        st.info(
            "Of this network only layers and accuracy are stored; its channel tables must be computed: open it and "
            "press Compute."
        )
        return
    figure.draw(found, replace(variant, calib_batches=20))


def _shown(figure: Figure, variant: Variant) -> Match | common.View | None:
    """The stored network of the figure that is picked; without one the nearest stored network, which is said, or None.

    Figures over settings need no network; the present one is marked in them.
    """
    present = st.session_state.get("_view")
    if figure.cells == CELLS:  # drawn over settings
        return present
    every = [match for match in protocol.matches(common.stored(), variant.include_linear) if match.repeat == 0]
    own = [match for match in every if match.cell in figure.cells]
    if own:
        labels = {match.cell.label: match for match in own}
        picked = st.selectbox("Network", list(labels), key="_panel", width=360)
        stored = f" {len(own)} of the figure's {len(figure.cells)} networks are stored."
        st.caption(plain(f"{picked}; here {labels[picked].network}.") + stored)
        return labels[picked]
    cell = figure.cells[0]
    far = lambda m: (m.cell.architecture != cell.architecture, m.cell.pruning != cell.pruning)  # noqa: E731
    near = min(every, key=far, default=present)
    if near is not None:
        instead = f"{near.cell.label} ({near.network})" if isinstance(near, Match) else near.title
        st.info(f"None of the networks of this figure is stored. Drawn instead: **{plain(instead)}**.")
    return near


def _go(figure: Figure, setting: Setting, dense_id: str) -> None:
    common.adopt(setting, dense_id)
    state.go(figure.page, layer=figure.layer, channel=figure.channel)
