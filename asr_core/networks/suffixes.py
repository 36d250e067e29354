"""Names of weights files."""

from asr_core.errors import WeightsError

SUFFIXES = (".safetensors", ".pt", ".pth", ".th", ".bin", ".ckpt", ".tar")  # .tar: also .pth.tar


def check_name(name: str) -> str:
    """The suffix of a weights file, in lower case; raises WeightsError for a name without one of SUFFIXES."""
    for suffix in SUFFIXES:
        if name.lower().endswith(suffix):
            return suffix
    raise WeightsError(
        f"weights file {name[-80:]} must end in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}; save a state_dict "
        "as one of them."
    )
