"""Which images pay: lost by pruning, regained by one repair or by all, newly wrong; by class; and the images."""

from typing import Any

import pandas as pd
import streamlit as st

from asr_core.figures import NothingToDraw, answered_images, classes, paying
from asr_core.report.words import listed, number, points
from asr_core.spec.repairs import RepairSpec
from asr_core.studies.paying import GROUPS
from pages._frame import charts, common, folded, picked, state
from pages._frame.rows import picked_row
from pages._frame.text import plain

view = common.view()
what: dict[str, Any] = {
    "repairs": lambda found: found.look.repairs,
    "state": lambda found: found.look.bn_state,
}
PICKED = {
    "alone": "regained by it alone",
    "regained": "regained by it",
    "all": "regained by all",
    "none": "regained by none",
    "broken": "newly wrong",
    "found": "newly right",
}


def about() -> None:
    """What is drawn here, and how to read it."""
    st.markdown(
        "An accuracy says how many images are right, not which. Here each test image is followed through the dense, "
        "the pruned and every repaired network. **Lost**: right when dense, wrong when pruned. **Regained**: lost, and "
        "right again after a repair; *alone* if no other chosen repair has it. **Newly wrong**: right when dense and "
        "pruned, wrong after the repair. Two repairs of equal accuracy can pay with different images. Which images are "
        "regained *alone* depends on the repairs that are chosen in the sidebar."
    )


def pairs() -> None:
    """Every pair on the same images, with its test."""
    try:
        found = paying.pairs(view.result, view.look.repairs, view.look.bn_state)
    except NothingToDraw as reason:
        st.info(plain(reason))
        return
    rows = [
        {
            "first": row.first_label,
            "second": row.second_label,
            "only the first right": int(row.only_first),
            "only the second right": int(row.only_second),
            "difference, points": f"{points(row.gain)} [{points(row.low)}, {points(row.high)}]",
            "p (Holm)": f"{row.p:.2g}",
            "the first is": row.word,
        }
        for row in found.itertuples()
    ]
    st.dataframe(pd.DataFrame(rows), hide_index=True, alt="Pairs of networks on the same images, with McNemar's test.")


def by_class(repair: RepairSpec) -> None:
    """Recall of each class, and confusions."""
    st.subheader("Class by class", anchor=False)
    told = what | {"store": common.store(), "repair": repair}
    charts.show(classes.RECALLS, "recalls", **told)
    st.subheader("What is answered instead", anchor=False)
    charts.show(classes.CONFUSIONS, "confusions", **told)


def open_image() -> None:
    """From a row to the spatial maps of its image."""
    if shown is None or (row := picked_row("paying_images", len(shown))) is None:
        return
    if (image := int(shown["image"].iloc[row])) >= 0:
        state.go("maps", image=image, alone=True)


def pictures(repair: RepairSpec) -> pd.DataFrame | None:
    """The images of the chosen group."""
    st.segmented_control(
        "Images that are",
        list(PICKED),
        key=state.key("group"),
        required=True,
        format_func=PICKED.get,
        help="\n\n".join(f"**{PICKED[name]}**: {words}" for name, words in GROUPS.items()),
    )
    group = state.get("group")
    try:
        found = answered_images.listed(
            view.result, common.store(), view.look.repairs, view.look.bn_state, repair, group
        )
    except NothingToDraw as reason:
        st.info(plain(reason))
        return None
    table, count = found.table, found.found
    if not count:
        st.info(f"No test image is {GROUPS[group]}.")
        return None
    total = int(view.result.accuracy["n_eval"].max())
    few = f"; {len(table)} of them are listed, evenly over all" if len(table) < count else ""
    st.markdown(f"{count:,} of {total:,} test images ({number(count / total)} %) are {GROUPS[group]}{few}.")
    if found.why:
        st.caption(f"Without pictures: {plain(found.why)}")
    if found.unsure:
        st.caption(f"Confidence in single images is not stored for {plain(listed(found.unsure))}; bins of it are.")
    return table


folded.expander("What am I looking at?", "_open_about", about)
st.subheader("Lost, regained, newly wrong", anchor=False)
drawn = charts.show(paying.PAYING, "paying", **what)
if drawn:
    folded.expander("All pairs, tested", "_open_pairs", pairs, icon=":material/table_rows:")
    repair = picked.choose(view.repairs, "fix", "Repair", "The repair that is looked at in all that follows.")
    by_class(repair)
    st.subheader("The images", anchor=False)
    shown = pictures(repair)
    if shown is not None:
        st.caption("Select a row to see the spatial maps of its image.")
        st.dataframe(
            shown,
            key="paying_images",
            on_select=open_image,
            selection_mode="single-row",
            hide_index=True,
            row_height=56 if "picture" in shown else None,
            height="auto",
            alt="Test images of the group, with their class and each network's answer.",
            column_config={
                "picture": st.column_config.ImageColumn("picture"),
                "image": st.column_config.NumberColumn("test image", help="Its number in the test split."),
            },
        )
