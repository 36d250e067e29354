"""What is stored, as choices: flat settings, the stored results of each, the nearest one. Imports no torch."""

from dataclasses import asdict, dataclass, fields, replace

from asr_core import registry
from asr_core.checks import choose
from asr_core.errors import SpecError
from asr_core.images import data
from asr_core.spec.experiment import (
    CalibrationSpec,
    DataSpec,
    DenseSpec,
    EvalSpec,
    ExperimentSpec,
    ModelSpec,
    PruneSpec,
)
from asr_core.store import Store

# Coarse to fine: the nearest setting agrees in as many of the first groups as it can.
GROUPS = {
    "dataset": ("data", "size", "norm", "classes"),
    "architecture": ("net", "stem", "head"),
    "dense network": ("source", "epochs", "batch", "lr", "precision", "average", "weights", "seed"),
    "dense identity": ("dense",),
    "pruning rule": ("rule", "linear", "floors"),
    "sparsity": ("sparsity", "nm"),
    "statistics images": ("stats", "calib", "draw"),
    "test images": ("eval",),
}
RECIPE = DenseSpec()
FLOORS = {
    "keep_first": "first conv dense",
    "keep_head": "head dense",
    "min_density": "each layer at least {:.4g} dense",
}


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One setting, flat, so that it fits in a sidebar and in an address.

    data: dataset, or `folder:DIGEST`; size: image side in pixels; classes: of a folder; net, stem, head:
    ModelSpec; source, epochs, batch, lr, precision, average, weights, seed: DenseSpec; dense: identity of the dense network
    (None: any of the recipe); rule, sparsity in [0, 1), nm ("2:4"), linear, floors (what layers keep in any case, such
    as "keep_first,min_density=0.01"; None: nothing): PruneSpec; stats: statistics
    images; calib: images per recalibration batch; draw: seed of the calibration images (None: `seed`);
    eval: test images (None: all).
    """

    data: str = "digits"
    size: int = 32
    norm: str = "dataset"
    classes: int | None = None
    net: str = "resnet18"
    stem: str = "imagenet"
    head: str = "torchvision"
    source: str = "scratch"
    epochs: int = RECIPE.epochs
    batch: int = RECIPE.batch_size
    lr: float | None = None
    precision: str = RECIPE.precision
    average: bool = RECIPE.average
    weights: str | None = None
    seed: int = 0
    dense: str | None = None
    rule: str = "global_l1"
    sparsity: float | None = 0.95
    nm: str | None = None
    linear: bool = False
    floors: str | None = None
    stats: int = 64
    calib: int = 128
    draw: int | None = None
    eval: int | None = None

    @classmethod
    def of(cls, facts: dict) -> "Setting":
        """The setting of a stored result's `setting` dict."""
        images, model, dense, prune = facts["data"], facts["model"], facts["dense"], facts["prune"]
        calibration = facts["calibration"]
        folder = images["dataset"] == "folder"
        return cls(
            data=f"folder:{images['digest']}" if folder else images["dataset"],
            size=images["image_size"],
            norm=images["normalization"],
            classes=images["classes"] if folder else None,
            net=model["architecture"],
            stem=model["stem"],
            head=model["head"],
            source=dense["source"],
            epochs=dense["epochs"],
            batch=dense["batch_size"],
            lr=dense["learning_rate"],
            precision=dense.get("precision", RECIPE.precision),
            average=dense.get("average", RECIPE.average),
            weights=dense["weights_digest"],
            seed=dense["seed"],
            dense=facts["dense_id"],
            rule=prune["rule"],
            sparsity=prune.get("sparsity"),
            linear=prune.get("include_linear", False),
            floors=floors_text(prune),
            nm=f"{prune['keep_n']}:{prune['group_m']}" if "keep_n" in prune else None,
            stats=calibration["stat_images"],
            calib=calibration["calib_batch_size"],
            draw=calibration["seed"] if calibration["seed"] != dense["seed"] else None,
            eval=facts["evaluation"]["eval_images"],
        )

    def experiment(self, repairs: tuple, states: tuple) -> ExperimentSpec:
        """The validated experiment of this setting with `repairs` and `states`; raises AsrError."""
        return ExperimentSpec(
            data=self._data(),
            model=self.model,
            dense=self._dense(),
            prune=PruneSpec.of(self.rule, **self._prune()),
            calibration=CalibrationSpec(
                stat_images=self.stats, calib_batch_size=self.calib, seed=self.seed if self.draw is None else self.draw
            ),
            evaluation=EvalSpec(eval_images=self.eval),
            repairs=repairs,
            states=states,
        )

    @property
    def model(self) -> ModelSpec:
        """The network."""
        return ModelSpec(architecture=self.net, stem=self.stem, head=self.head)

    @property
    def how(self) -> tuple[str, str]:
        """How the network is pruned, without a sparsity: ('LAMP', ' (linear layers too)')."""
        more = ["linear layers too"] * self.linear + [
            FLOORS[name].format(value) for name, value in floors_of(self.floors).items()
        ]
        return self.nm or registry.get("pruning rule", self.rule).label, f" ({', '.join(more)})" if more else ""

    @property
    def pruning(self) -> str:
        """The pruning in words: 'global L1 95 %', '2:4 (linear layers too)'."""
        rule, more = self.how
        return f"{rule}{'' if self.nm else f' {100 * self.sparsity:g} %'}{more}"

    def _data(self) -> DataSpec:
        dataset, _, digest = self.data.partition(":")
        classes = data.CLASSES.get(dataset, self.classes or 2)
        return DataSpec(
            dataset=dataset, digest=digest or None, image_size=self.size, classes=classes, normalization=self.norm
        )

    def _dense(self) -> DenseSpec:
        if self.source == "file":  # a file has no recipe: the other fields stay at their defaults, as in settings
            return DenseSpec(source="file", seed=self.seed, weights_digest=self.weights)
        return DenseSpec(
            source=self.source,
            epochs=self.epochs,
            batch_size=self.batch,
            learning_rate=self.lr,
            precision=self.precision,
            average=self.average,
            seed=self.seed,
        )

    def _prune(self) -> dict:
        known = registry.get("pruning rule", self.rule).parameters
        given = {"sparsity": self.sparsity, "include_linear": self.linear} | keep_of(self.nm) | floors_of(self.floors)
        return {name: value for name, value in given.items() if name in known and value is not None}

    def differences(self, other: "Setting") -> list[str]:
        """Field by field, how `other` differs from this one: 'sparsity 0.97 -> 0.95'."""
        mine, theirs = asdict(self), asdict(other)
        changed = [name for name in mine if mine[name] != theirs[name] and not (name == "dense" and mine[name] is None)]
        return [f"{name} {_text(name, mine[name])} → {_text(name, theirs[name])}" for name in changed]


def _text(name: str, value) -> str:
    if name == "sparsity" and value is not None:
        return f"{100 * value:g} %"
    return {None: "none", True: "on", False: "off"}.get(value, str(value))


def keep_of(nm: str | None) -> dict:
    """'2:4' as {keep_n: 2, group_m: 4}; nothing for None; raises SpecError for anything else."""
    if nm is None:
        return {}
    keep, _, group = nm.partition(":")
    if not (keep.isdigit() and group.isdigit()):
        raise SpecError(f"N:M is {nm!r}; write how many weights of each group stay, for example 2:4.")
    return {"keep_n": int(keep), "group_m": int(group)}


def floors_of(floors: str | None) -> dict:
    """'keep_first,min_density=0.01' as parameters of a pruning rule; nothing for None; raises SpecError for anything else."""
    found = {}
    for name, _, value in (part.partition("=") for part in (floors or "").split(",") if part):
        choose("option of a pruning rule", name, FLOORS)
        try:
            found[name] = float(value) if value else True
        except ValueError:
            raise SpecError(f"{name} is {value!r}; give a number.") from None
    return found


def floors_text(params: dict) -> str | None:
    """The inverse of `floors_of`; other parameters of the rule are left out, and None is nothing."""
    return (
        ",".join(name if params[name] is True else f"{name}={params[name]!r}" for name in FLOORS if params.get(name))
        or None
    )


@dataclass(frozen=True)
class Stored:
    """One stored result: its key, flat setting, readable facts, accuracy rows, and when it was finished (UTC)."""

    key: str
    setting: Setting
    facts: dict
    rows: int
    finished: str


def stored(store: Store) -> list[Stored]:
    """All stored results, each once: shipped first, then oldest first."""
    found = {m["key"]: m for m in store.manifests("result")}
    return [
        Stored(
            m["key"],
            Setting.of(m["facts"]["setting"]),
            m["facts"]["setting"],
            m["files"]["accuracy.parquet"]["rows"],
            m["finished"],
        )
        for m in found.values()
    ]


def covering(catalogue: list[Stored], setting: Setting) -> list[Stored]:
    """Stored results of exactly `setting`, most rows first, then newest; one dense identity only."""
    found = [item for item in catalogue if _matches(setting, item.setting)]
    same = [item for item in found if item.setting.dense == found[0].setting.dense]
    return sorted(same, key=lambda item: (item.rows, item.finished), reverse=True)


def keys_of(items: list[Stored]) -> tuple[str, ...]:
    """Keys of results of one setting, most rows first."""
    return tuple(item.key for item in sorted(items, key=lambda item: item.rows, reverse=True))


def _matches(wanted: Setting, setting: Setting) -> bool:
    return setting == (wanted if wanted.dense else replace(wanted, dense=setting.dense))


def nearest(catalogue: list[Stored], wanted: Setting) -> Stored | None:
    """The stored result that agrees with `wanted` in the coarsest groups; None if nothing is stored."""
    return min(catalogue, key=lambda item: _distance(wanted, item.setting), default=None)


def _distance(wanted: Setting, setting: Setting) -> tuple:
    """Lexicographic: which groups differ, coarse to fine; how far sparsity and other numbers are."""
    differ, far = [], 0.0
    for names in GROUPS.values():
        pairs = [(getattr(wanted, name), getattr(setting, name)) for name in names if getattr(wanted, name) is not None]
        differ.append(sum(a != b for a, b in pairs))
        far += sum(abs(a - b) for a, b in pairs if isinstance(a, float) and isinstance(b, float))
    return (*differ, far)


def coarser(name: str) -> tuple[str, ...]:
    """Fields that come before `name`, coarse to fine."""
    order = [field for names in GROUPS.values() for field in names]
    return tuple(order[: order.index(name)])


FIELDS = tuple(field.name for field in fields(Setting))
