"""Severity: is a repair worth more where pruning did more damage? All stored settings at once."""

import pandas as pd
import streamlit as st

from asr_core.figures import severity
from asr_core.report.sentences.settings import why_none
from asr_core.spec.recalibration import BatchNormState
from asr_core.spec.repairs import BIASES
from asr_core.studies import severity as settings
from pages._frame import charts, common, folded, state

view = common.view()
groups = settings.groups(common.stored(), view.setting)


def open_setting(point: dict) -> None:
    """From a point to its setting."""
    key = point["customdata"][0]
    for item in common.stored():
        if item.key == key:
            common.adopt(item.setting, item.dense_id)
            state.go("overview", layer=None, channel=None)


def states() -> list[BatchNormState]:
    """The paper's budgets and the chosen one, in the chosen way of recalibration."""
    way = state.values(("start", "averaging", "momentum"))
    return [BatchNormState.of(**way, calib_batches=b) for b in sorted({10, 20, view.look.bn_state.calib_batches})]


def orders(found: common.View) -> tuple[str, ...]:
    """The orders of the chosen repairs."""
    chosen = dict.fromkeys(repair.order for repair in found.look.repairs if repair.order)
    return tuple(chosen or state.get("orders"))


def biases(found: common.View) -> tuple[bool, ...]:
    """The mean corrections of the chosen repairs."""
    chosen = dict.fromkeys(bool(repair.bias) for repair in found.look.repairs if repair.order)
    return tuple(chosen) or tuple(BIASES[name] for name in state.get("biases"))


def prior(found: common.View) -> str:
    """The prior of the chosen repairs that have one, or the usual one."""
    return next((repair.parameters["prior"] for repair in found.look.repairs if "prior" in repair.parameters), "median")


def interval(row, name: str) -> str:
    """'0.61 [0.12, 0.86]', or that it cannot be told."""
    value, low, high = row[name], row[f"{name}_low"], row[f"{name}_high"]
    return (
        why_none(row).removeprefix("no correlation is given for ")
        if pd.isna(value)
        else f"{value:.2f} [{low:.2f}, {high:.2f}]"
    )


def numbers() -> None:
    """Our correlations beside the paper's."""
    for order in orders(view):
        for bias in biases(view):
            chosen = state.get("gain"), order, bias, prior(view), states()
            table = severity.correlations(common.store(), groups, *chosen)
            rows = [
                {
                    "gain against": row["against"],
                    "b": str(row["b"]),
                    "settings": str(row["n"]),
                    "networks": str(row["networks"]),
                    "Pearson r": interval(row, "pearson"),
                    "Spearman ρ": interval(row, "spearman"),
                    "the paper's r": published(row["paper_pearson"]),
                    "the paper's ρ": published(row["paper_spearman"]),
                }
                for _, row in table.iterrows()
            ]
            st.caption(f"{order}, bias {'on' if bias else 'off'}")
            st.dataframe(
                pd.DataFrame(rows),
                hide_index=True,
                alt="Correlations of gain and damage with 95 % intervals, ours and the paper's.",
            )


def published(value: float) -> str:
    """A number of the paper, or a dash."""
    return "–" if pd.isna(value) else f"{value:.2f}"


def about() -> None:
    """What is drawn here, and how to read it."""
    st.markdown(
        "Each mark is one stored setting (network, dataset, pruning, seed): how much one method gains over another "
        "(y) against how badly pruning hurt the channel variances (x). The paper's figures 6 and 9 draw this for its "
        "36 settings. Vertical bars are 95 % intervals of the gain on the same test images (Bonett and Price). A ring "
        "marks the present setting. **Click a mark to open its setting.**"
    )
    st.caption(
        "Correlation intervals by resampling dense networks, since settings that share one are not independent; none "
        "is given for fewer than 5 networks or 8 distinct values. The paper does not define its severity; ours is "
        "mean |√(v_pruned / v_dense) − 1| over channels."
    )


folded.expander("What am I looking at?", "_open_about", about)
with st.container(horizontal=True, vertical_alignment="bottom"):
    st.segmented_control(
        "Gain of",
        list(severity.GAINS),
        key=state.key("gain"),
        required=True,
        format_func=severity.GAINS.get,
        help="Difference in top-1 accuracy at the chosen recalibration.",
    )
    st.segmented_control(
        "Against",
        list(severity.AGAINST),
        key=state.key("against"),
        required=True,
        help="\n\n".join(severity.AGAINST.values()),
    )

charts.show(
    severity.GAIN,
    "gains",
    select=open_setting,
    store=common.store(),
    groups=groups,
    gain=state.get("gain"),
    against=state.get("against"),
    orders=orders,
    biases=biases,
    prior=prior,
    state=lambda found: found.look.bn_state,
)

st.subheader("Correlation, ours and the paper's", anchor=False)
numbers()
st.caption(
    "The paper's numbers are those of its text (section 5.3 and appendix C.2): gain of ASR+BN over LW+BN against its "
    "severity, over its own settings, without intervals."
)
