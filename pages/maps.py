"""Spatial maps: one channel of one layer on test images, in every network; its numbers; its kernel."""

import streamlit as st

from asr_core.errors import AsrError, DataError
from asr_core.figures import kernels, map_difference, map_numbers, map_pixels, maps, style
from asr_core.jobs.jobs import Wanted
from asr_core.pipeline import maps as stored_maps
from asr_core.store import results
from pages._frame import charts, common, folded, state, stored_maps, tables
from pages._frame.compute import compute_panel
from pages._frame.text import plain

RANKS = {
    "channel": "In order.",
    "damage": "|√(v_pruned / v_dense) − 1|, largest first.",
    "gain": "By how much the best chosen method brings √(v / v_dense) nearer to 1, largest first.",
    "disagreement": "Largest minus smallest √(v / v_dense) among the chosen methods, largest first.",
}

SEEN: dict = {}  # of this run of the page

view = common.view()
if view.result.entry is None or view.result.channels.empty:
    st.info("Spatial maps need a finished result with its channels; this setting has none yet.")
    raise common.Ended
layer = common.layer_of(view)


def recalibration(found: common.View) -> dict:
    """The BatchNorm state that the maps are drawn in."""
    if state.get("mapped") == "before":
        return {"b": 0}
    seen = found.look
    return {"start": seen.start, "averaging": seen.averaging, "momentum": seen.momentum, "b": seen.b}


def wanted(found: common.View) -> Wanted:
    """What must be stored for a view, and on which dense network: the result's, or another of its recipe that is here."""
    return _seen(found)[0]


def shown(found: common.View) -> stored_maps.Maps | None:
    """The stored maps of a view, or None."""
    return _seen(found)[1]


def _seen(found: common.View) -> tuple[Wanted, stored_maps.Maps | None]:
    """`wanted` and `shown`: looked up in the store once per view and run."""
    if (found.keys, found.look) not in SEEN:
        asked = _wanted(found)
        there = asked.dense_id and stored_maps.read(asked.experiment, common.store(), asked.dense_id, asked.maps)
        SEEN[found.keys, found.look] = asked, there or None
    return SEEN[found.keys, found.look]


def _wanted(found: common.View) -> Wanted:
    chosen = recalibration(found)
    experiment = maps.experiment_of(found.result, maps.shown_slugs(found.slugs, chosen["b"]))
    asked = maps.wanted_of(common.layer_in(found), **chosen)
    own, store = found.result.setting["dense_id"], common.store()
    if stored_maps.has_weights(store, own) or stored_maps.read(experiment, store, own, asked):
        return Wanted(experiment, asked, own)
    return Wanted(experiment, asked, results.dense_here(store, experiment))


def shown_slugs(found: common.View) -> list[str]:
    """The chosen repairs whose maps are stored."""
    there = shown(found)
    return [slug for slug in found.slugs if there and slug in there.of]


def other_dense(found: common.View) -> str | None:
    """The dense network that the maps are of, where it is not the result's own."""
    found_id = wanted(found).dense_id
    return found_id if found_id != found.result.setting["dense_id"] else None


def step(order: list[int], by: int) -> None:
    """To the next channel of the ranking."""
    place = order.index(state.get("channel")) if state.get("channel") in order else 0
    state.put(channel=order[(place + by) % len(order)])


def layer_changed() -> None:
    """A channel of another layer means nothing here."""
    state.put(channel=None)


def select_image(point: dict) -> None:
    """From a tile to its image."""
    if "customdata" in point:
        state.put(image=int(point["customdata"][0]))


def choose() -> tuple[int, object]:
    """The controls; returns the channel and the ranking."""
    stage = "recalibrated" if state.get("mapped") == "after" else "repaired"
    ranking = map_numbers.ranking(view.result, layer, view.slugs, stage)
    order = map_numbers.ranked(ranking, state.get("ranked"))
    channel = common.channel_of(view, layer)
    if channel is None:
        channel = order[0]
        state.put(channel=channel)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.selectbox(
            "Layer",
            view.layers,
            key="layer",
            on_change=layer_changed,
            width=260,
            help="Conv layers in execution order.",
        )
        st.selectbox(
            "Rank channels by",
            list(RANKS),
            key="ranked",
            width=170,
            help="\n\n".join(f"**{name}**: {words}" for name, words in RANKS.items()),
        )
        st.button(
            "Previous",
            icon=":material/chevron_left:",
            key="_previous",
            on_click=step,
            args=(order, -1),
            shortcut="P",
            help="The channel before this one in the ranking.",
        )
        st.selectbox(
            "Channel",
            order,
            key="channel",
            width=170,
            help="In the order of the ranking.",
        )
        st.button(
            "Next",
            icon=":material/chevron_right:",
            key="_next",
            on_click=step,
            args=(order, 1),
            shortcut="N",
            help="The next channel of the ranking.",
        )
    st.caption(f"channel {channel}: rank {order.index(channel) + 1} of {len(order)}")
    return channel, ranking.set_index("channel").loc[channel]


def looks(there: stored_maps.Maps | None, images: bool) -> None:
    """How the maps are drawn."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.segmented_control(
            "Networks",
            ("before", "after"),
            key="mapped",
            required=True,
            format_func=lambda v: f"{v} recalibration",
            help="The conv's output as repaired, or after BatchNorm was re-estimated as chosen in the sidebar. Dense and pruned are never recalibrated.",
        )
        st.segmented_control(
            "Colour scale",
            list(maps.SCALES),
            key="scale",
            required=True,
            format_func=lambda v: {"row": "per row", "map": "per map"}.get(v, v),
            help="\n\n".join(maps.SCALES.values()),
        )
        st.toggle(
            "Over the input image",
            key="overlay",
            disabled=not images,
            help="Maps half transparent over the image that they answer to.",
        )
        if there is not None:
            state.keep_within("image", there.images, "This set of maps")
            st.selectbox(
                "Image",
                there.images,
                key="image",
                width=140,
                help="The image shown large below, by its number among the test images; a click on a tile chooses it too.",
            )
            place = there.images.index(state.get("image"))
            st.caption(f"{there.files[place].rsplit('/', 1)[-1]}, class {there.classes[place]}", width="content")


def offer_to_compute() -> None:
    """Which maps are not stored, what they cost, and the button; nothing if all are there."""
    asked, found = wanted(view), shown(view)
    if found is not None and not found.absent:
        return
    try:
        absent = [task.target for task in asked.tasks(common.store()) if task.stage == "maps"]
    except AsrError as error:
        which = "" if found is None else f" for {', '.join(style.label(target) for target in found.absent)}"
        st.info(plain(f"The output maps of {layer} are not stored{which}, and cannot be computed here: {error}"))
        return
    if not absent:
        return
    names = "any network" if "dense" in absent else ", ".join(style.label(target) for target in absent)
    with st.container(border=True):
        st.markdown(f"**The output maps of {plain(layer)} are not stored for {plain(names)}.**")
        if asked.dense_id is None:
            st.caption(
                "The weights of the dense network are not on this machine either: another one is trained by the same recipe, and the maps are of that one."
            )
        compute_panel(asked.experiment, common.store(), layer_maps=asked.maps, dense_id=asked.dense_id)


def inputs_there(found: common.View) -> str | None:
    """None if the input images can be drawn, else why not."""
    there = shown(found)
    if there is None:
        return None
    try:
        stored_maps.inputs(maps.experiment_of(found.result).data, common.store(), there.images[:1])
    except DataError as error:
        return str(error).replace("NAME", layer)
    return None


def numbers(channel: int, rank) -> None:
    """One channel in numbers."""
    row = view.result.channels.query("layer == @layer and channel == @channel").iloc[0]
    with st.container(horizontal=True, gap="medium"):
        for label, value, help in (
            (
                "Weights kept",
                f"{row['kept_fraction']:.1%}",
                "Share of the weights of this output channel that pruning left.",
            ),
            ("Their energy", f"{row['kept_energy']:.1%}", "Kept Σ w² / Σ w²."),
            ("Damage", f"{rank['damage']:.3f}", RANKS["damage"]),
            ("Gain", f"{rank['gain']:.3f}", RANKS["gain"]),
            ("Disagreement", f"{rank['disagreement']:.3g}", RANKS["disagreement"]),
        ):
            st.metric(label, value.replace("nan%", "undefined").replace("nan", "undefined"), help=help, width="content")
    table = map_numbers.numbers(view.result, layer, channel, view.slugs)
    names = {
        "network": "network",
        "variance": "variance",
        "ratio": "÷ dense",
        "recalibrated": "recalibrated",
        "gamma": "factor γ",
        "shrinkage": "shrinkage",
    }
    tables.number_table(table, names, f"Variances and factors of channel {channel} of {layer}.")
    if rank["dead"]:
        st.caption(
            "Dead: pruned, this channel answers with one constant to every image, so its variance is 0 and no factor can restore it."
        )


channel, rank = choose()
there = shown(view)
missing_inputs = inputs_there(view)
looks(there, there is not None and missing_inputs is None)


def about() -> None:
    """What is drawn here, and how to read it."""
    st.markdown(
        "Each row is a test image, each column a network: the output map of the chosen channel before BatchNorm, and at the right the same minus the dense map. "
        "A factor per channel can only stretch a map: where a difference keeps the form of the map, the wrong factor is to blame; where it has another form, "
        "the pruned weights or the layers before it have changed what the channel sees. Yellow is high, blue is low; in the differences red is above dense, blue below."
    )


folded.expander("What am I looking at?", "_open_about", about)
st.caption(
    f"After recalibration: {view.look.recalibration}."
    if state.get("mapped") == "after"
    else "Before BatchNorm recalibration."
)
with st.container():  # has its place also when empty, so that the maps stay where they are
    if other := other_dense(view):
        st.warning(
            f"The weights of this result's dense network {view.result.setting['dense_id'][:8]} are not on this machine. The maps are of {other[:8]}, trained here by the same recipe: numbers and tables belong to the former."
        )
    if there is None:
        stored_maps.offer(view, wanted(view))
    offer_to_compute()

if there is not None:
    if missing_inputs:
        st.caption(f"Without input images: {plain(missing_inputs)}")
    if there.fewer:
        st.caption(plain(there.fewer))
    what = {
        "layer": common.layer_in,
        "channel": channel,
        "slugs": shown_slugs,
        "dense": other_dense,
        **recalibration(view),
    }
    st.subheader("All images", anchor=False)
    charts.show(
        map_difference.MAPS,
        "maps",
        select=select_image,
        how={"scale": state.get("scale"), "overlay": state.get("overlay"), "inputs": missing_inputs is None},
        **what,
    )
    left, right = st.columns([3, 2]) if state.get("pin") is None else (st.container(), st.container())
    with left:
        st.subheader("One image, every value", anchor=False)
        charts.show(map_pixels.PIXELS, "pixels", how={"scale": state.get("scale")}, image=state.get("image"), **what)
else:
    right = st.container()

with right:
    st.subheader(f"Channel {channel} in numbers", anchor=False)
    numbers(channel, rank)

st.subheader("Its kernel before and after pruning", anchor=False)
charts.show(
    kernels.KERNEL,
    "kernel",
    layer=common.layer_in,
    channel=channel,
    slugs=lambda found: [s for s in found.slugs if s in set(found.result.repairs["slug"])],
)
