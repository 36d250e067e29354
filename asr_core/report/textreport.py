"""Results as plain text for the terminal and README."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
from tabulate import tabulate

from asr_core.networks import resume
from asr_core.pipeline.plan import Task, count_images
from asr_core.spec import labels
from asr_core.spec.experiment import ExperimentSpec, Setting
from asr_core.spec.recalibration import NOTHING
from asr_core.spec.repairs import COLUMNS
from asr_core.store import Store, catalogue
from asr_core.store.results import Result
from asr_core.store.tables import networks, typed

if TYPE_CHECKING:
    from asr_core.pipeline.maps import Maps


def percent(row) -> str:
    """Top-1 in percent with its 95 % interval."""
    return f"{100 * row.top1:.1f} [{100 * row.top1_low:.1f}, {100 * row.top1_high:.1f}]"


def accuracy_text(accuracy: pd.DataFrame, style: str = "simple") -> str:
    """Methods x order x bias x recalibration as rows, budgets b as columns, cells top-1 % [95 % interval]."""
    rows = []
    for row in accuracy.itertuples():
        bias = "" if pd.isna(row.bias) else ("on" if row.bias else "off")
        head = (labels.method_label(row.method), row.order or "", bias, row.prior or "", labels.recalibration(row))
        rows.append((*head, f"b={row.calib_batches}", percent(row)))
    names = ["method", "order", "bias", "prior", "recalibration"]
    long = pd.DataFrame(rows, columns=[*names, "b", "cell"])
    wide = long.drop_duplicates([*names, "b"]).pivot(index=names, columns="b", values="cell")
    order = long[names].drop_duplicates()
    columns = sorted(wide.columns, key=lambda name: int(name[2:]))
    table = wide.loc[pd.MultiIndex.from_frame(order), columns].reset_index().fillna("")
    return tabulate(table, headers="keys", tablefmt=style, showindex=False, disable_numparse=True)


def draws(found: list[Result], style: str = "simple") -> str:
    """Mean and standard deviation of top-1 over results that differ in their calibration draw alone, for what a draw
    changes."""
    by = [*COLUMNS, "start", "averaging", "momentum", "calib_batches"]
    rows = pd.concat([one.accuracy for one in found], ignore_index=True)
    groups = rows.groupby(by, sort=False, dropna=False)["top1"].agg(["mean", "std", "min", "max", "size"]).reset_index()
    table = [
        (labels.label(network), labels.recalibration(row), f"b={row.calib_batches}", *(100 * v for v in _spread(row)))
        for network, row in zip(networks(typed(groups)), groups.itertuples(), strict=True)
        if row.size == len(found) and (row.std > 0 or network.order)
    ]
    headers = ("network", "recalibration", "b", "mean", "s. d.", "least", "largest")
    text = tabulate(table, headers=headers, tablefmt=style, floatfmt=".2f")
    return f"top-1 % over {len(found)} calibration draws, on one dense network and the same test images\n\n{text}"


def _spread(row) -> tuple[float, float, float, float]:
    return row.mean, row.std, row.min, row.max


def networks_text(result: Result, style: str = "simple") -> str:
    """Per repair: alphas (median over repaired layers, before recalibration), severity, sparsity."""
    rows = result.alphas[result.alphas["state"] == "repaired"]
    whole = [result.setting[name] for name in ("severity", "sparsity_asked", "sparsity_achieved")]
    alphas = zip(rows["alpha_ratio"], rows["alpha_slope"], strict=True)
    table = [(labels.label(network), *both, *whole) for network, both in zip(networks(rows), alphas, strict=True)]
    headers = ("network", "alpha_ratio", "alpha_slope", "severity", "asked", "achieved")
    return tabulate(table, headers=headers, tablefmt=style, floatfmt=("", ".3f", ".3f", ".3f", ".4f", ".6f"))


def describe(facts: dict[str, Any]) -> str:
    """One line that names everything a number belongs to."""
    setting = Setting.from_facts(facts)
    dense, prune = setting.dense, setting.prune
    title, more = prune.how
    how = f"{title} {100 * facts['sparsity_asked']:g}%" if "sparsity" in prune.parameters else title
    recipe = f"from scratch, {dense.epochs} epochs" if dense.source == "scratch" else dense.source
    removed = "conv" if setting.model.batchnorm else "its layers'"  # linear ones between LayerNorms too
    removed = "conv and linear" if prune.parameters["include_linear"] else removed
    return (
        f"{_network(setting)} on {facts['dataset_label']}, {setting.data.image_size} pixels, "
        f"dense {facts['dense_id'][:8]} ({recipe}, seed {dense.seed}); "
        f"{how}{more}: {facts['sparsity_achieved']:.2%} of {removed} weights removed"
    )


def _network(setting: Setting) -> str:
    """'resnet18 (imagenet stem, torchvision head)'."""
    parts = labels.parts(setting.model)
    return f"{setting.model.architecture} ({parts})" if parts else setting.model.architecture


def result(found: Result) -> str:
    """The whole report of one run."""
    setting = found.setting
    share = setting["within_share"]
    lines = [
        describe(setting),
        "",
        accuracy_text(found.accuracy),
        "",
        "top-1 % [95 % Wilson interval]; order, bias: how repair statistics were collected and whether means were "
        "corrected;",
        f"b: recalibration batches of {setting['calibration']['calib_batch_size']}; "
        f"{found.accuracy['n_eval'].iloc[0]} test images",
        "",
        networks_text(found),
        "",
    ]
    if not found.batchnorm:
        lines += [NOTHING, ""]
    said = "undefined" if share is None or share != share else f"{share:.1%}"
    lines.append(f"within-layer share of the mean-square damage, which one scalar per layer cannot mend: {said}")
    return "\n".join([*lines, *ties(found.convs)])


def ties(convs: pd.DataFrame) -> list[str]:
    """One line where equal magnitudes lay at the threshold and only some of them went; nothing where none did.

    >>> ties(pd.DataFrame({"tied": [3, 0], "tied_cut": [2, 0]}))
    ['3 weights are tied at the threshold of pruning; the first 2 of them in registration order went']
    """
    counts = [int(convs[name].sum()) for name in ("tied", "tied_cut")] if "tied" in convs else [0, 0]
    tied, cut = counts
    return (
        [f"{tied:,} weights are tied at the threshold of pruning; the first {cut:,} of them in registration order went"]
        if tied
        else []
    )


def maps(found: Maps) -> str:
    """What `Maps` hold, one line per network, and why there are fewer images than asked."""
    rows = [
        (labels.label(network), " x ".join(map(str, array.shape)), array.dtype) for network, array in found.of.items()
    ]
    table = tabulate(rows, headers=("network", "image x channel x H x W", "kept as"))
    return f"maps of {found.layer}, test images {', '.join(found.files)}\n\n{table}" + (
        f"\n\n{found.fewer}" if found.fewer else ""
    )


def cost(spec: ExperimentSpec, missing: list[Task]) -> str:
    """One line: what makes the setting, and the image passes that it needs by stage."""
    counted = count_images(missing)
    passes = ", ".join(f"{row.stage} {row.images:,}" for row in counted.itertuples() if row.images)
    return f"{named(spec)}: {counted['images'].sum():,} image passes ({passes})"


def named(spec: ExperimentSpec) -> str:
    """What makes the setting."""
    asked = ", ".join(f"{name} {value}" for name, value in spec.prune.params if value is not False)
    return f"{spec.model.words} on {spec.data.dataset}, seed {spec.dense.seed}, {spec.prune.pruning} ({asked})"


def stored(store: Store) -> str:
    """What is stored: entries and bytes per stage, each training that can be taken up, then each result."""
    rows = []
    for stage in store.stages():
        manifests = store.manifests(stage)
        size = sum(f["bytes"] for m in manifests for f in m["files"].values())
        rows.append((stage, len(manifests), f"{size / 1e6:.1f} MB"))
    found = [
        *(_training(key, facts) for key, facts in resume.stopped(store)),
        *(describe(item.facts) for item in catalogue.stored(store)),
    ]
    listed = tabulate(rows, headers=("stage", "entries", "size"))
    return "\n".join([listed, "", *found]) if rows or found else "nothing is stored."


def _training(key: str, facts: dict) -> str:
    """A training that goes on or was stopped: its recipe's key, how far it is, the mean loss of its last epoch."""
    return f"training {key}: {len(facts['losses'])} of {facts['epochs']} epochs, loss {facts['losses'][-1]:.3f}"
