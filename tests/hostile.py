"""Names that would reach out if they were read as Markdown or HTML; port 9 of this machine stands for another one."""

from pathlib import Path

from fake_results import LAYERS
from made_results import store_result

from asr_core.store import Store
from asr_core.store.results import Result

IMAGE = "![x](http://127.0.0.1:9/t.png)"
LINK = "[y](http://127.0.0.1:9/) http://127.0.0.1:9/bare"
TAG = "<a href='http://127.0.0.1:9/'>z</a><img src=http://127.0.0.1:9/t.png>"
NAMES = dict(
    zip((*LAYERS,), ("conv1", f"layer1.{IMAGE}", f"layer1.{LINK}", f"layer2.{TAG}", "layer2.last"), strict=True)
)


def hostile_store(folder: Path) -> Store:
    """A store with two results whose layers and images have such names."""
    store = Store(folder)
    layers = {NAMES[name]: channels for name, channels in LAYERS.items()}
    for sparsity in (0.8, 0.9):
        _rename(store, store_result(Store(folder / "plain"), layers=layers, sparsity=sparsity))
    return store


def _rename(store: Store, found: Result) -> None:
    manifest, names = found.entry.manifest, ("accuracy", "channels", "repairs", "layers", "alphas", "convs")
    facts = manifest["facts"]
    facts["setting"]["dataset_label"] = f"{IMAGE} {TAG}"
    tables = {f"{name}.parquet": found.entry.table(name) for name in names}
    store.put("result", manifest["key"], tables, facts, manifest["spec"])
