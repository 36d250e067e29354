"""Does BatchNorm undo it? Which differences between methods are left once BatchNorm is re-estimated."""

from typing import Any

import pandas as pd
import streamlit as st

from asr_core.figures import absorption, signal, unabsorbed
from asr_core.report.sentences.absorbed import NEVER_UNDONE
from asr_core.spec import labels
from asr_core.spec.recalibration import BatchNormState
from asr_core.spec.repairs import BN_ONLY, NO_REPAIR, RepairSpec
from asr_core.store.tables import is_of
from asr_core.studies import leftover
from pages._frame import charts, common, folded, state
from pages._frame.text import plain

view = common.view()
ABSORBED = {
    "yes": ":material/check: absorbed",
    "no": ":material/close: not absorbed",
    "unknown": ":material/help: unknown",
}


def repairs_of(found: common.View) -> list[RepairSpec]:
    """Chosen and stored repairs, BN only first: everything is compared with it."""
    if not is_of(found.result.accuracy, BN_ONLY).any():
        return found.repairs
    return [BN_ONLY, *(repair for repair in found.repairs if repair != BN_ONLY)]


def momentum(found: common.View) -> float:
    """The chosen momentum of a view."""
    return found.look.momentum


COMPARED: dict[str, Any] = {"repairs": repairs_of, "momentum": momentum}


def bn_state(found: common.View) -> BatchNormState:
    """The chosen recalibration of a view."""
    return found.look.bn_state


def numbers(found: common.View) -> None:
    """What is left of the start, and how many layers are absorbed."""
    recalibration, convs = found.look.bn_state, found.result.convs["absorbed"]
    with st.container(horizontal=True, gap="medium"):
        left = leftover.share_left(recalibration)
        if found.look.batchnorm:
            st.metric(
                "Left of the start, a",
                f"{left:.3f}",
                help="a = (1 − momentum)ᵇ: the share of the starting statistics that recalibration leaves; 0 under "
                "cumulative averaging, 1 without recalibration.",
                width="content",
            )
        st.metric(
            "Layers absorbed",
            f"{(convs == 'yes').sum()} of {len(convs)}",
            help="Layers whose every consumer is a BatchNorm: a factor and a shift on their channels vanish once it is "
            "re-estimated.",
            width="content",
        )
        if recalibration.averaging == "ema":
            b = recalibration.calib_batches
            st.caption(f"a = (1 − {recalibration.momentum:g}){superscript(b)} = {left:.4f} at b = {b}", width="content")


def superscript(number: int) -> str:
    """A whole number raised: 20 -> ²⁰."""
    return str(number).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))


def methods(gap: pd.DataFrame, number: int) -> None:
    """Method by method: what it changes, and whether a full re-estimation undoes it."""
    table = absorption.methods_table(gap)
    if table.empty:
        st.caption("No cumulative recalibration is stored for these methods, so none is said to be absorbed or not.")
        return
    shown = table.assign(top1_gap=100 * table["top1_gap"])
    st.dataframe(
        shown,
        hide_index=True,
        key=f"_methods_{number}",
        alt="Whether BatchNorm, fully re-estimated, absorbs each method: predicted and measured.",
        column_config={
            "label": "method",
            "logit_gap": st.column_config.NumberColumn("largest logit difference to BN only", format="%.3g"),
            "top1_gap": st.column_config.NumberColumn("top-1 minus BN only, points", format="%+.1f"),
        },
    )


def convs(found: common.View, key: str) -> None:
    """Which layers are absorbed, and why the others are not."""
    table = found.result.convs
    st.markdown(
        "; ".join(
            f"**{n}** {word}"
            for verdict, word in (("yes", "absorbed"), ("no", "not absorbed"), ("unknown", "unknown"))
            if (n := (table["absorbed"] == verdict).sum())
        )
        + "."
    )
    for reason, rows in table[table["absorbed"] != "yes"].groupby("reason", sort=False):
        why = reason or "stored before the graph was examined; compute again"
        st.caption(plain(f"{', '.join(rows['layer'])}: {why}"))
    st.dataframe(
        table[["layer", "absorbed", "reason", "out_channels", "kernel", "has_bias"]],
        hide_index=True,
        height=300,
        key=key,
        alt="Layers in execution order, whether BatchNorm absorbs a factor on their channels, and why.",
        column_config={"out_channels": "channels", "has_bias": st.column_config.CheckboxColumn("has a bias")},
    )


def about() -> None:
    """What is drawn here, and how to read it."""
    st.markdown(
        "A repair by factors and shifts replaces a layer's output y by g·y + c, channel by channel. Where every "
        "consumer is a BatchNorm that is then re-estimated, g and c cancel: **after full re-estimation all such "
        "repairs are the same network as BN only.** Masked least squares sets new weights, which do not cancel. An "
        "exponential average (ema) is not a full re-estimation: after b batches it still holds the share a of the "
        "statistics it started from."
    )
    st.latex(
        r"\hat\mu = a\,m_0 + (1-a)(g\mu + c) \qquad \hat v = a\,v_0 + (1-a)\,g^2 v \qquad a = (1-\mathrm{momentum})^b"
    )
    st.markdown(
        "So from reset (m₀ = 0, v₀ = 1), a repair (g, c) does exactly what no repair does when it starts from m₀ = "
        "−c/g, v₀ = 1/g²: a gap seen only there is about the left-over starting variance of 1, not about the repair "
        "rule. Absorption fails without recalibration (b = 0), for layers that feed anything but a BatchNorm, and "
        "where variances come near BatchNorm's eps."
    )


def recalibrated() -> None:
    """How far each method is from BN only, measured and predicted."""
    st.subheader("How far from BN only?", anchor=False)
    st.segmented_control(
        "Measured as",
        ("logit_gap", "top1_gap"),
        key=state.key("gap"),
        required=True,
        format_func={"logit_gap": "logits", "top1_gap": "top-1 accuracy"}.get,
        help="**logits**: largest absolute difference over 64 test images and all classes.\n\n"
        "**top-1 accuracy**: difference over all test images.",
    )
    st.caption(
        "Upper row: measured, each method against BN only in the same BatchNorm state. Lower row: predicted from "
        "stored factors, means and variances by the identity, no network run."
    )
    for number, gap in enumerate(charts.show(absorption.GAP, "gaps", how={"show": state.get("gap")}, **COMPARED)):
        methods(gap, number)


def agreeing() -> None:
    """What was predicted against what was measured."""
    st.subheader("Predicted against measured", anchor=False)
    st.caption(
        "One mark per method, way of recalibration and budget. The prediction treats each layer alone, as if its input "
        "were exact: it says which networks differ more, not by how many logits."
    )
    charts.show(absorption.AGREEMENT, "agreement", width=charts.HALF, **COMPARED)


def left_over() -> None:
    """How strong channels are predicted to leave BatchNorm."""
    st.subheader("Where is something left?", anchor=False)
    source = leftover.moments(view.result)[1]
    rough = {BN_ONLY: "BN only after recalibration", NO_REPAIR: "the pruned network, a rough guess"}
    origin = rough.get(source, f"{labels.label(source)}, its factors divided out")
    st.caption(
        "Predicted, for the chosen recalibration: how strong a layer's channels leave BatchNorm (median), 1 if it were "
        f"fully re-estimated. Means and variances: {plain(origin)}."
    )
    charts.show(signal.SIGNAL, "signal", width=charts.HALF, repairs=repairs_of, state=bn_state)


folded.expander("What am I looking at?", "_open_about", about)
for column, found in zip(st.columns(len(common.views())), common.views(), strict=True):
    with column:
        numbers(found)

undone = any(found.look.batchnorm for found in common.views())
if undone:
    recalibrated()
else:
    st.info(NEVER_UNDONE)

st.subheader("What is a repair worth where nothing absorbs it?", anchor=False)
st.caption("Each chosen repair against no repair, on the same test images, before anything is recalibrated.")
charts.show(unabsorbed.UNABSORBED, "unabsorbed", repairs=lambda found: found.repairs)

if undone:
    left, right = st.columns(2) if state.get("pin") is None else (st.container(), st.container())
    with left:
        agreeing()
    with right:
        left_over()

st.subheader("Which layers are absorbed", anchor=False)
for number, (column, found) in enumerate(zip(st.columns(len(common.views())), common.views(), strict=True)):
    with column:
        convs(found, f"_convs_{number}")
