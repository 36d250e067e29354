"""The calibration draws that are stored of a view."""

from asr_core.store.catalogue import Stored
from asr_core.studies import noise
from pages._frame.shelf import stored
from pages._frame.views import View


def keys(found: View) -> tuple[str, ...]:
    """Keys of the stored results that differ from a view in nothing but their calibration draw, its own among them; a
    draw can have several."""
    return tuple(item.key for item in _alike(found))


def by_draw(found: View) -> list[tuple[str, ...]]:
    """The same keys, those of one draw together."""
    alike = _alike(found)
    numbers = dict.fromkeys(item.setting.calibration.draw for item in alike)
    return [tuple(item.key for item in alike if item.setting.calibration.draw == number) for number in numbers]


def count(found: View) -> int:
    """How many draws that is."""
    return len({item.setting.calibration.draw for item in _alike(found)})


def _alike(found: View) -> list[Stored]:
    alike = noise.alike(stored(), found.setting, found.dense_id) if found.keys else []
    return [item for item in alike if item.setting.dense.seed == found.setting.dense.seed]
