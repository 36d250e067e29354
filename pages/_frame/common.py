"""What every page needs: the stored settings, the present view, the pinned view, and what is missing.

A page starts with `view = common.view()`; with nothing to show that stops the page after saying why.
"""

from dataclasses import replace

import streamlit as st

from asr_core.errors import AsrError
from asr_core.images import folders
from asr_core.pipeline import assembly
from asr_core.pipeline.order import Sooner
from asr_core.registry import applies
from asr_core.spec.digests import canonical
from asr_core.spec.experiment import ExperimentSpec, Setting
from asr_core.spec.recalibration import BUDGETS, BatchNormState, default_states
from asr_core.spec.repairs import repairs
from asr_core.store import catalogue, default_root, results
from asr_core.store.catalogue import Stored
from asr_core.store.results import Result
from asr_core.studies import first
from pages._frame import address, looks, state
from pages._frame.compute import compute_panel
from pages._frame.shelf import opened as opened
from pages._frame.shelf import store as store
from pages._frame.shelf import stored as stored
from pages._frame.text import problem
from pages._frame.views import Look, View, short


def chosen() -> Setting:
    """The setting that sidebar and address ask for; raises SpecError where its values do not go together."""
    return Setting.of(**state.values(name for name in address.SETTING if name != address.DENSE_ID))


def named(setting: Setting) -> str:
    """A setting in a few words, stored or not, its images by their name where one is known."""
    digest = setting.data.digest
    return short(setting, folders.label(digest, store()) if digest else None)


def look() -> Look:
    """The look that sidebar and address ask for, at any network; `View` has what of it there is to see."""
    return _look_of(state.values(address.LOOK))


def _look_of(given: dict) -> Look:
    params = {name: given[name] for name, field in address.METHOD_PARAMETERS.items() if applies(field, given)}
    shown = repairs(*(tuple(given[name]) for name in ("methods", "orders", "biases")), **params)
    names = ("start", "averaging", "momentum", "calib_batches", "pseudo_count")
    return Look(shown, BatchNormState.of(**{name: given[name] for name in names}), given["momentum"])


def adopt(setting: Setting, dense_id: str) -> None:
    """Choose a stored setting: from a callback, or before the sidebar is drawn. Its dense network is named only where
    there are several of its recipe."""
    several = len(catalogue.identities(stored(), setting)) > 1
    values = {name: address.default(name) for name in address.SETTING} | setting.values()
    values["classes"] = setting.data.classes if setting.data.digest else None  # else the dataset tells
    state.put(**values | {address.DENSE_ID: dense_id if several else None})


def adopt_default() -> None:
    """With no setting in the address: the stored one that `first.RULE` names."""
    if found := first.first(store()):
        adopt(found.setting, found.dense_id)


def adopt_look() -> None:
    """With no look in the address: the default one if it is stored, else one of which every row is stored."""
    found = catalogue.covering(stored(), chosen(), state.get(address.DENSE_ID))
    if found and (shown := _view(found, look())).missing:
        state.put(**looks.first(shown.result.accuracy))


def experiment() -> ExperimentSpec:
    """What must be stored for the present choice: the chosen repairs at the default and chosen recalibrations."""
    wanted, seen = chosen(), look()
    budgets = sorted({*BUDGETS, seen.bn_state.calib_batches} - {0})
    states = dict.fromkeys((*default_states(tuple(budgets), seen.momentum), seen.bn_state))
    return ExperimentSpec.of_setting(wanted, seen.repairs, tuple(states))


def present() -> View | None:
    """The view of the present choice, with what a running job has stored of it so far; else None, or the nearest stored
    setting where it was asked for `instead`."""
    wanted, identity, everything = chosen(), state.get(address.DENSE_ID), stored()
    found = catalogue.covering(everything, wanted, identity)
    if not found and identity and (found := catalogue.covering(everything, wanted)):
        state.complain(
            f"The dense network {identity[:8]} is not stored here; "
            f"showing another of the same recipe, {found[0].dense_id[:8]}."
        )
    if found:
        state.put(instead=False)
        shown = _view(found, look())
        return _with_partial(shown) if shown.missing else shown
    if (begun := _partial()) is not None:
        return View(begun, (), wanted, begun.setting["dense_id"], look().on(wanted.model))
    return _foreign(wanted, everything) if state.get("instead") else None


def _foreign(wanted: Setting, everything: list[Stored]) -> View | None:
    """The stored setting nearest to the one that is wanted, as a view that says what differs."""
    near = catalogue.nearest(everything, wanted)
    if near is None:
        return None
    differ = ", ".join(catalogue.differences(wanted, near.setting))
    return replace(_view(catalogue.covering(everything, near.setting, near.dense_id), look()), stands_in=differ)


def _view(found: list[Stored], seen: Look) -> View:
    keys = tuple(item.key for item in found)
    return _viewed(found[0], opened(keys), seen, str(default_root()), keys, repr(seen))


@st.cache_resource(max_entries=12, show_spinner=False)
def _viewed(_first: Stored, _result: Result, _seen: Look, root: str, keys: tuple[str, ...], look: str) -> View:
    """The view of stored results; kept, with what it has found out of them."""
    return View(_result, keys, _first.setting, _first.dense_id, _seen.on(_first.setting.model))


def _partial() -> Result | None:
    """What a job has stored of the present choice, once the statistics are there."""
    try:
        wanted = experiment()
    except AsrError:
        return None  # said by offer_to_compute
    return _begun(str(default_root()), canonical(wanted), store().stamp("stats"), store().stamp("evaluation"), wanted)


@st.cache_resource(max_entries=2, show_spinner=False)
def _begun(root: str, known_by: str, stats: tuple, evaluations: tuple, _wanted: ExperimentSpec) -> Result | None:
    found = assembly.partial(_wanted, store())
    return None if found.channels is None else results.whole(found)


def _with_partial(shown: View) -> View:
    """A stored view with the rows that a job has added since."""
    begun = _partial()
    if begun is None or begun.setting["dense_id"] != shown.dense_id:
        return shown
    return replace(shown, result=results.merge([shown.result, begun]), begun=len(begun.accuracy) + len(begun.repairs))


def pinned() -> View | None:
    """The pinned view, or None; a pin that is no longer stored is dropped with a complaint."""
    text = state.get("pin")
    if not text:
        return None
    try:
        return _read_pin(text)
    except AsrError as error:
        state.complain(f"The pinned setting cannot be shown: {error}")
        state.put(pin=None)
        return None


# Of the look; the last one only where the averaging is pseudo, where alone it says something.
PINNED = ("orders", "biases", "start", "averaging", "momentum", "calib_batches", "pseudo_count")


def pin_text(view: View) -> str:
    """A view as the text that stands behind `pin` in the address."""
    names = PINNED if state.get("averaging") == "pseudo" else PINNED[:-1]
    return "~".join([view.keys[0], *(state.show(name, state.get(name)) for name in names)])


def _read_pin(text: str) -> View:
    key, *parts = text.split("~")
    given = {name: address.read(name, part) for name, part in zip(PINNED, parts, strict=False)}
    values = {"pseudo_count": address.default("pseudo_count")} | given
    found = [item for item in stored() if item.key == key]
    if not found:
        raise AsrError(f"no stored result has the key {key}. Pin another one.")
    seen = _look_of(state.values(address.LOOK) | values)
    # a copy: what is pinned is another one than what is present, also where both are the same
    return replace(_view(catalogue.covering(stored(), found[0].setting, found[0].dense_id), seen))


def views() -> list[View]:
    """The present view, after the pinned one if there is one: a page draws each of them, on equal axes."""
    return [found for found in (pinned(), view()) if found is not None]


def which(found: View) -> str:
    """'pinned: ' or 'current: ' while two views are compared."""
    if not state.get("pin"):
        return ""
    return "current: " if found is view() else ":material/keep: pinned: "


class Ended(Exception):
    """A page has said why it shows no more. Not st.stop(): after that, nothing can write the state into the address."""


def view() -> View:
    """The present view; stops the page where the chosen setting is not stored: the header has said so and offered to
    compute it."""
    if "_view" not in st.session_state:
        st.session_state["_view"] = present()
    found = st.session_state["_view"]
    if found is None:
        raise Ended
    return found


def offer_to_compute() -> None:
    """What is missing for the present choice, with its time and a button; on a stage or in a class, nothing."""
    if state.get("present") == "1" or state.get("locked") == "1":
        return
    try:
        wanted = experiment()
    except AsrError as error:
        problem(error)
        return
    seen = look().on(wanted.model)
    compute_panel(wanted, store(), looked_at=True, first=Sooner(seen.repairs, seen.bn_state))


def layer_of(found: View) -> str:
    """The selected layer; where none is selected or it is of another network, the most damaged or nearest one."""
    if state.get("layer") is None:
        damage = found.result.layers.drop_duplicates("layer").set_index("layer")["severity"]
        state.put(layer=damage.idxmax() if damage.notna().any() else found.layers[0])
    return state.keep_within("layer", found.layers, found.setting.model.architecture)


def layer_in(found: View) -> str:
    """The selected layer in any view; in a pinned network without it, the layer at the same relative depth."""
    layer, layers = state.get("layer"), found.layers
    if layer in layers:
        return layer
    own = view().layers
    return layers[round(own.index(layer) / max(1, len(own) - 1) * (len(layers) - 1))]


def channel_of(found: View, layer: str) -> int | None:
    """The selected channel within `layer`, or None if none is selected."""
    if state.get("channel") is None:
        return None
    channels = found.result.channels
    return state.keep_within("channel", channels.loc[channels["layer"] == layer, "channel"], layer)
