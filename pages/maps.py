"""Spatial maps: one channel of one layer on test images, in every network; its numbers; its kernel."""

from dataclasses import replace
from typing import Any

import streamlit as st

from asr_core.errors import AsrError, DataError
from asr_core.figures import kernels, maps
from asr_core.jobs.jobs import Wanted
from asr_core.pipeline import maps as map_store
from asr_core.spec import labels
from asr_core.spec.recalibration import NO_STATE, NOTHING, BatchNormState
from asr_core.spec.repairs import DENSE, RepairSpec
from asr_core.store import results
from pages._frame import charts, common, folded, map_controls, state, stored_maps
from pages._frame.compute import compute_panel
from pages._frame.text import plain

SEEN: dict = {}  # of this run of the page

view = common.view()
if view.result.entry is None or view.result.channels.empty:
    st.info("Spatial maps need a finished result with its channels; this setting has none yet.")
    raise common.Ended
layer = common.layer_of(view)


def bn_state(found: common.View) -> BatchNormState:
    """The BatchNorm state that the maps are drawn in."""
    return found.look.bn_state if state.get("mapped") == "after" else NO_STATE


def alone(found: common.View) -> int | None:
    """The test image of which alone maps are shown, in each view of the same images."""
    return wanted(found).maps.image


def wanted(found: common.View) -> Wanted:
    """What must be stored for a view, and on which dense network: the result's, or another of its recipe here."""
    return _seen(found)[0]


def shown(found: common.View) -> map_store.Maps | None:
    """The stored maps of a view, or None."""
    return _seen(found)[1]


def _seen(found: common.View) -> tuple[Wanted, map_store.Maps | None]:
    """`wanted` and `shown`: looked up in the store once per view and run."""
    if (found.keys, found.look) not in SEEN:
        asked = _wanted(found)
        there = asked.dense_id and map_store.read(asked.experiment, common.store(), asked.dense_id, asked.maps)
        SEEN[found.keys, found.look] = asked, there or None
    return SEEN[found.keys, found.look]


def _wanted(found: common.View) -> Wanted:
    chosen, store = bn_state(found), common.store()
    experiment = maps.experiment_of(found.result, maps.shown_repairs(found.repairs, chosen))
    asked, own = map_store.MapSpec(layer=common.layer_in(found), state=chosen), found.dense_id
    if state.get("alone") and found.setting.data == view.setting.data:
        there = map_store.read(experiment, store, own, asked)
        if there is None or state.get("image") not in there.images:
            asked = replace(asked, image=state.get("image"))
    if results.has_weights(store, own) or map_store.read(experiment, store, own, asked):
        return Wanted(experiment, asked, own)
    return Wanted(experiment, asked, results.dense_here(store, experiment))


def shown_repairs(found: common.View) -> list[RepairSpec]:
    """The chosen repairs whose maps are stored."""
    there = shown(found)
    return [repair for repair in found.repairs if there and repair in there.of]


def other_dense(found: common.View) -> str | None:
    """The dense network that the maps are of, where it is not the result's own."""
    found_id = wanted(found).dense_id
    return found_id if found_id != found.dense_id else None


def select_image(point: dict) -> None:
    """From a tile to its image."""
    if "customdata" in point:
        state.put(image=int(point["customdata"][0]))


def offer_to_compute() -> None:
    """Which maps are not stored, what they cost, and the button; nothing if all are there."""
    asked, found = wanted(view), shown(view)
    if found is not None and not found.absent:
        return
    try:
        absent = [task.network for task in asked.tasks(common.store()) if task.stage == "maps"]
    except AsrError as error:
        which = "" if found is None else f" for {', '.join(map(labels.label, found.absent))}"
        st.info(plain(f"The output maps of {layer} are not stored{which}, and cannot be computed here: {error}"))
        return
    if not absent:
        return
    names = "any network" if DENSE in absent else ", ".join(map(labels.label, absent))
    with st.container(border=True):
        st.markdown(f"**The output maps of {plain(layer)} are not stored for {plain(names)}.**")
        if asked.dense_id is None:
            st.caption(
                "The weights of the dense network are not on this machine either: another one is trained by the same "
                "recipe, and the maps are of that one."
            )
        compute_panel(asked.experiment, common.store(), layer_maps=asked.maps, dense_id=asked.dense_id)


def inputs_there(found: common.View) -> str | None:
    """None if the input images can be drawn, else why not."""
    there = shown(found)
    if there is None:
        return None
    try:
        map_store.inputs(maps.experiment_of(found.result).data, common.store(), there.images[:1])
    except DataError as error:
        return str(error).replace("NAME", layer)
    return None


map_controls.alone_or_not()
channel, rank = map_controls.choose(view, layer)
there = shown(view)
missing_inputs = inputs_there(view)
map_controls.looks(view, there, there is not None and missing_inputs is None)


def about() -> None:
    """What is drawn here, and how to read it."""
    st.markdown(
        "Each row is a test image, each column a network: the output map of the chosen channel before BatchNorm, and "
        "at the right the same minus the dense map. A factor per channel can only stretch a map: where a difference "
        "keeps the form of the map, the wrong factor is to blame; where it has another form, the pruned weights or "
        "the layers before it have changed what the channel sees. Yellow is high, blue is low; in the differences "
        "red is above dense, blue below."
    )


folded.expander("What am I looking at?", "_open_about", about)
after = state.get("mapped") == "after"
when = f"After recalibration: {view.look.recalibration}." if after else "Before BatchNorm recalibration."
st.caption(when if view.look.batchnorm else NOTHING)
with st.container():  # has its place also when empty, so that the maps stay where they are
    if other := other_dense(view):
        st.warning(
            f"The weights of this result's dense network {view.dense_id[:8]} are not on this machine. The maps are of "
            f"{other[:8]}, trained here by the same recipe: numbers and tables belong to the former."
        )
    if there is None and alone(view) is None:
        stored_maps.offer(view, wanted(view))
    offer_to_compute()

if there is not None:
    if missing_inputs:
        st.caption(f"Without input images: {plain(missing_inputs)}")
    if there.fewer:
        st.caption(plain(there.fewer))
    what: dict[str, Any] = {
        "store": common.store(),
        "layer": common.layer_in,
        "channel": channel,
        "repairs": shown_repairs,
        "dense": other_dense,
        "state": bn_state,
        "alone": alone,
    }
    st.subheader("All images", anchor=False)
    charts.show(
        maps.MAPS,
        "maps",
        select=select_image,
        how={"scale": state.get("scale"), "overlay": state.get("overlay"), "inputs": missing_inputs is None},
        **what,
    )
    beside = state.get("pin") is None
    left, right = st.columns([3, 2]) if beside else (st.container(), st.container())
    width = round(0.6 * charts.WIDE) if beside else charts.WIDE
    with left:
        st.subheader("One image, every value", anchor=False)
        how = {"scale": state.get("scale")}
        charts.show(maps.PIXELS, "pixels", how=how, width=width, image=state.get("image"), **what)
else:
    right = st.container()

with right:
    st.subheader(f"Channel {channel} in numbers", anchor=False)
    map_controls.numbers(view, layer, channel, rank)

st.subheader("Its kernel before and after pruning", anchor=False)
charts.show(
    kernels.KERNEL,
    "kernel",
    store=common.store(),
    layer=common.layer_in,
    channel=channel,
    repairs=lambda found: found.repairs,
)
