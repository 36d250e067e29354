"""Signal: how much of each channel is the dense network's, and what of its error a factor and bias could mend."""

from typing import Any

import streamlit as st

from asr_core.errors import AsrError
from asr_core.figures import errors, shrinkage
from asr_core.jobs.jobs import Wanted
from asr_core.spec.experiment import ExperimentSpec
from asr_core.spec.recalibration import NOTHING, BatchNormState
from asr_core.store import results
from pages._frame import channels, charts, common, folded, state
from pages._frame.compute import compute_panel
from pages._frame.text import plain

view = common.view()


def bn_state(found: common.View) -> BatchNormState:
    """The recalibration after which signal is shown."""
    return found.look.bn_state


def open_channel(point: dict) -> None:
    """From a channel's point to its spatial maps."""
    if "customdata" in point:
        state.go("maps", channel=int(point["customdata"][0]))


def select_layer(point: dict) -> None:
    """From a bar or mark to its layer, shared with all pages."""
    if "customdata" in point:
        state.put(layer=point["customdata"][0], channel=None)


def offer() -> None:
    """What is not stored of it, with its time and a button."""
    experiment = ExperimentSpec.of_setting(view.setting, tuple(view.repairs), (view.look.bn_state,))
    if not results.has_weights(common.store(), view.dense_id):
        st.caption(
            f"It cannot be computed here: the weights of dense network {view.dense_id[:8]} are not on this machine."
        )
        return
    wanted = Wanted(experiment, dense_id=view.dense_id, signal=view.look.bn_state)
    try:
        absent = [task for task in wanted.tasks(common.store()) if task.stage == "signal"]
    except AsrError as error:
        st.info(plain(f"Signal is not stored for all that is chosen, and cannot be computed here: {error}"))
        return
    if absent:
        with st.container(border=True):
            st.markdown(f"**Signal is not stored for {len(absent)} of the chosen networks.**")
            compute_panel(experiment, common.store(), dense_id=view.dense_id, signal=view.look.bn_state)


def about() -> None:
    """What is drawn here, and how to read it."""
    st.markdown(
        "A channel whose variance is restored may carry noise. Over the same images and pixels, with y the dense "
        "output of a channel and z that of another network, the error has three parts:"
    )
    st.latex(
        r"\frac{\mathbb{E}(z-y)^2}{v_y} = \underbrace{\frac{(\mu_z-\mu_y)^2}{v_y}}_{\text{mean: level}} + "
        r"\underbrace{(r-1)^2}_{\text{scale: strength}} + \underbrace{2r(1-\rho)}_{\text{decorrelation: pattern}} "
        r"\qquad r = \sqrt{v_z/v_y}"
    )
    st.markdown(
        "ρ is the correlation of both outputs. A bias takes the first part away. A factor changes the other two "
        "together: their sum is least at r = ρ, where it is 1 − ρ², and that is what no factor and bias mends. Bars of "
        "a layer are sums over its channels, of squared error over dense variance. Each layer is taken with the inputs "
        "that it has: what is lost in the layers before it counts too. "
        "Images: those that gave the factors, and as many test images; what differs between the two was fitted."
    )


folded.expander("What am I looking at?", "_open_about", about)
with st.container(horizontal=True, gap="large"):
    st.segmented_control(
        "BatchNorm",
        ("before", "after"),
        key=state.key("mapped"),
        required=True,
        format_func={"before": "before recalibration", "after": "after"}.get,
        disabled=not view.look.batchnorm,
        help=f"After: {view.look.recalibration}." if view.look.batchnorm else NOTHING,
    )
    st.segmented_control(
        "Images",
        ("calibration", "test"),
        key=state.key("measured"),
        required=True,
        help="The statistics images, or as many test images.",
    )
after = state.get("mapped") == "after" and view.look.bn_state.calib_batches > 0
what: dict[str, Any] = {
    "store": common.store(),
    "repairs": lambda found: found.repairs,
    "state": bn_state,
    "when": "recalibrated" if after else "repaired",
    "images": state.get("measured"),
}
st.subheader("How much is signal?", anchor=False)
st.caption("Correlation of each channel with the dense output: median of a layer, and from quartile to quartile.")
charts.show(errors.PROFILE, "profile", select=select_layer, **what)
offer()
st.subheader("What is the error made of?", anchor=False)
st.segmented_control(
    "Bars",
    ("shares", "sizes"),
    key=state.key("bars"),
    required=True,
    help="Of each layer's squared error the shares of its parts, or their sizes in units of the dense variance.",
)
charts.show(errors.BARS, "parts", select=select_layer, how={"bars": state.get("bars")}, **what)
st.subheader("Does shrinkage follow the signal?", anchor=False)
st.caption(f"Channels of {plain(common.layer_of(view))} in the pruned network; click one for its spatial maps.")
layer = common.layer_of(view)
every = view.result.channels
if every is not None and not every.empty:
    channels.choose(
        every.loc[every["layer"] == layer, "channel"].tolist(),
        f"Of {plain(layer)}; selected on every page.",
        index=None,
        placeholder="none",
    )
charts.show(
    shrinkage.SHRINKAGE,
    "shrinkage",
    select=open_channel,
    chosen=channels.key,
    store=common.store(),
    layer=common.layer_in,
    images=state.get("measured"),
)
