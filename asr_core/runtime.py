"""Device and threads: where a computation runs, never what it is."""

import torch

from asr_core.errors import SpecError, UnknownName

DEVICES = ("auto", "cpu", "cuda", "mps")


def device(name: str = "auto") -> torch.device:
    """The torch device of `name`; `auto` takes cuda, then mps, then cpu. Raises SpecError if it is not here."""
    if name not in DEVICES:
        raise UnknownName("device", name, DEVICES)
    here = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return torch.device(next(d for d in ("cuda", "mps", "cpu") if here[d]))
    if not here[name]:
        raise SpecError(f"device {name!r} is not on this machine; here: {', '.join(d for d in here if here[d])}.")
    return torch.device(name)


def facts(where: torch.device) -> dict:
    """What a manifest records of where a number was computed."""
    return {"device": where.type, "precision": "float32", "threads": torch.get_num_threads()}
