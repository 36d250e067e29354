"""The calibration draws that are stored of a view."""

from asr_core.store import results
from asr_core.store.catalogue import Stored
from asr_core.studies import noise
from pages._frame.shelf import store, stored
from pages._frame.views import View


def keys(found: View) -> tuple[str, ...]:
    """Keys of the stored results that differ from a view in nothing but their calibration draw, its own among them; a
    draw can have several."""
    return tuple(item.key for item in _alike(found))


def with_factors(found: View) -> list[tuple[str, ...]]:
    """Those of the keys whose results hold factors, which shipped draws do not, those of one draw together."""
    by_draw: dict[int, tuple[str, ...]] = {}
    for item in _alike(found):
        entry, draw = results.entry_of(store(), item.key), item.setting.calibration.draw
        if entry and entry.has("repairs.parquet"):
            by_draw[draw] = (*by_draw.get(draw, ()), item.key)
    return list(by_draw.values())


def count(found: View) -> int:
    """How many draws that is."""
    return len({item.setting.calibration.draw for item in _alike(found)})


def _alike(found: View) -> list[Stored]:
    alike = noise.alike(stored(), found.setting, found.dense_id) if found.keys else []
    return [item for item in alike if item.setting.dense.seed == found.setting.dense.seed]
