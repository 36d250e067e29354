"""Stored output maps of one conv: which there are, what they cost, how they are read. Imports no torch until it runs.

Each network of a setting (dense, pruned, each repair) has its own entry of stage `maps`, so that one
more method costs one more entry: maps.npy, (image, channel, H, W), of a few test images of the
evaluation subset, one of each class in turn, and facts that say which images these are.
"""

import json
import re
from dataclasses import dataclass, replace
from difflib import get_close_matches

import numpy as np

from asr_core import registry
from asr_core.checks import whole
from asr_core.errors import DataError, SpecError, StoreError
from asr_core.images import data
from asr_core.pipeline import plan
from asr_core.pipeline.plan import NO_STATE, Keys, Task
from asr_core.spec.experiment import DataSpec, ExperimentSpec, key
from asr_core.spec.experiment import from_dict as experiment_from
from asr_core.spec.grid import BatchNormState, RepairSpec
from asr_core.store import Store, results
from asr_core.store.entries import WEIGHTS, Entry

MOST_IMAGES = 64
READABLE = 4  # maps with fewer rows or columns cannot be read as pictures


@dataclass(frozen=True, kw_only=True)
class MapSpec:
    """Which maps: of conv `layer`, of `images` test images, repaired networks in BatchNorm `state`."""

    layer: str
    state: BatchNormState = NO_STATE
    images: int = 8

    def __post_init__(self):
        if not self.layer or not isinstance(self.layer, str):
            raise SpecError(f"layer is {self.layer!r}; give the name of a conv, for example conv1.")
        object.__setattr__(self, "images", whole("images", self.images, 1, MOST_IMAGES))


def from_dict(found: dict) -> MapSpec:
    """The inverse of `dataclasses.asdict`, also after a trip through JSON."""
    return MapSpec(**found | {"state": BatchNormState.of(**found["state"])})


@dataclass(frozen=True)
class MapTask(Task):
    """The maps of one network at conv `layer`."""

    layer: str = ""


def key_of(keys: Keys, target: str, repair: RepairSpec | None, wanted: MapSpec) -> str:
    """Store key of one network's maps; dense and pruned are never recalibrated."""
    state = wanted.state if repair else NO_STATE
    images = [keys.spec.evaluation, wanted.images]
    return key("maps", keys.network(target, repair), wanted.layer, images, *keys.of_state(state))


def networks(spec: ExperimentSpec) -> list[tuple[str, RepairSpec | None]]:
    """(target, repair) of the dense, the pruned and each repaired network."""
    return [("dense", None), ("no_repair", None), *((repair.slug, repair) for repair in spec.repairs)]


def known_dense(spec: ExperimentSpec, store: Store, dense_id: str | None = None) -> str | None:
    """`dense_id`, or an identity of the recipe whose weights are here; None if one must be trained first.

    Raises StoreError where the weights of `dense_id` are not on this machine.
    """
    if dense_id is None:
        return results.dense_here(store, spec)
    if not has_weights(store, dense_id):
        raise StoreError(
            f"the weights of dense network {dense_id[:8]} are not on this machine (a shipped result can come "
            "without them); run the experiment to train a new one, which has an identity and results of its own."
        )
    return dense_id


def fitted(spec: ExperimentSpec, store: Store, dense_id: str | None, wanted: MapSpec) -> ExperimentSpec:
    """`spec`, with a recorded recalibration pass just long enough, unless its own longer ones are stored."""
    keys = Keys(spec, dense_id or "unknown")
    own = wanted.state in spec.states and all(
        store.has("recalibration", keys.recalibration(r.slug, r)) for r in spec.repairs
    )
    return spec if own else spec.with_(states=(wanted.state,))


def missing(spec: ExperimentSpec, store: Store, dense_id: str | None, wanted: MapSpec) -> list[Task]:
    """What is not stored of the wanted maps, in the order it will run: decoding and training first.

    dense_id: see `known_dense`. Raises DataError for a folder that was never seen here.
    """
    spec = fitted(spec, store, dense_id, wanted)
    counts = data.counts(spec.data, store)
    keys = Keys(spec, dense_id or "unknown")
    maps = {}
    for target, repair in networks(spec):
        found, state = key_of(keys, target, repair, wanted), wanted.state if repair else NO_STATE
        if not store.has("maps", found) and found not in maps:  # before recalibration bn_only is the pruned network
            maps[found] = MapTask("maps", found, wanted.images, target, repair, state, layer=wanted.layer)
    if not maps:
        return []
    needed = _preparation(spec, dense_id, counts, list(maps.values()))
    absent = [task for task in needed if dense_id is None or not store.has(task.stage, task.key)]
    return [*beginning(spec, store, dense_id, counts), *absent, *maps.values()]


def _preparation(
    spec: ExperimentSpec, dense_id: str | None, counts: tuple[int, int], maps: list[MapTask]
) -> list[Task]:
    """The stages that the networks of `maps` are built from."""
    targets = {task.target for task in maps}
    wanted = {"prune": targets - {"dense"}, "stats": {t.target for t in maps if t.repair and t.repair.order}}
    wanted |= {"repair": wanted["stats"], "recalibration": {t.target for t in maps if t.state.batches}}
    every = plan.tasks(spec, dense_id, *counts)
    first = [t for t in every if t.stage == "prune" and wanted["prune"]]
    first += [t for t in every if t.stage == "stats" and t.repair is None and wanted["stats"]]
    return first + [t for t in every if t.stage in ("repair", "recalibration") and t.target in wanted[t.stage]]


def beginning(spec: ExperimentSpec, store: Store, dense_id: str | None, counts: tuple[int, int]) -> list[Task]:
    """What comes before any stage: decoding the images, training the dense network."""
    images = data.images_key(spec.data)
    found = [] if store.has("images", images) else [Task("images", images, sum(counts), kind="decode")]
    if dense_id is None:
        epochs = spec.dense.epochs if spec.dense.source != "file" else 0
        found.append(Task("dense", spec.recipe_key, epochs * counts[0], kind="train"))
    return found


def has_weights(store: Store, dense_id: str) -> bool:
    """Whether the weights of a dense network are on this machine (a shipped result can come without)."""
    for base in (store.shipped, store.root):
        manifest = base / "dense" / dense_id / "manifest.json"
        if manifest.is_file() and WEIGHTS in json.loads(manifest.read_text())["files"]:
            return True
    return False


def run(
    spec: ExperimentSpec, store: Store, wanted: MapSpec, dense_id: str | None = None, report=None, where=None
) -> "Maps":
    """Compute and store what is missing of the wanted maps, and return them all.

    dense_id: of a dense network whose weights are here; None: the recipe's, trained if need be. report: a
    `lab.Report`; where: a Runtime. Raises AsrError subclasses before anything expensive.
    """
    from asr_core.measure import activations
    from asr_core.pipeline import stages as experiment
    from asr_core.pipeline.lab import Lab, Report
    from asr_core.runtime import Runtime

    dense_id = known_dense(spec, store, dense_id)
    store.check_writable()
    lab = Lab(fitted(spec, store, dense_id, wanted), store, report or Report(), where or Runtime())
    activations.check(lab, wanted.layer)
    lab.report.planned(missing(spec, store, dense_id, wanted))
    if dense_id:
        lab.dense_id = dense_id
    tasks = missing(spec, store, lab.dense_id, wanted)
    experiment.perform(lab, [task for task in tasks if task.stage != "images"])
    return read(spec, store, lab.dense_id, wanted)


@dataclass(frozen=True, eq=False)
class Maps:
    """Stored maps of one layer: `of[target]` is an array (image, channel, H, W), memory-mapped.

    images: indices into the test split; files, classes: of each image; fewer: why there are fewer
    images than asked, or None; absent: networks whose maps are not stored.
    """

    layer: str
    of: dict[str, np.ndarray]
    images: list[int]
    files: list[str]
    classes: list[str]
    fewer: str | None
    absent: tuple[str, ...]


def read(spec: ExperimentSpec, store: Store, dense_id: str, wanted: MapSpec) -> Maps | None:
    """The stored ones of the wanted maps; None if those of the dense network are not there."""
    keys, found = Keys(spec, dense_id), {}
    for target, repair in networks(spec):
        if entry := store.find("maps", key_of(keys, target, repair, wanted)):
            found[target] = entry
    if "dense" not in found:
        return None
    dense: Entry = found["dense"]
    absent = tuple(target for target, _ in networks(spec) if target not in found)
    arrays = {target: entry.array("maps") for target, entry in found.items()}
    return Maps(wanted.layer, arrays, dense["test_images"], dense["files"], dense["classes"], dense["fewer"], absent)


def mapped_layers(
    spec: ExperimentSpec, store: Store, dense_id: str, wanted: MapSpec, layers: list[str], target: str = "dense"
) -> list[str]:
    """Those of `layers` whose maps are stored of the dense (or the pruned: no_repair) network, for as many images as `wanted`."""
    keys = Keys(spec, dense_id)
    return [layer for layer in layers if store.has("maps", key_of(keys, target, None, replace(wanted, layer=layer)))]


def mapped_settings(store: Store, found: list) -> list[tuple]:
    """(stored result, its layers whose maps are stored), for those of `found` (catalogue.Stored) whose pruned network has some."""
    layers, mapped, there = sorted({m["facts"]["layer"] for m in store.manifests("maps")}), {}, {}
    for item in found:
        network = item.setting.dense, item.setting.eval
        if item.setting in there or mapped.get(network) == []:
            continue  # known already, without reading its manifest
        asked = (
            experiment_from(store.find("result", item.key).manifest["spec"]),
            store,
            item.setting.dense,
            MapSpec(layer="any"),
        )
        mapped[network] = mapped_layers(*asked, layers)
        if own := mapped_layers(*asked, mapped[network], "no_repair"):
            there[item.setting] = item, own
    return list(there.values())


def nearest_layer(layer: str, layers: list[str]) -> str:
    """One line about an unknown layer: the nearest names (same beginning first), and how many there are."""
    similar = get_close_matches(layer, layers, n=len(layers), cutoff=0.3)
    near = sorted(similar, key=lambda name: -sum(name.startswith(layer[: i + 1]) for i in range(len(layer))))
    hint = f" Did you mean {' or '.join(near[:3])}?" if near else ""
    return f"unknown layer {layer[:80]!r}.{hint} The network has {len(layers)} convs, {layers[0]} to {layers[-1]}."


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
            f"the input images are not on this machine, so the maps stand alone; fetch them with: "
            f"python -m asr_core maps --layer NAME --dataset {name} --image-size {images.image_size}{whose}"
        )
    return np.array(entry.array("test_images")[indices])


def repair_of(slug: str) -> RepairSpec:
    """The repair that `slug` is short for; raises SpecError for a text that is none."""
    method, *parts = re.split(r"\.(?=[a-z])", slug)  # the dot of a number stays
    rule = registry.get("repair method", method)
    given = dict(part.split("=", 1) for part in parts if "=" in part)
    params = {name: type(rule.defaults()[name])(value) for name, value in given.items() if name in rule.defaults()}
    words = [part for part in parts if "=" not in part]
    if len(words) > 2:
        params["prior"] = words[2]
    order = {"order": words[0]} if words else {}
    found = RepairSpec.of(method, **order, bias=words[1] == "bias" if len(words) > 1 else None, **params)
    if found.slug != slug:
        raise SpecError(f"{slug[:80]!r} names no repair; the nearest is {found.slug!r}.")
    return found
