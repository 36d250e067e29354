"""Allocation: where each rule leaves the weights, what a repair could mend there, and which rule wins."""

from dataclasses import replace
from itertools import product

import pandas as pd
import streamlit as st

from asr_core.figures import Chart, NothingToDraw, allocation, style
from asr_core.figures import transition as accuracy
from asr_core.pipeline import allocations, maps
from asr_core.spec.grid import BatchNormState, RepairSpec
from asr_core.store.catalogue import Setting
from asr_core.studies import transition
from pages._frame import charts, common, folded, state
from pages._frame.compute import compute_panel
from pages._frame.text import plain
from pages._frame.views import short

view = common.view()
KINDS = {"first": "first conv", "projection": "projections", "1x1": "other 1x1", "other": "other convs"}


def groups_of(found: common.View) -> tuple:
    """Keys of all stored rules and sparsities of a view's dense network."""
    return transition.groups(common.stored(), replace(found.setting, dense=found.result.setting["dense_id"]))


def other_networks() -> None:
    """Where one rule is all there is to see: buttons of stored settings whose network was pruned by several."""
    found = transition.compared(common.stored())
    if found and transition.shared(view.setting) not in found:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown("Several rules are stored of:")
            for item in found.values():
                st.button(
                    plain(short(item.setting, item.facts["dataset_label"])),
                    key=f"_ruled_{item.key}",
                    on_click=common.adopt,
                    args=(item,),
                )


def own(chart: Chart, **what) -> pd.DataFrame | None:
    """The table of a chart of the present view, whatever is pinned beside it; None where there is nothing to draw."""
    try:
        return chart.table(view.result, **what)
    except NothingToDraw:
        return None


def select_layer(point: dict) -> None:
    """From a bar or cell to its layer, shared with all pages."""
    if "customdata" in point:
        state.put(layer=point["customdata"][0], channel=None)


def choose_repair() -> str:
    """The repair whose accuracies are compared: one of the chosen ones that is stored for the shown setting."""
    options = view.slugs or ["bn_only"]
    if state.get("fix") not in options:
        asr = [slug for slug in options if slug.startswith("asr_bn")]
        state.put(fix=(asr or options)[-1])
    return st.selectbox(
        "Repair",
        options,
        key="fix",
        format_func=style.label,
        width=420,
        help="Accuracies after this repair, at the sidebar's recalibration, are compared between the rules.",
    )


def offer_repairability() -> None:
    """The panel that measures it; it belongs to the dense network, so that the job is the same whatever rule is shown."""
    dense_id, plain = view.result.setting["dense_id"], Setting()
    wanted = replace(
        view.setting, rule=plain.rule, sparsity=plain.sparsity, nm=None, linear=plain.linear, floors=plain.floors
    )
    if maps.has_weights(common.store(), dense_id):
        compute_panel(wanted.experiment((), (BatchNormState(),)), common.store(), dense_id=dense_id, repairability=True)
    else:
        st.caption(f"It cannot be computed here: the weights of dense network {dense_id[:8]} are not on this machine.")


def offer_runs() -> None:
    """Rules and sparsities around the transition that are not stored for this network, and the panel for one of them."""
    have = {(row.rule, row.sparsity) for row in rows[["rule", "sparsity"]].drop_duplicates().itertuples()}
    here = [view.setting.sparsity] if view.setting.sparsity else []
    rules = transition.in_order(allocations.rules())
    budgets = dict.fromkeys([*here, *transition.BUDGETS])
    absent = [(rule, sparsity) for sparsity, rule in product(budgets, rules) if (rule, sparsity) not in have]
    if not absent:
        return
    with st.expander(
        f"{len(absent)} of {len(rules) * len(budgets)} rules and sparsities are not stored for this network",
        icon=":material/hourglass_empty:",
    ):
        rule, sparsity = st.selectbox(
            "Compute",
            absent,
            key="_absent",
            width=320,
            format_func=lambda pair: f"{transition.label_of(pair[0])} at {100 * pair[1]:g} %",
            help="Each rule and sparsity is a job of its own; the present sparsity comes first.",
        )
        wanted = replace(view.setting, rule=rule, sparsity=sparsity, nm=None)
        repairs = (
            RepairSpec.of("bn_only"),
            *(repair for repair in view.look.repairs if repair.slug == fix and repair.order),
        )
        compute_panel(
            wanted.experiment(repairs, tuple(dict.fromkeys((BatchNormState(), view.look.bn_state)))), common.store()
        )


def verdicts(table: pd.DataFrame) -> None:
    """Which rule wins at each budget, in words and as a table."""
    found = transition.verdict(str(common.store().root), table)
    if found.empty:
        st.info(
            "No sparsity is stored for two rules with this repair and recalibration, so there is no verdict. Compute another rule."
        )
        return
    st.dataframe(
        pd.DataFrame([told(row) for row in found.itertuples()]),
        hide_index=True,
        alt="Which rule wins at each sparsity, by how much, and whether that is within noise.",
    )
    clear = found[found["p"] < transition.LEVEL]
    names = [f"{transition.label_of(row.rule)} at {100 * row.sparsity:.4g} %" for row in clear.itertuples()]
    st.markdown(
        f"After {plain(style.label(fix))}, the best rule stands out from the next one at **{len(clear)} of {len(found)}** sparsities{': ' if names else ''}{', '.join(names)}."
    )
    st.caption(transition.VERDICT_RULE)


def told(row) -> dict:
    """One verdict as a reader wants it."""
    level = ", ".join(transition.label_of(rule) for rule in row.level) or "no other rule"
    noise = (
        "not the same test images"
        if row.p != row.p
        else f"within noise, p = {row.p:.2g}"
        if row.p >= transition.LEVEL
        else f"clear, p = {row.p:.2g}"
    )
    return {
        "sparsity": f"{100 * row.sparsity:.4g} %",
        "best rule": transition.label_of(row.rule),
        "top-1": f"{row.top1:.2%}",
        "over the next": f"{100 * row.gain:+.2f} points ({transition.label_of(row.second)})",
        "that is": noise,
        "not told apart from the best": level,
        "rules": row.rules,
        "images": row.n_eval,
    }


def protection(table: pd.DataFrame) -> None:
    """Which layers each rule keeps dense, what they cost, and the statement about projections."""
    found = transition.protected(table)
    names = {"layers": "layers kept dense", **KINDS, "share": "share of all kept weights", "names": "which"}
    shown = found.assign(
        rule=found["rule"].map(transition.label_of), share=[f"{share:.1%}" for share in found["share"]]
    )
    st.dataframe(
        shown[["rule", *names]].rename(columns=names),
        hide_index=True,
        alt="Layers that each rule keeps dense, by kind, and the share of the budget they take.",
    )
    st.markdown(
        f"**“Capped ERK over-protects projection layers”** (the abstract of arXiv 2605.25508), checked here: {claim(table)}"
    )


def claim(table: pd.DataFrame) -> str:
    """Whether ERK keeps more of the projections than every other stored rule, with the numbers."""
    answer, rows = transition.over_protects(table), transition.projections(table)
    if rows.empty:
        return "cannot be checked, since this network has no 1x1 projection on a shortcut."
    if answer is None:
        return "needs ERK and another rule stored at this sparsity."
    words = [
        f"{transition.label_of(row.rule)} {row.density:.1%} (for {row.share:.1%} of its budget)"
        for row in rows.itertuples()
    ]
    meaning = (
        "ERK keeps a larger share of the projections' weights than every other rule here"
        if answer
        else "another rule here keeps as large a share of the projections' weights as ERK"
    )
    return f"**{'true' if answer else 'false'}**: {meaning}. Kept of the 1x1 projections: {'; '.join(words)}. That it is too much does not follow from this; the accuracies below say what it cost."


def layer_numbers(bars: pd.DataFrame, cells: pd.DataFrame | None) -> None:
    """The selected layer under each rule and at each trial sparsity."""
    layer = common.layer_of(view)
    left, right = st.columns(2)
    with left:
        rows = bars[bars["layer"] == layer]
        shown = [
            {
                "rule": row.label,
                "kept": f"{row.density:.2%}",
                "weights": f"{row.kept:,} of {row.weights:,}",
                "of all kept": f"{row.share:.2%}",
            }
            for row in rows.itertuples()
        ]
        st.dataframe(pd.DataFrame(shown), hide_index=True, alt=f"Weights of {layer} that each rule keeps.")
    with right:
        if cells is not None and layer in set(cells["layer"]):
            wide = cells[cells["layer"] == layer].pivot(index="sparsity", columns="measure", values="value")[
                list(allocation.MEASURES)
            ]
            wide.insert(0, "trial sparsity", [f"{100 * sparsity:.4g} %" for sparsity in wide.index])
            st.dataframe(
                wide.rename(columns=allocation.MEASURES),
                hide_index=True,
                alt=f"RR, D_raw and D_res of {layer} ({allocation.READING}).",
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
        "A pruning budget can be spent in many ways: *uniform* keeps the same share of each layer, *global L1* and *LAMP* let magnitudes decide over the whole network, *ERK* goes by the layers' "
        "shapes, *RR* by how much of a layer's damage a repair would leave. Each row of bars is one rule at the same overall sparsity: the share of each layer's weights that it keeps."
    )
    st.markdown(
        f"**Relative repairability (RR)** is {allocation.READING}; the paper's own formula is not at hand. One layer alone is pruned by magnitude and fed its dense input. "
        "D_raw is the squared distance of its output to the dense output, D_res the same after each channel's mean and variance were matched, both in units of the dense variance:"
    )
    st.latex(
        r"D = \frac{\sum_i \mathbb{E}\,(Y_i - Y_i^{\mathrm{dense}})^2}{\sum_i \mathrm{Var}\,Y_i^{\mathrm{dense}}} \qquad RR = D_{\mathrm{res}} / D_{\mathrm{raw}}"
    )
    st.markdown(
        "RR is a ratio, not a percentage: near 0 a repair mends the layer, near 1 it does not help, above 1 it makes things worse. It is undefined where pruning changes nothing."
    )
    st.markdown(f"**The band.** {transition.BAND_RULE}")


folded.expander("What am I looking at?", "_open_about", about)
grouped = groups_of(view)
rows = transition.read(str(common.store().root), grouped)[0]
other_networks()
st.subheader("Where the weights stay", anchor=False)
st.caption("Click a bar or a cell to select its layer.")
charts.show(allocation.DENSITIES, "densities", select=select_layer, groups=groups_of)

st.subheader("What a repair could mend", anchor=False)
st.caption(f"RR here is {allocation.READING}.")
charts.show(allocation.REPAIRABILITY, "repairability", select=select_layer)
if (cells := own(allocation.REPAIRABILITY)) is None:
    offer_repairability()

if (bars := own(allocation.DENSITIES, groups=grouped)) is not None:
    st.subheader(f"Selected layer: {plain(common.layer_of(view))}", anchor=False)
    layer_numbers(bars, cells)
    st.subheader("What each rule protects", anchor=False)
    st.caption(
        f"Layers of which at least {transition.DENSE:.0%} is kept at {100 * view.result.setting['sparsity_asked']:.4g} % sparsity."
    )
    protection(bars)

st.subheader("The transition", anchor=False)
fix = choose_repair()
recalibration = {
    name: (lambda found, name=name: getattr(found.look, name)) for name in ("start", "averaging", "momentum", "b")
}
charts.show(accuracy.TRANSITION, "transition", groups=groups_of, slug=fix, **recalibration)
st.caption(f"Band: {transition.BAND_RULE}")
offer_runs()
if (
    table := own(
        accuracy.TRANSITION, groups=grouped, slug=fix, **{name: read(view) for name, read in recalibration.items()}
    )
) is not None:
    st.subheader("Which rule wins", anchor=False)
    verdicts(table)
