"""The stored networks that answer the cells of the paper, and the experiments that would. Imports no torch."""

from dataclasses import dataclass, replace

from asr_core.errors import DataError
from asr_core.fields import worded
from asr_core.images import data
from asr_core.spec.experiment import ExperimentSpec, Setting
from asr_core.spec.recalibration import NO_STATE
from asr_core.store import Store
from asr_core.store.catalogue import Stored, keys_of
from asr_core.studies.cells import ARCHITECTURES, CELLS, DATASETS, METHODS, PRUNINGS, SIDE, Cell, Variant, dataset_label

OPEN = (
    "pruning",
    "sparsity",
    "keep_n",
    "group_m",
    "include_linear",
)  # of a pruning: what tells cells and variants apart


@dataclass(frozen=True)
class Match:
    """A stored network that answers a cell: keys of its results, most rows first; repeat 0 is the one that is shown,
    the others are the same recipe with another seed or trained again."""

    cell: Cell
    setting: Setting
    dense_id: str
    keys: tuple[str, ...]
    repeat: int = 0

    @property
    def network(self) -> str:
        """How the dense network was made, in words; different ones are never compared in one grid."""
        dense, model = self.setting.dense, self.setting.model
        epochs = f"{dense.epochs} epochs"
        made = {"scratch": f"from scratch, {epochs}", "imagenet": f"ImageNet weights, {epochs}", "file": "from a file"}
        changed = worded(model, but=("architecture",))
        size = f"{self.setting.data.image_size} pixels"
        return ", ".join([ARCHITECTURES[self.cell.architecture], *changed, made[dense.source], size])


def dataset_of(item: Stored) -> str | None:
    """The paper's dataset that a stored result is on; None for digits and folders of other images."""
    names = {dataset_label(name): name for name in DATASETS}
    own = item.setting.data.dataset
    return own if own in DATASETS else names.get(item.facts["dataset_label"].partition(" (")[0])


def cell_of(item: Stored) -> Cell | None:
    """The cell that a stored result belongs to, or None."""
    mine = item.setting.prune.values()
    pruning = next((name for name, asked in PRUNINGS.items() if asked.items() <= mine.items()), None)
    place = item.setting.model.architecture, dataset_of(item), pruning
    return next((cell for cell in CELLS if (cell.architecture, cell.dataset, cell.pruning) == place), None)


def matches(stored: list[Stored], include_linear: bool = False) -> list[Match]:
    """The stored networks of each cell, of the make that is nearest to the paper's, repeats by seed."""
    makes: dict = {}
    for item in stored:
        cell = cell_of(item)
        if cell is not None and _linear(item.setting) == include_linear:
            settings = makes.setdefault(cell, {}).setdefault(_make(item.setting), {})
            settings.setdefault((item.setting, item.dense_id), []).append(item)
    return [match for cell in CELLS if cell in makes for match in _repeats(cell, makes[cell])]


def _linear(setting: Setting) -> bool:
    return setting.prune.parameters["include_linear"]


def _make(setting: Setting) -> Setting:
    """What a network and its repeats have in common: all but the seeds."""
    return setting.with_(dense=replace(setting.dense, seed=0), calibration=replace(setting.calibration, draw=0))


def _repeats(cell: Cell, makes: dict) -> list[Match]:
    settings = makes[min(makes, key=_distance)]
    ordered = sorted(settings, key=lambda known: known[0].dense.seed)
    return [Match(cell, known[0], known[1], keys_of(settings[known]), repeat) for repeat, known in enumerate(ordered)]


def _distance(make: Setting) -> tuple:
    """How far a make is from the paper's, the weightiest difference first."""
    return (
        make.dense.source != "imagenet",
        make.data.image_size != SIDE,
        len(worded(make.model, but=("architecture",))),
        len(worded(make.prune, but=OPEN)),
        make.calibration.stat_images != 64,
        make.calibration.calib_batch_size != 128,
        make.evaluation.eval_images is not None,
        -make.dense.epochs,
    )


def paper_setting(cell: Cell) -> Setting:
    """The cell by the paper's protocol, where it states one: ImageNet weights, five epochs on the last block and the
    head."""
    return Setting.of(
        dataset=cell.dataset,
        image_size=SIDE,
        normalization="imagenet",
        architecture=cell.architecture,
        source="imagenet",
        epochs=5,
        **PRUNINGS[cell.pruning],
    )


def like_stored(cell: Cell, stored: list[Stored], store: Store) -> Setting:
    """The cell made as the stored networks are: those of its dataset, else of any of the paper's datasets, else the
    default.

    Images of a folder that is not on this machine are replaced by the dataset's download.
    """
    known = [item for item in stored if cell_of(item) and not _linear(item.setting)]
    near = min(known, key=lambda item: _far(item, cell), default=None)
    base = near.setting if near else Setting()
    small = (
        cell.architecture == "vgg16_bn" and base.data.image_size < SIDE
    )  # its head has 120 million weights for 7x7 maps
    changed = {"architecture": cell.architecture, "head": "linear" if small else None, "seed": 0, "draw": 0}
    if not (near and dataset_of(near) == cell.dataset and _at_hand(base, store)):
        changed["dataset"] = cell.dataset
    return base.but(**changed, **PRUNINGS[cell.pruning])


def _far(item: Stored, cell: Cell) -> tuple:
    """How far a stored network is from one that would answer a cell."""
    other = dataset_of(item) != cell.dataset, item.setting.model.architecture != cell.architecture
    return (*other, _distance(item.setting))


def _at_hand(setting: Setting, store: Store) -> bool:
    try:
        data.counts(setting.data, store)
    except DataError:
        return False
    return True


def experiment(setting: Setting, variant: Variant) -> ExperimentSpec:
    """What answers all rows of a cell: the methods of table 1 without recalibration and in the variant's."""
    states = tuple(dict.fromkeys((NO_STATE, variant.state)))
    repairs = tuple(variant.repair(method) for method in METHODS)
    return ExperimentSpec.of_setting(setting.but(include_linear=variant.include_linear), repairs, states)


def command(cell: Cell) -> str:
    """The command line that runs the cell by the paper's protocol."""
    asked = {"source": "imagenet", "image_size": SIDE, "epochs": 5, "dataset": cell.dataset}
    asked |= {"architecture": cell.architecture} | PRUNINGS[cell.pruning]
    options = " ".join(f"--{name.replace('_', '-')} {value}" for name, value in asked.items())
    return f"python -m asr_core run {options}"
