"""Layer heatmaps: all layers at once, and the part of the damage that one scalar per layer cannot see."""

import streamlit as st

from asr_core.figures import heatmaps, spread
from pages._frame import charts, common, folded, state, tables
from pages._frame.rows import picked_row
from pages._frame.text import plain

view = common.view()


def headline(found: common.View) -> None:
    """The within-layer share, large."""
    facts = found.result.setting
    share = facts["within_share"]
    undefined = share is None or share != share
    st.metric(
        f"{common.which(found)}Within-layer share of the damage, {plain(found.title)}",
        "undefined" if undefined else f"{share:.1%}",
        help="Damage of a channel is d = ln γ_raw, 0 for none. The share is Σ (d − layer mean)² / Σ d² over live "
        "channels of repaired layers: what is left of the mean-square damage when each layer gets the scalar that "
        "fits it best.",
    )
    live = facts["live_share"]
    st.caption(
        "No live channel of a repaired layer is damaged, so there is nothing to split."
        if undefined
        else f"What one scalar per layer cannot mend; the other {1 - share:.1%} it can. {live:.1%} of the repaired "
        "layers' channels are live; the others are dead, and no factor brings them back."
    )


def open_cell(point: dict) -> None:
    """From a cell or bar to the layer's channels."""
    if "customdata" in point:
        state.go("variance", layer=point["customdata"][0], channel=None)


def open_worst() -> None:
    """From a row of the list to the layer's channels."""
    row = picked_row("worst_cells", len(worst))
    if row is not None:
        state.go("variance", layer=worst["layer"].iloc[row], channel=None)


for column, found in zip(st.columns(len(common.views())), common.views(), strict=True):
    with column:
        headline(found)
charts.show(spread.SPREAD, "spread", select=open_cell)

st.subheader("Variance ratios of all layers", anchor=False)


def about() -> None:
    """What is drawn here, and how to read it."""
    st.markdown(
        "Columns are layers, rows are statistics over a layer's channels. First row: the share of channels "
        "whose pruned variance lies under the 5th percentile of the dense variances. Other rows: the 25th and 75th "
        "percentile of variance / dense variance. White is 1: repaired. Blue is too small, red too large; a pair of "
        "rows with one blue and one red cell is a layer in which one scalar cannot be right for all channels. Last, "
        "where signal is stored: the correlation of each network's channels with the dense output, in the colours of "
        "the first row. The paper clamps its colours to [0, 2] and so shows 2.1 and 19 alike; the numbers in the cells "
        "are always true."
    )


folded.expander("How to read it", "_open_about", about)
with st.container(horizontal=True, vertical_alignment="bottom"):
    st.segmented_control(
        "Colours",
        ("log2", "ratio"),
        key=state.key("cells"),
        required=True,
        format_func={"log2": "log₂ ratio", "ratio": "paper: ratio in [0, 2]"}.get,
        help="log₂ treats half and double alike; the paper's clamp hides everything above 2.",
    )
    st.segmented_control(
        "Layers sorted by",
        ("depth", "damage"),
        key=state.key("rows"),
        required=True,
        help="depth: execution order. damage: largest severity first.",
    )
    st.segmented_control(
        "Variances",
        ("repaired", "recalibrated"),
        key=state.key("stage_cells"),
        required=True,
        disabled=not view.look.batchnorm,
        help="Before BatchNorm recalibration, or after it at the reporting point (ema from reset, b = 20).",
    )
drawn = charts.show(
    heatmaps.CELLS,
    "cells_map",
    select=open_cell,
    how={"scale": state.get("cells")},
    repairs=lambda found: found.repairs,
    stage=lambda found: state.get("stage_cells") if found.look.batchnorm else "repaired",
    by=state.get("rows"),
    store=common.store(),
)

if drawn:
    st.subheader("Worst cells", anchor=False)
    worst = heatmaps.worst_cells(drawn[-1])
    stored = heatmaps.RHO in set(drawn[-1]["statistic"])
    signal = "" if stored else " Signal of these networks is not stored; the page Signal computes it."
    st.caption(f"Farthest from a ratio of 1. Select a row to see the layer's channels.{signal}")
    worst = worst if stored else worst.drop(columns=heatmaps.RHO)
    st.dataframe(
        worst.assign(value=tables.digits(worst["value"]), times=tables.digits(worst["times"])),
        key="worst_cells",
        on_select=open_worst,
        selection_mode="single-row",
        hide_index=True,
        alt="Cells whose ratio is farthest from 1.",
        column_config={
            "row": "statistic",
            "value": st.column_config.TextColumn("v / v_dense", alignment="right"),
            "times": st.column_config.TextColumn("off by a factor of", alignment="right"),
            "direction": "what is wrong",
            "rho": st.column_config.NumberColumn(
                "correlation", format="%.2f", help="Median correlation of the layer's channels with the dense output."
            ),
        },
    )
