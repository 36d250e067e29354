"""Stored output maps of one conv: which there are, what they cost, how they are read. Imports no torch.

Each network of a setting (dense, pruned, each repair) has its own entry of stage `maps`, so that one
more method costs one more entry: maps.npy (shipped: maps.npz, see `shipping.ship_extra`), (image, channel, H, W), of a
few test images of the evaluation subset, one of each class in turn, and facts that say which images these are.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from asr_core.checks import whole
from asr_core.errors import DataError, SpecError, StoreError
from asr_core.images import data
from asr_core.pipeline import plan
from asr_core.pipeline.plan import MapTask, Task
from asr_core.spec.digests import key
from asr_core.spec.experiment import ExperimentSpec
from asr_core.spec.experiment import from_dict as experiment_from
from asr_core.spec.keys import Keys
from asr_core.spec.parts import DataSpec
from asr_core.spec.recalibration import NO_STATE, BatchNormState
from asr_core.spec.repairs import DENSE, NO_REPAIR, RepairSpec
from asr_core.store import Store, results, shipping
from asr_core.store.entries import Entry

MOST_IMAGES = 64


@dataclass(frozen=True, kw_only=True)
class MapSpec:
    """Which maps: of conv `layer`, of `images` test images, repaired networks in BatchNorm `state`; image: an index
    into the test split, of which alone they are (None: of `images`)."""

    layer: str
    state: BatchNormState = NO_STATE
    images: int = 8
    image: int | Any = None

    def __post_init__(self):
        if not self.layer or not isinstance(self.layer, str):
            raise SpecError(f"layer is {self.layer!r}; give the name of a conv, for example conv1.")
        object.__setattr__(self, "images", whole("images", self.images, 1, MOST_IMAGES))
        if self.image is not None:
            object.__setattr__(self, "image", whole("image", self.image, 0))


def from_dict(found: dict) -> MapSpec:
    """The inverse of `dataclasses.asdict`, also after a trip through JSON."""
    return MapSpec(**found | {"state": BatchNormState.of(**found["state"])})


def key_of(keys: Keys, network: RepairSpec, wanted: MapSpec) -> str:
    """Store key of one network's maps; dense and pruned are never recalibrated."""
    state = state_of(network, wanted)
    images = [keys.spec.evaluation, wanted.images] if wanted.image is None else [{"image": wanted.image}]
    return key("maps", keys.network(network), wanted.layer, images, *keys.of_state(state))


def state_of(network: RepairSpec, wanted: MapSpec) -> BatchNormState:
    """The BatchNorm state in which a network's maps are wanted."""
    return NO_STATE if network in (DENSE, NO_REPAIR) else wanted.state


def networks(spec: ExperimentSpec) -> list[RepairSpec]:
    """The dense, the pruned and each repaired network."""
    return [DENSE, NO_REPAIR, *spec.repairs]


def known_dense(spec: ExperimentSpec, store: Store, dense_id: str | None = None) -> str | Any:
    """`dense_id`, or an identity of the recipe whose weights are here; None if one must be trained first.

    Raises StoreError where the weights of `dense_id` are not on this machine.
    """
    if dense_id is None:
        return results.dense_here(store, spec)
    if not results.has_weights(store, dense_id):
        raise StoreError(
            f"the weights of dense network {dense_id[:8]} are not on this machine (a shipped result can come "
            "without them); run the experiment to train a new one, which has an identity and results of its own."
        )
    return dense_id


def missing(spec: ExperimentSpec, store: Store, dense_id: str | None, wanted: MapSpec) -> list[Task]:
    """What is not stored of the wanted maps, in the order it will run: decoding and training first.

    dense_id: see `known_dense`. Raises DataError for a folder that was never seen here.
    """
    spec = plan.fitted(spec, store, dense_id, wanted.state)
    counts = data.counts(spec.data, store)
    if wanted.image is not None and wanted.image >= counts[1]:
        raise SpecError(f"image is {wanted.image}; there are {counts[1]} test images, 0 to {counts[1] - 1}.")
    keys, count = Keys(spec, dense_id or "unknown"), wanted.images if wanted.image is None else 1
    maps = {}
    for network in networks(spec):
        found, state = key_of(keys, network, wanted), state_of(network, wanted)
        if not store.has("maps", found) and found not in maps:  # before recalibration bn_only is the pruned network
            maps[found] = MapTask("maps", found, count, network, state, layer=wanted.layer, image=wanted.image)
    if not maps:
        return []
    needed = plan.preparation(spec, dense_id, counts, list(maps.values()))
    absent = [task for task in needed if dense_id is None or not store.has(task.stage, task.key)]
    first = plan.beginning(spec, store, dense_id, data.images_key(spec.data), counts)
    return [*first, *absent, *maps.values()]


@dataclass(frozen=True, eq=False)
class Maps:
    """Stored maps of one layer: `of[network]` is an array (image, channel, H, W), memory-mapped where they were
    computed.

    images: indices into the test split; files, classes: of each image; fewer: why there are fewer
    images than asked, or None; absent: networks whose maps are not stored.
    """

    layer: str
    of: dict[RepairSpec, np.ndarray]
    images: list[int]
    files: list[str]
    classes: list[str]
    fewer: str | None
    absent: tuple[RepairSpec, ...]


def read(spec: ExperimentSpec, store: Store, dense_id: str, wanted: MapSpec) -> Maps | Any:
    """The stored ones of the wanted maps; None if those of the dense network are not there."""
    keys, found = Keys(spec, dense_id), {}
    for network in networks(spec):
        if entry := store.find("maps", key_of(keys, network, wanted)):
            found[network] = entry
    if DENSE not in found:
        return None
    dense: Entry = found[DENSE]
    absent = tuple(network for network in networks(spec) if network not in found)
    arrays = {network: shipping.maps_of(entry) for network, entry in found.items()}
    return Maps(wanted.layer, arrays, dense["test_images"], dense["files"], dense["classes"], dense["fewer"], absent)


def mapped_layers(
    spec: ExperimentSpec, store: Store, dense_id: str, wanted: MapSpec, layers: list[str], network: RepairSpec = DENSE
) -> list[str]:
    """Those of `layers` whose maps are stored of the dense (or the pruned: no_repair) network, for as many images as
    `wanted`."""
    keys = Keys(spec, dense_id)
    return [layer for layer in layers if store.has("maps", key_of(keys, network, replace(wanted, layer=layer)))]


def mapped_settings(store: Store, found: list) -> list[tuple]:
    """(stored result, its layers whose maps are stored), for those of `found` (catalogue.Stored) whose pruned network
    has some."""
    layers = sorted({m["facts"]["layer"] for m in store.manifests("maps")})
    mapped: dict[Any, list[str]] = {}
    there: dict[Any, tuple] = {}
    for item in found:
        network = item.dense_id, item.setting.evaluation
        if item.setting in there or mapped.get(network) == []:
            continue  # known already, without reading its manifest
        entry = store.find("result", item.key)
        if entry is None:
            continue  # damaged since it was listed
        asked = experiment_from(entry.manifest["spec"]), store, item.dense_id, MapSpec(layer="any")
        mapped[network] = mapped_layers(*asked, layers)
        if own := mapped_layers(*asked, mapped[network], NO_REPAIR):
            there[item.setting] = item, own
    return list(there.values())


def inputs(images: DataSpec, store: Store, indices: list[int]) -> np.ndarray:
    """The input images as uint8 (image, H, W, 3): decoded ones of the store, or bundled ones.

    Raises DataError with the reason and the remedy where they are not on this machine.
    """
    entry = store.find("images", data.images_key(images))
    if entry is None and images.dataset == "digits":
        return np.array(data.load(images, store).test_images[indices])
    if entry is None:
        name = "folder:PATH" if images.dataset == "folder" else images.dataset
        whose = " (PATH is where the images of this result lie on this machine)" if images.dataset == "folder" else ""
        raise DataError(
            "the input images are not on this machine; fetch them with: "
            f"python -m asr_core maps --layer NAME --dataset {name} --image-size {images.image_size}{whose}"
        )
    return np.array(entry.array("test_images")[indices])
