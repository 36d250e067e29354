"""Controls and numbers of the page Spatial maps: layer and channel, how maps are drawn, one channel in numbers."""

import pandas as pd
import streamlit as st

from asr_core.figures import map_numbers, map_sheets
from asr_core.pipeline.maps import Maps
from pages._frame import channels, common, state, tables
from pages._frame.text import plain

RANKS = {
    "channel": "In order.",
    "damage": "|√(v_pruned / v_dense) − 1|, largest first.",
    "gain": "By how much the best chosen method brings √(v / v_dense) nearer to 1, largest first.",
    "disagreement": "Largest minus smallest √(v / v_dense) among the chosen methods, largest first.",
}
NAMES = {
    "label": "network",
    "variance": "variance",
    "ratio": "÷ dense",
    "recalibrated": "recalibrated",
    "gamma": "factor γ",
    "shrinkage": "shrinkage",
}


def choose(view: common.View, layer: str) -> tuple[int, pd.Series]:
    """The controls of layer and channel; returns the channel and its row of the ranking."""
    stage = "recalibrated" if state.get("mapped") == "after" and view.look.batchnorm else "repaired"
    ranking = map_numbers.ranking(view.result, layer, view.repairs, stage)
    order = map_numbers.ranked(ranking, state.get("ranked"))
    channel = common.channel_of(view, layer)
    if channel is None:
        channel = order[0]
        state.put(channel=channel)
    _chosen(view, order)
    st.caption(f"channel {channel}: rank {order.index(channel) + 1} of {len(order)}")
    return channel, ranking.set_index("channel").loc[channel]


def _chosen(view: common.View, order: list[int]) -> None:
    """Widgets of the layer, and of the channel in its ranking."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        channels.layer(view, 260)
        st.selectbox(
            "Rank channels by",
            list(RANKS),
            key=state.key("ranked"),
            width=170,
            help="\n\n".join(f"**{name}**: {words}" for name, words in RANKS.items()),
        )
        channels.choose(order, "In the order of the ranking.")


def alone_or_not() -> None:
    """Where one test image was picked on another page: its number, and the way back to one image of each class."""
    if not state.get("alone"):
        return
    if state.get("image") is None:
        state.put(alone=False)
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"Maps of **test image {state.get('image')}** alone.")
        st.button(
            "One image of each class",
            key="_all_images",
            icon=":material/grid_view:",
            on_click=state.put,
            kwargs={"alone": False, "image": None},
            help="Leaves the picked image.",
        )


def looks(view: common.View, there: Maps | None, images: bool) -> None:
    """How the maps are drawn."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.segmented_control(
            "Networks",
            ("before", "after"),
            key=state.key("mapped"),
            required=True,
            format_func=lambda v: f"{v} recalibration",
            disabled=not view.look.batchnorm,
            help="The layer's output as repaired, or after BatchNorm was re-estimated as chosen in the sidebar. Dense "
            "and pruned are never recalibrated.",
        )
        st.segmented_control(
            "Colour scale",
            list(map_sheets.SCALES),
            key=state.key("scale"),
            required=True,
            format_func=lambda v: {"row": "per row", "map": "per map"}.get(v, v),
            help="\n\n".join(map_sheets.SCALES.values()),
        )
        st.toggle(
            "Over the input image",
            key=state.key("overlay"),
            disabled=not images,
            help="Maps half transparent over the image that they answer to.",
        )
        if there is not None:
            _image(there)


def _image(there: Maps) -> None:
    """Which image is shown large."""
    state.keep_within("image", there.images, "This set of maps")
    st.selectbox(
        "Image",
        there.images,
        key=state.key("image"),
        width=140,
        help="The image shown large below, by its number among the test images; a click on a tile chooses it too.",
    )
    place = there.images.index(state.get("image"))
    st.caption(plain(f"{there.files[place].rsplit('/', 1)[-1]}, class {there.classes[place]}"), width="content")


def numbers(view: common.View, layer: str, channel: int, rank: pd.Series) -> None:
    """One channel in numbers."""
    channels = view.result.channels
    row = channels[channels["layer"].eq(layer) & channels["channel"].eq(channel)].iloc[0]
    kept = "Share of the weights of this output channel that pruning left."
    with st.container(horizontal=True, gap="medium"):
        for label, value, help in (
            ("Weights kept", f"{row['kept_fraction']:.1%}", kept),
            ("Their energy", f"{row['kept_energy']:.1%}", "Kept Σ w² / Σ w²."),
            ("Damage", f"{rank['damage']:.3f}", RANKS["damage"]),
            ("Gain", f"{rank['gain']:.3f}", RANKS["gain"]),
            ("Disagreement", f"{rank['disagreement']:.3g}", RANKS["disagreement"]),
        ):
            st.metric(label, value.replace("nan%", "undefined").replace("nan", "undefined"), help=help, width="content")
    table = map_numbers.numbers(view.result, layer, channel, view.repairs)
    tables.number_table(table, NAMES, f"Variances and factors of channel {channel} of {layer}.")
    if rank["dead"]:
        st.caption(
            "Dead: pruned, this channel answers with one constant to every image, so its variance is 0 and no factor "
            "can restore it."
        )
