"""Networks of the user's own by name: `package.module:function`, `file.py:function`, and those of a notebook.

A name says what a stored result is of; where its code lies is known only to the process that was told: by the command
line, by the library's caller, or by the server's owner (ASR_NETWORKS, `--networks` after `--` of streamlit run).
Nothing else is ever imported, whatever an address or a job asks for. Imports no torch.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from asr_core.errors import ModelError, SpecError
from asr_core.store.entries import PROJECT

ENVIRONMENT, OPTION = "ASR_NETWORKS", "--networks"
NOTEBOOK = "notebook"
NAME = re.compile(r"(?!timm:)[\w.-]{1,100}:[A-Za-z_][\w-]{0,60}")
SPELLED = "package.module:function or file.py:function"
PATIENCE = 120  # seconds that a network may take to be built
_places: dict[str, str] = {}
_held: dict[str, Any] = {}


def is_own(name: str) -> bool:
    """Whether a name is of a network of somebody's own.

    >>> is_own("nets.py:small"), is_own("timm:resnet18"), is_own("resnet18")
    (True, False, False)
    """
    return bool(NAME.fullmatch(name))


def admit(reference: str) -> str:
    """Allow this process to import `module:function` or `PATH/file.py:function`; returns the name, without a folder.

    Raises SpecError for another spelling, or where there is no such file.
    """
    place, _, function = reference.rpartition(":")
    if not (place and function.isidentifier()):
        raise SpecError(f"network {reference[:80]!r} is no {SPELLED}.")
    if place.endswith(".py"):
        path = Path(place).expanduser().absolute()
        if not path.is_file():
            raise SpecError(f"network {reference[:200]!r}: there is no file {path}; give the path of a file.py.")
        name, reference = f"{path.name}:{function}", f"{path}:{function}"
    else:
        name = reference
    if not is_own(name):
        raise SpecError(f"network {reference[:80]!r} is no {SPELLED}; letters, digits, '.', '_' and '-' make a name.")
    if _places.setdefault(name, reference) != reference:
        raise SpecError(f"two networks are called {name}: {_places[name]} and {reference}; rename one of the files.")
    return name


def hold(name: str, network: Any) -> str:
    """Keep a network of a notebook for this process; returns the name that its results have."""
    full = f"{NOTEBOOK}:{name}"
    if not isinstance(name, str) or not is_own(full):
        raise SpecError(
            f"name is {str(name)[:80]!r}; give a word of letters, digits, '_' and '-' that begins with a letter."
        )
    _held[full] = network
    return full


def held(name: str) -> Any:
    """The notebook's network of that name, or None."""
    return _held.get(name)


def server() -> list[str]:
    """What the server's owner names: the references in ASR_NETWORKS, and after --networks in this process's call."""
    given = [os.environ.get(ENVIRONMENT, "")]
    for word, after in zip(sys.argv, [*sys.argv[1:], ""], strict=True):
        if word == OPTION:
            given.append(after)
        elif word.startswith(f"{OPTION}="):
            given.append(word.partition("=")[2])
    return [part.strip() for each in given for part in each.split(",") if part.strip()]


def admit_server() -> None:
    """Allow what the server's owner names, here and in every process that this one starts; raises SpecError."""
    if given := list(dict.fromkeys(server())):
        for reference in given:
            admit(reference)
        os.environ[ENVIRONMENT] = ",".join(given)


def listed() -> tuple[str, ...]:
    """Names that this process may import, sorted."""
    return tuple(sorted({*_places, *_held}))


def place(name: str) -> str:
    """Where the code of a name lies; raises ModelError, naming the setting that is missing, where nobody said."""
    if name not in _places:
        admit_server()
    if name in _places:
        return _places[name]
    if name.startswith(f"{NOTEBOOK}:"):
        raise ModelError(
            f"network {name} came from a notebook, and its code is not here; call asr_core.study in that notebook "
            "again to compute more of it."
        )
    what = f"PATH/{name}" if ".py:" in name else name
    raise ModelError(
        f"network {name} is not among those that this server may import; its owner names it when the server is "
        f"started: {ENVIRONMENT}={what}, or `streamlit run app.py -- {OPTION} {what}`."
    )


def identity(name: str, classes: int, image_size: int) -> dict[str, Any]:
    """`own.identity` by a process of its own; raises ModelError with what the network's code raised."""
    if is_own(name):
        place(name)  # what may not be imported starts no process
    paths = os.pathsep.join(filter(None, (str(PROJECT), os.environ.get("PYTHONPATH"))))
    try:
        done = subprocess.run(
            [sys.executable, "-m", "asr_core.networks.identify", name, str(classes), str(image_size)],
            timeout=PATIENCE,
            capture_output=True,
            text=True,
            errors="replace",
            env=os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        raise ModelError(f"network {name} could not be built within {PATIENCE} s.") from None
    said = done.stdout.strip().splitlines()
    if done.returncode:
        raise ModelError(said[-1] if said else f"network {name} could not be built (exit {done.returncode}).")
    return json.loads(said[-1])
