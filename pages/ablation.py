"""Ablation: table 2 of the paper for this setting, and accuracy over granularity and prior."""

import pandas as pd
import streamlit as st

from asr_core.figures import ablation
from asr_core.report.sentences import paper as words
from asr_core.spec.experiment import ExperimentSpec
from asr_core.spec.recalibration import NO_STATE, BatchNormState
from asr_core.spec.repairs import BIASES, ORDERS
from asr_core.studies import ablation as grid
from pages._frame import charts, common, folded, state
from pages._frame.compute import compute_panel
from pages._frame.text import plain

view = common.view()
seen = view.look
states = tuple(dict.fromkeys((NO_STATE, seen.bn_state)))


def bn_state(found: common.View) -> BatchNormState:
    """The chosen recalibration of a view."""
    return found.look.bn_state


def offer(repairs: tuple, absent: list[str], of: int, what: str) -> None:
    """What is absent of the shown setting, and the compute panel for it."""
    if not absent:
        return
    with st.expander(
        f"{len(absent)} of {of} {what} are not stored for this setting", icon=":material/hourglass_empty:"
    ):
        st.caption(plain("; ".join(absent)))
        compute_panel(ExperimentSpec.of_setting(view.setting, repairs, states), common.store())


def about() -> None:
    """What is drawn here, and how to read it."""
    st.markdown(
        "Table 2 of the paper takes ASR apart: no weight repair (BN only), one factor per layer (LW), one per "
        "channel without shrinkage (raw), and ASR with different priors, with and without mean correction. Circles "
        "with bars are this setting with 95 % intervals; orange strokes are the paper's numbers, which belong to "
        "ResNet-50 on CIFAR-10 at 90 % (it does not say at which budget b)."
    )
    st.markdown(
        "The surface puts these methods on a map. Down: how many channels share a factor, from 1 to all of a layer. "
        "Across: how strongly factors are pulled toward 1, by a prior variance of 0, 0.1, 1 or 10 times the layer's "
        "median pruned variance, or its mean. LW, raw and ASR are points of it; the question is whether their places "
        "are special. LW is the point with all channels and no prior."
    )


folded.expander("What am I looking at?", "_open_about", about)
st.subheader("Table 2, here and in the paper", anchor=False)
order = st.segmented_control(
    "Order of collection",
    ("simultaneous", "sequential"),
    key=state.key("order2"),
    required=True,
    help="simultaneous: all statistics of the pruned network first. sequential: each layer after the ones before it "
    "were repaired. The paper does not say which it uses; its algorithm reads like sequential, its figures like "
    "simultaneous.",
)
charts.show(ablation.TABLE2, "table2", order=order, state=bn_state)
rows = grid.table2(view.result.accuracy, order, seen.bn_state, seen.batchnorm)
offer(
    tuple(grid.table2_repairs(order).values()),
    rows.loc[rows["top1"].isna(), "row"].tolist(),
    len(rows),
    f"rows ({order})",
)

st.subheader("Granularity and prior", anchor=False)
st.caption(
    "Top-1 % at the chosen recalibration. Under cumulative averaging points agree where BatchNorm follows every "
    "repaired layer, since it absorbs every factor, but where variances come near its eps; look at b = 0 "
    "or an ema to see the repair itself."
    if seen.batchnorm
    else "Top-1 %; this network has no BatchNorm, so nothing absorbs a factor."
)
charts.show(ablation.SURFACE, "surface", state=bn_state)
cells = grid.surface_table(view.result.accuracy, seen.bn_state)
maps = {f"{o}-{b}": cells[cells["order"].eq(o) & cells["bias"].eq(on)] for o in ORDERS for b, on in BIASES.items()}
absent = {name: [words.point(row) for row in rows.itertuples() if pd.isna(row.top1)] for name, rows in maps.items()}
if any(absent.values()):
    which = st.selectbox(
        "Complete a map",
        list(maps),
        key=state.key("map"),
        width=320,
        help="Dots in the maps are not stored. Each map is a job of its own.",
        format_func=lambda name: name.replace("-", " · bias "),
    )
    if complete := [name.replace("-", " · bias ") for name, rows in absent.items() if not rows]:
        st.caption(f"complete: {', '.join(complete)}")
    order, bias = which.split("-")
    offer(grid.surface_repairs((order,), (BIASES[bias],)), absent[which], len(maps[which]), "points of this map")
