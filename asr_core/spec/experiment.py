"""What an experiment IS: one dense network, one mask, many repairs, many BatchNorm states. Imports neither torch nor
pandas."""

from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Self

from asr_core.errors import SpecError, UnknownName
from asr_core.fields import Chosen, Field, Part, declarations
from asr_core.registry import parameters
from asr_core.spec.dense import DenseSpec
from asr_core.spec.model import ModelSpec
from asr_core.spec.parts import DataSpec, PruneSpec
from asr_core.spec.recalibration import NO_STATE, BatchNormState, default_states
from asr_core.spec.repairs import RepairSpec, repairs
from asr_core.spec.samples import CalibrationSpec, EvalSpec

PARTS: dict[str, type[Part]] = {
    "data": DataSpec,
    "model": ModelSpec,
    "dense": DenseSpec,
    "prune": PruneSpec,
    "calibration": CalibrationSpec,
    "evaluation": EvalSpec,
}


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Everything but repairs and states: what a sidebar and an address choose, and what a stored result is of."""

    data: DataSpec = field(default_factory=DataSpec)
    model: ModelSpec = field(default_factory=ModelSpec)
    dense: DenseSpec = field(default_factory=DenseSpec)
    prune: PruneSpec = field(default_factory=PruneSpec)
    calibration: CalibrationSpec = field(default_factory=CalibrationSpec)
    evaluation: EvalSpec = field(default_factory=EvalSpec)

    @classmethod
    def of(cls, **values: Any) -> Self:
        """The setting of flat `values` named as the fields; None and absent ones take their default.

        Raises UnknownName, SpecError.
        """
        known = setting_fields()
        if unknown := [name for name in values if name not in known]:
            raise UnknownName("field of a setting", unknown[0], known)
        parts: dict[str, Any] = {name: part.pick(**values) for name, part in PARTS.items()}
        return cls(**parts)

    def values(self) -> dict[str, Any]:
        """Name -> value of all fields and parameters, flat.

        >>> Setting.of(pruning="n_m", keep_n=1).values()["keep_n"]
        1
        """
        return {name: value for part in PARTS for name, value in getattr(self, part).values().items()}

    def with_(self, **changes: Any) -> Self:
        """A copy with `changes` of whole parts applied."""
        return replace(self, **changes)

    def but(self, **values: Any) -> Self:
        """A copy with flat `values` changed: parameters of another choice are let go.

        >>> Setting().but(sparsity=0.5).prune.words
        'global L1 50 %'
        """
        return replace(self, **{n: getattr(Setting.of(**self.values() | values), n) for n in PARTS})

    def state_of(self, asked: BatchNormState) -> BatchNormState:
        """`asked`, or no recalibration where there is no BatchNorm.

        >>> Setting.of(architecture="small_convnext").state_of(BatchNormState.of()).calib_batches
        0
        """
        return asked if self.model.batchnorm else NO_STATE

    def facts(self) -> dict[str, Any]:
        """Part -> its values: what manifests and JSON carry."""
        return {name: getattr(self, name).values() for name in PARTS}

    @classmethod
    def from_facts(cls, facts: dict[str, Any]) -> Self:
        """The inverse of `facts`."""
        parts: dict[str, Any] = {name: part.pick(**facts[name]) for name, part in PARTS.items()}
        return cls(**parts)


@dataclass(frozen=True, kw_only=True)
class ExperimentSpec(Setting):
    """A whole run: a setting, many repairs x many BatchNorm states.

    Of a network without BatchNorm nothing is recalibrated, whatever is asked: its only state is that, and repairs that
    change no weights (`bn_only`) go, since each would be the pruned network again.
    """

    repairs: tuple[RepairSpec, ...] = field(default_factory=repairs)
    states: tuple[BatchNormState, ...] = field(default_factory=default_states)

    def __post_init__(self) -> None:
        if not self.model.batchnorm:
            object.__setattr__(self, "repairs", tuple(repair for repair in self.repairs if repair.order))
            object.__setattr__(self, "states", (NO_STATE,) if self.states else ())

    @property
    def max_batches(self) -> int:
        """Batches that one recorded recalibration pass must hold."""
        return max(state.calib_batches for state in self.states)

    @property
    def setting(self) -> Setting:
        """Its setting alone."""
        return Setting(**{f.name: getattr(self, f.name) for f in fields(Setting)})

    @classmethod
    def of_setting(cls, setting: Setting, repairs: tuple[RepairSpec, ...], states: tuple[BatchNormState, ...]) -> Self:
        """A setting with repairs and states."""
        return cls(**{name: getattr(setting, name) for name in PARTS}, repairs=repairs, states=states)

    def as_dict(self) -> dict[str, Any]:
        """For JSON: `facts`, repairs and states. `from_dict` reads it."""
        return self.facts() | {
            "repairs": [repair.columns for repair in self.repairs],
            "states": [asdict(state) for state in self.states],
        }


def from_dict(found: dict[str, Any]) -> ExperimentSpec:
    """The inverse of `ExperimentSpec.as_dict`, also after a trip through JSON; checked like a new spec.

    Raises SpecError (UnknownName for a name) where `found` is no experiment.
    """
    try:
        _refuse_unknown(found)
        setting = Setting.from_facts(found)
        repairs = tuple(RepairSpec.from_columns(**repair) for repair in found["repairs"])
        return ExperimentSpec.of_setting(setting, repairs, tuple(BatchNormState.of(**s) for s in found["states"]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, SpecError):
            raise
        raise SpecError(
            f"this is no experiment: {type(error).__name__}: {error}; give ExperimentSpec.as_dict()."
        ) from None


def _refuse_unknown(found: dict[str, Any]) -> None:
    """Raise TypeError for a name within a part that no field or parameter has."""
    known = setting_fields().keys()
    for name in PARTS:
        if unknown := sorted(found[name].keys() - known):
            raise TypeError(f"{name} has no {unknown[0]!r}")


def setting_fields() -> dict[str, Field]:
    """Every field of a setting and every parameter that its choices may have, by name, in the order of the parts."""
    found: dict[str, Field] = {}
    for part in PARTS.values():
        found |= declarations(part) | (parameters(part.kind) if issubclass(part, Chosen) else {})
    return found
