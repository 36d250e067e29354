"""What of the shipped results is there: each piece, its entries, and what computing it would take. Imports no torch."""

from dataclasses import dataclass

from asr_core.jobs import estimate
from asr_core.pipeline import allocations, factors, kernels, maps, signal_plan, signals
from asr_core.pipeline.plan import Task
from asr_core.spec.experiment import ExperimentSpec
from asr_core.spec.keys import Keys
from asr_core.spec.recalibration import NO_STATE, REPORTED_STATE
from asr_core.store import Store, results


@dataclass(frozen=True)
class Piece:
    """One experiment to ship: with its channel tables or only layers and accuracy; with maps and kernels of some
    convs, and masks, or not; with the repairability of its dense network or not; with the signal tables before
    recalibration and at the reported state, or not; with the spread of its factors over so many draws, none for 0; the
    file that its weights are in."""

    experiment: ExperimentSpec
    channels: bool = True
    maps: tuple[str, ...] = ()
    repairability: bool = False
    weights: str | None = None
    signal: bool = False
    factors: int = 0


def shipped(piece: Piece, where: Store) -> bool:
    """Whether the piece lies in cache/shipped."""
    known = results.dense_ids(Store(where.shipped), piece.experiment)
    return any(all(Store(where.shipped).has(*name) for name in names(piece, dense_id)) for dense_id in known)


def stored(piece: Piece, where: Store) -> results.Result | None:
    """The stored result of a piece, as whole as the piece is to be; None where it is to be computed."""
    found = results.find(piece.experiment, where)
    return found if found and (found.channels is not None or not piece.channels) else None


def names(piece: Piece, dense_id: str) -> list[tuple[str, str]]:
    """(stage, key) of all that a piece consists of."""
    kernel_keys = [("kernels", kernels.key_of(dense_id, layer)) for layer in piece.maps]
    return [("result", Keys(piece.experiment, dense_id).result), *extra_keys(piece, dense_id), *kernel_keys]


def extra_keys(piece: Piece, dense_id: str) -> list[tuple[str, str]]:
    """(stage, key) of what a piece has beside its result: masks and each network's maps, before recalibration and at
    the reported state; repairability."""
    keys, spec, found = Keys(piece.experiment, dense_id), piece.experiment, []
    if piece.repairability:
        found.append(("repairability", allocations.task_of(spec, dense_id).key))
    if piece.factors:
        found.append(("factors", factors.key_of(spec, dense_id, piece.factors)))
    if piece.signal:
        networks = signals.networks(spec, REPORTED_STATE)
        found += [("signal", key) for key in dict.fromkeys(signals.key_of(keys, *each) for each in networks)]
    if piece.maps:
        mapped = {maps.key_of(keys, network, wanted) for wanted in map_specs(piece) for network in maps.networks(spec)}
        found += [("prune", keys.prune), *(("maps", key) for key in sorted(mapped))]
    return found


def map_specs(piece: Piece) -> list[maps.MapSpec]:
    """The maps of a piece: each of its convs before recalibration and, where there is any, at the reported state."""
    states = dict.fromkeys((NO_STATE, piece.experiment.state_of(REPORTED_STATE)))
    return [maps.MapSpec(layer=layer, state=state) for layer in piece.maps for state in states]


def missing(piece: Piece, where: Store) -> list[Task]:
    """What shipping the piece would compute."""
    spec, dense_id = piece.experiment, results.dense_here(where, piece.experiment)
    found = [] if stored(piece, where) else estimate.work(spec, where)
    if piece.factors:
        needed = factors.missing(spec, where, dense_id, piece.factors)
        found += [task for task in needed if task not in found]
    if piece.repairability:
        found += [task for task in allocations.missing(spec, where, dense_id) if task.stage == "repairability"]
    if piece.signal:
        found += [t for t in signal_plan.missing(spec, where, dense_id, REPORTED_STATE) if t.stage == "signal"]
    if piece.maps:
        found += [
            task
            for wanted in map_specs(piece)
            for task in maps.missing(spec, where, dense_id, wanted)
            if task.stage == "maps"
        ]
    return found
