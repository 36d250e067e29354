"""The paper's grid of cells, the stored networks that answer them, and what differs between the protocols. Imports no torch."""

from dataclasses import dataclass, replace

import pandas as pd

from asr_core import registry
from asr_core.errors import DataError
from asr_core.images import data
from asr_core.images.sources import LABELS
from asr_core.spec.experiment import ExperimentSpec
from asr_core.spec.grid import BatchNormState, RepairSpec
from asr_core.store import Store
from asr_core.store.catalogue import Setting, Stored, keys_of

ARCHITECTURES = {
    "resnet18": "ResNet-18",
    "resnet50": "ResNet-50",
    "densenet121": "DenseNet-121",
    "vgg16_bn": "VGG-16-BN",
}
DATASETS = ("cifar10", "cifar100", "imagenette")
PRUNINGS = {
    "global_l1_0.50": {"rule": "global_l1", "sparsity": 0.5, "nm": None},  # in figures and table 3 only
    "global_l1_0.70": {"rule": "global_l1", "sparsity": 0.7, "nm": None},
    "global_l1_0.90": {"rule": "global_l1", "sparsity": 0.9, "nm": None},
    "nm_2:4": {"rule": "n_m", "sparsity": None, "nm": "2:4"},
}
PRUNING_LABELS = {
    "none": "",
    "global_l1_0.50": "50 %",
    "global_l1_0.70": "70 %",
    "global_l1_0.90": "90 %",
    "nm_2:4": "2:4",
}
METHODS = ("bn_only", "lw_bn", "asr_bn")  # of table 1
BIASES = {"own": None, "off": False, "on": True}  # name of a mean correction -> Variant.bias
SIDE = 224  # pixels: what ImageNet weights are made for; the paper names no size
NOT_STATED = "not stated"


@dataclass(frozen=True, order=True)
class Cell:
    """One network of the paper: architecture, dataset, pruning (a name of PRUNINGS)."""

    architecture: str
    dataset: str
    pruning: str

    @property
    def label(self) -> str:
        """'ResNet-18, CIFAR-10, 90 %'."""
        return f"{ARCHITECTURES[self.architecture]}, {LABELS[self.dataset]}, {PRUNING_LABELS[self.pruning]}"


CELLS = tuple(Cell(a, d, p) for a in ARCHITECTURES for d in DATASETS for p in PRUNINGS)
TABLE1 = tuple(cell for cell in CELLS if cell.pruning != "global_l1_0.50")


@dataclass(frozen=True, kw_only=True)
class Variant:
    """What the paper leaves open, chosen: order, mean correction, recalibration, eps, pruned tensors.

    bias None: each method's own, as the names in table 2 say (LW without, ASR with). eps None: the
    methods' own. linear: linear layers are pruned too.
    """

    order: str = "simultaneous"
    bias: bool | None = None
    start: str = "reset"
    averaging: str = "ema"
    momentum: float = 0.1
    batches: int = 20
    eps: float | None = None
    linear: bool = False

    @property
    def state(self) -> BatchNormState:
        """The recalibration."""
        return BatchNormState.of(self.start, self.averaging, self.momentum, self.batches)

    def repair(self, method: str) -> RepairSpec:
        """`method` with this order, mean correction and eps."""
        given = {} if self.eps is None else {"eps": self.eps}
        return RepairSpec.of(method, self.order, self.bias, **given)


@dataclass(frozen=True)
class Match:
    """A stored network that answers a cell: keys of its results, most rows first; repeat 0 is the one that is shown,
    the others are the same recipe with another seed or trained again."""

    cell: Cell
    setting: Setting
    keys: tuple[str, ...]
    repeat: int = 0

    @property
    def network(self) -> str:
        """How the dense network was made, in words; different ones are never compared in one grid."""
        found = self.setting
        epochs = f"{found.epochs} epochs"
        made = {"scratch": f"from scratch, {epochs}", "imagenet": f"ImageNet weights, {epochs}", "file": "from a file"}[
            found.source
        ]
        return ", ".join([ARCHITECTURES[self.cell.architecture], *found.model.changed, made, f"{found.size} pixels"])


def dataset_of(item: Stored) -> str | None:
    """The paper's dataset that a stored result is on; None for digits and folders of other images."""
    names = {LABELS[name]: name for name in DATASETS}
    return (
        item.setting.data
        if item.setting.data in DATASETS
        else names.get(item.facts["dataset_label"].partition(" (")[0])
    )


def cell_of(item: Stored) -> Cell | None:
    """The cell that a stored result belongs to, or None."""
    pruned = {name: getattr(item.setting, name) for name in ("rule", "sparsity", "nm")}
    pruning = next((name for name, asked in PRUNINGS.items() if asked == pruned), None)
    cell = Cell(item.setting.net, dataset_of(item), pruning)
    return cell if cell in CELLS else None


def matches(stored: list[Stored], linear: bool = False) -> list[Match]:
    """The stored networks of each cell, of the make that is nearest to the paper's, repeats by seed."""
    makes: dict = {}
    for item in stored:
        cell = cell_of(item)
        if cell is not None and item.setting.linear == linear:
            make = replace(item.setting, seed=0, draw=None, dense=None)
            makes.setdefault(cell, {}).setdefault(make, {}).setdefault(item.setting, []).append(item)
    return [match for cell in CELLS if cell in makes for match in _repeats(cell, makes[cell])]


def _repeats(cell: Cell, makes: dict) -> list[Match]:
    settings = makes[min(makes, key=_distance)]
    ordered = sorted(settings, key=lambda setting: setting.seed)
    return [Match(cell, setting, keys_of(settings[setting]), repeat) for repeat, setting in enumerate(ordered)]


def _distance(make: Setting) -> tuple:
    """How far a make is from the paper's, the weightiest difference first."""
    return (
        make.source != "imagenet",
        make.size != SIDE,
        make.stem != "imagenet",
        make.head != "torchvision",
        make.stats != 64,
        make.calib != 128,
        make.eval is not None,
        -make.epochs,
    )


def paper_setting(cell: Cell) -> Setting:
    """The cell by the paper's protocol, where it states one: ImageNet weights, five epochs on the last block and the head."""
    return Setting(
        data=cell.dataset,
        size=SIDE,
        norm="imagenet",
        net=cell.architecture,
        source="imagenet",
        epochs=5,
        **PRUNINGS[cell.pruning],
    )


def like_stored(cell: Cell, stored: list[Stored], store: Store) -> Setting:
    """The cell made as the stored networks are: those of its dataset, else of any of the paper's datasets, else the default.

    Images of a folder that is not on this machine are replaced by the dataset's download.
    """
    known = [item for item in stored if cell_of(item) and not item.setting.linear]
    near = min(
        known,
        key=lambda i: (dataset_of(i) != cell.dataset, i.setting.net != cell.architecture, _distance(i.setting)),
        default=None,
    )
    base = near.setting if near else Setting(dense=None)
    images = base.data if near and dataset_of(near) == cell.dataset and _at_hand(base, store) else cell.dataset
    small = cell.architecture == "vgg16_bn" and base.size < SIDE  # its own head has 120 million weights for 7x7 maps
    changed = {
        "net": cell.architecture,
        "head": "linear" if small else "torchvision",
        "data": images,
        "classes": base.classes if images == base.data else None,
    }
    return replace(base, dense=None, seed=0, draw=None, **changed, **PRUNINGS[cell.pruning])


def _at_hand(setting: Setting, store: Store) -> bool:
    try:
        data.counts(setting.experiment((), ()).data, store)
    except DataError:
        return False
    return True


def experiment(setting: Setting, variant: Variant) -> ExperimentSpec:
    """What answers all rows of a cell: the methods of table 1 without recalibration and in the variant's."""
    states = tuple(dict.fromkeys((BatchNormState(), variant.state)))
    return replace(setting, linear=variant.linear).experiment(
        tuple(variant.repair(method) for method in METHODS), states
    )


def command(cell: Cell) -> str:
    """The command line that runs the cell by the paper's protocol."""
    how = (
        "--pruning n_m --keep-n 2 --group-m 4"
        if cell.pruning == "nm_2:4"
        else f"--sparsity {PRUNINGS[cell.pruning]['sparsity']}"
    )
    return f"python -m asr_core run --source imagenet --image-size {SIDE} --epochs 5 --dataset {cell.dataset} --architecture {cell.architecture} {how}"


def card(setting: Setting, label: str, variant: Variant) -> pd.DataFrame:
    """Aspect by aspect: the paper's words (quoted, or 'not stated') and what is done here.

    label: name of the images. Columns aspect, paper, here.
    """
    scratch = setting.source == "scratch"
    defaults = registry.get("repair method", "asr_bn").defaults()
    eps = defaults["eps"] if variant.eps is None else variant.eps
    own = "on for ASR, off for LW" if variant.bias is None else "on" if variant.bias else "off"
    ema = f"ema, momentum {variant.momentum:g}"
    rows = [
        (
            "weights",
            "“initialised from ImageNet-pretrained weights”; which: not stated",
            "random start" if scratch else "torchvision's IMAGENET1K_V1" if setting.source == "imagenet" else "a file",
        ),
        (
            "trained layers",
            "“all layers frozen except the final residual block and classification head”",
            "all" if scratch else "last block and head" if setting.source == "imagenet" else "not known: a file",
        ),
        (
            "epochs",
            "“five epochs on the target dataset”",
            "not known: a file" if setting.source == "file" else str(setting.epochs),
        ),
        (
            "optimiser, learning rate",
            NOT_STATED,
            "not known: a file"
            if setting.source == "file"
            else "SGD, Nesterov momentum 0.9, weight decay 5e-4, rising and falling learning rate",
        ),
        ("stem and head", NOT_STATED, f"{setting.stem} stem, {setting.head} head"),
        ("input size", NOT_STATED, f"{setting.size} x {setting.size} pixels"),
        (
            "normalisation",
            NOT_STATED,
            {"dataset": "mean and deviation of the training images", "imagenet": "ImageNet's"}[setting.norm],
        ),
        ("images", "CIFAR-10, CIFAR-100, Imagenette", label),
        (
            "test images",
            "“top-1 test accuracy”; how many: not stated",
            "the whole test split"
            if setting.eval is None
            else f"{setting.eval:,}, a fixed random part of the test split",
        ),
        (
            "pruning",
            "“torch.nn.utils.prune.global_unstructured”, “L1 magnitude”; “2:4 (N:M)”",
            "the same threshold over all pruned weights; 2:4 along the input channels",
        ),
        ("pruned tensors", NOT_STATED, "convolutions and linear layers" if variant.linear else "convolutions"),
        ("statistics images", "“64 training images”", str(setting.stats)),
        ("first convolution", "“layer 1 skipped”", "skipped" if defaults["skip_first"] else "repaired"),
        ("order of collection", "not stated; algorithm 1 goes from layer to layer", variant.order),
        ("mean correction", "for ASR, eq. 10; for LW: not stated", own),
        ("prior of the shrinkage", "“median” (eq. 5)", "median"),
        ("eps", "“numerical floor ε > 0”; its value: not stated", f"{eps:g}"),
        (
            "start of recalibration",
            "“resets and re-estimates BatchNorm running mean and variance”",
            "does not matter (cumulative)" if variant.averaging == "cumulative" else variant.start,
        ),
        ("averaging, momentum", NOT_STATED, "cumulative" if variant.averaging == "cumulative" else ema),
        ("budget", "b = 20 batches of 128", f"b = {variant.batches} batches of {setting.calib}"),
        (
            "seeds",
            "“a fixed pruning and calibration seed”; how many runs: not stated",
            "one per row; further seeds where stored",
        ),
    ]
    return pd.DataFrame(rows, columns=["aspect", "paper", "here"])
