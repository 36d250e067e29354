"""Overview: what each method is worth here, and where the damage sits."""

import streamlit as st

from asr_core.figures import overview
from asr_core.report import glossary, textreport
from asr_core.spec.recalibration import NOTHING
from pages._frame import charts, common, draws, folded, state, tables, why
from pages._frame.rows import picked_row
from pages._frame.text import plain

# Layers that are listed at once: a table to sort is the largest part of a browser's work, so it waits for a click.
FIRST = 5
HEADINGS = {
    "layer": "layer",
    "severity": "severity",
    "within_spread": "within spread",
    "overshoot": "overshoot",
    "dead": "dead channels",
    "channels": "channels",
    "absorbed": "BN absorbs",
}
COLUMNS = ["layer", "depth", "severity", "within_spread", "overshoot", "channels", "dead", "achieved"]
SIGNAL = {name: overview.DAMAGES[name][0] for name in overview.SIGNAL}

view = common.view()


def card(found: common.View) -> None:
    """The setting and its numbers."""
    facts = found.result.setting
    if state.get("pin"):
        st.markdown(f"**{common.which(found)}{plain(found.title)}**")
    with st.container(horizontal=True, gap="medium"):
        share = facts["within_share"]
        for label, value, help in (
            (
                "Severity",
                f"{facts['severity']:.3f}",
                "Mean over channels of |√(v_pruned / v_dense) − 1|: 0 is no damage.",
            ),
            (
                "Overshoot",
                f"{facts['overshoot']:.3f}",
                "Mean over layers of max(0, γ_LW − 1): how much a layer-wise factor amplifies.",
            ),
            (
                "Within-layer share",
                "undefined" if share is None or share != share else f"{share:.1%}",
                "Σ (d − layer mean)² / Σ d² over live channels, d = ln γ_raw: the part of the mean-square damage that "
                "one scalar per layer cannot mend.",
            ),
            (
                "Dead channels",
                f"{facts['dead']} of {facts['channels']}",
                "Channels whose pruned variance is zero: no factor of their own brings them back.",
            ),
        ):
            st.metric(label, value, help=glossary.with_term(label, help), width="content")
    st.caption(plain(textreport.describe(facts)))


def open_layer(point: dict) -> None:
    """From a bar of the strip to the layer's channels."""
    state.go("variance", layer=point["customdata"][0], channel=None)


def all_layers() -> None:
    """Every layer in a table; a row leads to the layer's channels."""
    st.caption("Select a row to see the layer's channels.")
    st.dataframe(
        worst[[*COLUMNS, *measured, "absorbed"]],
        key="worst",
        on_select=open_row,
        selection_mode="single-row",
        hide_index=True,
        height=300,
        alt="Layers sorted by severity, with their within-layer spread, overshoot, dead channels and sparsity.",
        column_config={
            "severity": st.column_config.NumberColumn(format="%.3f", help="mean |√(v_pruned / v_dense) − 1|"),
            "within_spread": st.column_config.NumberColumn(
                "within spread", format="%.3f", help="standard deviation of ln γ_raw over live channels"
            ),
            "overshoot": st.column_config.NumberColumn(format="%.3f", help="max(0, γ_LW − 1)"),
            "achieved": st.column_config.NumberColumn(
                "sparsity", format="percent", help="share of the layer's weights removed"
            ),
            **{
                name: st.column_config.NumberColumn(SIGNAL[name], format="%.3f", help=overview.DAMAGES[name][1])
                for name in measured
            },
            "absorbed": st.column_config.TextColumn(
                "BN absorbs", help="Whether BatchNorm, fully re-estimated, undoes a factor on this layer's channels"
            ),
        },
    )


def open_row() -> None:
    """From a row of the list to the layer's channels."""
    row = picked_row("worst", len(worst))
    if row is not None:
        state.go("variance", layer=worst["layer"].iloc[row], channel=None)


for column, found in zip(st.columns(len(common.views())), common.views(), strict=True):
    with column:
        card(found)

st.subheader("Accuracy", anchor=False)
several = draws.count(view)
then = f", then BatchNorm recalibration: {view.look.recalibration}." if view.look.batchnorm else f". {NOTHING}"
st.caption(
    f"One-shot pruning, then each repair{then} Lines are 95 % "
    "Wilson intervals; open markers: without mean correction."
    + (f" Wide bars: least and largest of {several} calibration draws." if several > 1 else "")
)
charts.show(
    overview.ACCURACY,
    "accuracy",
    repairs=lambda found: found.look.repairs,
    state=lambda found: found.look.bn_state,
    store=common.store(),
    draws=draws.keys,
)

folded.expander("Why do two methods differ?", "_open_why", lambda: why.card(view), icon=":material/help_center:")

st.subheader("The network, layer by layer", anchor=False)
st.segmented_control(
    "Coloured by",
    list(overview.DAMAGES),
    key=state.key("colour"),
    required=True,
    format_func=lambda name: overview.DAMAGES[name][0],
    help="\n\n".join(f"**{a}**: {b}" for a, b in overview.DAMAGES.values()),
)
st.caption(
    f"Each block is a layer, input on the left; colour: {overview.DAMAGES[state.get('colour')][1]}. "
    "Click a block to see its channels."
)
charts.show(overview.STRIP, "strip", select=open_layer, colour=state.get("colour"), store=common.store())

st.subheader("Worst layers first", anchor=False)
signal = overview.signal_of(view.result, common.store())
measured = [] if signal is None else list(overview.SIGNAL)
worst = overview.damage_table(view.result, signal).sort_values("severity", ascending=False)
st.markdown(tables.markdown(worst[[*HEADINGS, *measured]].head(FIRST).rename(columns=HEADINGS | SIGNAL), ".3f"))
if not measured:
    st.caption(overview.NO_SIGNAL)
folded.expander(
    f"All {len(worst)} layers, to sort and to open", "_open_worst", all_layers, icon=":material/table_rows:"
)
