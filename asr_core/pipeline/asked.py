"""From flat values, as a command line or a notebook gives them, to a validated experiment. Imports no torch."""

import warnings
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import Any

from asr_core import registry
from asr_core.errors import SpecError, UnknownName
from asr_core.fields import Chosen, declarations
from asr_core.images import class_maps, data
from asr_core.images.trees import Tree
from asr_core.networks import known_weights, named
from asr_core.registry import parameters
from asr_core.spec.dense import DenseSpec
from asr_core.spec.experiment import PARTS, ExperimentSpec, Setting
from asr_core.spec.model import ModelSpec
from asr_core.spec.parts import DataSpec, PruneSpec
from asr_core.spec.recalibration import BUDGETS, default_states
from asr_core.spec.repairs import BIASES, METHODS, ORDERS, RepairSpec, repairs
from asr_core.store import Store, catalogue


def setting(
    store: Store,
    *,
    dataset: str = "digits",
    weights: str | None = None,
    class_map: str | None = None,
    **values: Any,
) -> Setting:
    """The setting of flat `values` named as the spec's fields; None takes the default. Raises AsrError for bad ones.

    dataset may be folder:PATH. architecture may be module:function or PATH/file.py:function, whose code is then
    imported. weights: path of a file with the dense network, known by its tensors (torch is imported only for one that
    the store does not know yet). class_map: path of a file, or a word (asr_core.images.class_maps).
    """
    if (architecture := values.get("architecture")) and _is_reference(architecture):
        values["architecture"] = named.admit(architecture)
    if class_map is not None:
        values["outputs"] = values.get("outputs") or class_maps.IMAGENET
        values["class_map"] = "0,1"  # until the images are known
    if weights is not None and values.get("source") not in (None, "file"):
        raise SpecError(f"--weights gives the dense network, so --source {values['source']} cannot hold; leave it out.")
    if weights is not None:
        values["source"] = None  # until the file is known
    if values.get("normalization") is None and values.get("source") == "imagenet":
        values["normalization"] = "imagenet"
    found = Setting.of(**values)  # what is wrong is said before a folder is read
    _refuse_foreign(values)
    first = None if weights is None else partial(_try_weights, weights, class_map, values, store)
    found = found.with_(data=data.resolve(dataset, store, first, **values))
    if class_map is not None:
        values["class_map"] = class_maps.outputs_of(class_map, data.class_folders(dataset, found.data, store))
    found = found.with_(model=_identified(ModelSpec.pick(**values), found.data, store))
    return found if weights is None else found.with_(dense=_of_file(weights, found, store))


def _try_weights(path: str, class_map: str | None, values: dict[str, Any], store: Store, tree: Tree) -> None:
    """Raise AsrError for a weights file that cannot be read or does not fit, before an image of the folder is."""
    if class_map is not None:
        values = values | {"class_map": class_maps.outputs_of(class_map, tree.class_names)}
    own = {"dataset": "folder", "digest": "0" * 16, "classes": len(tree.class_names)}
    images = DataSpec.pick(**values | own)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # notes are said once the images are known
        _of_file(
            path,
            Setting.of(**values).with_(data=images, model=_identified(ModelSpec.pick(**values), images, store)),
            store,
        )


def _is_reference(architecture: str) -> bool:
    """Whether it names code that this process may import because its caller says so."""
    own = named.is_own(architecture) or ".py:" in architecture
    return own and not architecture.startswith(f"{named.NOTEBOOK}:")


def _identified(model: ModelSpec, images: DataSpec, store: Store) -> ModelSpec:
    """The network with what it says of itself, where somebody else's code builds it; of timm's networks, what is
    stored of one tells, which needs no torch."""
    if not model.chosen.foreign:
        return model
    own = named.is_own(model.architecture)
    if not own and (known := catalogue.network(catalogue.stored(store), model.architecture)):
        return replace(model, without_batchnorm=known.without_batchnorm)
    from asr_core.networks.own import identity

    return replace(model, **identity(model.architecture, model.outputs or images.classes, images.image_size))


def pruning(**values: Any) -> PruneSpec:
    """The pruning of flat values; raises UnknownName for a given parameter that its rule does not have."""
    plain = {
        name: value
        for name, value in values.items()
        if name in declarations(PruneSpec).keys() | parameters(PruneSpec.kind).keys()
    }
    found = PruneSpec.pick(**plain)
    _refuse_foreign(plain)
    return found


def _refuse_foreign(values: dict[str, Any]) -> None:
    """Raise UnknownName for a given parameter that what is chosen does not have."""
    for part in PARTS.values():
        if issubclass(part, Chosen) and (foreign := part.foreign(**values)):
            chosen = part.pick(**values).chosen
            raise UnknownName(f"parameter of {chosen.name}", foreign[0], chosen.parameters)


def _of_file(path: str, found: Setting, store: Store) -> DenseSpec:
    known = known_weights.identify(path, store, found.model, found.data.classes, found.data.image_size)
    return DenseSpec.pick(source="file", seed=found.dense.seed, weights_digest=known.digest)


def grid(methods=METHODS, orders=ORDERS, biases=tuple(BIASES), **params: Any) -> tuple[RepairSpec, ...]:
    """Repairs of option values: methods x orders x biases; a parameter that none of the methods has is refused."""
    known = {name for method in methods for name in registry.get("repair method", method).parameters}
    for name, value in params.items():
        if value is not None and name not in known:
            raise UnknownName(f"parameter of {', '.join(methods)}", name, known)
    found = repairs(methods, orders, biases, **params)
    if idle := [method for method in methods if method not in {repair.method for repair in found}]:
        raise SpecError(f"{idle[0]} corrects means alone, so it takes no bias {', '.join(biases)}; give biases on.")
    return found


def experiment(
    store: Store, *, methods=None, orders=None, biases=None, budgets=BUDGETS, momentum=0.1, presets=(), **values: Any
) -> ExperimentSpec:
    """The experiment of flat values: of a setting, of the parameters of methods, and of the grid. Raises AsrError.

    >>> experiment(Store(), sparsity=0.9, methods=("asr_bn",), prior="mean").repairs[0].changed
    {'prior': 'mean'}
    """
    params = {name: values.pop(name) for name in registry.parameters("repair method") if name in values}
    given = {"methods": methods, "orders": orders, "biases": biases}
    chosen = grid(**{name: _several(name, value) for name, value in given.items() if value is not None}, **params)
    states = default_states(_several("budgets", budgets), momentum, _several("presets", presets))
    return ExperimentSpec.of_setting(setting(store, **values), chosen, states)


def _several(name: str, value: Any) -> tuple:
    """Some values as a tuple; raises SpecError for a single one."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise SpecError(f"{name} is {value!r}; give several, as ({value!r},).")
    return tuple(value)
