"""What every page needs: the stored settings, the present view, the pinned view, and what is missing.

A page starts with `view = common.view()`; with nothing to show that stops the page after saying why.
"""

from dataclasses import replace

import pandas as pd
import streamlit as st

from asr_core.cli.settings import BIASES  # noqa: F401 - pages say common.BIASES
from asr_core.errors import AsrError
from asr_core.images import data, folders
from asr_core.pipeline import assembly
from asr_core.spec.experiment import ExperimentSpec, canonical
from asr_core.spec.grid import BUDGETS, default_states
from asr_core.store import Store, catalogue, default_root, results
from asr_core.store.catalogue import Setting, Stored
from asr_core.store.results import Result
from pages._frame import address, state
from pages._frame.compute import compute_panel
from pages._frame.text import problem
from pages._frame.views import Look, View, tidy


@st.cache_resource(max_entries=2)
def _store(root: str) -> Store:
    return Store(root)


def store() -> Store:
    """The store of this process."""
    return _store(str(default_root()))


@st.cache_resource(max_entries=2)
def _stored(root: str, stamp: tuple) -> list[Stored]:
    return catalogue.stored(_store(root))


def stored() -> list[Stored]:
    """Everything stored, read again only when results came or went."""
    return _stored(str(default_root()), store().stamp("result"))


@st.cache_resource(max_entries=4, show_spinner=False)
def _opened(root: str, keys: tuple[str, ...]) -> Result:
    return _whole(results.open_results(_store(root), keys))


def opened(keys: tuple[str, ...]) -> Result:
    """The stored results under `keys` (of one setting) as one; shared between sessions, so never change its tables."""
    return _opened(str(default_root()), keys)


def chosen() -> Setting:
    """The setting that sidebar and address ask for, without what its rule, source or dataset does not have."""
    return tidy(Setting(**{name: state.get(name) for name in catalogue.FIELDS}))


def look() -> Look:
    """The look that sidebar and address ask for."""
    values = {name: state.get(name) for name in address.LOOK}
    return Look(**{name: tuple(v) if isinstance(v, list) else v for name, v in values.items()})


def classes(name: str) -> int | None:
    """How many classes a dataset has; None for a folder that was never seen here."""
    digest = name.removeprefix("folder:")
    if digest == name:
        return data.CLASSES[name]
    known = [item.setting.classes for item in stored() if item.setting.data == name]
    return known[0] if known else folders.classes(digest, store())


def let_go_of_weights() -> None:
    """The present weights file is of another network: from a callback."""
    state.put(weights=None, **({"source": "scratch"} if state.get("source") == "file" else {}))


def identities(wanted: Setting) -> list[str]:
    """The stored dense networks of the recipe of `wanted`, first stored first."""
    recipe = catalogue.coarser("dense")
    same = [i.setting.dense for i in stored() if all(getattr(i.setting, f) == getattr(wanted, f) for f in recipe)]
    return list(dict.fromkeys(same))


def adopt(item: Stored | View) -> None:
    """Choose a stored setting: from a callback, or before the sidebar is drawn. Its dense network is named only where
    there are several of its recipe."""
    values = {name: getattr(item.setting, name) for name in catalogue.FIELDS}
    if len(identities(item.setting)) == 1:
        values["dense"] = None
    state.put(**{name: address.PARAMS[name].default if value is None else value for name, value in values.items()})


def adopt_default() -> None:
    """With no setting in the address: the default one if it is stored, else the first stored one."""
    everything = stored()
    found = catalogue.covering(everything, Setting()) or everything[:1]
    if found:
        adopt(found[0])


def experiment() -> ExperimentSpec:
    """What must be stored for the present choice: the chosen repairs at the default and chosen recalibrations."""
    seen = look()
    budgets = sorted({*BUDGETS, seen.b} - {0})
    return chosen().experiment(seen.repairs, default_states(tuple(budgets), seen.momentum))


def present() -> View | None:
    """The view of the present choice, with what a running job has stored of it so far; else of the nearest stored setting, or None."""
    wanted, everything = chosen(), stored()
    found = catalogue.covering(everything, wanted)
    if not found and wanted.dense and (found := catalogue.covering(everything, replace(wanted, dense=None))):
        state.complain(
            f"The dense network {wanted.dense[:8]} is not stored here; showing another of the same recipe, {found[0].setting.dense[:8]}."
        )
    if found:
        shown = _view(found, look())
        return _with_partial(shown) if shown.missing else shown
    if (begun := _partial()) is not None:
        return View(begun, (), wanted, look())
    near = catalogue.nearest(everything, wanted)
    if near is None:
        return None
    instead = ", ".join(replace(wanted, dense=None).differences(replace(near.setting, dense=None)))
    return replace(_view(catalogue.covering(everything, near.setting), look()), stands_in=instead)


def _view(found: list[Stored], seen: Look) -> View:
    keys = tuple(item.key for item in found)
    return View(opened(keys), keys, found[0].setting, seen)


def _partial() -> Result | None:
    """What a job has stored of the present choice, once the statistics are there."""
    try:
        wanted = experiment()
    except AsrError:
        return None  # said by offer_to_compute
    return _begun(str(default_root()), canonical(wanted), store().stamp("stats"), store().stamp("evaluation"), wanted)


@st.cache_resource(max_entries=2, show_spinner=False)
def _begun(root: str, known_by: str, stats: tuple, evaluations: tuple, _wanted: ExperimentSpec) -> Result | None:
    found = assembly.partial(_wanted, _store(root))
    return None if found.channels is None else _whole(found)


def _whole(found: Result) -> Result:
    """With empty tables in place of those that a running job has not made yet, or that were not shipped."""
    return replace(found, **{name: EMPTY[name] for name in EMPTY if getattr(found, name) is None})


EMPTY = {
    "accuracy": pd.DataFrame(columns=[*results.ROW_FIELDS, "slug", "logit_gap"]).astype(
        {"calib_batches": int, "top1": float}
    ),
    "channels": pd.DataFrame(
        columns=[
            "layer",
            "depth",
            "channel",
            "mu_dense",
            "v_dense",
            "mu_pruned",
            "v_pruned",
            "kept_fraction",
            "kept_energy",
        ]
    ),
    "repairs": pd.DataFrame(columns=["slug", "layer", "channel", "gamma", "shrinkage"]),
}


def _with_partial(shown: View) -> View:
    """A stored view with the rows that a job has added since."""
    begun = _partial()
    if begun is None or begun.setting["dense_id"] != shown.setting.dense:
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


def pin_text(view: View) -> str:
    """A view as the text that stands behind `pin` in the address."""
    seen = view.look
    return "~".join(
        [
            view.keys[0],
            ",".join(seen.orders),
            ",".join(seen.biases),
            seen.start,
            seen.averaging,
            str(seen.momentum),
            str(seen.b),
        ]
    )


def _read_pin(text: str) -> View:
    key, *parts = text.split("~")
    names = ("orders", "biases", "start", "averaging", "momentum", "b")
    values = {name: address.LOOK[name].read(part) for name, part in zip(names, parts, strict=True)}
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    found = [item for item in stored() if item.key == key]
    if not found:
        raise AsrError(f"no stored result has the key {key}. Pin another one.")
    return _view(catalogue.covering(stored(), found[0].setting), replace(look(), **values))


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
    """The present view; offers to compute what is missing, and stops the page where nothing is stored."""
    if "_view" not in st.session_state:
        st.session_state["_view"] = present()
    found = st.session_state["_view"]
    if found is None:
        st.info("Nothing is stored yet, so there is nothing to draw. Compute this setting, or choose another one.")
        offer_to_compute()
        raise Ended
    return found


def offer_to_compute() -> None:
    """What is missing for the present choice, with its time and a button."""
    try:
        wanted = experiment()
    except AsrError as error:
        problem(error)
        return
    compute_panel(wanted, store())


def layer_of(found: View) -> str:
    """The selected layer; where none is selected or it is of another network, the most damaged or nearest one."""
    if state.get("layer") is None:
        damage = found.result.layers.drop_duplicates("layer").set_index("layer")["severity"]
        state.put(layer=damage.idxmax() if damage.notna().any() else found.layers[0])
    return state.keep_within("layer", found.layers, found.setting.net)


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
