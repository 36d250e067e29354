"""The sidebar: the setting and the look that all pages share, from the fields that the spec declares."""

from dataclasses import replace

import streamlit as st

from asr_core import registry
from asr_core.errors import AsrError
from asr_core.fields import Chosen, Field, declarations
from asr_core.images import folders
from asr_core.images.class_maps import IMAGENET
from asr_core.images.data import counts
from asr_core.registry import applies
from asr_core.spec import labels
from asr_core.spec.dense import SOURCES, DenseSpec
from asr_core.spec.experiment import Setting
from asr_core.spec.model import ModelSpec
from asr_core.spec.parts import DataSpec, PruneSpec
from asr_core.spec.recalibration import IDLE, NOTHING, Recalibration
from asr_core.spec.repairs import KIND
from asr_core.spec.samples import CalibrationSpec, EvalSpec
from asr_core.store import catalogue
from pages._frame import address, classroom, controls, folded, follow, own, own_network, state
from pages._frame import common as common
from pages._frame.text import problem

DATASET = "_images"  # the one control of dataset, digest and classes


def draw(shown: common.View | None) -> None:
    """All controls; `shown` is the view that the page will draw, for the achieved sparsity."""
    try:
        wanted = common.chosen()
    except AsrError as error:
        with st.sidebar:
            problem(error)
        wanted = Setting()
    with st.sidebar:
        _network(wanted, shown)
        _pruning(wanted, shown)
        _methods()
        _recalibration(wanted)
        _images(wanted)
        if not classroom.locked():
            own.draw()


def changed(name: str) -> None:
    """After the user changed `name`, let go of what cannot go with it: nothing else follows a choice.

    An identity is of one recipe, a weights file of one network, a setting shown instead of one choice.
    """
    state.put(instead=False)
    if name in {*declarations(DataSpec), *declarations(ModelSpec), *declarations(DenseSpec), "stem", "head"}:
        state.put(**{address.DENSE_ID: None})
    if name == "class_map":
        state.put(outputs=(state.get("outputs") or IMAGENET) if state.get("class_map") else None)
    if name in ("architecture", "stem", "head", "outputs", "class_map"):
        let_go_of_weights()
    if name in {*declarations(DataSpec), "architecture", "outputs", "class_map"}:
        own_network.identify()


def let_go_of_weights() -> None:
    """The present weights file is of another network: from a callback."""
    if state.get("source") == "file":
        state.put(source="scratch", weights_digest=None)


def _control(name: str, field: Field, wanted: Setting | None = None, **more) -> None:
    stored = catalogue.stored_values(common.stored(), wanted, name) if wanted is not None else None
    controls.control(name, field, changed, stored, **more)


def _parameters(part: Chosen, wanted: Setting, silent: bool) -> None:
    """Controls of the parameters of what a part chooses."""
    for name, field in part.chosen.parameters.items():
        if field.silent == silent and applies(field, part.parameters):
            told = None if field.kind == "flag" or silent else wanted
            _control(name, field, told, bounds=part.chosen.bounds(name, part.parameters))


def _network(wanted: Setting, shown: common.View | None) -> None:
    _dataset(wanted)
    field = declarations(ModelSpec)["architecture"]
    stored = [(_images_of(item.setting), item.setting.model.architecture) for item in common.stored()]
    offered = replace(field, choices=list(dict.fromkeys([*field.options, *(name for _, name in stored)])))
    # of any stem, head or recipe: the nearest of them is one click away
    here = sorted({name for images, name in stored if images == _images_of(wanted)})
    controls.control("architecture", offered, changed, here)
    folded.expander("Dense network", "_open_dense", lambda: _dense(wanted), icon=":material/deployed_code:")
    if shown is not None and len(several := catalogue.identities(common.stored(), shown.setting)) > 1:
        st.caption(f"shown: dense network {shown.dense_id[:12]}, one of {len(several)} of its recipe")


def _images_of(setting: Setting) -> str:
    """What images are known by: their digest, or the name of their set."""
    return setting.data.digest or setting.data.dataset


def _dataset(wanted: Setting) -> None:
    """Registered sets, and the folders that are stored or were used in this session; a label stands for the session."""
    labelled, now = _datasets(wanted), _images_of(wanted)
    st.session_state[DATASET] = now
    st.selectbox(
        "Dataset",
        list(labelled),
        key=DATASET,
        disabled=classroom.locked(),
        format_func=lambda name: labelled[name][0],
        on_change=lambda: _choose_dataset(*labelled.get(st.session_state[DATASET], labelled[now])[1:]),
        help=declarations(DataSpec)["dataset"].help,
    )
    have = {_images_of(item.setting) for item in common.stored()}
    controls.told([text for name, (text, *_) in labelled.items() if name in have])


def _datasets(wanted: Setting) -> dict[str, tuple[str, str, str | None, int | None]]:
    """(label, dataset, digest, classes) by name or digest."""
    found = {n: (registry.get("image source", n).label, n, None, None) for n in registry.names("image source")}
    found.pop("folder")
    seen = st.session_state.setdefault("_folders", {})
    stored = {item.setting.data: item.facts["dataset_label"] for item in common.stored()}
    for data in dict.fromkeys([*stored, wanted.data]):
        if data.digest and data.digest not in seen:
            text = stored.get(data) or folders.label(data.digest, common.store())
            taken = {*(label for label, *_ in found.values()), *(label for label, *_ in seen.values())}
            label = f"{text} ({data.digest[:6]})" if text in taken else text
            seen[data.digest] = (label, data.dataset, data.digest, data.classes)
    return found | seen


def _choose_dataset(dataset: str, digest: str | None, classes: int | None) -> None:
    """From the control's callback; a weights file made for another number of classes is let go."""
    before, fixed = state.before("classes"), registry.get("image source", dataset).classes
    if (before or registry.get("image source", state.before("dataset")).classes) != (classes or fixed):
        let_go_of_weights()
    state.put(dataset=dataset, digest=digest, classes=classes, instead=False, **{address.DENSE_ID: None})
    own_network.identify()


def _dense(wanted: Setting) -> None:
    rest = {n: f for n, f in declarations(DataSpec).items() if not f.derived and n not in ("dataset", "normalization")}
    rest |= {n: f for n, f in declarations(DenseSpec).items() if not f.derived}
    shown = {"logits", "class_map", *(["outputs"] if state.get("class_map") else [])}
    rest |= {n: f for n, f in declarations(ModelSpec).items() if n in shown}
    if not state.get("weights_digest"):  # given under Own network and data
        rest["source"] = replace(rest["source"], choices=[name for name in SOURCES if name != "file"])
    for name, field in rest.items():
        _control(name, field, wanted if field.kind != "flag" else None)
    _parameters(wanted.model, wanted, silent=False)
    known = catalogue.identities(common.stored(), wanted)
    st.selectbox(
        "Identity",
        list(dict.fromkeys([None, *known, state.get(address.DENSE_ID)])),
        key=state.key(address.DENSE_ID),
        disabled=classroom.locked(),
        format_func=lambda one: one[:12] if one else "any",
        placeholder="any",
        help="First digits of the sha256 of the weights. Training does not repeat to the bit: a recipe can have "
        "several. any: the one that is stored first.",
    )
    controls.told([one[:12] for one in known])


def _pruning(wanted: Setting, shown: common.View | None) -> None:
    field = declarations(PruneSpec)["pruning"]
    _control("pruning", replace(field, help=" ".join((wanted.prune.chosen.__doc__ or field.help).split())), wanted)
    _parameters(wanted.prune, wanted, silent=False)
    follow.toggle()
    folded.expander("Layers that keep weights", "_open_floors", lambda: _kept(wanted), icon=":material/lock:")
    if shown is not None and shown.stands_in is None:
        facts = shown.result.setting
        st.caption(f"asked {100 * facts['sparsity_asked']:.4g} %, achieved {100 * facts['sparsity_achieved']:.2f} %")


def _kept(wanted: Setting) -> None:
    """Layers that are left out, and what the others keep at least."""
    _control("ignore", declarations(PruneSpec)["ignore"], wanted)
    _parameters(wanted.prune, wanted, True)


def _methods() -> None:
    if classroom.hidden("methods"):
        return
    helps = "\n\n".join(
        f"**{labels.method_label(name)}**: {' '.join((registry.get(KIND, name).__doc__ or '').split())}"
        for name in labels.methods()
    )
    st.pills(
        "Methods",
        labels.methods(),
        selection_mode="multi",
        key=state.key("methods"),
        format_func=labels.method_label,
        help=helps,
    )
    for name in ("orders", "biases"):
        _control(name, address.LOOK[name])
    folded.expander("Parameters of methods", "_open_parameters", _method_parameters, icon=":material/function:")


def _method_parameters() -> None:
    """Those of the chosen methods, as far as they say something."""
    known = {n for method in state.get("methods") for n in registry.get(KIND, method).parameters}
    given = state.values(address.METHOD_PARAMETERS)
    for name, field in address.METHOD_PARAMETERS.items():
        if name in known and applies(field, given):
            _control(name, field)


def _recalibration(wanted: Setting) -> None:
    with st.expander("BatchNorm recalibration", icon=":material/tune:", expanded=True):
        if not wanted.model.batchnorm:
            st.caption(f"{NOTHING} BN only would be the pruned network, and is left out.")
            return
        ema = state.get("averaging") == "ema"
        for name, field in declarations(Recalibration).items():
            if name not in IDLE[state.get("averaging")]:
                _control(name, field)
        if ema and state.get("calib_batches"):
            left = (1 - state.get("momentum")) ** state.get("calib_batches")
            st.caption(f"a = (1 − momentum)ᵇ = {left:.3f} of the starting statistics is left")


def _images(wanted: Setting) -> None:
    def controls_of_images() -> None:
        for part in (CalibrationSpec, EvalSpec):
            for name, field in declarations(part).items():
                _control(name, _at_hand(name, field, wanted), wanted)

    folded.expander("Statistics and test images", "_open_images", controls_of_images, icon=":material/photo_library:")


def _at_hand(name: str, field: Field, wanted: Setting) -> Field:
    """The field of a number of images, offering no more than there are."""
    try:
        train, test = counts(wanted.data, common.store())
    except AsrError:  # of a folder that is not on this machine
        return field
    most = {"stat_images": train, "eval_images": test}.get(name)
    return field if most is None else replace(field, offered=tuple(n for n in field.offered if n <= most))
