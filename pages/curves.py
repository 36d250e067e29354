"""Calibration curves: accuracy against the number of batches or images."""

import pandas as pd
import streamlit as st

from asr_core.errors import AsrError
from asr_core.figures import budgets as equal
from asr_core.figures import curves, decay
from asr_core.images import data
from asr_core.spec.experiment import Setting
from asr_core.store import catalogue
from asr_core.studies import budgets
from pages._frame import charts, common, draws, folded, state
from pages._frame.compute import compute_panel
from pages._frame.text import plain

view = common.view()
SEEDS = ("seed", "draw")


def others(found: common.View, *free: str) -> list[tuple[str, ...]]:
    """Keys of the stored settings of the shown dense network that differ from the shown one in `free` fields only."""
    everything = [item for item in common.stored() if item.dense_id == found.dense_id]
    shown = fixed(found.setting, free)
    alike = dict.fromkeys(item.setting for item in everything if fixed(item.setting, free) == shown)
    alike.pop(found.setting, None)
    return [tuple(item.key for item in catalogue.covering(everything, setting)) for setting in alike]


def fixed(setting: Setting, free: tuple[str, ...]) -> dict:
    """The values of a setting but `free` ones."""
    return {name: value for name, value in setting.values().items() if name not in free}


def about() -> None:
    """What is drawn here, and how to read it."""
    st.markdown(
        "Each line is one repair; x is what it costs in training images. At b = 0 BatchNorm keeps the dense network's "
        "statistics. With an ema, a share a = (1 − momentum)ᵇ of the starting statistics is still in BatchNorm after b "
        "batches (lower plot): from *reset* that is a variance of 1 that has nothing to do with the network, and a gap "
        "between methods that is gone once a has vanished goes with it. Where BatchNorm follows every conv, cumulative "
        "averaging undoes all factors and shifts: lines of repairs that change nothing else coincide up to rounding "
        "(masked least squares sets new weights). Dash: way of recalibration; open marks: without mean correction; a "
        "dot in the mark: sequential collection."
    )


folded.expander("How to read it", "_open_about", about)
with st.container(horizontal=True, vertical_alignment="bottom"):
    st.pills(
        "Recalibration",
        ("reset", "keep", "cumulative"),
        key=state.key("recal"),
        selection_mode="multi",
        format_func=curves.WAYS.get,
        help="Ways to re-estimate BatchNorm; the momentum is the sidebar's.",
    )
    st.segmented_control(
        "x axis",
        ("batches", "images"),
        key=state.key("x"),
        required=True,
        help="images: statistics images and recalibration images together, so that repairs without recalibration "
        "compare at equal budgets.",
    )
    st.toggle(
        "All stored seeds",
        key=state.key("seeds"),
        help="Mean over seeds; the band is the least and largest value. Each seed is a dense network of its own.",
    )
    st.toggle(
        "All stored draws",
        key=state.key("draws"),
        help="Mean over calibration draws of the shown dense network; the band is the least and largest value. With "
        "both, the band is over draws of the shown seed.",
    )


def seeds(found: common.View) -> list[tuple[str, ...]]:
    """Keys of the stored settings that differ from the shown one in their training seed, one per seed; of its draw if
    there is one."""
    everything = common.stored()
    by_seed: dict[int, catalogue.Stored] = {}
    for free in (SEEDS[:1], SEEDS):  # the same draw, where it is stored
        shown = fixed(found.setting, free)
        for item in everything:
            if item.setting.dense.seed != found.setting.dense.seed and fixed(item.setting, free) == shown:
                by_seed.setdefault(item.setting.dense.seed, item)
    every = (catalogue.covering(everything, item.setting, item.dense_id) for item in by_seed.values())
    return [tuple(item.key for item in items) for items in every]


free = {"batches": [], "images": ["stat_images"]}[state.get("x")]
more = {}
for found in common.views():
    keys = others(found, *free) if free else []
    if state.get("draws"):
        keys += [(key,) for key in draws.keys(found) if key not in found.keys]
    elif state.get("seeds"):
        keys += seeds(found)
    more[found.keys] = tuple(dict.fromkeys(keys))
with st.container():  # has its place also when empty, so that the chart stays where it is
    if state.get("seeds") and not seeds(view):
        st.caption("No other seed of this setting is stored.")
    if state.get("draws") and draws.count(view) < 2:
        st.caption("No other calibration draw of this setting is stored: python -m asr_core run --draws 16 adds them.")


def offer_other_images(found: common.View) -> None:
    """The way to the shown setting on other test images, where it is stored on some: it may have other budgets."""
    free = ("eval_images", "subset")
    items, here = [item for item in common.stored() if item.dense_id == found.dense_id], fixed(found.setting, free)
    others = [item for item in items if item.setting != found.setting and fixed(item.setting, free) == here]
    if not others:
        return
    most = max(others, key=lambda item: item.rows)
    images = most.setting.evaluation.eval_images
    st.button(
        f"This setting is also stored on {f'{images:,}' if images else 'all'} test images: show it",
        key="_other_images",
        icon=":material/swap_horiz:",
        on_click=common.adopt,
        args=(most.setting, most.dense_id),
        help="Changes the test images in the sidebar.",
    )


drawn = charts.show(
    curves.CURVES,
    "curves",
    more=more,
    how={"x": state.get("x")},
    repairs=lambda found: found.repairs,
    ways=tuple(state.get("recal")),
    momentum=lambda found: found.look.momentum,
    x=state.get("x"),
)
if view.keys:
    offer_other_images(view)
if drawn and (repeats := drawn[-1].query("images > distinct_images and batches > 0"))["batches"].any():
    images, first = int(repeats["distinct_images"].iloc[0]), int(repeats["batches"].min())
    st.caption(
        f"The training split holds {images} images: from b = {first} on, batches come from further shuffles of the "
        "same images."
    )
if state.get("x") == "batches":
    limits = curves.curves_limits(drawn) if drawn else {}
    charts.show(
        decay.DECAY,
        "decay",
        momentum=lambda found: found.look.momentum,
        how={k: limits[k] for k in ("left", "right") if k in limits},
    )

st.subheader("At equal budgets: repair the weights, or only BatchNorm?", anchor=False)
st.caption(
    "Both kinds of lines have seen the same number of training images: a repair without recalibration (b = 0) takes "
    "its factors from that many statistics images, and BN only re-estimates BatchNorm on as many, by cumulative "
    "averaging in batches of any size. All are of one dense network."
)
same = {found.keys: others(found, "stat_images", "calib_batch_size") for found in common.views()}
charts.show(
    equal.EQUAL,
    "equal",
    more={keys: tuple(found) for keys, found in same.items()},
    how={"x": "images"},
    repairs=lambda found: found.repairs,
)


@st.cache_resource(max_entries=64, show_spinner=False)
def known_budgets(_wanted: tuple, _more: list, *key: str) -> pd.DataFrame:
    """Which budgets are stored for the shown setting: made once for all sessions that look at it."""
    return budgets.table([view.result, *(common.opened(keys) for keys in _more)], _wanted)


def offer_budgets() -> None:
    """Which budgets are not stored for the shown setting, and the compute panel for one of them."""
    wanted, more = view.look.repairs, same[view.keys]
    known = known_budgets(wanted, more, view.stamp, repr(wanted), repr(more))
    train, _ = data.counts(view.setting.data, common.store())
    absent = budgets.absent(known, wanted, train)
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
    if view.look.batchnorm:
        offer_budgets()
except AsrError as error:
    st.caption(f"What is missing for this comparison cannot be listed: {plain(error)}")
