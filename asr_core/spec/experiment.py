"""What an experiment IS: frozen, validated, hashable descriptions. Imports neither torch nor pandas.

Each stage of the pipeline is stored under `key(stage, *parts)`: the sha256 of the canonical JSON
of the stage's name, its version and only the parts it depends on. Device, threads and paths are
runtime and never enter a key.
"""

import hashlib
import json
from dataclasses import dataclass, field, fields, replace

from asr_core import registry
from asr_core.checks import choose, flag, positive, whole
from asr_core.errors import SpecError
from asr_core.networks import architectures
from asr_core.spec.grid import BatchNormState, RepairSpec, default_repairs, default_states

# Raise a stage's number when its meaning changes: old entries are then never found again.
STAGE_VERSIONS = {
    "images": 1,
    "dense": 1,
    "prune": 1,
    "stats": 1,
    "repair": 1,
    "recalibration": 1,
    "evaluation": 1,
    "maps": 2,
    "repairability": 1,
    "kernels": 1,
    "result": 1,
    "job": 1,
}

DATASETS = ("digits", "cifar10", "cifar100", "imagenette", "folder")
NORMALIZATIONS = ("dataset", "imagenet")
SOURCES = ("scratch", "imagenet", "file")
PRECISIONS = ("float32", "bfloat16")
LATER = {
    "later": True
}  # of a field that came after results were stored: at its default it is in no key, so they are found


def canonical(value) -> str:
    """Canonical JSON of a spec, dict or scalar: sorted keys, no spaces, no NaN."""

    def plain(item):
        if not hasattr(item, "__dataclass_fields__"):
            return str(item)
        held = {part.name: (getattr(item, part.name), part) for part in fields(item)}
        return {n: value for n, (value, part) in held.items() if not (part.metadata == LATER and value == part.default)}

    return json.dumps(value, default=plain, sort_keys=True, separators=(",", ":"), allow_nan=False)


def key(stage: str, *parts) -> str:
    """Store key of `stage`: 24 hex digits of sha256 over name, version and `parts`."""
    text = canonical([stage, STAGE_VERSIONS[stage], *parts])
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _normalise(spec, **values) -> None:
    """Set checked fields of a frozen spec, so that equal specs (32 and 32.0) have equal keys."""
    for name, value in values.items():
        object.__setattr__(spec, name, value)


@dataclass(frozen=True, kw_only=True)
class DataSpec:
    """Which images. `digest` names the content of a folder; a path is never identity.

    `image_size` in pixels (square). `classes` is the number of classes. `normalization`: mean and
    standard deviation of the training split (`dataset`) or ImageNet's (`imagenet`).
    """

    dataset: str = "digits"
    digest: str | None = None
    image_size: int = 32
    classes: int = 10
    normalization: str = "dataset"

    def __post_init__(self):
        choose("dataset", self.dataset, DATASETS)
        choose("normalization", self.normalization, NORMALIZATIONS)
        _normalise(self, image_size=whole("image_size", self.image_size, 8, 1024))
        _normalise(self, classes=whole("classes", self.classes, 2))
        if (self.dataset == "folder") != (self.digest is not None):
            raise SpecError(
                "a folder needs the digest of its content; use asr_core.images.data.resolve('folder:PATH')."
            )


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """Which network: a torchvision name or a `cifar_resnet`, the stem and the head.

    stem: `imagenet` (as torchvision), `half` (3x3 stride 2, no max-pool), `small` (3x3 stride 1, no max-pool),
    `small-pool` (as `small`, but torchvision's max-pool stays). head: `torchvision`, or `linear` (one linear layer
    after global pooling).
    """

    architecture: str = "resnet18"
    stem: str = "imagenet"
    head: str = "torchvision"

    def __post_init__(self):
        choose("architecture", self.architecture, architectures.ARCHITECTURES)
        choose("stem", self.stem, architectures.STEMS)
        choose("head", self.head, architectures.HEADS)
        if self.architecture in architectures.CIFAR_RESNETS and self.stem != "imagenet":
            raise SpecError(
                f"{self.architecture} has a stem of its own, made for small images, and takes no stem {self.stem!r}; "
                "use 'imagenet', which leaves a network as it comes."
            )

    @property
    def changed(self) -> list[str]:
        """Stem and head where they are not torchvision's: ['linear head']."""
        return [
            f"{value} {part}"
            for part, value, usual in (("stem", self.stem, "imagenet"), ("head", self.head, "torchvision"))
            if value != usual
        ]

    @property
    def words(self) -> str:
        """The architecture and what of it is changed: 'vgg16_bn, linear head'."""
        return ", ".join([self.architecture, *self.changed])


@dataclass(frozen=True, kw_only=True)
class DenseSpec:
    """How the dense network came to be: the recipe, not the weights.

    source: `scratch` (all layers, random start), `imagenet` (the paper's protocol: frozen except
    the last block and the head), `file` (`weights_digest`: identity of the user's
    tensors, `weights.weights_identity`).
    learning_rate None means the recipe's own default. precision: of the forward pass in training
    (`bfloat16`: autocast, about twice as fast on processors that have it; evaluation is float32).
    average: whether the weights are a moving average over the last steps (see `asr_core.networks.sgd`).
    """

    source: str = "scratch"
    epochs: int = 5
    batch_size: int = 64
    learning_rate: float | None = None
    precision: str = "float32"
    average: bool = field(default=False, metadata=LATER)
    seed: int = 0
    weights_digest: str | None = None

    def __post_init__(self):
        choose("source", self.source, SOURCES)
        _normalise(self, epochs=whole("epochs", self.epochs, 1))
        _normalise(self, batch_size=whole("batch_size", self.batch_size, 2))
        choose("precision", self.precision, PRECISIONS)
        _normalise(self, average=flag("average", self.average))
        _normalise(self, seed=whole("seed", self.seed, 0))
        if self.learning_rate is not None:
            _normalise(self, learning_rate=positive("learning_rate", self.learning_rate))
        if (self.source == "file") != (self.weights_digest is not None):
            raise SpecError("source 'file' needs a weights file, and only it takes one (--weights FILE).")


@dataclass(frozen=True, kw_only=True)
class PruneSpec:
    """Which weights go: a rule of `asr_core.pruning.rules` and its parameters as sorted (name, value) pairs."""

    rule: str = "global_l1"
    params: tuple = ()

    def __post_init__(self):
        named = registry.get("pruning rule", self.rule).named(**dict(self.params))
        _normalise(self, params=tuple(sorted(named.items())))

    @classmethod
    def of(cls, rule: str, **params) -> "PruneSpec":
        """Validated spec of `rule`; unknown rules or parameters raise with the choices."""
        return cls(rule=rule, params=tuple(params.items()))

    @property
    def asked(self) -> dict:
        """The parameters as a dict."""
        return dict(self.params)


@dataclass(frozen=True, kw_only=True)
class CalibrationSpec:
    """Which training images measure and recalibrate.

    `stat_images` images give the channel statistics; recalibration takes batches of
    `calib_batch_size`; both walk one permutation of the training split seeded by `seed`.
    """

    stat_images: int = 64
    calib_batch_size: int = 128
    seed: int = 0

    def __post_init__(self):
        _normalise(self, stat_images=whole("stat_images", self.stat_images, 2))
        _normalise(self, calib_batch_size=whole("calib_batch_size", self.calib_batch_size, 2))
        _normalise(self, seed=whole("seed", self.seed, 0))


@dataclass(frozen=True, kw_only=True)
class EvalSpec:
    """Which test images: all (None) or a fixed seeded subset of `eval_images`."""

    eval_images: int | None = None
    seed: int = 0

    def __post_init__(self):
        if self.eval_images is not None:
            _normalise(self, eval_images=whole("eval_images", self.eval_images, 1))
        _normalise(self, seed=whole("seed", self.seed, 0))


@dataclass(frozen=True, kw_only=True)
class ExperimentSpec:
    """A whole run: one dense network, one mask, many repairs x many BatchNorm states."""

    data: DataSpec = field(default_factory=DataSpec)
    model: ModelSpec = field(default_factory=ModelSpec)
    dense: DenseSpec = field(default_factory=DenseSpec)
    prune: PruneSpec = field(default_factory=PruneSpec)
    calibration: CalibrationSpec = field(default_factory=CalibrationSpec)
    evaluation: EvalSpec = field(default_factory=EvalSpec)
    repairs: tuple[RepairSpec, ...] = field(default_factory=default_repairs)
    states: tuple[BatchNormState, ...] = field(default_factory=default_states)

    @property
    def recipe_key(self) -> str:
        """Key of the dense network's recipe; the network itself is known by its `dense_id`."""
        return key("dense", self.data, self.model, self.dense)

    @property
    def max_batches(self) -> int:
        """Batches that one recorded recalibration pass must hold."""
        return max(state.batches for state in self.states)

    def with_(self, **changes) -> "ExperimentSpec":
        """A copy with `changes` applied."""
        return replace(self, **changes)


def from_dict(found: dict) -> ExperimentSpec:
    """The inverse of `dataclasses.asdict`, also after a trip through JSON; checked like a new spec.

    Raises SpecError (UnknownName for a name) where `found` is no experiment.
    """
    try:
        return ExperimentSpec(
            data=DataSpec(**found["data"]),
            model=ModelSpec(**found["model"]),
            dense=DenseSpec(**found["dense"]),
            prune=PruneSpec.of(found["prune"]["rule"], **dict(found["prune"]["params"])),
            calibration=CalibrationSpec(**found["calibration"]),
            evaluation=EvalSpec(**found["evaluation"]),
            repairs=tuple(_repair_from(repair) for repair in found["repairs"]),
            states=tuple(BatchNormState.of(**state) for state in found["states"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, SpecError):
            raise
        raise SpecError(
            f"this is no experiment: {type(error).__name__}: {error}; give dataclasses.asdict of one."
        ) from None


def _repair_from(found: dict) -> RepairSpec:
    given = {name: found[name] for name in ("order", "prior") if found[name] is not None}  # bn_only has neither
    return RepairSpec.of(found["method"], bias=found["bias"], **given, **dict(found["params"]))
