"""The paper's grid of networks, and what its text leaves open. Imports no torch."""

from dataclasses import dataclass
from typing import Any

from asr_core import registry
from asr_core.spec.recalibration import BatchNormState
from asr_core.spec.repairs import RepairSpec

ARCHITECTURES = {
    "resnet18": "ResNet-18",
    "resnet50": "ResNet-50",
    "densenet121": "DenseNet-121",
    "vgg16_bn": "VGG-16-BN",
}
DATASETS = ("cifar10", "cifar100", "imagenette")
PRUNINGS: dict[str, dict[str, Any]] = {
    "global_l1_0.50": {"pruning": "global_l1", "sparsity": 0.5},  # in figures and table 3 only
    "global_l1_0.70": {"pruning": "global_l1", "sparsity": 0.7},
    "global_l1_0.90": {"pruning": "global_l1", "sparsity": 0.9},
    "nm_2:4": {"pruning": "n_m", "keep_n": 2, "group_m": 4},
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
REPRODUCES, CONTRADICTS, CANNOT_TELL = "as the paper", "against the paper", "cannot tell"  # verdicts of a study
PAPER_NOISE = 0.016  # what the paper's own tables differ by on the same setting: smaller gaps of it are ties
SIDE = 224  # pixels: what ImageNet weights are made for; the paper names no size


def dataset_label(name: str) -> str:
    """'CIFAR-10'."""
    return registry.get("image source", name).label


@dataclass(frozen=True, order=True)
class Cell:
    """One network of the paper: architecture, dataset, pruning (a name of PRUNINGS)."""

    architecture: str
    dataset: str
    pruning: str

    @property
    def label(self) -> str:
        """'ResNet-18, CIFAR-10, 90 %'."""
        return f"{ARCHITECTURES[self.architecture]}, {dataset_label(self.dataset)}, {PRUNING_LABELS[self.pruning]}"


def is_tie(gap: Any) -> Any:
    """Whether a gap in the paper's numbers, or each of an array, is within PAPER_NOISE; they have three digits."""
    return abs(gap) <= PAPER_NOISE + 1e-9


CELL = ["architecture", "dataset", "pruning"]  # columns that name one
ABLATED = Cell("resnet50", "cifar10", "global_l1_0.90")  # the setting of table 2
CELLS = tuple(Cell(a, d, p) for a in ARCHITECTURES for d in DATASETS for p in PRUNINGS)


@dataclass(frozen=True, kw_only=True)
class Variant:
    """What the paper leaves open, chosen: order, mean correction, recalibration, eps, pruned tensors.

    bias None: each method's own, as the names in table 2 say (LW without, ASR with). eps None: the
    methods' own. include_linear: linear layers are pruned too.
    """

    order: str = "simultaneous"
    bias: bool | None = None
    start: str = "reset"
    averaging: str = "ema"
    momentum: float = 0.1
    calib_batches: int = 20
    eps: float | None = None
    include_linear: bool = False

    @property
    def state(self) -> BatchNormState:
        """The recalibration."""
        return BatchNormState.of(self.start, self.averaging, self.momentum, self.calib_batches)

    def repair(self, method: str) -> RepairSpec:
        """`method` with this order, mean correction and eps."""
        given = {} if self.eps is None else {"eps": self.eps}
        return RepairSpec.of(method, self.order, self.bias, **given)
