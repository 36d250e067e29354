"""The card Why?: what makes two methods differ at a setting, and the places where it can be seen."""

from collections.abc import Callable

import streamlit as st

from asr_core.figures import why
from asr_core.spec.repairs import BN_ONLY
from pages._frame import charts, common, picked, state
from pages._frame.text import plain
from pages._frame.views import View

HELP = (
    "Granularity: both methods get the inputs that the pruned network has, and only their factors differ (the "
    "predicted view of the page Channel variance). Compounding: what their layers get differs, since the layers before "
    "were repaired otherwise. Of methods in different orders of collection the factors themselves were measured on "
    "different inputs too."
)


def card(view: View) -> None:
    """Two select boxes, the chart with its sentence, and buttons to the layers that differ most."""
    always = [BN_ONLY] if view.look.batchnorm else []
    offered = [*always, *(repair for repair in view.repairs if repair != BN_ONLY)]
    if len(offered) < 2:
        either = "BN only or a stored repair" if always else "stored repairs"
        st.info(f"Two methods are needed, {either}; choose them in the sidebar.")
        return
    with st.container(horizontal=True):
        first = picked.choose(offered, "first", "Method", HELP)
        second = picked.choose(offered, "second", "Against", HELP, first=-2)
    drawn = charts.show(
        why.WHY,
        "reasons",
        select=select_layer,
        first=first,
        second=second,
        store=common.store(),
        state=lambda found: found.look.bn_state,
    )
    if drawn:
        places(drawn[-1])


def select_layer(point: dict) -> None:
    """From a bar to its layer, shared with all pages."""
    if "customdata" in point:
        state.put(layer=point["customdata"][0], channel=None)


def places(table) -> None:
    """A line per layer that differs most, with a button to each page that shows it."""
    for row in why.worst(table).itertuples():
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{plain(row.layer)}**, channel {row.worst}{_told(row)}", width=420)
            for page, title, icon in (
                ("variance", "Channels", ":material/scatter_plot:"),
                ("maps", "Maps", ":material/image:"),
                ("signal", "Signal", ":material/graphic_eq:"),
                ("absorption", "Absorbed?", ":material/layers_clear:"),
            ):
                st.button(
                    title,
                    key=f"_why_{page}_{row.layer}",
                    icon=icon,
                    on_click=opener(page),
                    kwargs={"layer": row.layer, "channel": row.worst},
                )


def opener(page: str) -> Callable[..., None]:
    """A callback that opens a page at a layer and channel."""
    return lambda **where: state.go(page, **where)


def _told(row) -> str:
    """The correlation with the dense output in a layer, where it is stored."""
    if row.rho_first != row.rho_first or row.rho_second != row.rho_second:
        return ": signal not stored"
    return f": correlation with dense {row.rho_first:.2f} and {row.rho_second:.2f}"
