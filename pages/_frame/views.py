"""What a page shows: a setting with its stored tables, and the look at it. Knows nothing of Streamlit."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

from asr_core.spec import labels
from asr_core.spec.experiment import Setting
from asr_core.spec.model import ModelSpec
from asr_core.spec.recalibration import NO_BATCHNORM, NO_STATE, BatchNormState
from asr_core.spec.repairs import RepairSpec
from asr_core.store.results import Result
from asr_core.store.tables import networks
from asr_core.studies import ablation


@dataclass(frozen=True)
class Look:
    """What of a setting is shown: the chosen repairs, and one way of recalibration; batchnorm: whether there is
    anything to recalibrate."""

    repairs: tuple[RepairSpec, ...]
    bn_state: BatchNormState
    momentum: float
    batchnorm: bool = True

    def on(self, model: ModelSpec) -> Self:
        """The look at a network: at one without BatchNorm nothing is recalibrated, whatever is chosen, and methods that
        do no more than that are left out."""
        if model.batchnorm:
            return self
        repairs = tuple(repair for repair in self.repairs if repair.order)
        return replace(self, repairs=repairs, bn_state=NO_STATE, batchnorm=False)

    @property
    def recalibration(self) -> str:
        """The chosen recalibration in words, e.g. 'ema 0.1 from reset, b = 20'."""
        if not self.batchnorm:
            return NO_BATCHNORM
        return f"{labels.recalibration(self.bn_state)}, b = {self.bn_state.calib_batches}"


@dataclass(frozen=True)
class View:
    """A setting with its stored tables and the look at it.

    result: the tables; keys: of the stored results they come from; setting and dense_id: what is shown; look: what
    of it; stands_in: why this is not the setting that was asked for (None: it is). begun: rows that a
    running job has stored so far; with no keys at all, they are everything there is.
    """

    result: Result
    keys: tuple[str, ...]
    setting: Setting
    dense_id: str
    look: Look
    stands_in: str | Any = None
    begun: int = 0

    @cached_property
    def repairs(self) -> list[RepairSpec]:
        """Chosen repairs of which something is stored: accuracies, or so far only statistics."""
        have = {*networks(self.result.accuracy).unique(), *networks(self.result.repairs).unique()}
        return [repair for repair in self.look.repairs if repair in have]

    @cached_property
    def missing(self) -> list[str]:
        """What of the chosen look is not stored for the setting, in words."""
        here = ablation.rows_in(self.result.accuracy, self.look.bn_state)
        rows = self.result.accuracy if here.empty else here
        have = set(networks(rows).unique())
        absent = [labels.label(repair) for repair in self.look.repairs if repair not in have]
        return [*absent, f"recalibration {self.look.recalibration}"] if here.empty else absent

    @property
    def stamp(self) -> str:
        """What its tables are known by in caches."""
        rows = self.begun or len(self.result.accuracy) + len(self.result.repairs)
        return f"{'+'.join(self.keys) or self.setting}+{rows}"

    @property
    def title(self) -> str:
        """Short name of the setting."""
        return short(self.setting, self.result.setting["dataset_label"])

    @property
    def layers(self) -> list[str]:
        """Measured layers in execution order."""
        return list(self.result.convs["layer"])


def short(setting: Setting, label: str | None = None) -> str:
    """A setting in a few words: 'resnet18 · digits · global L1 95 % · seed 0'."""
    images = label or setting.data.digest or setting.data.chosen.label
    return f"{setting.model.words} · {images} · {setting.prune.words} · seed {setting.dense.seed}"
