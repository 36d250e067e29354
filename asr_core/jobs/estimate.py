"""How long the missing stages of an experiment will take, from this machine's measured speeds. Imports no torch.

speeds.json in the store holds, per network, input size and number of threads, seconds per image of
each stage and per building of the network: first measured by `asr_core.jobs.probe` in a few seconds, then
corrected by every job (`asr_core.jobs.tracking`), without what other programs took of the machine meanwhile.
It is no part of what an experiment is.
"""

from typing import Any

import pandas as pd

from asr_core.images import data
from asr_core.jobs.schema import Speed as Speed
from asr_core.jobs.schema import Speeds
from asr_core.pipeline import plan
from asr_core.pipeline.plan import Task
from asr_core.runtime import worker_threads
from asr_core.spec.experiment import ExperimentSpec
from asr_core.spec.parts import DataSpec
from asr_core.spec.repairs import DENSE, NO_REPAIR, RepairSpec
from asr_core.store import Store, results
from asr_core.store.entries import read_json, write_json

FILE = "speeds.json"
PATIENCE = 60  # seconds that measuring may take
PRUNING = 2  # choosing masks and indexing the convs take about as long as building the network twice
TASK = 0.02  # seconds to look up, write and hash the files of one stage
# seconds per image until they were decoded here; a folder's are measured
DECODING = {"digits": 2e-4, "cifar10": 2e-4, "cifar100": 2e-4, "imagenette": 4e-3}


def work(experiment: ExperimentSpec, store: Store) -> list[Task]:
    """What is not stored of `experiment`, in the order it will run: decoding, training, stages.

    Raises DataError for a folder that is not on this machine.
    """
    counts = data.counts(experiment.data, store)
    dense_id = results.dense_here(store, experiment)
    missing = plan.missing(experiment, store, dense_id, *counts)
    key = data.images_key(experiment.data)
    decoding = [] if store.has("images", key) else [Task("images", key, sum(counts), kind="decode")]
    return decoding + missing


def network_name(experiment: ExperimentSpec, threads: int | None = None) -> str:
    """What a speed belongs to, readable, e.g. 'resnet18 imagenet torchvision 32px scratch float32 1 threads'.

    threads: None for those of a worker process.
    """
    model, dense = experiment.model, experiment.dense
    named = dict(model.params)
    made = " ".join([model.architecture, *(str(named[name]) for name in model.parameters if name in named)])
    network = f"{made} {experiment.data.image_size}px"
    source = (
        f"imagenet {dense.epochs} epochs" if dense.source == "imagenet" else dense.source
    )  # the frozen part runs once
    return f"{network} {source} {dense.precision} {threads or worker_threads()} threads"


def images_name(images: DataSpec) -> str:
    """What a decoding speed belongs to, e.g. 'imagenette 224px'."""
    return f"{images.digest or images.dataset} {images.image_size}px"


def speed(experiment: ExperimentSpec, store: Store, threads: int | None = None) -> Speed | Any:
    """Speeds measured on this machine for the experiment's network and images; None if they must be measured first."""
    known, images = _read(store), experiment.data
    found = known["networks"].get(network_name(experiment, threads))
    decode = known["decoding"].get(images_name(images), DECODING.get(images.dataset))
    if decode is None and store.has("images", data.images_key(images)):
        decode = 0.0  # a folder that is decoded already
    return None if found is None or decode is None else {**found, "decode": decode}


def remember(experiment: ExperimentSpec, store: Store, measured: Speed, threads: int | None = None) -> None:
    """Keep measured speeds; without `decode` the known decoding speed stays."""
    with store.lock("speeds"):
        known = _read(store)
        known["networks"][network_name(experiment, threads)] = {n: v for n, v in measured.items() if n != "decode"}
        if "decode" in measured:
            known["decoding"][images_name(experiment.data)] = measured["decode"]
        write_json(store.root / FILE, known)


def _read(store: Store) -> Speeds:
    """The content of speeds.json. Only a cache: unreadable means empty."""
    try:
        return read_json(store.root / FILE, Speeds)
    except (OSError, ValueError):
        return {"networks": {}, "decoding": {}}


def costs(tasks: list[Task], speed: Speed) -> list[float]:
    """Seconds of each task, run one after the other: passes, and building a network where it changes."""
    found, last = [], None
    for task in tasks:
        network = _network(task)
        builds = 0 if network in (last, None) else 1
        last = network or last
        builds += PRUNING if task.stage == "prune" else 0
        found.append(TASK + builds * speed["build"] + task.images * speed[rate_of(task)])
    return found


def rate_of(task: Task) -> str:
    """Name of the speed that a task's image passes go by."""
    return {
        "images": "decode",
        "dense": "train",
        "prune": "evaluation",
        "maps": "evaluation",
        "repairability": "evaluation",
        "signal": "stats",
    }.get(task.stage, task.stage)


def _network(task: Task) -> RepairSpec | None:
    """The network that a task loads; None if it needs none."""
    if task.stage == "images":
        return None
    if task.stage == "repair" or (task.network != DENSE and task.network.order is None):
        return DENSE if task.stage == "prune" else NO_REPAIR
    return task.network


def seconds(tasks: list[Task], speed: Speed, tables: int) -> float:
    """Seconds from starting a worker to the end of `tasks`, and to the tables of as many repairs."""
    return speed["start"] + sum(costs(tasks, speed)) + tables * speed["assemble"]


def until_shown(tasks: list[Task], speed: Speed, first: Any) -> float:
    """Seconds from starting a worker until all that `first` (an `order.Sooner`) shows is stored; without it, all of
    `tasks`. They come in the order that they run in."""
    shown = [place for place, task in enumerate(tasks) if first is None or first.shows(task)]
    return speed["start"] + sum(costs(tasks[: shown[-1] + 1 if shown else 0], speed))


def table(tasks: list[Task], speed: Speed | None) -> pd.DataFrame:
    """Columns stage, tasks, images (passes), seconds (missing while the speed is unknown)."""
    rows = pd.DataFrame([(task.stage, task.images) for task in tasks], columns=["stage", "images"])
    rows["seconds"] = costs(tasks, speed) if speed else float("nan")
    grouped = rows.groupby("stage", sort=False)
    whole = grouped.agg(tasks=("images", "count"), images=("images", "sum")).reset_index()
    return whole.assign(seconds=grouped["seconds"].sum(min_count=1).to_numpy())


def corrected(speed: Speed, actual: dict[str, float], expected: dict[str, float], least: float) -> Speed:
    """`speed` with each rate multiplied by actual / expected seconds, where both reach `least`.

    `actual`, `expected`: seconds by rate name, over the same work.
    """
    known = [name for name in actual if min(actual[name], expected[name]) >= least]
    return speed | {name: speed[name] * actual[name] / expected[name] for name in known}


def duration(value: float) -> str:
    """Seconds as a reader wants them: '8 s', '3 min', '1 h 20 min'."""
    if value < 90:
        return f"{max(1, round(value))} s"
    minutes = round(value / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
