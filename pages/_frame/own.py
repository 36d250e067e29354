"""In the sidebar: images and weights of the user's own. What is accepted becomes the present setting."""

import streamlit as st

from asr_core import registry
from asr_core.errors import AsrError
from asr_core.fields import declarations
from asr_core.images import folders, uploads
from asr_core.networks import suffixes
from asr_core.networks import uploads as weights
from asr_core.spec.model import ModelSpec
from asr_core.spec.parts import DataSpec
from asr_core.spec.samples import IMAGES
from asr_core.store.received import LARGEST
from pages._frame import address, controls, folded, own_network, state, visitor
from pages._frame import common as common
from pages._frame.own_network import SAID
from pages._frame.text import plain

ROUND = "_own_round"


def draw() -> None:
    """The section."""
    folded.expander("Own network and data", "_open_own", _inside, icon=":material/upload:")


def _inside() -> None:
    if not visitor.admitted("_password_own"):
        return
    _images()
    st.divider()
    _weights()
    if said := st.session_state.get(SAID):
        (st.error if said[0] == "error" else st.success)(plain(said[1]))


def _images() -> None:
    """A folder on the server's machine, or a zip."""
    form = "train/CLASS/… and test/CLASS/…, the same classes in both"
    path = st.text_input(
        "Image folder on the server's machine",
        key="_own_path",
        placeholder="/data/flowers",
        help=f"Its path; within: {form}. It stays where it is.",
    )
    st.button(
        "Use this folder",
        key="_own_use_path",
        disabled=not path,
        on_click=_try,
        args=(None, "Reading the images …", lambda: adopt_images(folders.identify(path, common.store()))),
    )
    archive = st.file_uploader(
        "or a zip of one",
        "zip",
        key=_fresh("zip"),
        max_upload_size=LARGEST,
        help=f"Within: {form}. Only images are unpacked, on the server's machine.",
    )
    st.button(
        "Use this zip",
        key="_own_use_zip",
        disabled=archive is None,
        on_click=_try,
        args=("zip", "Unpacking the images …", lambda: adopt_images(uploads.keep_images(common.store(), archive))),
    )


def _weights() -> None:
    """A state_dict of the chosen architecture."""
    kinds = [suffix.removeprefix(".") for suffix in suffixes.SUFFIXES]
    file = st.file_uploader(
        "state_dict or checkpoint of the chosen architecture",
        kinds,
        key=_fresh("weights"),
        max_upload_size=LARGEST,
        help=(
            "Of the architecture, stem, head, image side and dataset chosen here; choose them first. Code in a file "
            "is never run."
        ),
    )
    field = declarations(DataSpec)["normalization"]
    controls.control("normalization", field, lambda name: state.put(**{address.DENSE_ID: None}))
    st.button(
        "Use as dense network",
        key="_own_use_weights",
        disabled=file is None,
        on_click=_try,
        args=("weights", "Trying the file on its network …", lambda: adopt_weights(file)),
    )


def _fresh(name: str) -> str:
    """A key that is new after each success, so that the server lets go of the uploaded bytes."""
    return f"_own_{name}_{st.session_state.get(ROUND, {}).get(name, 0)}"


def _try(name: str | None, what: str, adopt) -> None:
    """A callback: check and adopt, remember what came of it in words, and let go of what was uploaded under `name`."""
    session = st.session_state
    try:
        with st.spinner(what):
            session[SAID] = "done", adopt()
        rounds = session.get(ROUND, {})
        session[ROUND] = rounds | {name: rounds.get(name, 0) + 1}
    except AsrError as error:
        session[SAID] = "error", str(error)


def adopt_images(found: dict) -> str:
    """Make a folder (of folders.identify) the present dataset; returns what it is in words.

    Choices that it is too small for shrink; weights made for another number of classes are let go.
    """
    train, test = found["images"]["train"], found["images"]["test"]
    stats, tests = state.get("stat_images"), state.get("eval_images")
    fits = stats if stats <= train else max((n for n in IMAGES if n <= train), default=2)
    before = state.get("classes") or registry.get("image source", state.get("dataset")).classes
    if before != found["classes"] and state.get("source") == "file":
        state.put(source="scratch", weights_digest=None)
    own = found["dataset"] == "folder"  # else a known data set, whatever it came in
    state.put(
        dataset=found["dataset"],
        digest=found["digest"] if own else None,
        classes=found["classes"] if own else None,
        stat_images=fits,
        eval_images=None if tests is not None and tests > test else tests,
        **{address.DENSE_ID: None},
    )
    own_network.identify()
    label = found["label"] if own else registry.get("image source", found["dataset"]).label
    notes = "".join(f" {note[:1].upper()}{note[1:]}." for note in found["notes"])
    return (
        f"{label}: {found['classes']} classes, {train:,} images to train on, {test:,} to test on.{notes} "
        "Now compute it, or give weights first."
    )


def adopt_weights(file) -> str:
    """Keep a state_dict that fits the present choice and make it the dense network; raises WeightsError."""
    values = state.values(address.SETTING)
    data, model = DataSpec.pick(**values), ModelSpec.pick(**values)  # its file may be what the whole still lacks
    known = weights.keep_weights(common.store(), file.name, file, model, data.classes, data.image_size)
    state.put(source="file", weights_digest=known.digest, **{address.DENSE_ID: None})
    notes = "".join(f" {note[:1].upper()}{note[1:]}." for note in known.notes)
    return f"The weights fit {model.words} with {data.classes} classes ({known.digest[:8]}…).{notes} Now compute it."
