"""Calibration curves: accuracy against the number of batches or images."""

from dataclasses import replace

import streamlit as st

from asr_core import catalogue
from asr_core.figures import curves
from pages import _charts
from pages import _common as common
from pages import _state as state

view = common.view()


def others(found: common.View, *free: str) -> list[tuple[str, ...]]:
    """Keys of the stored settings that differ from the shown one in `free` fields only."""
    everything = common.stored()
    alike = dict.fromkeys(
        item.setting for item in everything
        if replace(item.setting, **{f: getattr(found.setting, f) for f in free}) == found.setting and item.setting != found.setting
    )  # fmt: skip
    return [tuple(item.key for item in catalogue.covering(everything, setting)) for setting in alike]


with st.expander("How to read it"):
    st.markdown(
        "Each line is one repair; x is what it costs in training images. At b = 0 BatchNorm keeps the dense network's statistics. With an ema, a share "
        "a = (1 − momentum)ᵇ of the starting statistics is still in BatchNorm after b batches (lower plot): from *reset* that is a variance of 1 that has nothing to do "
        "with the network, and a gap between methods that closes as a vanishes comes from there. Where BatchNorm follows every conv, cumulative averaging undoes any repair, "
        "so that its lines coincide. Dash: way of recalibration; open marks: without mean correction; a dot in the mark: sequential collection."
    )
with st.container(horizontal=True, vertical_alignment="bottom"):
    st.pills("Recalibration", ("reset", "keep", "cumulative"), key="recal", selection_mode="multi", format_func=curves.WAYS.get, help="Ways to re-estimate BatchNorm; the momentum is the sidebar's.")
    st.segmented_control("x axis", ("batches", "images"), key="x", required=True, help="images: statistics images and recalibration images together, so that repairs without recalibration compare at equal budgets.")
    st.toggle("All stored seeds", key="seeds", help="Mean over seeds; the band is the least and largest value. Each seed is a dense network of its own.")

free = {"batches": [], "images": ["stats"]}[state.get("x")]
more = {}
for found in common.views():
    keys = others(found, *free) if free else []
    keys += others(found, "seed", "draw", "dense") if state.get("seeds") else []
    more[found.keys] = tuple(dict.fromkeys(keys))
if state.get("seeds") and not others(view, "seed", "draw", "dense"):
    st.caption("No other seed of this setting is stored; compute one by changing the seed in the sidebar.")

tables = _charts.show(
    curves.CURVES, "curves", more=more, how={"x": state.get("x")}, slugs=lambda found: found.slugs,
    ways=tuple(state.get("recal")), momentum=lambda found: found.look.momentum, x=state.get("x"),
)  # fmt: skip
if tables and (repeats := tables[-1].query("images > distinct_images and batches > 0"))["batches"].any():
    st.caption(f"The training split holds {int(repeats['distinct_images'].iloc[0])} images: from b = {int(repeats['batches'].min())} on, batches come from further shuffles of the same images.")
if state.get("x") == "batches":
    limits = curves.curves_limits(tables) if tables else {}
    _charts.show(curves.DECAY, "decay", momentum=lambda found: found.look.momentum, how={k: limits[k] for k in ("left", "right") if k in limits})
