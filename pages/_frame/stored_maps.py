"""Ways to stored maps, where the page Spatial maps has none to show: other layers, other settings."""

import streamlit as st

from asr_core.jobs.jobs import Wanted
from asr_core.pipeline import maps
from pages._frame import common, state
from pages._frame.text import plain
from pages._frame.views import short

MOST = 5  # other settings that are offered


@st.cache_resource(max_entries=2, show_spinner=False)
def _mapped_settings(root: str, stamps: tuple) -> list:
    return maps.mapped_settings(common.store(), common.stored())


def _open_maps(item, name: str) -> None:
    """Another stored setting, at a layer whose maps are stored."""
    common.adopt(item.setting, item.dense_id)
    state.put(layer=name, channel=None)


def _other_settings() -> None:
    """Buttons of settings that have maps."""
    store = common.store()
    found = _mapped_settings(str(store.root), (store.stamp("maps"), store.stamp("result")))
    if found:
        st.markdown("Maps are stored of another setting:")
    first: dict = {}  # of the settings that share the maps of the pruned network, as draws do
    for item, names in found:
        first.setdefault((item.dense_id, item.setting.prune), (item, names))
    shown = [*first.values()][:MOST]
    titles = [short(item.setting, item.facts["dataset_label"]) for item, _ in shown]
    for (item, names), title in zip(shown, titles, strict=True):
        own = f" · dense {item.dense_id[:8]}" if titles.count(title) > 1 else ""
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(plain(f"{title}{own}"))
            for name in names:
                st.button(plain(name), key=f"_mapped_{item.key}_{name}", on_click=_open_maps, args=(item, name))


def offer(found: common.View, asked: Wanted) -> None:
    """Where the maps that `asked` wants are not stored: buttons of layers whose maps are, or of settings."""
    there = maps.mapped_layers(asked.experiment, common.store(), found.dense_id, asked.maps, found.layers)
    if not there:
        _other_settings()
    else:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown("Maps are stored of:")
            for name in there:
                st.button(
                    plain(name), key=f"_mapped_{name}", on_click=state.put, kwargs={"layer": name, "channel": None}
                )
