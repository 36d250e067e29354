"""Calibration curves: accuracy against the number of batches or images."""

from dataclasses import replace

import streamlit as st

from asr_core.errors import AsrError
from asr_core.figures import budgets as equal
from asr_core.figures import curves
from asr_core.images import data
from asr_core.store import catalogue
from asr_core.studies import budgets
from pages._frame import charts, common, folded, state
from pages._frame.compute import compute_panel
from pages._frame.text import plain

view = common.view()


def others(found: common.View, *free: str) -> list[tuple[str, ...]]:
    """Keys of the stored settings that differ from the shown one in `free` fields only."""
    everything = common.stored()
    alike = dict.fromkeys(
        item.setting
        for item in everything
        if replace(item.setting, **{f: getattr(found.setting, f) for f in free}) == found.setting
        and item.setting != found.setting
    )
    return [tuple(item.key for item in catalogue.covering(everything, setting)) for setting in alike]


def about() -> None:
    """What is drawn here, and how to read it."""
    st.markdown(
        "Each line is one repair; x is what it costs in training images. At b = 0 BatchNorm keeps the dense network's statistics. With an ema, a share "
        "a = (1 − momentum)ᵇ of the starting statistics is still in BatchNorm after b batches (lower plot): from *reset* that is a variance of 1 that has nothing to do "
        "with the network, and a gap between methods that closes as a vanishes comes from there. Where BatchNorm follows every conv, cumulative averaging undoes any repair, "
        "so that its lines coincide. Dash: way of recalibration; open marks: without mean correction; a dot in the mark: sequential collection."
    )


folded.expander("How to read it", "_open_about", about)
with st.container(horizontal=True, vertical_alignment="bottom"):
    st.pills(
        "Recalibration",
        ("reset", "keep", "cumulative"),
        key="recal",
        selection_mode="multi",
        format_func=curves.WAYS.get,
        help="Ways to re-estimate BatchNorm; the momentum is the sidebar's.",
    )
    st.segmented_control(
        "x axis",
        ("batches", "images"),
        key="x",
        required=True,
        help="images: statistics images and recalibration images together, so that repairs without recalibration compare at equal budgets.",
    )
    st.toggle(
        "All stored seeds",
        key="seeds",
        help="Mean over seeds; the band is the least and largest value. Each seed is a dense network of its own.",
    )


def seeds(found: common.View) -> list[tuple[str, ...]]:
    """Keys of the stored settings that differ from the shown one in their seed, one per seed."""
    by_seed = {}
    for keys in others(found, "seed", "draw", "dense"):
        setting = next(item.setting for item in common.stored() if item.key == keys[0])
        if setting.seed != found.setting.seed:
            by_seed.setdefault(setting.seed, keys)
    return list(by_seed.values())


free = {"batches": [], "images": ["stats"]}[state.get("x")]
more = {}
for found in common.views():
    keys = others(found, *free) if free else []
    keys += seeds(found) if state.get("seeds") else []
    more[found.keys] = tuple(dict.fromkeys(keys))
with st.container():  # has its place also when empty, so that the chart stays where it is
    if state.get("seeds") and not seeds(view):
        st.caption("No other seed of this setting is stored; compute one by changing the seed in the sidebar.")

tables = charts.show(
    curves.CURVES,
    "curves",
    more=more,
    how={"x": state.get("x")},
    slugs=lambda found: found.slugs,
    ways=tuple(state.get("recal")),
    momentum=lambda found: found.look.momentum,
    x=state.get("x"),
)
if tables and (repeats := tables[-1].query("images > distinct_images and batches > 0"))["batches"].any():
    st.caption(
        f"The training split holds {int(repeats['distinct_images'].iloc[0])} images: from b = {int(repeats['batches'].min())} on, batches come from further shuffles of the same images."
    )
if state.get("x") == "batches":
    limits = curves.curves_limits(tables) if tables else {}
    charts.show(
        curves.DECAY,
        "decay",
        momentum=lambda found: found.look.momentum,
        how={k: limits[k] for k in ("left", "right") if k in limits},
    )

st.subheader("At equal budgets: repair the weights, or only BatchNorm?", anchor=False)
st.caption(
    "Both kinds of lines have seen the same number of training images: a repair without recalibration (b = 0) takes its factors from that many statistics images, and BN only "
    "re-estimates BatchNorm on as many, by cumulative averaging in batches of any size. All are of one dense network."
)
same = {found.keys: others(found, "stats", "calib") for found in common.views()}
charts.show(
    equal.EQUAL,
    "equal",
    more={keys: tuple(found) for keys, found in same.items()},
    how={"x": "images"},
    slugs=lambda found: found.slugs,
)


def offer_budgets() -> None:
    """Which budgets are not stored for the shown setting, and the compute panel for one of them."""
    wanted = view.look.repairs
    known = budgets.table(
        [view.result, *(common.opened(keys) for keys in same[view.keys])], [repair.slug for repair in wanted]
    )
    train, _ = data.counts(budgets.experiment(view.setting, (), 8).data, common.store())
    absent = budgets.absent(known, [repair.slug for repair in wanted], train)
    if not absent:
        return
    with st.expander(
        f"{len(absent)} of {len(budgets.IMAGES)} budgets are not stored for the chosen repairs",
        icon=":material/hourglass_empty:",
    ):
        count = st.selectbox(
            "Images",
            absent,
            key="_budget",
            width=140,
            help="Statistics images of the repairs, and images of the recalibration. Each budget is a job of its own.",
        )
        compute_panel(budgets.experiment(view.setting, wanted, count), common.store())


try:
    offer_budgets()
except AsrError as error:
    st.caption(f"What is missing for this comparison cannot be listed: {plain(error)}")
