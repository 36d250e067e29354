"""Channel variance: one layer, every channel, every method."""

import pandas as pd
import streamlit as st

from asr_core.figures import energy, multiples, spectrum, variance
from asr_core.pipeline import factors
from asr_core.report.sentences import noise
from asr_core.spec.recalibration import NOTHING
from asr_core.store.tables import networks
from pages._frame import channels, charts, common, draws, folded, state, tables
from pages._frame.text import plain

view = common.view()
layer = common.layer_of(view)


def open_channel(point: dict) -> None:
    """From a channel's point to its spatial maps."""
    if "customdata" in point:
        state.go("maps", channel=int(point["customdata"][0]))


def select_layer(point: dict) -> None:
    """From a panel to its layer."""
    if "customdata" in point:
        state.put(layer=view.layers[int(point["customdata"][0])], channel=None)


def among_layers(found: common.View) -> tuple[int, ...]:
    """What marks the chosen channel in a figure of all layers: depth, channel."""
    own = found.result.channels
    depths = own.loc[own["layer"] == common.layer_in(found), "depth"]
    return (int(depths.iloc[0]), *key) if (key := channels.key(found)) and len(depths) else ()


@st.cache_resource(max_entries=64, show_spinner=False)
def fits(_table, *known_by) -> str:
    """Both alphas of each network of a table with the quality of the fit, in Markdown."""
    found = variance.alphas(_table)
    near = found["alpha_ratio"].between(1e-3, 1e4).all()
    spans = [
        f"[{low:.2f}, {high:.2f}]" if low == low else "too few channels"
        for low, high in zip(found["slope_low"], found["slope_high"], strict=True)
    ]
    shown = found[["label", "alpha_ratio", "alpha_slope", "r2", "used", "dropped"]].set_axis(
        ["network", "alpha (ratio)", "alpha (slope)", "R²", "channels", "dropped"], axis=1
    )
    shown.insert(3, "95 % interval", spans)
    return tables.markdown(shown, ("", ".3f" if near else ".2e", ".3f", "", ".3f", "", ""))


def factors_over_draws(channel: int) -> None:
    """How far this channel's factors move with the calibration draw: by stored spreads, and by draws stored whole."""

    def own(table: pd.DataFrame) -> pd.DataFrame:
        return table[(table["layer"] == layer) & (table["channel"] == channel)]

    having = set(networks(own(view.result.repairs).dropna(subset="gamma")))  # a conv that is not repaired has none
    every = [common.opened(keys).repairs for keys in draws.with_factors(view)]
    spreads = [factors.spread(map(own, every)), *factors.stored(common.store(), view.setting, view.dense_id)]
    st.caption(plain(noise.factors(factors.widest(map(own, spreads)), [r for r in view.repairs if r in having])))


def numbers(table, channel: int) -> None:
    """The selected channel's variances and factors."""
    st.subheader(f"Channel {channel}", anchor=False)
    rows = table[table["channel"] == channel]
    one = rows.iloc[0]
    st.markdown(
        f"Dense variance {one.v_dense:.4g}; {one.kept_fraction:.1%} of its weights kept, with {one.kept_energy:.1%} of "
        "their energy (Σ w²)."
    )
    names = {"label": "network", "v": "variance", "gamma": "factor γ", "shrinkage": "shrinkage"}
    tables.number_table(rows, names, f"Variances and factors of channel {channel}.")
    factors_over_draws(channel)
    st.button("Its spatial maps", icon=":material/image:", on_click=state.go, args=("maps",))


with st.container(horizontal=True, vertical_alignment="bottom"):
    channels.layer(view, 320)
    order = view.result.channels.loc[view.result.channels["layer"] == layer, "channel"].tolist()
    channels.choose(order, "Selected on every page.", index=None, placeholder="none")
    st.segmented_control(
        "Variances",
        list(variance.STAGES),
        key=state.key("stage"),
        required=True,
        help="\n\n".join(f"**{name}**: {words}" for name, words in variance.STAGES.items())
        + "\n\nOnly the predicted ones obey the rule that one scalar cannot change the slope.",
    )


def about() -> None:
    """What is drawn here, and how to read it."""
    st.markdown(
        "Each mark is one output channel of the layer: its activation variance in the dense network (x) against that "
        "after pruning and repair (y), over the statistics images, before BatchNorm. On the dashed line the variance "
        "is the dense one, which says nothing of what the channel carries. A layer-wise factor moves all marks of a "
        "layer up by the same distance; it cannot change their slope or spread. Marks on the dotted line at the bottom "
        "are dead: no factor can bring them back; on one at the top they diverged."
    )
    st.latex(
        r"\alpha_\mathrm{ratio} = \exp\,\overline{\ln (v_\mathrm{repaired}/v_\mathrm{dense})} \qquad "
        r"\log_{10} v_\mathrm{repaired} = \alpha_\mathrm{slope} \log_{10} v_\mathrm{dense} + c"
    )
    st.caption(
        "Both are 1 for a perfect repair. The slope is an ordinary least-squares fit with its 95 % interval; a small "
        "R² means the slope says little."
    )


folded.expander("What am I looking at?", "_open_about", about)
stage, bn = state.get("stage"), view.result.setting["recalibrated_state"]
point = (
    f": {bn['averaging']} from {bn['start']}, momentum {bn['momentum']}, b = {bn['calib_batches']}"
    if bn
    else ", which is not stored for this setting"
    if view.look.batchnorm
    else f". {NOTHING[:-1]}"
)
st.caption(f"Variances: {variance.STAGES[stage]}{point if stage == 'recalibrated' else ''}.")

what = {"chosen": channels.key, "layer": common.layer_in, "repairs": lambda found: found.repairs, "stage": stage}
alone = state.get("pin") is None
left, right = st.columns(2) if alone else (st.container(), st.container())
width = charts.HALF if alone else charts.WIDE
with left:
    st.subheader("Every channel", anchor=False)
    drawn = charts.show(variance.SCATTER, "scatter", select=open_channel, width=width, **what)
with right:
    st.subheader("Sorted by dense variance", anchor=False)
    charts.show(spectrum.SORTED, "sorted", select=open_channel, width=width, **what)

st.subheader(
    "Fit",
    anchor=False,
    help="**alpha (ratio)**: geometric mean of v_repaired / v_dense; 1 is a perfect repair.\n\n**alpha (slope)**: "
    "least-squares slope in log10-log10, with its interval.\n\n**R²**: share of the spread that the line "
    "explains.\n\n**channels**: used; **dropped**: dead in the dense or in the shown network, or beyond the range of "
    "numbers, and so left out.",
)
known_by = [(found.stamp, common.layer_in(found), found.repairs) for found in common.views()]
for number, table in enumerate(drawn):
    st.markdown(fits(table, repr(known_by), stage, number))

left, right = st.columns(2)
with left:
    st.subheader("Kept weights, kept variance", anchor=False)
    charts.show(
        energy.ENERGY,
        "energy",
        select=open_channel,
        width=charts.HALF,
        chosen=channels.key,
        layer=common.layer_in,
    )
with right:
    channel = common.channel_of(view, layer)
    if channel is None or not drawn:
        st.subheader("One channel", anchor=False)
        st.caption("Click a mark, or choose a channel above, to see its numbers and its spatial maps.")
    else:
        numbers(drawn[-1], channel)

st.subheader("All layers", anchor=False)
st.caption(
    f"The plot above for every layer, equal axes; at most {multiples.MOST} channels per layer, evenly over the ranks. "
    "Click a mark to choose its layer."
)
charts.show(
    multiples.PANELS,
    "panels",
    select=select_layer,
    chosen=among_layers,
    repairs=what["repairs"],
    stage=stage,
    how={"marked": layer},
)
