"""The sidebar: the setting and the look that all pages share.

A widget hands back the label of what is chosen, so labels never change: what is stored stands beside them.
"""

from decimal import Decimal

import streamlit as st

from asr_core import registry
from asr_core.images import folders
from asr_core.images.sources import LABELS
from asr_core.networks import architectures
from asr_core.report.textreport import method_label
from asr_core.spec import experiment as spec
from asr_core.spec import grid
from asr_core.spec.grid import BUDGETS
from asr_core.store import catalogue
from asr_core.store.catalogue import Stored
from asr_core.studies import budgets
from pages._frame import address, common, folded, own, state

SPARSITIES = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.97, 0.98, 0.99)
MOST_TOLD = 12  # stored choices that are named under a control
MOST_DENSE = 1 - 2**-53  # the largest number under 1


def draw(shown: common.View | None) -> None:
    """All controls; `shown` is the view that the page will draw, for the achieved sparsity."""
    everything = common.stored()
    with st.sidebar:
        _network(everything, shown)
        _pruning(everything, shown)
        _methods()
        _recalibration()
        _images(everything)
        own.draw()


def _chosen(name: str) -> None:
    """After the user changed `name`, let go of what cannot go with it: nothing else follows a choice.

    An identity is of one recipe, a number of classes of one dataset, a weights file of one network.
    """
    if name in catalogue.coarser("dense"):
        state.put(dense=None)
    before, now = common.classes(state.before("data")), common.classes(state.get("data"))
    if name == "data":
        state.put(classes=now if state.get("data").startswith("folder:") else None)
    if name in ("net", "stem", "head") or (name == "data" and before != now):
        common.let_go_of_weights()


def _stored_of(name: str, everything: list[Stored]) -> set:
    """Values of `name` that are stored together with every coarser choice."""
    coarser = [field for field in catalogue.coarser(name) if field != "dense" or state.get("dense")]
    wanted = common.chosen()
    near = [item.setting for item in everything if all(getattr(item.setting, f) == getattr(wanted, f) for f in coarser)]
    return {getattr(setting, name) for setting in near}


def _select(name: str, label: str, choices, everything, help: str, names=None) -> None:
    """One of `choices`, or of what is stored anywhere."""
    known = dict.fromkeys([*choices, *sorted({getattr(i.setting, name) for i in everything} - {None}), state.get(name)])
    text = lambda option: str((names or {}).get(option, option))  # noqa: E731
    st.selectbox(label, list(known), key=name, help=help, on_change=_chosen, args=(name,), format_func=text)
    have = _stored_of(name, everything)
    _told([text(option) for option in known if option in have])


def _told(stored: list[str]) -> None:
    """Which choices are stored, under their control."""
    more = f" and {len(stored) - MOST_TOLD} more" if len(stored) > MOST_TOLD else ""
    st.caption(f"stored: {', '.join(stored[:MOST_TOLD])}{more}" if stored else "stored: none")


def _network(everything: list[Stored], shown: common.View | None) -> None:
    labels = _datasets(everything)
    _select("data", "Dataset", list(labels), everything, "Images that train, calibrate and test.", labels)
    _select(
        "net",
        "Architecture",
        architectures.ARCHITECTURES,
        everything,
        "torchvision name of a classifier with BatchNorm, or a ResNet made for 32x32 images (cifar_resnet20 to 110).",
    )
    folded.expander("Dense network", "_open_dense", lambda: _dense(everything), icon=":material/deployed_code:")
    if shown is not None and len(several := common.identities(shown.setting)) > 1:
        st.caption(f"shown: dense network {shown.result.setting['dense_id'][:12]}, one of {len(several)} of its recipe")


def _datasets(everything: list[Stored]) -> dict[str, str]:
    """The bundled sets, and the folders that are stored or were used in this session; a label stands for the whole session."""
    seen = st.session_state.setdefault("_folders", {})
    stored = {item.setting.data: item.facts["dataset_label"] for item in everything}
    for name in [*stored, state.get("data")]:
        digest = name.removeprefix("folder:")
        if digest != name and name not in seen:
            label = stored.get(name) or folders.label(digest, common.store())
            seen[name] = f"{label} ({digest[:6]})" if label in {*LABELS.values(), *seen.values()} else label
    return LABELS | seen


def _dense(everything: list[Stored]) -> None:
    left, right = st.columns(2)
    with left:
        _select(
            "stem",
            "Stem",
            architectures.STEMS,
            everything,
            "imagenet: as torchvision. half: 3x3, stride 2, no max-pool. small: 3x3, stride 1, no max-pool. small-pool: small, with torchvision's max-pool.",
        )
        _select(
            "source",
            "Source",
            spec.SOURCES,
            everything,
            "scratch: all layers trained. imagenet: pretrained, last block and head fine-tuned. file: your state_dict, given under Own network and data.",
        )
        st.number_input(
            "Seed",
            0,
            address.MOST,
            key="seed",
            on_change=_chosen,
            args=("seed",),
            help="Seed of training and of the calibration images.",
        )
    with right:
        _select(
            "head",
            "Head",
            architectures.HEADS,
            everything,
            "torchvision: as it comes. linear: one linear layer after global pooling.",
        )
        _select("size", "Image side", (32, 64, 224), everything, "Side of the square input, in pixels.")
        st.number_input(
            "Epochs",
            1,
            10_000,
            key="epochs",
            on_change=_chosen,
            args=("epochs",),
            help="Training epochs of the dense network.",
        )
    _identity()


def _identity() -> None:
    """Which of the recipe's dense networks: training does not repeat to the bit, so a recipe may have several."""
    known = common.identities(common.chosen())
    st.selectbox(
        "Identity",
        list(dict.fromkeys([None, *known, state.get("dense")])),
        key="dense",
        on_change=_chosen,
        args=("dense",),
        format_func=lambda i: i[:12] if i else "any",
        help="First digits of the sha256 of the weights. Training does not repeat to the bit: a recipe can have several. any: the one that is stored first.",
    )
    _told([i[:12] for i in known])


def _pruning(everything: list[Stored], shown: common.View | None) -> None:
    rules = registry.names("pruning rule")
    labels = {name: registry.get("pruning rule", name).label for name in rules}
    _select("rule", "Pruning", rules, everything, registry.get("pruning rule", state.get("rule")).__doc__, labels)
    known = registry.get("pruning rule", state.get("rule")).parameters
    if "sparsity" in known:
        _sparsity(everything)
    if "keep_n" in known:
        _select(
            "nm",
            "N:M",
            ("2:4", "1:4", "4:8"),
            everything,
            "N weights stay of each M consecutive ones along the input channels.",
        )
    st.toggle(
        "Prune linear layers too",
        key="linear",
        on_change=_chosen,
        args=("linear",),
        help="The paper does not say which tensors it prunes; off means conv weights only.",
    )
    if set(catalogue.FLOORS) <= set(known):
        _floors(known)
    if shown is not None and shown.stands_in is None:
        facts = shown.result.setting
        st.caption(f"asked {100 * facts['sparsity_asked']:.4g} %, achieved {100 * facts['sparsity_achieved']:.2f} %")


def _floors(known: dict) -> None:
    """What layers keep in any case: three controls for the one parameter `floors`."""
    held = catalogue.floors_of(state.get("floors"))
    for name in catalogue.FLOORS:
        st.session_state[f"_{name}"] = held.get(name, known[name].default)

    def draw() -> None:
        st.toggle("First conv stays dense", key="_keep_first", on_change=_floors_chosen, help=known["keep_first"].help)
        st.toggle(
            "Head stays dense",
            key="_keep_head",
            on_change=_floors_chosen,
            disabled=not state.get("linear"),
            help=known["keep_head"].help,
        )
        st.number_input(
            "Least density of a layer",
            0.0,
            MOST_DENSE,
            step=0.01,
            format="%g",
            key="_min_density",
            on_change=_floors_chosen,
            help=known["min_density"].help,
        )

    folded.expander("Layers that keep weights", "_open_floors", draw, icon=":material/lock:", expanded=bool(held))


def _floors_chosen() -> None:
    state.put(floors=catalogue.floors_text({name: st.session_state[f"_{name}"] for name in catalogue.FLOORS}))
    _chosen("floors")


def _sparsity(everything: list[Stored]) -> None:
    stored = {item.setting.sparsity for item in everything} - {None}
    st.select_slider(
        "Sparsity",
        sorted({*SPARSITIES, *stored, state.get("sparsity")}),
        key="sparsity",
        format_func=_percent,
        on_change=_chosen,
        args=("sparsity",),
        help="Fraction of weights removed.",
    )
    _told([_percent(value) for value in sorted(_stored_of("sparsity", everything) - {None})])
    st.number_input(
        "Another sparsity, %",
        0.0,
        99.99,
        value=None,
        step=1.0,
        key="_other_sparsity",
        placeholder="e.g. 97",
        on_change=_other_sparsity,
        help="Any value; what is not stored can then be computed.",
    )


def _percent(fraction: float) -> str:
    """Exactly: two values never have one label."""
    return f"{(100 * Decimal(repr(fraction))).normalize():f} %"


def _other_sparsity() -> None:
    percent = st.session_state["_other_sparsity"]
    if percent is not None:
        state.put(sparsity=round(percent / 100, 6))
        st.session_state["_other_sparsity"] = None


def _methods() -> None:
    helps = "\n\n".join(
        f"**{method_label(name)}**: {' '.join(registry.get('repair method', name).__doc__.split())}"
        for name in address.METHODS
    )
    st.pills("Methods", address.METHODS, selection_mode="multi", key="methods", format_func=method_label, help=helps)
    st.pills(
        "Order of collection",
        grid.ORDERS,
        selection_mode="multi",
        key="orders",
        help="simultaneous: all statistics of the pruned network first, then all factors. sequential: each layer measured after the layers before it were repaired.",
    )
    st.pills(
        "Mean correction (bias)",
        tuple(common.BIASES),
        selection_mode="multi",
        key="biases",
        help="Whether each repaired conv's bias is set so that channel means match the dense network (eq. 10). Compare methods at equal bias.",
    )


def _recalibration() -> None:
    with st.expander("BatchNorm recalibration", icon=":material/tune:", expanded=True):
        st.segmented_control(
            "Averaging",
            grid.AVERAGINGS,
            key="averaging",
            required=True,
            help="ema: running average with a momentum. cumulative: plain mean over the batches (ignores start and momentum).",
        )
        ema = state.get("averaging") == "ema"
        st.segmented_control(
            "Start",
            grid.STARTS,
            key="start",
            required=True,
            disabled=not ema,
            help="reset: mean 0, variance 1. keep: the dense network's statistics.",
        )
        left, right = st.columns(2)
        left.selectbox(
            "Batches b",
            sorted({0, *BUDGETS, state.get("b")}),
            key="b",
            help="Batches of training images for recalibration; 0: none.",
            accept_new_options=False,
        )
        right.number_input(
            "Momentum",
            1e-6,
            1.0,
            key="momentum",
            step=0.05,
            format="%g",
            disabled=not ema,
            help="Weight of each new batch (PyTorch's default is 0.1).",
        )
        if ema and state.get("b"):
            left_over = (1 - state.get("momentum")) ** state.get("b")
            st.caption(f"a = (1 − momentum)ᵇ = {left_over:.3f} of the starting statistics is left")


def _images(everything: list[Stored]) -> None:
    def draw() -> None:
        _select(
            "stats",
            "Statistics images",
            budgets.IMAGES,
            everything,
            "Training images that give the channel statistics of dense and pruned network.",
        )
        _select(
            "eval", "Test images", (None, 1000), everything, "All test images, or a fixed seeded subset.", {None: "all"}
        )

    folded.expander("Statistics and test images", "_open_images", draw, icon=":material/photo_library:")
