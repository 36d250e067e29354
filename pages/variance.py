"""Channel variance: one layer, every channel, every method."""

import streamlit as st

from asr_core.figures import multiples, variance
from pages import _charts
from pages import _common as common
from pages import _state as state

view = common.view()
layer = common.layer_of(view)


def open_channel(point: dict) -> None:
    """From a channel's point to its spatial maps."""
    if "customdata" in point:
        state.go("maps", channel=int(point["customdata"][0]))


def select_layer(point: dict) -> None:
    """From a panel to its layer."""
    if "customdata" in point:
        state.put(layer=point["customdata"][0], channel=None)


def channel_changed() -> None:
    """A channel of another layer means nothing here."""
    state.put(channel=None)


with st.container(horizontal=True, vertical_alignment="bottom"):
    st.selectbox("Layer", view.layers, key="layer", on_change=channel_changed, width=320, help="Conv layers in execution order.")
    channels = view.result.channels.loc[view.result.channels["layer"] == layer, "channel"].tolist()
    st.selectbox("Channel", [None, *channels], key="channel", width=140, format_func=lambda c: "none" if c is None else str(c), help="Selected on every page.")
    st.segmented_control(
        "Variances", list(variance.STAGES), key="stage", required=True,
        help="\n\n".join(f"**{name}**: {words}" for name, words in variance.STAGES.items()) + "\n\nOnly the predicted ones obey the rule that one scalar cannot change the slope.",
    )  # fmt: skip

with st.expander("What am I looking at?"):
    st.markdown(
        "Each mark is one output channel of the layer: its activation variance in the dense network (x) against that after pruning and repair (y), "
        "over the statistics images, before BatchNorm. On the dashed line a repair is exact. A layer-wise factor moves all marks of a layer up by the "
        "same distance; it cannot change their slope or spread. Marks on the dotted line at the bottom are dead: no factor can bring them back."
    )
    st.latex(r"\alpha_\mathrm{ratio} = \exp\,\overline{\ln (v_\mathrm{repaired}/v_\mathrm{dense})} \qquad \log_{10} v_\mathrm{repaired} = \alpha_\mathrm{slope} \log_{10} v_\mathrm{dense} + c")
    st.caption("Both are 1 for a perfect repair. The slope is an ordinary least-squares fit with its 95 % interval; a small R² means the slope says little.")

if state.get("stage") == "recalibrated":
    bn = view.result.setting["recalibrated_state"]
    st.caption("Measured after recalibration: " + (f"{bn['averaging']} from {bn['start']}, momentum {bn['momentum']}, b = {bn['batches']}." if bn else "not stored for this setting."))

what = {"layer": common.layer_in, "slugs": lambda found: found.slugs, "stage": state.get("stage")}
left, right = st.columns(2) if state.get("pin") is None else (st.container(), st.container())
with left:
    st.subheader("Every channel", anchor=False)
    tables = _charts.show(variance.SCATTER, "scatter", select=open_channel, **what)
with right:
    st.subheader("Sorted by dense variance", anchor=False)
    _charts.show(variance.SORTED, "sorted", select=open_channel, **what)

st.subheader("Fit", anchor=False)
for table in tables:
    fits = variance.alphas(table)
    fits["interval"] = [f"[{low:.2f}, {high:.2f}]" if low == low else "too few channels" for low, high in zip(fits["slope_low"], fits["slope_high"], strict=True)]
    st.dataframe(
        fits[["network", "alpha_ratio", "alpha_slope", "interval", "r2", "used", "dropped"]], hide_index=True, alt="Both alphas of each network with fit quality.",
        column_config={
            "alpha_ratio": st.column_config.NumberColumn("alpha (ratio)", format="%.3g", help="Geometric mean of v_repaired / v_dense; 1 is a perfect repair."),
            "alpha_slope": st.column_config.NumberColumn("alpha (slope)", format="%.3f", help="Least-squares slope in log10-log10."),
            "interval": st.column_config.TextColumn("95 % interval of the slope"),
            "r2": st.column_config.NumberColumn("R²", format="%.3f", help="Share of the spread that the line explains."),
            "used": st.column_config.NumberColumn("channels used"),
            "dropped": st.column_config.NumberColumn("dropped (dead)", help="Dead in the dense or the shown network."),
        },
    )  # fmt: skip

channel = common.channel_of(view, layer)
if channel is not None and tables:
    st.subheader(f"Channel {channel}", anchor=False)
    rows = tables[-1][tables[-1]["channel"] == channel]
    st.dataframe(
        rows[["label", "v_dense", "v", "gamma", "shrinkage", "kept_energy", "kept_fraction"]].rename(columns={"label": "network", "v": "variance"}),
        hide_index=True, alt=f"Variances and factors of channel {channel}.",
    )  # fmt: skip
    st.button("Its spatial maps", icon=":material/image:", on_click=state.go, args=("maps",))

left, right = st.columns([2, 3])
with left:
    st.subheader("Kept weights, kept variance", anchor=False)
    _charts.show(variance.ENERGY, "energy", select=open_channel, layer=common.layer_in)
with right:
    st.subheader("All layers", anchor=False)
    st.caption(f"The plot above for every layer, equal axes; at most {multiples.MOST} channels per layer, evenly over the ranks. Click a mark to choose its layer.")
    _charts.show(multiples.PANELS, "panels", select=select_layer, slugs=what["slugs"], stage=state.get("stage"), how={"marked": layer})
