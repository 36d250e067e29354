"""What stored rules show, in words and tables: which one wins, what each protects, the statement about projections."""

import pandas as pd
import streamlit as st

from asr_core.report.sentences import rules
from asr_core.spec import labels
from asr_core.spec.repairs import RepairSpec
from asr_core.store import Store
from asr_core.studies import densities, transition
from pages._frame.text import plain

KINDS = {"first": "first conv", "projection": "projections", "1x1": "other 1x1", "other": "other convs"}


def verdicts(store: Store, table: pd.DataFrame, repair: RepairSpec) -> None:
    """Which rule is ahead at each budget after `repair`, in words and as a table."""
    found = transition.verdict(store, table)
    words = rules.verdict(found, plain(labels.label(repair)))
    if found.empty:
        st.info(words)
        return
    st.dataframe(
        pd.DataFrame([rules.verdict_row(row) for row in found.itertuples()]),
        hide_index=True,
        alt="Which rule is highest at each sparsity, by how much, and what it is against the others.",
    )
    st.markdown(words)
    st.caption(transition.VERDICT_RULE)


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
        f"{rules.protection(table)}"
    )
