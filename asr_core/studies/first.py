"""The stored result that a view opens with where nothing is chosen: by a rule, not by hand. Imports no torch."""

from functools import lru_cache

from asr_core.spec.experiment import Setting, from_dict
from asr_core.spec.keys import Keys
from asr_core.spec.recalibration import REPORTED_STATE
from asr_core.spec.repairs import METHODS, RepairSpec
from asr_core.store import Store, catalogue, results
from asr_core.store.catalogue import Stored
from asr_core.store.entries import WEIGHTS
from asr_core.store.tables import rows_of
from asr_core.studies.ablation import rows_in

RULE = (
    "Without a choice, views open with a result that came with the project: of a network whose weights came too, "
    "tested on the most images, with maps of its layers where any has them, at the sparsity where the methods' "
    "accuracies after the usual recalibration lie farthest apart."
)
ORDER, BIAS = "simultaneous", False


def first(store: Store) -> Stored | None:
    """The result of RULE; where none is whole the default setting's, else the first one; None where nothing is
    stored."""
    everything = catalogue.stored(store)
    found = {item.key: item for item in everything}
    if (key := _widest(store, tuple(found))) in found:
        return found[key]
    return next(iter(catalogue.covering(everything, Setting()) or everything), None)


@lru_cache(maxsize=16)
def _widest(store: Store, known: tuple[str, ...]) -> str | None:
    """Key of the shipped result of RULE among those `known` by now; of equal ones the first."""
    weights = {m["facts"]["dense_id"] for m in store.manifests("dense", local=False) if WEIGHTS in m["files"]}
    shipped = [m for m in store.manifests("result", local=False) if m["key"] in known]
    whole = [m for m in shipped if "channels.parquet" in m["files"] and _of(m) in weights]
    ranked = {m["key"]: rank for m in whole if (rank := _rank(store, m))}
    return max(ranked, key=lambda key: ranked[key], default=None)


def _of(manifest: dict) -> str:
    return manifest["facts"]["setting"]["dense_id"]


def _rank(store: Store, manifest: dict) -> tuple[int, bool, float] | None:
    """(test images, whether maps came too: only then the masks did, distance between the best and the worst method);
    None where it turns out to be damaged."""
    entry = results.entry_of(store, manifest["key"])
    if entry is None:
        return None
    accuracy = entry.table("accuracy")
    rows = rows_in(accuracy, REPORTED_STATE)
    of_methods = [rows_of(rows, RepairSpec.of(method, ORDER, BIAS)) for method in METHODS]
    top1 = [some["top1"].iloc[0] for some in of_methods if len(some)]
    masks = Store(store.shipped).has("prune", Keys(from_dict(manifest["spec"]), _of(manifest)).prune)
    return int(accuracy["n_eval"].max()), masks, float(max(top1) - min(top1)) if top1 else 0.0
