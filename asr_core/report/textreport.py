"""Results as plain text for the terminal and README."""

import pandas as pd
from tabulate import tabulate

from asr_core import registry
from asr_core.networks import resume
from asr_core.pipeline.allocations import READING, Allocation
from asr_core.pipeline.plan import Task, count_images
from asr_core.spec.experiment import ExperimentSpec
from asr_core.store import Store
from asr_core.store.results import Result
from asr_core.studies import transition

MEASURES = {
    "rr": f"RR = D_res / D_raw: the share of a conv's local damage that variance matching leaves, by trial sparsity ({READING})",
    "d_raw": "D_raw: squared damage of pruning one conv alone, over the variance of its dense outputs",
    "d_res": "D_res: the same after channelwise variance matching",
}


def method_label(method: str) -> str:
    """Label of a method, or of the two reference rows."""
    if method in ("dense", "no_repair"):
        return {"dense": "dense", "no_repair": "no repair"}[method]
    return registry.get("repair method", method).label


def percent(row) -> str:
    """Top-1 in percent with its 95 % interval."""
    return f"{100 * row.top1:.1f} [{100 * row.top1_low:.1f}, {100 * row.top1_high:.1f}]"


def recalibration_label(row) -> str:
    """How BatchNorm was recalibrated, in words."""
    if row.calib_batches == 0:
        return "none"
    return "cumulative" if row.averaging == "cumulative" else f"ema {row.momentum:g} from {row.start}"


def accuracy_text(accuracy: pd.DataFrame, style: str = "simple") -> str:
    """Methods x order x bias x recalibration as rows, budgets b as columns, cells top-1 % [95 % interval]."""
    rows = []
    for row in accuracy.itertuples():
        bias = "" if pd.isna(row.bias) else ("on" if row.bias else "off")
        head = (method_label(row.method), row.order or "", bias, row.prior or "", recalibration_label(row))
        rows.append((*head, f"b={row.calib_batches}", percent(row)))
    names = ["method", "order", "bias", "prior", "recalibration"]
    long = pd.DataFrame(rows, columns=[*names, "b", "cell"])
    wide = long.drop_duplicates([*names, "b"]).pivot(index=names, columns="b", values="cell")
    order = long[names].drop_duplicates()
    columns = sorted(wide.columns, key=lambda name: int(name[2:]))
    table = wide.loc[pd.MultiIndex.from_frame(order), columns].reset_index().fillna("")
    return tabulate(table, headers="keys", tablefmt=style, showindex=False, disable_numparse=True)


def networks_text(result: Result, style: str = "simple") -> str:
    """Per repair: alphas (median over repaired layers, before recalibration), severity, sparsity."""
    rows = result.alphas[result.alphas["state"] == "repaired"]
    setting = result.setting
    table = [
        (
            row.slug,
            row.alpha_ratio,
            row.alpha_slope,
            setting["severity"],
            setting["sparsity_asked"],
            setting["sparsity_achieved"],
        )
        for row in rows.itertuples()
    ]
    headers = ("network", "alpha_ratio", "alpha_slope", "severity", "asked", "achieved")
    return tabulate(table, headers=headers, tablefmt=style, floatfmt=("", ".3f", ".3f", ".3f", ".4f", ".6f"))


def describe(setting: dict) -> str:
    """One line that names everything a number belongs to."""
    model, dense, prune = setting["model"], setting["dense"], setting["prune"]
    rule = registry.get("pruning rule", prune["rule"]).label
    how = f"{prune['keep_n']}:{prune['group_m']}" if "keep_n" in prune else f"{rule} {setting['sparsity_asked']:.0%}"
    recipe = f"from scratch, {dense['epochs']} epochs" if dense["source"] == "scratch" else dense["source"]
    return (
        f"{model['architecture']} ({model['stem']} stem, {model['head']} head) on {setting['dataset_label']}, "
        f"{setting['data']['image_size']} pixels, dense {setting['dense_id'][:8]} ({recipe}, seed {dense['seed']}); "
        f"{how}: {setting['sparsity_achieved']:.2%} of {'conv and linear' if prune['include_linear'] else 'conv'} weights removed"
    )


def result(found: Result) -> str:
    """The whole report of one run."""
    setting = found.setting
    share = setting["within_share"]
    lines = [
        describe(setting),
        "",
        accuracy_text(found.accuracy),
        "",
        "top-1 % [95 % Wilson interval]; order, bias: how repair statistics were collected and whether means were corrected;",
        f"b: recalibration batches of {setting['calibration']['calib_batch_size']}; {found.accuracy['n_eval'].iloc[0]} test images",
        "",
        networks_text(found),
        "",
    ]
    if share is not None:
        lines.append(f"within-layer share of the damage, which one scalar per layer cannot repair: {share:.0%}")
    return "\n".join(lines)


def maps(found) -> str:
    """What `asr_core.pipeline.maps.Maps` hold, one line per network, and why there are fewer images than asked."""
    rows = [(target, " x ".join(map(str, array.shape)), array.dtype) for target, array in found.of.items()]
    table = tabulate(rows, headers=("network", "image x channel x H x W", "kept as"))
    return f"maps of {found.layer}, test images {', '.join(found.files)}\n\n{table}" + (
        f"\n\n{found.fewer}" if found.fewer else ""
    )


def allocation(found: Allocation) -> str:
    """What `asr_core allocate` prints: densities by rule, repairability by trial sparsity, and what each rule keeps dense."""
    spec, share = found.spec, found.protected
    rows = [(row.rule, row.layers, f"{row.share:.1%}", row.names) for row in share.itertuples()]
    parts = [
        f"{spec.model.architecture} on {spec.data.dataset}, dense {found.dense_id[:8]}: "
        f"share of each layer's weights kept at {found.densities['sparsity'].iloc[0]:.4g} sparsity, in percent",
        _densities_text(found.densities),
        f"rr: densities in proportion to RR, {READING}",
        *(f"{what}\n\n{_by_trial(found.repairability, name)}" for name, what in MEASURES.items()),
        f"kept dense (density of at least {transition.DENSE:g})",
        tabulate(rows, headers=("rule", "layers", "of the kept weights", "which")),
    ]
    return "\n\n".join(parts)


def _densities_text(table: pd.DataFrame) -> str:
    """Layers as rows, rules as columns, and the whole network below."""
    rules, layers = (list(dict.fromkeys(table[column])) for column in ("rule", "layer"))
    density = (100 * table["kept"] / table["weights"]).groupby([table["layer"], table["rule"]]).first().unstack()
    whole = table.groupby("rule")[["kept", "weights"]].sum()
    rows = [(layer, *density.loc[layer, rules]) for layer in layers]
    rows.append(("all", *(100 * whole["kept"] / whole["weights"])[rules]))
    return tabulate(rows, headers=("layer", *rules), floatfmt=".3f")


def _by_trial(table: pd.DataFrame, name: str) -> str:
    """One measure of repairability: layers as rows, trial sparsities as columns."""
    wide = table.pivot(index="layer", columns="sparsity", values=name).loc[table["layer"].unique()]
    rows = [
        (layer, *("undefined" if value != value else f"{value:.4g}" for value in values))
        for layer, values in zip(wide.index, wide.to_numpy(), strict=True)
    ]
    return tabulate(
        rows,
        headers=("layer", *(f"{sparsity:g}" for sparsity in wide.columns)),
        disable_numparse=True,
        stralign="right",
        colalign=("left",),
    )


def cost(spec: ExperimentSpec, missing: list[Task]) -> str:
    """One line: what makes the setting, and the image passes that it needs by stage."""
    counted = count_images(missing)
    passes = ", ".join(f"{row.stage} {row.images:,}" for row in counted.itertuples() if row.images)
    asked = ", ".join(f"{name} {value}" for name, value in spec.prune.asked.items() if value is not False)
    total = f"{counted['images'].sum():,}"
    return f"{spec.model.words} on {spec.data.dataset}, seed {spec.dense.seed}, {spec.prune.rule} ({asked}): {total} image passes ({passes})"


def stored(store: Store) -> str:
    """What is stored: entries and bytes per stage, each training that can be taken up, then each result."""
    rows = []
    for stage in store.stages():
        manifests = store.manifests(stage)
        size = sum(f["bytes"] for m in manifests for f in m["files"].values())
        rows.append((stage, len(manifests), f"{size / 1e6:.1f} MB"))
    found = [
        *(_training(key, facts) for key, facts in resume.stopped(store)),
        *(describe(m["facts"]["setting"]) for m in store.manifests("result")),
    ]
    listed = tabulate(rows, headers=("stage", "entries", "size"))
    return "\n".join([listed, "", *found]) if rows or found else "nothing is stored."


def _training(key: str, facts: dict) -> str:
    """A training that goes on or was stopped: its recipe's key, how far it is, the mean loss of its last epoch."""
    return f"training {key}: {len(facts['losses'])} of {facts['epochs']} epochs, loss {facts['losses'][-1]:.3f}"
