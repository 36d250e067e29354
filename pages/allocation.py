"""Allocation: where each rule leaves the weights, what a repair could mend there, and which rule wins."""

from itertools import product
from typing import Any

import pandas as pd
import streamlit as st

from asr_core import registry
from asr_core.figures import Chart, NothingToDraw, allocation, repairability
from asr_core.figures import transition as accuracy
from asr_core.pipeline import allocations
from asr_core.spec.experiment import ExperimentSpec
from asr_core.spec.parts import PruneSpec
from asr_core.spec.recalibration import NO_STATE
from asr_core.spec.repairs import BN_ONLY, RepairSpec
from asr_core.store import results
from asr_core.studies import densities, transition
from pages._frame import charts, common, folded, picked, state, tabled, verdicts
from pages._frame.compute import compute_panel
from pages._frame.text import plain
from pages._frame.views import short

view = common.view()


def groups_of(found: common.View) -> tuple:
    """Keys of all stored rules and sparsities of a view's dense network."""
    return transition.groups(common.stored(), found.setting, found.dense_id)


def other_networks() -> None:
    """Where one rule is all there is to see: buttons of stored settings whose network was pruned by several."""
    found = transition.compared(common.stored())
    here = transition.shared(view.setting), view.dense_id
    if not found or here in [(transition.shared(item.setting), item.dense_id) for item in found]:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown("Several rules are stored of:")
        for item in found:
            name = plain(short(item.setting, item.facts["dataset_label"]))
            st.button(name, key=f"_ruled_{item.key}", on_click=common.adopt, args=(item.setting, item.dense_id))


def own(chart: Chart, **what) -> pd.DataFrame | None:
    """The table of a chart of the present view, whatever is pinned beside it; None where there is nothing to draw."""
    try:
        return tabled.table(chart, view, what)
    except NothingToDraw:
        return None


def select_layer(point: dict) -> None:
    """From a bar or cell to its layer, shared with all pages."""
    if "customdata" in point:
        state.put(layer=point["customdata"][0], channel=None)


def choose_repair() -> RepairSpec:
    """The repair whose accuracies are compared: a chosen one, or one that is stored for another rule; where none was
    picked, the one that is stored for most rules and sparsities, of several ASR."""
    counts = transition.stored_repairs(rows, view.look.bn_state)
    offered = list(dict.fromkeys([*view.repairs, *counts])) or [BN_ONLY]
    most = max(offered, key=lambda repair: (counts.get(repair, 0), repair.method == "asr_bn"))
    help = (
        "Accuracies after this repair, at the sidebar's recalibration, are compared between the rules. Shown first: "
        "the one that is stored for most rules and sparsities."
    )
    return picked.choose(offered, "fix", "Repair", help, offered.index(most))


def offer_repairability() -> None:
    """The panel that measures it; it belongs to the dense network: the same job whatever rule is shown."""
    wanted = ExperimentSpec.of_setting(view.setting.with_(prune=PruneSpec()), (), (NO_STATE,))
    if results.has_weights(common.store(), view.dense_id):
        compute_panel(wanted, common.store(), dense_id=view.dense_id, repairability=True)
    else:
        st.caption(
            f"It cannot be computed here: the weights of dense network {view.dense_id[:8]} are not on this machine."
        )


def offer_runs() -> None:
    """Rules and sparsities around the transition that are not stored for this network, and the panel for one."""
    have = {(row.pruning, row.sparsity) for row in rows[["pruning", "sparsity"]].drop_duplicates().itertuples()}
    here = [value for value in (view.setting.prune.parameters.get("sparsity"),) if value]
    rules = sorted(allocations.rules(), key=transition.place)
    budgets = dict.fromkeys([*here, *transition.BUDGETS])
    absent = [(rule, sparsity) for sparsity, rule in product(budgets, rules) if (rule, sparsity) not in have]
    if not absent:
        return
    title = f"{len(absent)} of {len(rules) * len(budgets)} rules and sparsities are not stored for this network"
    with st.expander(title, icon=":material/hourglass_empty:"):
        rule, sparsity = st.selectbox(
            "Compute",
            absent,
            key="_absent",
            width=320,
            format_func=lambda pair: f"{registry.get('pruning rule', pair[0]).label} at {100 * pair[1]:g} %",
            help="Each rule and sparsity is a job of its own; the present sparsity comes first.",
        )
        wanted = view.setting.but(pruning=rule, sparsity=sparsity)
        repairs = tuple(dict.fromkeys((BN_ONLY, fix)))
        states = tuple(dict.fromkeys((NO_STATE, view.look.bn_state)))
        compute_panel(ExperimentSpec.of_setting(wanted, repairs, states), common.store())


def layer_numbers(bars: pd.DataFrame, cells: pd.DataFrame | None) -> None:
    """The selected layer under each rule and at each trial sparsity."""
    layer = common.layer_of(view)
    left, right = st.columns(2)
    with left:
        rows = bars[bars["layer"] == layer]
        shown = [
            {
                "rule": row.rule,
                "kept": f"{row.density:.2%}",
                "weights": f"{row.kept:,} of {row.weights:,}",
                "of all kept": f"{row.share:.2%}",
            }
            for row in rows.itertuples()
        ]
        st.dataframe(pd.DataFrame(shown), hide_index=True, alt=f"Weights of {layer} that each rule keeps.")
    with right:
        if cells is not None and layer in set(cells["layer"]):
            mine = cells[cells["layer"] == layer]
            wide = mine.pivot(index="sparsity", columns="measure", values="value")[list(repairability.MEASURES)]
            wide.insert(0, "trial sparsity", [f"{100 * sparsity:.4g} %" for sparsity in wide.index])
            st.dataframe(
                wide.rename(columns=repairability.MEASURES),
                hide_index=True,
                alt=f"RR, D_raw and D_res of {layer} ({repairability.READING}).",
            )
    st.button(
        f"Channels of {plain(layer)}",
        icon=":material/scatter_plot:",
        on_click=state.go,
        args=("variance",),
        kwargs={"layer": layer, "channel": None},
    )


def about() -> None:
    """What is drawn here, and how to read it."""
    st.markdown(
        "A pruning budget can be spent in many ways: *uniform* keeps the same share of each layer, *global L1* and "
        "*LAMP* let magnitudes decide over the whole network, *ERK* goes by the layers' shapes, *RR* by how much of "
        "a layer's damage a repair would leave. Each row of bars is one rule at the same overall sparsity: the share "
        "of each layer's weights that it keeps."
    )
    st.markdown(
        f"**Relative repairability (RR)** is {repairability.READING}; the paper's own formula is not at hand. One "
        "layer alone is pruned by magnitude and fed its dense input. D_raw is the squared distance of its output to "
        "the dense output, D_res the same after each channel's mean and variance were matched, both in units of the "
        "dense variance:"
    )
    st.latex(
        r"D = \frac{\sum_i \mathbb{E}\,(Y_i - Y_i^{\mathrm{dense}})^2}{\sum_i \mathrm{Var}\,Y_i^{\mathrm{dense}}} "
        r"\qquad RR = D_{\mathrm{res}} / D_{\mathrm{raw}}"
    )
    st.markdown(
        "RR is a ratio, not a percentage: near 0 a repair mends the layer, near 1 it does not help, above 1 it makes "
        "things worse. It is undefined where pruning changes nothing."
    )
    st.markdown(f"**The band.** {transition.BAND_RULE}")


folded.expander("What am I looking at?", "_open_about", about)
grouped = groups_of(view)
rows = transition.read(common.store(), grouped)[0]
other_networks()
st.subheader("Where the weights stay", anchor=False)
st.caption("Click a bar or a cell to select its layer.")
charts.show(allocation.DENSITIES, "densities", select=select_layer, store=common.store(), groups=groups_of)

st.subheader("What a repair could mend", anchor=False)
st.caption(f"RR here is {repairability.READING}.")
charts.show(repairability.REPAIRABILITY, "repairability", select=select_layer, store=common.store())
if (cells := own(repairability.REPAIRABILITY, store=common.store())) is None:
    offer_repairability()

if (bars := own(allocation.DENSITIES, store=common.store(), groups=grouped)) is not None:
    st.subheader(f"Selected layer: {plain(common.layer_of(view))}", anchor=False)
    layer_numbers(bars, cells)
    st.subheader("What each rule protects", anchor=False)
    st.caption(
        f"Layers of which at least {densities.DENSE:.0%} is kept at "
        f"{100 * view.result.setting['sparsity_asked']:.4g} % sparsity."
    )
    verdicts.protection(bars)

st.subheader("The transition", anchor=False)
fix = choose_repair()
compared: dict[str, Any] = {"store": common.store(), "repair": fix}
charts.show(accuracy.TRANSITION, "transition", groups=groups_of, state=lambda found: found.look.bn_state, **compared)
st.caption(f"Band: {transition.BAND_RULE}")
offer_runs()
table = own(accuracy.TRANSITION, groups=grouped, state=view.look.bn_state, **compared)
if table is not None:
    st.subheader("Which rule wins", anchor=False)
    verdicts.verdicts(common.store(), table, fix)
