"""The shipped results in sections: which settings, in which order. Imports no torch."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from asr_core.cli.gallery import Piece
from asr_core.pipeline import allocations, asked
from asr_core.spec.draws import each
from asr_core.spec.experiment import ExperimentSpec
from asr_core.spec.recalibration import NO_STATE, REPORTED_STATE, BatchNormState
from asr_core.spec.repairs import BN_ONLY, METHODS, RepairSpec, repairs
from asr_core.store import Store
from asr_core.store.entries import PROJECT
from asr_core.studies import ablation, budgets

PRUNINGS: list[dict[str, Any]] = [{"sparsity": s} for s in (0.8, 0.9, 0.7)]
PRUNINGS += [{"pruning": "n_m"}, {"sparsity": 0.95}, {"sparsity": 0.5}]
EXTREME = {"sparsity": 0.95}
STUDIED = 0.9  # sparsity of the studies, as in the paper's table 2
LOOKS = (("simultaneous", False), ("sequential", True))  # order and bias of the studies' repairs
BUDGETS = (0.8, 0.9, 0.95)
SUBSET = {"eval_images": 2000}  # of the test images, for grids of 172 evaluations
TABLE_1: list[dict[str, Any]] = [{"sparsity": 0.9}, {"pruning": "n_m"}, {"sparsity": 0.7}]
TRAINED = {"epochs": 50, "batch_size": 128, "learning_rate": 0.1, "precision": "bfloat16", "average": True}
PUBLISHED = {"cifar_resnet20": "resnet20-12fca82f.th", "cifar_resnet56": "resnet56-4bfd9763.th"}
MOBILENET = "mobilenetv1x025.pth.tar"
# one conv of each width at 32x32, 16x16 and 8x8 pixels, the first and the second of a block
MAPPED = tuple(f"layer{stage}.{block}.conv{conv}" for stage, block in ((1, 0), (2, 1), (3, 2)) for conv in (1, 2))
CUMULATIVE = BatchNormState.of(averaging="cumulative", calib_batches=20)
SEEDS, DRAWS = (1, 2), 16  # further trainings; calibration draws in all
NOISY = (0.8, 0.9, 0.7)  # sparsities of the draws, and of the digits' trainings
OTHERS: list[dict[str, Any]] = [
    {"architecture": "resnet18", "stem": "half"},
    {"architecture": "vgg16_bn", "head": "linear", "learning_rate": 0.05},
    {"architecture": "densenet121", "stem": "half", "epochs": 15},
    {"architecture": "resnet50", "stem": "half", "epochs": 15},
]
# as far as two cores reach; float32 is the faster one for it
CONVNEXT = {"architecture": "small_convnext", "epochs": 10, "precision": "float32"}
SIGNALLED = ("lw_bn", "asr_bn", "mls_bn")
WIDE = ("resnet50",)  # 26,000 channels: tables of megabytes
MAIN = (NO_STATE, REPORTED_STATE, CUMULATIVE)


@dataclass(frozen=True)
class Sources:
    """Paths of what the gallery is computed from: ImageFolder trees of the three image sets, and the folder of the
    published networks; None where a source is not at hand."""

    cifar10: str | None = None
    cifar100: str | None = None
    imagenette: str | None = None
    checkpoints: str | None = None


def pieces(where: Store, sources: Sources, only: Sequence[str] = ()) -> list[Piece]:
    """What the gallery holds of the sections `only` (all), in order, as far as their sources are given."""

    def ask(dataset: str = "digits", **changes) -> ExperimentSpec:
        return asked.experiment(where, dataset=dataset, **changes)

    found = []
    for name in only or SECTIONS:
        section, needed = SECTIONS[name]
        if all(getattr(sources, source) for source in needed):
            found += section(ask, sources)
    return found


def digits(ask, sources: Sources) -> list[Piece]:
    """The embedded default, in every state, with 16 calibration draws at one sparsity, and two more trainings."""
    first, *rest = one_network(ask, lambda spec: spec)
    seeds = [Piece(main(ask(seed=seed, sparsity=s)), channels=False) for s in NOISY for seed in SEEDS]
    return [replace(first, maps=MAPPED[-2:]), *rest, *protocols(ask), *draws(ask, (STUDIED,)), *seeds]


def own(ask, sources: Sources) -> list[Piece]:
    """The CIFAR ResNet-20 trained here on CIFAR-10, whole."""
    return one_network(on_cifar10(ask, sources), main)


def on_cifar10(ask, sources: Sources):
    """`ask` for a CIFAR ResNet-20 that is trained here on CIFAR-10."""

    def asking(**changes) -> ExperimentSpec:
        return ask(**TRAINED | {"dataset": f"folder:{sources.cifar10}"} | changes)

    return asking


def grids(ask, sources: Sources) -> list[Piece]:
    """That network's recalibration budgets, on a subset but where every page opens; equal ones but for `studies`'."""
    asking = on_cifar10(ask, sources)
    rest = PRUNINGS[1:]
    whole, *some = (Piece(asking(**p, **(SUBSET if p in rest else {})), channels=False) for p in PRUNINGS)
    equal = [equal_budgets(asking, **p) for p in PRUNINGS if p != {"sparsity": STUDIED}]
    return [whole, *equal[0], *some, *chain.from_iterable(equal[1:])]


def noise(ask, sources: Sources) -> list[Piece]:
    """Two more trainings of that network, and more calibration draws of the first."""
    asking = on_cifar10(ask, sources)
    seeds = [Piece(main(asking(seed=seed, **pruning))) for seed in SEEDS for pruning in PRUNINGS]
    return [*seeds, *draws(asking, NOISY)]


def draws(ask, sparsities) -> list[Piece]:
    """Calibration draws 1 to DRAWS - 1, the repairs of LOOKS in the main states; the spread of their factors."""
    found = []
    for spec in (looks(ask(sparsity=s)).with_(states=MAIN) for s in sparsities):
        *some, last = (Piece(one, channels=False) for one in each(spec, DRAWS)[1:])
        found += [*some, replace(last, factors=DRAWS)]
    return found


def published(ask, sources: Sources) -> list[Piece]:
    """Networks that others trained, read from their files."""
    found = []
    for architecture, name in PUBLISHED.items():
        given = {
            "dataset": f"folder:{sources.cifar10}",
            "architecture": architecture,
            "weights": f"{sources.checkpoints}/{name}",
            "normalization": "imagenet",
        }
        for pruning in PRUNINGS:
            found.append(Piece(main(ask(**given, **pruning)), weights=given["weights"]))
    return found


def others(ask, sources: Sources) -> list[Piece]:
    """Torchvision's networks trained here on CIFAR-10, light."""
    given = TRAINED | {"dataset": f"folder:{sources.cifar10}"}
    return [piece for network in OTHERS for piece in light(ask, given | network)]


def without_batchnorm(ask, sources: Sources) -> list[Piece]:
    """A small ConvNeXt trained here on CIFAR-10, the repairs of LOOKS and those that set new weights: at 80 % with its
    channels, and the signal of some of them."""
    given = TRAINED | {"dataset": f"folder:{sources.cifar10}"} | CONVNEXT
    first, *rest = [
        Piece(looks(ask(**given, **pruning), (*METHODS, "mls_bn")), channels=False)
        for pruning in PRUNINGS
        if pruning != EXTREME
    ]
    some = tuple(RepairSpec.of(method, "sequential", True) for method in SIGNALLED)
    signal = Piece(first.experiment.with_(repairs=some), channels=False, signal=True)
    return [replace(first, channels=True), signal, *rest]


def cifar100(ask, sources: Sources) -> list[Piece]:
    """A CIFAR ResNet-56 trained here on CIFAR-100."""
    given = TRAINED | {"dataset": f"folder:{sources.cifar100}", "architecture": "cifar_resnet56"}
    return [Piece(looks(ask(**given, **pruning)).with_(states=MAIN)) for pruning in PRUNINGS]


def imagenette(ask, sources: Sources) -> list[Piece]:
    """A ResNet-18 trained here on Imagenette, light."""
    given = TRAINED | {"dataset": f"folder:{sources.imagenette}", "architecture": "resnet18", "image_size": 128}
    return light(ask, given | {"epochs": 60, "batch_size": 64, "learning_rate": 0.05})


def mobilenet(ask, sources: Sources) -> list[Piece]:
    """The published MobileNetV1 of width 0.25, an own network to this project, on Imagenette, light."""
    weights = f"{sources.checkpoints}/{MOBILENET}"
    given = {
        "dataset": f"folder:{sources.imagenette}",
        "architecture": f"{PROJECT}/docs/examples/mobilenet_v1.py:quarter",
        "weights": weights,
        "class_map": "imagenette",
        "image_size": 224,
        "normalization": "imagenet",
    }
    return [replace(piece, weights=weights) for piece in light(ask, given)]


def light(ask, given: dict[str, Any]) -> list[Piece]:
    """A larger network at every pruning: the repairs of LOOKS in the main states, channels at one sparsity but for
    WIDE networks."""
    found = [looks(ask(**given, **pruning)).with_(states=MAIN) for pruning in PRUNINGS]
    small = given["architecture"] not in WIDE
    return [Piece(spec, channels=small and spec.prune.parameters.get("sparsity") == STUDIED) for spec in found]


# name -> (its pieces, the sources without which it is left out)
SECTIONS = {
    "digits": (digits, ()),
    "own": (own, ("cifar10",)),
    "grids": (grids, ("cifar10",)),
    "noise": (noise, ("cifar10",)),
    "published": (published, ("cifar10", "checkpoints")),
    "others": (others, ("cifar10",)),
    "without_batchnorm": (without_batchnorm, ("cifar10",)),
    "cifar100": (cifar100, ("cifar100",)),
    "imagenette": (imagenette, ("imagenette",)),
    "mobilenet": (mobilenet, ("imagenette", "checkpoints")),
}


def one_network(ask, narrow) -> list[Piece]:
    """Every page's pieces of one network, narrowed by `narrow`, what the first view shows first."""
    first, *rest = [Piece(narrow(ask(**pruning))) for pruning in PRUNINGS]
    return [replace(first, maps=MAPPED, signal=True), *rest, *allocation(ask), *studies(ask)]


def main(spec: ExperimentSpec) -> ExperimentSpec:
    """`spec` in the main states only."""
    return spec.with_(states=MAIN)


def allocation(ask) -> list[Piece]:
    """Every rule with a budget, at some budgets; the first with the network's repairability."""
    some = [{"pruning": rule, "sparsity": s} for s in BUDGETS for rule in allocations.rules() if rule != "global_l1"]
    first, *rest = [Piece(short(ask(**pruning)), channels=False) for pruning in some]
    return [replace(first, repairability=True), *rest]


def looks(spec: ExperimentSpec, methods: Sequence[str] = METHODS) -> ExperimentSpec:
    """`spec` with every one of the methods in LOOKS only."""
    some = [RepairSpec.of(method, *look) for look in LOOKS for method in methods]
    return spec.with_(repairs=tuple(dict.fromkeys(some)))


def short(spec: ExperimentSpec) -> ExperimentSpec:
    """`spec` with simultaneous collection only, of BN only, LW and ASR, without recalibration, and at b = 20."""
    found = (BN_ONLY, *(RepairSpec.of(method) for method in ("lw_bn", "asr_bn")))
    return spec.with_(repairs=found, states=(NO_STATE, REPORTED_STATE))


def protocols(ask) -> list[Piece]:
    """What the paper leaves open, at the prunings of its table 1: another eps, linear layers pruned too."""
    found = [ask(**pruning).with_(repairs=repairs(eps=1e-5)) for pruning in TABLE_1]
    found += [ask(include_linear=True, **pruning) for pruning in TABLE_1]
    return [Piece(spec.with_(states=MAIN), channels=False) for spec in found]


def studies(ask) -> list[Piece]:
    """At one sparsity and in LOOKS: equal budgets, and the surface of granularity x prior."""
    spec = ask(sparsity=STUDIED)
    cells = [repair for order, bias in LOOKS for repair in ablation.surface_repairs((order,), (bias,))]
    surface = spec.with_(repairs=tuple(dict.fromkeys(cells)), states=(NO_STATE, REPORTED_STATE))
    return [*equal_budgets(ask, sparsity=STUDIED), Piece(surface, channels=False)]


def equal_budgets(ask, **pruning) -> list[Piece]:
    """Repairs in LOOKS and BN only on equally few images."""
    few = looks(ask(**pruning))
    return [Piece(budgets.on(few, count), channels=False) for count in budgets.IMAGES]
