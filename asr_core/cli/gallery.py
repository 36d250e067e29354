"""The shipped results: which settings, in which order, and what of them is there. Imports no torch."""

from dataclasses import dataclass, replace
from typing import Any

from asr_core.jobs import estimate
from asr_core.pipeline import allocations, asked, kernels, maps, signals
from asr_core.pipeline.plan import Task
from asr_core.spec.experiment import ExperimentSpec
from asr_core.spec.keys import Keys
from asr_core.spec.recalibration import NO_STATE, REPORTED_STATE, BatchNormState, default_states
from asr_core.spec.repairs import METHODS, ORDERS, RepairSpec, repairs
from asr_core.store import Store, results
from asr_core.studies import ablation, budgets, transition

CIFAR = {"epochs": 12, "batch_size": 128, "precision": "bfloat16", "eval_images": 2000}
PRUNINGS: list[dict[str, Any]] = [{"sparsity": s} for s in (0.9, 0.95, 0.5, 0.7, 0.8, 0.97)]
PRUNINGS.insert(1, {"pruning": "n_m"})
ALLOCATIONS = [{"pruning": rule, "sparsity": s} for s in transition.BUDGETS for rule in allocations.rules()]
VGG = {"architecture": "vgg16_bn", "head": "linear"}
DENSENET = {"architecture": "densenet121", "epochs": 5}
RESNET50 = {"architecture": "resnet50", "epochs": 10}
HALF = {"stem": "half", "epochs": 20}
TABLE_1: list[dict[str, Any]] = [{"sparsity": 0.9}, {"pruning": "n_m"}, {"sparsity": 0.7}]
# of the half stem, whose layer2 is 8x8 for 32x32 images; on CIFAR-10 those that fit into what is left of the 60 MB
MAPPED = ("layer1.0.conv1", "layer2.0.conv1", "layer3.0.conv1")
MAPPED_CIFAR = MAPPED[1:2]
CUMULATIVE = BatchNormState.of(averaging="cumulative", calib_batches=20)


@dataclass(frozen=True)
class Piece:
    """One experiment to ship: with its channel tables or only layers and accuracy; with maps and kernels of some
    convs, and masks, or not; with the repairability of its dense network or not; with the signal tables before
    recalibration and at the reported state, or not."""

    experiment: ExperimentSpec
    channels: bool = True
    maps: tuple[str, ...] = ()
    repairability: bool = False
    signal: bool = False


def pieces(where: Store, images: str | None) -> list[Piece]:
    """What the gallery holds, in order; results on CIFAR-10 need `images`, the path of their folder."""

    def ask(**changes) -> ExperimentSpec:
        return asked.experiment(
            where, **{"draw": changes.get("seed")} | changes
        )  # another seed calibrates on others too

    found = [*(Piece(ask(**pruning)) for pruning in PRUNINGS), *studies(ask)]
    found.append(Piece(both_biases(ask(stem="half", sparsity=0.9)), maps=MAPPED))
    vgg = [Piece(short(ask(**VGG, **pruning)), channels=False) for pruning in PRUNINGS[:3]]
    if not images:
        return found + vgg

    def ask_cifar(**changes) -> ExperimentSpec:
        return ask(**CIFAR | {"dataset": f"folder:{images}"} | changes)

    second = every_pruning(ask_cifar, short, seed=1)
    return [*found, *one_network(ask_cifar), *deep_network(ask_cifar), *second, *vgg, *more_networks(ask_cifar)]


def one_network(ask) -> list[Piece]:
    """The pieces of one network on CIFAR-10: every pruning, the studies, allocation."""
    found = [Piece(few_states(ask(**pruning))) for pruning in PRUNINGS]
    found += studies(ask)
    return [*found, *allocation(ask, short), *protocols(ask)]


def deep_network(ask) -> list[Piece]:
    """vgg16_bn on CIFAR-10: allocation. A forward pass costs 15 times that of resnet18, hence few epochs and rows."""
    return allocation(lambda **changes: ask(**VGG, epochs=3, **changes), lean)


def allocation(ask, narrow) -> list[Piece]:
    """Every rule with a budget at every budget of the transition, narrowed by `narrow`; the first with the network's
    repairability."""
    first, *rest = [Piece(narrow(ask(**pruning)), channels=False) for pruning in ALLOCATIONS]
    return [replace(first, repairability=True), *rest]


def more_networks(ask) -> list[Piece]:
    """Further networks on CIFAR-10, the quickest first."""
    return [
        *every_pruning(ask, short, channels=True, **DENSENET),
        *every_pruning(ask, short, seed=2),
        *every_pruning(ask, short, channels=True, **RESNET50),
        table_2(ask(**RESNET50, sparsity=0.9)),
        *readable_network(ask),
        *every_pruning(ask, lean, **VGG, epochs=5),
    ]


def table_2(spec: ExperimentSpec) -> Piece:
    """Every row of the paper's table 2, in both orders of collection."""
    repairs = dict.fromkeys(repair for order in ORDERS for repair in ablation.table2_repairs(order).values())
    return Piece(spec.with_(repairs=tuple(repairs), states=(NO_STATE, REPORTED_STATE, CUMULATIVE)), channels=False)


def readable_network(ask) -> list[Piece]:
    """The network whose maps can be read, trained for longest: every repair and the maps of a conv at 90 %, less at
    the others."""
    first, *rest = every_pruning(ask, both_biases, **HALF)
    return [Piece(few_states(ask(**HALF, **PRUNINGS[0]))), replace(first, maps=MAPPED_CIFAR), *rest]


def every_pruning(ask, narrow, channels=False, **network) -> list[Piece]:
    """One network at every pruning, narrowed by `narrow`; the first with its channel tables, if asked."""
    first, *rest = [Piece(narrow(ask(**network, **pruning)), channels=False) for pruning in PRUNINGS]
    return [replace(first, channels=channels), *rest]


def few_states(spec: ExperimentSpec) -> ExperimentSpec:
    """`spec` with start and averaging other than the default at b = 20 and 50 only."""
    kept = [s for s in default_states() if s.calib_batches in (0, 20, 50) or (s.averaging, s.start) == ("ema", "reset")]
    return spec.with_(states=tuple(kept))


def short(spec: ExperimentSpec, biases: tuple = (None,)) -> ExperimentSpec:
    """`spec` with simultaneous collection only, without recalibration, and at b = 20. biases: None is each method's
    own."""
    repairs = tuple(dict.fromkeys(RepairSpec.of(method, "simultaneous", bias) for method in METHODS for bias in biases))
    return spec.with_(repairs=repairs, states=(NO_STATE, REPORTED_STATE, CUMULATIVE))


def both_biases(spec: ExperimentSpec) -> ExperimentSpec:
    """`short`, each repair with and without the mean correction."""
    return short(spec, (False, True))


def lean(spec: ExperimentSpec) -> ExperimentSpec:
    """`short` without raw_bn and without cumulative averaging."""
    repairs = tuple(repair for repair in short(spec).repairs if repair.method != "raw_bn")
    return spec.with_(repairs=repairs, states=(NO_STATE, REPORTED_STATE))


def protocols(ask) -> list[Piece]:
    """What the paper leaves open, at the prunings of its table 1: another eps, linear layers pruned too."""
    states = (NO_STATE, REPORTED_STATE, BatchNormState.of("keep", "ema", 0.1, 20), CUMULATIVE)
    found = [ask(**pruning).with_(repairs=repairs(eps=1e-5)) for pruning in TABLE_1]
    found += [ask(include_linear=True, **pruning) for pruning in TABLE_1]
    return [Piece(spec.with_(states=states), channels=False) for spec in found]


def studies(ask) -> list[Piece]:
    """At 90 %: the surface of granularity x prior, and repairs and BN only on equally few images."""
    surface = ask(sparsity=0.9).with_(repairs=ablation.surface_repairs(), states=(NO_STATE, REPORTED_STATE))
    return [
        Piece(surface, channels=False),
        *(Piece(budgets.on(ask(sparsity=0.9), count), channels=False) for count in budgets.IMAGES),
    ]


def shipped(piece: Piece, where: Store) -> bool:
    """Whether the piece lies in cache/shipped."""
    known = results.dense_ids(Store(where.shipped), piece.experiment)
    return any(all(Store(where.shipped).has(*name) for name in names(piece, dense_id)) for dense_id in known)


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
    if piece.signal:
        networks = signals.networks(spec, REPORTED_STATE)
        found += [("signal", key) for key in dict.fromkeys(signals.key_of(keys, *each) for each in networks)]
    if piece.maps:
        mapped = {maps.key_of(keys, network, wanted) for wanted in map_specs(piece) for network in maps.networks(spec)}
        found += [("prune", keys.prune), *(("maps", key) for key in sorted(mapped))]
    return found


def map_specs(piece: Piece) -> list[maps.MapSpec]:
    """The maps of a piece: each of its convs before recalibration and at the reported state."""
    return [maps.MapSpec(layer=layer, state=state) for layer in piece.maps for state in (NO_STATE, REPORTED_STATE)]


def missing(piece: Piece, where: Store) -> list[Task]:
    """What shipping the piece would compute."""
    spec, dense_id = piece.experiment, results.dense_here(where, piece.experiment)
    found = estimate.work(spec, where)
    if piece.repairability:
        found += [task for task in allocations.missing(spec, where, dense_id) if task.stage == "repairability"]
    if piece.signal:
        found += [t for t in signals.missing(spec, where, dense_id, REPORTED_STATE) if t.stage == "signal"]
    if piece.maps:
        found += [
            task
            for wanted in map_specs(piece)
            for task in maps.missing(spec, where, dense_id, wanted)
            if task.stage == "maps"
        ]
    return found
