"""What stored rules show, in words and tables: which one wins, what each protects, the statement about projections."""

import pandas as pd
import streamlit as st

from asr_core.spec import labels
from asr_core.spec.repairs import RepairSpec
from asr_core.store import Store
from asr_core.studies import densities, transition
from pages._frame.text import plain

KINDS = {"first": "first conv", "projection": "projections", "1x1": "other 1x1", "other": "other convs"}


def verdicts(store: Store, table: pd.DataFrame, repair: RepairSpec) -> None:
    """Which rule wins at each budget after `repair`, in words and as a table."""
    found = transition.verdict(store, table)
    if found.empty:
        st.info(
            "No sparsity is stored for two rules with this repair and recalibration, so there is no verdict. "
            "Compute another rule."
        )
        return
    st.dataframe(
        pd.DataFrame([told(row) for row in found.itertuples()]),
        hide_index=True,
        alt="Which rule wins at each sparsity, by how much, and whether that is within noise.",
    )
    clear = found[found["p"] < transition.LEVEL]
    names = ", ".join(f"{row.rule} at {100 * row.sparsity:.4g} %" for row in clear.itertuples())
    st.markdown(
        f"After {plain(labels.label(repair))}, the best rule stands out from the next one at "
        f"**{len(clear)} of {len(found)}** sparsities{': ' if names else ''}{names}."
    )
    st.caption(transition.VERDICT_RULE)


def told(row) -> dict:
    """One verdict as a reader wants it."""
    level = ", ".join(row.level) or "no other rule"
    noise = "not the same test images"
    if row.p == row.p:
        noise = f"{'clear' if row.p < transition.LEVEL else 'within noise'}, p = {row.p:.2g}"
    return {
        "sparsity": f"{100 * row.sparsity:.4g} %",
        "best rule": row.rule,
        "top-1": f"{row.top1:.2%}",
        "over the next": f"{100 * row.gain:+.2f} points ({row.second})",
        "that is": noise,
        "not told apart from the best": level,
        "rules": row.rules,
        "images": row.n_eval,
    }


def protection(table: pd.DataFrame) -> None:
    """Which layers each rule keeps dense, what they cost, and the statement about projections."""
    found = densities.protected(table)
    names = {"layers": "layers kept dense", **KINDS, "share": "share of all kept weights", "names": "which"}
    shown = found.assign(share=[f"{share:.1%}" for share in found["share"]])
    st.dataframe(
        shown[["rule", *names]].rename(columns=names),
        hide_index=True,
        alt="Layers that each rule keeps dense, by kind, and the share of the budget they take.",
    )
    st.markdown(
        "**“Capped ERK over-protects projection layers”** (the abstract of arXiv 2605.25508), checked here: "
        f"{claim(table)}"
    )


def claim(table: pd.DataFrame) -> str:
    """Whether ERK keeps more of the projections than every other stored rule, with the numbers."""
    answer, rows = densities.over_protects(table), densities.projections(table)
    if rows.empty:
        return "cannot be checked, since this network has no 1x1 projection on a shortcut."
    if answer is None:
        return "needs ERK and another rule stored at this sparsity."
    words = [f"{row.rule} {row.density:.1%} (for {row.share:.1%} of its budget)" for row in rows.itertuples()]
    meaning = (
        "ERK keeps a larger share of the projections' weights than every other rule here"
        if answer
        else "another rule here keeps as large a share of the projections' weights as ERK"
    )
    return (
        f"**{'true' if answer else 'false'}**: {meaning}. Kept of the 1x1 projections: {'; '.join(words)}. "
        "That it is too much does not follow from this; the accuracies below say what it cost."
    )
