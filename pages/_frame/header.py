"""Above every page: title, breadcrumb, pin, link; messages about the address; what is missing."""

import streamlit as st

from asr_core.errors import AsrError
from asr_core.store import catalogue
from pages._frame import common, folded, state
from pages._frame.text import plain

MOST_WORDS = 2  # differences that are named on a button


def draw(title: str, found: common.View | None, quiet: bool = False) -> None:
    """The head of a page that shows `found`; of a quiet one, its title alone."""
    st.session_state["_messages"] = st.container()
    if quiet:
        st.title(title, anchor=False)
        _left_out()
        return
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.title(title, anchor=False, width="content")
        with st.container(horizontal=True, horizontal_alignment="right", width="content"):
            _pin(found)
            _share(title)
    _left_out()
    if found is None:
        _absent()
        return
    _crumbs(found)
    with (
        st.container()
    ):  # has its place also when empty: else the page below would move, and a browser would build it anew
        _completeness(found)


def _left_out() -> None:
    """What lies in the store and is not shown, as it is damaged or of another version; on a stage, nothing."""
    found = common.store().left_out
    if not len(found) or state.get("present") == "1":
        return
    count = "1 stored entry is" if len(found) == 1 else f"{len(found)} stored entries are"
    named = [plain(found.named(folder)) for folder in found]
    rest = ["`python -m asr_core cache verify` names all."] if len(found) > MOST_WORDS else []
    st.warning(
        "  \n".join([f"**{count} set aside, not shown.**", *named[:MOST_WORDS], *rest]), icon=":material/broken_image:"
    )


def _completeness(found: common.View) -> None:
    """What is missing of what is shown, with an offer to compute it."""
    if found.stands_in is not None:
        st.warning(
            f"**Not what was chosen.** {plain(common.named(common.chosen()))} is not stored. All below is of another "
            f"setting, **{plain(found.title)}** ({plain(found.stands_in)}).",
            icon=":material/swap_horiz:",
        )
        st.button(
            "Choose it in the sidebar",
            key="_adopt",
            icon=":material/check:",
            on_click=common.adopt,
            args=(found.setting, found.dense_id),
            help="Changes the choices of the sidebar to it.",
        )
        common.offer_to_compute()
    elif not found.keys:
        st.info(
            "This setting is being computed, or was stopped: shown is what is stored of it so far.",
            icon=":material/hourglass_top:",
        )
        common.offer_to_compute()
    elif found.result.channels.empty:
        st.info(
            "This setting was shipped without its channels: accuracies and layers are shown, single channels and "
            "maps are not.",
            icon=":material/inventory_2:",
        )
    if found.keys and found.stands_in is None and (absent := found.missing):
        with st.expander(
            f"Not stored for this setting: {plain(', '.join(absent[:3]))}{' …' if len(absent) > 3 else ''}",
            icon=":material/hourglass_empty:",
        ):
            common.offer_to_compute()


def _absent() -> None:
    """The chosen setting is not stored: its name, the offer to compute it, the way to the nearest that is."""
    try:
        wanted = common.chosen()
    except AsrError:
        return  # said by the sidebar
    name = plain(common.named(wanted))
    if damage := catalogue.damage(common.store(), wanted):
        st.info(
            f"The stored result of **{name}** is damaged ({plain(damage)}), so nothing is drawn of it.",
            icon=":material/broken_image:",
        )
    elif not common.stored():
        st.info("Nothing is stored yet, so there is nothing to draw. Compute this setting, or choose another one.")
    else:
        st.info(f"**{name}** is not stored, so nothing is drawn of it.", icon=":material/hourglass_empty:")
    common.offer_to_compute()
    near = catalogue.nearest(common.stored(), wanted)
    if near is not None:
        _nearest(catalogue.differences(wanted, near.setting))


def _nearest(differ: list[str]) -> None:
    """The way to another setting: nothing but this click shows it."""
    words = ", ".join(differ[:MOST_WORDS]) + (" …" if len(differ) > MOST_WORDS else "")
    st.button(
        f"Show the nearest stored setting ({plain(words)})",
        key="_nearest",
        icon=":material/near_me:",
        on_click=state.put,
        kwargs={"instead": True},
        help="Shows another setting than the chosen one, and says so; the choices of the sidebar stay.",
    )


def complaints() -> None:
    """What was wrong with the address or the selection."""
    if found := state.complaints():
        st.session_state["_messages"].warning("\n\n".join(map(plain, found)), icon=":material/link_off:")


def _crumbs(found: common.View) -> None:
    """network > layer > channel, each a way back."""
    foreign = found.stands_in is not None
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.button(
            f"not chosen: {plain(found.title)}" if foreign else plain(found.title),
            key="_crumb_network",
            type="tertiary",
            icon=":material/swap_horiz:" if foreign else ":material/hub:",
            help="Overview of this network",
            on_click=state.go,
            args=("overview",),
        )
        layer = common.layer_of(found)
        st.markdown("›", width="content")
        st.button(
            plain(layer),
            key="_crumb_layer",
            type="tertiary",
            help="Channel variances of this layer",
            on_click=state.go,
            args=("variance",),
        )
        channel = common.channel_of(found, layer)
        if channel is not None:
            st.markdown("›", width="content")
            st.button(
                f"channel {channel}",
                key="_crumb_channel",
                type="tertiary",
                help="Spatial maps of this channel",
                on_click=state.go,
                args=("maps",),
            )


def _pin(found: common.View | None) -> None:
    if state.get("pin"):
        st.segmented_control(
            "Compare",
            ("both", "difference"),
            key=state.key("compare"),
            required=True,
            label_visibility="collapsed",
            help="Side by side, or current minus pinned where that makes sense.",
        )
        st.button(
            "Unpin",
            icon=":material/keep_off:",
            key="_unpin",
            on_click=state.put,
            kwargs={"pin": None},
            help="Stop comparing.",
        )
    elif found is not None and found.keys and found.stands_in is None:
        st.button(
            "Pin",
            icon=":material/keep:",
            key="_pin",
            on_click=_pin_now,
            args=(found,),
            help="Keep this setting; every page then shows it beside the current one.",
        )


def _pin_now(found: common.View) -> None:
    state.put(pin=common.pin_text(found))


def _share(title: str) -> None:
    def draw() -> None:
        st.caption("Link to exactly this view: setting, selection, pin.")
        st.code(link(), language=None, wrap_lines=True)
        with st.container(horizontal=True):
            st.button("Present this view", key="_present", icon=":material/slideshow:", on_click=_present)
            st.button("Keep as a scene", key="_keep", icon=":material/bookmark_add:", on_click=_keep, args=(title,))
        st.segmented_control(
            "Chart toolbars save",
            ("png", "svg"),
            key=state.key("picture"),
            required=True,
            format_func=str.upper,
            help="What the camera in each chart's toolbar saves.",
        )

    folded.popover(
        "Share",
        "_open_share",
        draw,
        icon=":material/share:",
        help="A link to exactly this view, and how pictures are saved.",
    )


def _present() -> None:
    state.put(present="1")


def _keep(title: str) -> None:
    """This view as one more scene of the user's own talk."""
    page, _, rest = link().rpartition("/")[2].partition("?")
    st.session_state.setdefault("_scenes", []).append((title, f"{page or 'idea'}?{rest}"))
    st.toast("Kept: Talks lists it under Your own.")


def link() -> str:
    """The address of the present view."""
    from urllib.parse import urlencode

    base = (st.context.url or "").split("?")[0]
    return f"{base}?{urlencode(state.address())}"
