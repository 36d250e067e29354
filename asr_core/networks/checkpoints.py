"""Files of weights as training scripts leave them: what kind of file it is, and where in it the state_dicts lie.

Nothing in a file is run: pickles are read with weights only, and of other classes than tensors only those
of `stand_ins` are let in, each of them replaced by an empty object.
"""

import pickle
import re
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path

import torch

from asr_core.errors import WeightsError
from asr_core.networks.stand_ins import STAND_INS
from asr_core.networks.suffixes import SUFFIXES, check_name

# Keys of training scripts, those that say most first.
PLAIN: tuple[str, ...] = (
    "state_dict",
    "model_state_dict",
    "model",
    "net",
    "network",
    "net_state_dict",
    "model_state",
    "params",
)
PLAIN += ("weights", "module", "shadow")
AVERAGED = re.compile(r"(?<![a-z])(ema|swa|averaged?)(?![a-z])", re.IGNORECASE)  # a word of a key: state_dict_ema
NO_NETWORK = re.compile("optim|sched|scaler|amp|criterion|loss|callback|rng", re.IGNORECASE)
DEPTH = 3  # dicts in dicts that are looked into
SHOWN = 5  # names in a message
REMEDY = "give a state_dict saved as .safetensors or by torch.save"


class Refused(Exception):
    """Why a file is of no use, and what to do: (reason, remedy)."""


@dataclass(frozen=True, eq=False)
class Found:
    """One state_dict of a file. place: the keys it lies under, '' for none; averaged: whether they say so (EMA,
    SWA)."""

    place: str
    entries: dict[str, torch.Tensor]
    averaged: bool = False


def read(path: Path | str) -> list[Found]:
    """The state_dicts of a file, averaged ones first; raises WeightsError, in one line, for any other file.

    Found by content: a pickle of torch.save (zip or older), or safetensors.
    """
    path = Path(path)
    check_name(path.name)
    try:
        return state_dicts(_content(path))
    except Refused as error:
        why, remedy = error.args
    except Exception as error:  # whatever a foreign file provokes
        why, remedy = short(error), REMEDY
    raise WeightsError(f"weights file {path} cannot be read ({why}); {remedy}.") from None


def _content(path: Path):
    with open(path, "rb") as file:
        head = file.read(512)
    _check_head(head)
    if path.name.lower().endswith(".safetensors") or head[8:9] == b"{":
        from safetensors.torch import load_file

        return load_file(path)
    if zipfile.is_zipfile(path):
        _check_archive(path)
    return _unpickled(path)


_HEADS = (
    (b"\x1f\x8b", "it is compressed by gzip", "unpack it and give what is inside"),
    (b"BZh", "it is compressed by bzip2", "unpack it and give what is inside"),
    (b"\xfd7zXZ", "it is compressed by xz", "unpack it and give what is inside"),
    (b"7z\xbc\xaf", "it is a 7z archive", "unpack it and give what is inside"),
    (b"\x89HDF", "it is HDF5, as Keras writes it", "convert it to a state_dict of a PyTorch network"),
    (b"version https://git-lfs", "it is a pointer of Git LFS, not the file", "fetch the file with git lfs pull"),
    (b"<", "it is a web page, not the file", "download the file itself"),
)


def _check_head(head: bytes) -> None:
    """Name what is often given by mistake; raises Refused."""
    if not head:
        raise Refused("it is empty", REMEDY)
    if head[257:262] == b"ustar":
        raise Refused("it is a tar archive", "unpack it and give the state_dict inside")
    for start, why, remedy in _HEADS:
        if head.startswith(start):
            raise Refused(why, remedy)


def _check_archive(path: Path) -> None:
    """Refuse zips that hold programs, none that torch.save made, or what may unpack to any size; raises Refused."""
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    names = [info.filename for info in members]
    if any(name.endswith(("/constants.pkl", "/model.json")) or "/code/" in name for name in names):
        raise Refused("it is a TorchScript archive, which holds code", "give torch.save(model.state_dict(), FILE)")
    if any("serialized_exported_program" in name or name.endswith("archive_format") for name in names):
        raise Refused("it is a program of torch.export, which holds code", "give torch.save(model.state_dict(), FILE)")
    if not any(name.endswith("/data.pkl") for name in names):
        inner = [name for name in names if name.lower().endswith(SUFFIXES)]
        if inner:
            raise Refused(f"it is a zip around {listed(inner)}", "unpack it and give that file")
        raise Refused(f"it is a zip of something else: {listed(names) or 'nothing'}", REMEDY)
    if any(info.compress_type != zipfile.ZIP_STORED for info in members):
        raise Refused("it is a compressed archive, which torch.save never makes", "give the file that torch.save wrote")


def _unpickled(path: Path):
    """What torch.save wrote; raises Refused naming what of it would be code."""
    stand_ins = [(stand_in, name) for name, stand_in in STAND_INS.items()]
    with warnings.catch_warnings(), torch.serialization.safe_globals(stand_ins):
        warnings.simplefilter("ignore")
        try:
            return torch.load(path, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError as error:
            names = _unsafe(path, str(error))
            if not names:
                raise Refused(*_no_pickle(str(error))) from None
    whole = any(name.startswith("torch.nn.modules.") for name in names)
    what = f"a whole network ({listed(names)}), whose" if whole else f"{listed(names)}, and"
    raise Refused(f"it holds {what} code is never run", "give a state_dict: torch.save(model.state_dict(), FILE)")


def _unsafe(path: Path, said: str) -> list[str]:
    """Classes and functions that a pickle asks for, beside those let in: torch's own last."""
    try:
        names = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except Exception:  # the older format, or damage
        names = re.findall(r"GLOBAL ([\w.]+)", said)
    return sorted(set(names), key=lambda name: (name.startswith("torch."), name))


def _no_pickle(said: str) -> tuple[str, str]:
    if "operand" in said:
        return (
            "it is a pickle of another protocol, or damaged",
            "save the state_dict by torch.save with its default protocol",
        )
    return "torch.save did not write it, or it is damaged", REMEDY


def state_dicts(content) -> list[Found]:
    """The state_dicts in what a file holds, averaged ones first; raises Refused where there is none."""
    if not isinstance(content, dict):
        raise Refused(f"it holds a {type(content).__name__}, not a state_dict", REMEDY)
    found = _search(content) or _others(content)
    if not found:
        there = [str(name) for name in content]
        raise Refused(
            f"no state_dict is among its entries: {listed(there)}" if there else "it holds no entries", REMEDY
        )
    return sorted(found, key=lambda item: not item.averaged)


def _search(value: dict, place: tuple[str, ...] = ()) -> list[Found]:
    """State_dicts under the keys of training scripts, or `value` itself."""
    found = []
    for key in sorted((key for key in value if _names_network(key)), key=_rank):
        if isinstance(value[key], dict) and len(place) < DEPTH:
            found += _search(value[key], (*place, key))
    averaged = any(AVERAGED.search(key) for key in place)
    if not found and _holds_tensors(value):
        found.append(Found(".".join(place), _plain(value), averaged))
    elif not found and averaged and any(isinstance(item, list) and _are_tensors(item) for item in value.values()):
        found.append(Found(".".join(place), {}, averaged))  # in the order of parameters(), without names
    return found


def _others(content: dict) -> list[Found]:
    """State_dicts under other keys, such as generator."""
    keys = [key for key, value in content.items() if isinstance(value, dict) and _holds_tensors(value)]
    return [Found(str(key), _plain(content[key])) for key in keys if not NO_NETWORK.search(str(key))]


def _names_network(key) -> bool:
    return isinstance(key, str) and (key in PLAIN or bool(AVERAGED.search(key)))


def _rank(key: str) -> int:
    return PLAIN.index(key) if key in PLAIN else -1


def _holds_tensors(value: dict) -> bool:
    return any(isinstance(tensor, torch.Tensor) for tensor in value.values())


def _are_tensors(values: list) -> bool:
    return bool(values) and all(isinstance(tensor, torch.Tensor) for tensor in values)


def _plain(value: dict) -> dict[str, torch.Tensor]:
    """The tensors by name, without numbers and words beside them; raises Refused for entries of another kind."""
    entries = {name: tensor for name, tensor in value.items() if not isinstance(tensor, (int, float, str, type(None)))}
    if strange := [str(name) for name, tensor in entries.items() if not _is_plain(name, tensor)]:
        raise Refused(f"not plain tensors with names: {some('entries', strange)}", REMEDY)
    return {name: tensor.detach() for name, tensor in entries.items()}


def _is_plain(name, value) -> bool:
    dense = isinstance(value, torch.Tensor) and value.layout is torch.strided and not value.is_quantized
    return isinstance(name, str) and dense and not value.is_meta and not value.is_complex()


def short(error: Exception) -> str:
    """An error of somebody else's, in one line of bounded length."""
    return clean(" ".join(str(error).split()), 160).rstrip(". ") or type(error).__name__


def clean(text: str, most: int = 80) -> str:
    """Text from a file without control characters, cut to `most` characters."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text[: 4 * most])
    plain = "".join(letter if letter.isprintable() else "?" for letter in plain)
    return plain if len(plain) <= most else f"{plain[:most]}…"


def listed(names: list[str]) -> str:
    """'a, b, ...': the first names of a file's own."""
    return f"{', '.join(clean(name) for name in names[:SHOWN])}{', ...' if len(names) > SHOWN else ''}"


def some(kind: str, names: list[str]) -> str:
    """'7 missing: a, b, c, d, e, ...'."""
    return f"{len(names)} {kind}: {listed(names)}"
