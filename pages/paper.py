"""The paper's tables and figures beside the stored results; what differs in protocol, and which one is the paper's."""

import pandas as pd
import streamlit as st

from asr_core.errors import AsrError
from asr_core.report import fidelitytext, papertext
from asr_core.report.words import described
from asr_core.studies import card as protocol_card
from asr_core.studies import fidelity, protocol, reproduction
from asr_core.studies.cells import BIASES, DATASETS, Cell, Variant, dataset_label
from pages._frame import common, state
from pages._frame import paper_figures as figures
from pages._frame import paper_tables as printed
from pages._frame.compute import compute_panel
from pages._frame.text import plain, problem

PARTS = {
    "table1": "Table 1",
    "tables": "Tables 2 and 3",
    "figures": "Figures 3 to 12",
    "protocol": "What differs",
    "fidelity": "Which protocol?",
}
COUNTED = (
    "In brackets what is more than noise: here by McNemar's test on the same images, corrected by Holm for all "
    "cells and pairs; in the paper gaps of more than 1.6 points, by which its own tables differ. Where cumulative "
    "averaging absorbs the repairs, cells are ties up to rounding, but where variances come near BatchNorm's eps."
)
MOST = "most"  # the mean correction under which most numbers are stored
NARROW = 55  # pixels of a number's column, so that a window 1280 pixels wide holds table 1


def variant() -> Variant:
    """What the paper leaves open, as page and sidebar choose it."""
    chosen = Variant(
        order=state.get("order2"),
        bias=BIASES.get(state.get("bias2")),
        include_linear=state.get("include_linear"),
        **state.values(("start", "averaging", "momentum", "calib_batches")),
    )
    return printed.made(reproduction.fullest, chosen) if state.get("bias2") == MOST else chosen


def choices() -> None:
    """What the paper leaves open, beside the sidebar's recalibration."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.segmented_control(
            "Order of collection",
            ("simultaneous", "sequential"),
            key=state.key("order2"),
            required=True,
            help="The paper does not state it.",
        )
        st.segmented_control(
            "Mean correction",
            [MOST, *BIASES],
            key=state.key("bias2"),
            required=True,
            format_func={MOST: "as most are stored", "own": "as in table 2", "off": "off", "on": "on"}.get,
            help="As most are stored: the one of the others under which most numbers of table 1 are stored, of equally "
            "many as in table 2. As in table 2: LW without, ASR with. Otherwise all methods alike.",
        )
    st.caption(f"Shown: {described(variant())}. Recalibration and pruned tensors are chosen in the sidebar.")


def table1() -> None:
    """Table 1, who is ahead, and the cells that are missing."""
    choices()
    dataset = st.segmented_control(
        "Dataset", list(DATASETS), key=state.key("paper_data"), required=True, format_func=dataset_label
    )
    table = printed.made(reproduction.table1, variant())
    shown = printed.grid(table[table["dataset"] == dataset])
    sides = {
        number: st.column_config.TextColumn(alignment="right", width=NARROW) for number in range(3, shown.shape[1] + 1)
    }  # the hidden index counts too
    st.dataframe(
        shown,
        hide_index=True,
        width="stretch",
        height="content",
        alt="Table 1: top-1 % in the paper and here.",
        column_config=sides,
    )
    found = table.dropna(subset="top1")
    several = (found["repeats"] > 1).any()
    spread = "; a single seed is stored of each network, so their spread is not known"
    noise = "our 95 % Wilson interval, the paper's own 1.6 points" + (
        " and the spread of the stored seeds" if several else spread
    )
    networks = plain("; ".join(found["network"].unique())) or "none yet"
    st.caption(
        "Top-1 %; Δ is here minus the paper, in points. ▲: the difference is larger than noise, as far as it is known: "
        f"{noise}. –: not stored. Networks here: {networks}."
    )
    st.subheader("Who is ahead in how many cells", anchor=False)
    st.dataframe(
        printed.counted(printed.made(reproduction.counts, variant())),
        hide_index=True,
        alt="Cells in which one method is ahead of another, in the paper and here.",
    )
    st.caption(COUNTED)
    absent()


def absent() -> None:
    """What the missing cells cost, and a button for the one that is picked."""
    as_paper = state.get("made") == "paper"
    missing = printed.made(reproduction.missing, variant(), as_paper)
    if missing.empty:
        return
    st.subheader("Cells that are not stored", anchor=False)
    st.segmented_control(
        "Made",
        ("stored", "paper"),
        key=state.key("made"),
        required=True,
        format_func={"stored": "as the stored networks are", "paper": "by the paper's protocol"}.get,
        help="By the paper's protocol: ImageNet weights, 224 pixels, last block and head tuned for five epochs. It "
        "downloads weights and images, and wants a GPU.",
    )
    labels = {cell.label: cell for cell in missing["cell"]}
    with st.expander(f"What each of the {len(missing)} costs"):
        st.dataframe(printed.costs(missing), hide_index=True, alt="Image passes and time of each missing cell.")
        st.caption(
            "Training of the dense network is counted where it is not stored; cells of one network share it. Times "
            "are given once this machine's speed for that network is known."
        )
    picked = st.selectbox(
        "Compute a cell",
        list(labels),
        index=None,
        key="_cell",
        placeholder="none chosen",
        width=360,
        help="Shows its time on this machine and a button.",
    )
    if picked:
        compute(labels[picked], as_paper)


def compute(cell: Cell, as_paper: bool) -> None:
    """The button for one cell, and the command that does the same by the paper's protocol."""
    try:
        wanted = protocol.experiment(
            reproduction.setting_of(cell, common.store(), common.stored(), as_paper), variant()
        )
    except AsrError as error:
        problem(error)
        return
    compute_panel(wanted, common.store())
    if as_paper:
        st.code(protocol.command(cell), language="bash")


def tables() -> None:
    """Tables 2 and 3, and where the paper's tables differ from each other."""
    choices()
    st.subheader(f"Table 2: {reproduction.ABLATED.label}", anchor=False)
    table = printed.made(reproduction.table2, variant())
    rows = [(row.row, *printed.beside(row)) for row in table.itertuples()]
    st.dataframe(
        pd.DataFrame(rows, columns=["method", "paper", "here", "Δ"]),
        hide_index=True,
        alt="Table 2: top-1 % in the paper and here.",
    )
    if table["top1"].isna().all():
        st.caption("This network is not stored. The page Ablation draws these rows for the setting in the sidebar.")
    st.subheader("Table 3: BN only against the recalibration step", anchor=False)
    st.dataframe(
        printed.steps(printed.made(reproduction.table3, variant())),
        hide_index=True,
        height="content",
        alt="Table 3: BN only, median and range over settings, in the paper and here.",
    )
    st.subheader("Where the paper's own tables differ", anchor=False)
    st.markdown(papertext.conflicts("github"))
    st.caption(
        "Tables 1 and 2 hold the same setting twice, so one run's noise is at least their difference. What table 3 "
        "prints as “min” is larger than numbers of table 1: it is the 2.5 % quantile of the settings, as figure 7 "
        "has it. Ours above is therefore a quantile too."
    )


def differing() -> None:
    """The protocol card."""
    setting, label = papertext.card_of(common.stored(), variant())
    stored = bool(protocol.matches(common.stored(), variant().include_linear))
    card = protocol_card.card(setting, label, variant())
    st.dataframe(
        card.rename(columns={"here": "here, as stored" if stored else "here, by the paper's protocol"}),
        hide_index=True,
        width="stretch",
        height="content",
        alt="Aspects of the protocol, in the paper and here.",
    )
    st.caption(
        "Words in “ ” are the paper's. The full protocol is one command; it needs network and, to end in reasonable "
        "time, a GPU:"
    )
    st.code(protocol.command(reproduction.ABLATED), language="bash")


def which() -> None:
    """The study of what the paper leaves open."""
    st.markdown(fidelitytext.METHOD)
    with st.spinner("Comparing all protocols with table 1 …"):
        study, store = printed.made(fidelity.study), common.store()
    st.markdown(fidelitytext.conclusion(study))
    if len(study):
        rows = fidelitytext.study_rows(study)
        st.dataframe(
            rows.rename(columns=fidelitytext.HEADERS),
            hide_index=True,
            height="content",
            alt="Protocols, how many pairs of methods each tells apart, and how the paper orders them.",
            column_config={"images for the open": st.column_config.NumberColumn(format="%,.0f")},
        )
    ratios = fidelity.ratios(store, common.stored())
    if len(ratios):
        st.subheader("Overshoot of LW at 90 %", anchor=False)
        st.markdown(fidelitytext.RATIOS)
        st.markdown(fidelitytext.ratios_table(ratios))
    st.markdown(fidelitytext.DEFAULTS)
    st.caption(
        f"The same for the results that come with the project is docs/fidelity.md, written by `{fidelitytext.COMMAND}`."
    )


st.segmented_control(
    "Part", list(PARTS), key=state.key("part"), required=True, format_func=PARTS.get, label_visibility="collapsed"
)
if state.get("part") == "figures":
    choices()
    figures.draw(variant())
else:
    {"table1": table1, "tables": tables, "protocol": differing, "fidelity": which}[state.get("part")]()
