"""Which output of a wide head each class of the images is: from a file, or built in. Imports no torch."""

import json
from pathlib import Path

from asr_core.errors import SpecError

IMAGENET = 1000  # outputs of a network that was trained on ImageNet-1k
IMAGENETTE = {
    "n01440764": 0,
    "n02102040": 217,
    "n02979186": 482,
    "n03000684": 491,
    "n03028079": 497,
    "n03394916": 566,
    "n03417042": 569,
    "n03425413": 571,
    "n03445777": 574,
    "n03888257": 701,
}
BUILT_IN = {"imagenette": IMAGENETTE}
FORM = 'JSON {"class": output, ...}, or a line "class output" for each'


def outputs_of(given: str, classes: tuple[str, ...]) -> str:
    """The head's output of each of the `classes` (names or folders), as ModelSpec.class_map takes it.

    given: a word of BUILT_IN, or the path of a file (JSON, or two columns of text: class and output). Raises SpecError
    for a file that is none, and for a class that it does not name.

    >>> outputs_of("imagenette", ("n01440764", "n03888257"))
    '0,701'
    """
    known = BUILT_IN.get(given) or _read(given)
    if lacking := [name for name in classes if name not in known]:
        raise SpecError(
            f"class map {given} has no class {lacking[0]!r} ({len(lacking)} of {len(classes)} are missing); it has "
            f"{', '.join(list(known)[:5])}, ..."
        )
    return ",".join(str(known[name]) for name in classes)


def _read(path: str) -> dict[str, int]:
    try:
        text = Path(path).expanduser().read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise SpecError(
            f"class map {path} cannot be read ({reason}); give {', '.join(BUILT_IN)}, or a file: {FORM}."
        ) from None
    try:
        found = json.loads(text) if text.lstrip().startswith("{") else dict(_columns(text))
        return {str(name): _whole(value) for name, value in found.items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise SpecError(f"class map {path} is none ({' '.join(str(error).split())[:100]}); give {FORM}.") from None


def _columns(text: str) -> list[tuple[str, str]]:
    """Class and output of each line; the output stands last, after a space, tab or comma."""
    lines = [line.replace(",", " ").replace("\t", " ").strip() for line in text.splitlines()]
    found = [(" ".join(line.split()[:-1]), line.split()[-1]) for line in lines if line and not line.startswith("#")]
    if wrong := [number for name, number in found if not (name and number.isdigit())]:
        raise ValueError(f"{wrong[0]!r} stands where an output is needed")
    return found


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise ValueError(f"{value!r} is no whole number")
    return int(value)
