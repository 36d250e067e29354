"""What a page shows: a setting with its stored tables, and the look at it. Knows nothing of Streamlit."""

from dataclasses import dataclass, replace
from functools import cached_property
from types import SimpleNamespace

from asr_core import registry
from asr_core.cli import settings
from asr_core.figures import style
from asr_core.report import textreport
from asr_core.spec.grid import BatchNormState, RepairSpec
from asr_core.store.catalogue import FLOORS, Setting
from asr_core.store.results import Result
from asr_core.studies import ablation


@dataclass(frozen=True)
class Look:
    """What of a setting is shown: methods and their variants, and one way of recalibration."""

    methods: tuple[str, ...]
    orders: tuple[str, ...]
    biases: tuple[str, ...]
    prior: str
    start: str
    averaging: str
    momentum: float
    b: int

    @property
    def bn_state(self) -> BatchNormState:
        """The chosen recalibration."""
        return BatchNormState.of(self.start, self.averaging, self.momentum, self.b)

    @property
    def recalibration(self) -> str:
        """The chosen recalibration in words, e.g. 'ema 0.1 from reset, b = 20'."""
        bn = self.bn_state
        row = SimpleNamespace(start=bn.start, averaging=bn.averaging, momentum=bn.momentum, calib_batches=bn.batches)
        return f"{textreport.recalibration_label(row)}, b = {bn.batches}"

    @property
    def repairs(self) -> tuple[RepairSpec, ...]:
        """The chosen methods in every chosen order and bias."""
        given = {} if self.prior == "fixed" else {"prior": self.prior}
        return settings.repairs(
            self.methods, self.orders, self.biases, **(given or {"prior": "fixed", "prior_value": 1.0})
        )


@dataclass(frozen=True)
class View:
    """A setting with its stored tables and the look at it.

    result: the tables; keys: of the stored results they come from; setting: what is shown; look: what
    of it; stands_in: why this is not the setting that was asked for (None: it is). begun: rows that a
    running job has stored so far; with no keys at all, they are everything there is.
    """

    result: Result
    keys: tuple[str, ...]
    setting: Setting
    look: Look
    stands_in: str | None = None
    begun: int = 0

    @cached_property
    def slugs(self) -> list[str]:
        """Chosen repairs of which something is stored: accuracies, or so far only statistics."""
        have = {*self.result.accuracy["slug"].unique(), *self.result.repairs["slug"].unique()}
        return [repair.slug for repair in self.look.repairs if repair.slug in have]

    @cached_property
    def missing(self) -> list[str]:
        """What of the chosen look is not stored for the setting, in words."""
        rows = self.result.accuracy
        have = set(rows["slug"])
        absent = [style.label(slug) for repair in self.look.repairs if (slug := repair.slug) not in have]
        if ablation.rows_in(rows[rows["slug"] != "dense"], self.look.bn_state).empty:
            absent.append(f"recalibration {self.look.recalibration}")
        return absent

    @property
    def stamp(self) -> str:
        """What its tables are known by in caches."""
        return f"{'+'.join(self.keys) or self.setting}+{self.begun or len(self.result.accuracy) + len(self.result.repairs)}"

    @property
    def title(self) -> str:
        """Short name of the setting."""
        return short(self.setting, self.result.setting["dataset_label"])

    @property
    def layers(self) -> list[str]:
        """Conv layers in execution order."""
        return list(self.result.convs["layer"])


def short(setting: Setting, label: str | None = None) -> str:
    """A setting in a few words: 'resnet18 · digits · global L1 95 % · seed 0'."""
    return f"{setting.model.words} · {label or setting.data} · {setting.pruning} · seed {setting.seed}"


def tidy(setting: Setting) -> Setting:
    """Without what its rule, its source or its dataset does not have: choices that wait until they mean something again."""
    known, plain = registry.get("pruning rule", setting.rule).parameters, Setting()
    changes = {
        "sparsity": setting.sparsity if "sparsity" in known else None,
        "nm": setting.nm if "keep_n" in known else None,
        "floors": setting.floors if set(FLOORS) <= set(known) else None,
        "classes": setting.classes if setting.data.startswith("folder:") else None,
        "weights": setting.weights if setting.source == "file" else None,
    }
    if setting.source == "file":  # a file has no recipe
        changes |= {name: getattr(plain, name) for name in ("epochs", "batch", "lr", "precision")}
    return replace(setting, **changes)
