"""Severity: is a repair worth more where pruning did more damage? All stored settings at once."""

import pandas as pd
import streamlit as st

from asr_core.figures import severity
from asr_core.spec.grid import BatchNormState
from asr_core.studies import severity as settings
from pages._frame import charts, common, folded, state

view = common.view()
groups = settings.groups(common.stored(), view.setting)


def open_setting(point: dict) -> None:
    """From a point to its setting."""
    key = point["customdata"][0]
    for item in common.stored():
        if item.key == key:
            common.adopt(item)
            state.go("overview", layer=None, channel=None)


def look(name: str):
    """That field of a view's look."""
    return lambda found: getattr(found.look, name)


def states() -> list[BatchNormState]:
    """The paper's budgets and the chosen one, in the chosen way of recalibration."""
    seen = view.look
    return [BatchNormState.of(seen.start, seen.averaging, seen.momentum, b) for b in sorted({10, 20, seen.b})]


def interval(row, name: str) -> str:
    """'0.61 [0.12, 0.86]', or that it cannot be told."""
    value, low, high = row[name], row[f"{name}_low"], row[f"{name}_high"]
    return "cannot be told" if pd.isna(value) else f"{value:.2f} [{low:.2f}, {high:.2f}]"


def numbers() -> None:
    """Our correlations beside the paper's."""
    seen = view.look
    for order in seen.orders:
        for bias in seen.biases:
            table = severity.correlations(groups, state.get("gain"), order, common.BIASES[bias], seen.prior, states())
            rows = [
                {
                    "gain against": row["against"],
                    "b": str(row["b"]),
                    "settings": str(row["n"]),
                    "Pearson r": interval(row, "pearson"),
                    "Spearman ρ": interval(row, "spearman"),
                    "the paper's r": published(row["paper_pearson"]),
                    "the paper's ρ": published(row["paper_spearman"]),
                }
                for _, row in table.iterrows()
            ]
            st.caption(f"{order}, bias {bias}")
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
        "Each mark is one stored setting (network, dataset, pruning, seed): how much one method gains over another (y) against how badly pruning hurt the channel "
        "variances (x). The paper's figures 6 and 9 draw this for its 36 settings. Vertical bars are 95 % intervals of the gain (Newcombe, from both Wilson "
        "intervals). A ring marks the present setting. **Click a mark to open its setting.**"
    )
    st.caption(
        "Correlation intervals by Fisher's z. Settings that share a network are not independent, so the intervals are narrower than they should be. The paper does not define its severity; ours is mean |√(v_pruned / v_dense) − 1| over channels."
    )


folded.expander("What am I looking at?", "_open_about", about)
with st.container(horizontal=True, vertical_alignment="bottom"):
    st.segmented_control(
        "Gain of",
        list(severity.GAINS),
        key="gain",
        required=True,
        format_func=severity.GAINS.get,
        help="Difference in top-1 accuracy at the chosen recalibration.",
    )
    st.segmented_control(
        "Against", list(severity.AGAINST), key="against", required=True, help="\n\n".join(severity.AGAINST.values())
    )

charts.show(
    severity.GAIN,
    "gains",
    select=open_setting,
    groups=groups,
    gain=state.get("gain"),
    against=state.get("against"),
    biases=lambda found: tuple(common.BIASES[bias] for bias in found.look.biases),
    **{name: look(name) for name in ("orders", "prior", "start", "averaging", "momentum", "b")},
)

st.subheader("Correlation, ours and the paper's", anchor=False)
numbers()
st.caption(
    "The paper's numbers are those of its text (section 5.3 and appendix C.2): gain of ASR+BN over LW+BN against its severity, over its own settings, without intervals."
)
