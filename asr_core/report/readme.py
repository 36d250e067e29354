"""The measured sections of README and docs/results.md, written from shipped results and kept benchmarks."""

import json

import pandas as pd
from tabulate import tabulate

from asr_core.errors import StoreError
from asr_core.report import textreport
from asr_core.spec.experiment import Setting
from asr_core.spec.labels import label, recalibration
from asr_core.spec.model import ModelSpec
from asr_core.spec.recalibration import NO_STATE, REPORTED_STATE, BatchNormState
from asr_core.spec.repairs import BN_ONLY, DENSE, METHODS, NO_REPAIR, repairs
from asr_core.spec.samples import CalibrationSpec
from asr_core.store import Store, catalogue
from asr_core.store.entries import PROJECT
from asr_core.store.results import Result, read
from asr_core.store.tables import rows_of
from asr_core.studies import ablation

CIFAR, DIGITS = "CIFAR-10", "scikit-learn digits"
SHOWN = tuple((images, "global_l1", s) for images, s in ((CIFAR, 0.8), (CIFAR, 0.7), (CIFAR, 0.9), (DIGITS, 0.9)))
STATES = (NO_STATE, REPORTED_STATE, BatchNormState.of(averaging="cumulative", calib_batches=20))
LOOKS = (("simultaneous", "off"), ("sequential", "on"))  # order and bias: the two ends of what the paper leaves open
BENCHMARKS = {
    "benchmark": PROJECT / "docs" / "benchmark.json",
    "benchmark of CIFAR-10": PROJECT / "docs" / "benchmark-cifar10.json",
    "benchmark of resnet18": PROJECT / "docs" / "benchmark-resnet18.json",
    "dashboard": PROJECT / "docs" / "benchmark-ui.json",
}  # section -> numbers


def section(text: str, name: str) -> str:
    """What stands between the two markers of section `name`."""
    return text.split(f"<!-- {name}:begin -->\n")[1].split(f"<!-- {name}:end -->")[0]


def benchmark_text(name: str) -> str:
    """Markdown of the last benchmark of a section that was kept: what had a target, what came of it, and what made
    it."""
    found = json.loads(BENCHMARKS[name].read_text())
    rows = [
        (
            line["what"],
            line["measured"],
            line["against"],
            line["unit"],
            line["factor"],
            line["target"],
            "yes" if line["met"] else "**no**",
        )
        for line in found["lines"]
        if line["target"]
    ]
    headers = ("measure", "ours", "against", "unit", "factor", "target", "met")
    table = tabulate(rows, headers, tablefmt="github", floatfmt=".4g", missingval="", disable_numparse=[0, 3, 5, 6])
    options = "".join(f"{name} {value}, " for name, value in found.get("options", {}).items())
    made = " ".join(f"{name} {version}," for name, version in found["versions"].items()).rstrip(",")
    repeats = f"medians of {found['repeats']} runs" if found["repeats"] > 1 else "one run"
    return f"{table}\n\n{options}{repeats}; {found['machine']['cores']} cores; {made}.\n"


def results_text(store: Store) -> str:
    """Markdown of the shipped results that are shown whole, in order: what made each, then its accuracy table."""
    known = _main_results(store)
    return "\n".join(_one(known[name]) for name in SHOWN if name in known)


def _main_results(store: Store) -> dict[tuple, Result]:
    shipped = [folder.name for folder in (store.shipped / "result").glob("*")]
    found = [read(entry) for key in shipped if (entry := store.find("result", key))]
    return {
        (r.setting["dataset_label"], r.setting["prune"]["pruning"], r.setting["sparsity_asked"]): r
        for r in found
        if _main(r)
    }


def shipped_text(store: Store) -> str:
    """Markdown of all shipped networks: what each was pruned to, and how many accuracies are there."""
    rows: dict[tuple[str, str, str], list[catalogue.Stored]] = {}
    for item in catalogue.stored(store):
        if (store.shipped / "result" / item.key).is_dir():
            rows.setdefault(_network(item), []).append(item)
    table = [(*name, _prunings(items), sum(item.rows for item in items)) for name, items in rows.items()]
    return tabulate(table, ("network", "images", "dense", "pruned by", "accuracies"), tablefmt="github") + "\n"


def _prunings(items: list[catalogue.Stored]) -> str:
    """The prunings of some results, rule by rule: '2:4; global L1 50, 90 %'."""
    found: dict[tuple[str, str], set[float]] = {}
    for prune in (item.setting.prune for item in items):
        own = {prune.parameters["sparsity"]} if "sparsity" in prune.parameters else set()
        found.setdefault(prune.how, set()).update(own)
    return "; ".join(f"{rule}{_percents(values)}{more}" for (rule, more), values in sorted(found.items()))


def _percents(sparsities: set[float]) -> str:
    """' 50, 90 %', or nothing for a rule without a sparsity."""
    return f" {', '.join(f'{100 * value:g}' for value in sorted(sparsities))} %" if sparsities else ""


def _network(item: catalogue.Stored) -> tuple[str, str, str]:
    dense = item.setting.dense
    how = "a weights file" if dense.source == "file" else f"{dense.epochs} epochs, seed {dense.seed}"
    made = f"{item.dense_id[:8]}, {how}"
    return item.setting.model.words, item.facts["dataset_label"], made


def _main(result: Result) -> bool:
    """Whether a result is of the main network and grid: trained here, not a study, another stem or another seed."""
    setting = Setting.from_facts(result.setting)
    trained = setting.dense.source == "scratch" and setting.dense.seed == 0
    usual = setting.calibration == CalibrationSpec() and trained and setting.model == ModelSpec()
    return usual and result.channels is not None


def _one(result: Result) -> str:
    setting, calibration = result.setting, result.setting["calibration"]
    dense = result.accuracy.iloc[0]
    return (
        f"<details><summary><b>{textreport.describe(setting)}</b></summary>\n\n"
        f"Top-1 % [95 % Wilson interval] on {dense['n_eval']} test images; {calibration['stat_images']} statistics "
        f"images; b recalibration batches of {calibration['calib_batch_size']}; seed {setting['dense']['seed']}; "
        f"severity {setting['severity']:.3f}; within-layer share of the damage {setting['within_share']:.1%}.\n\n"
        f"{textreport.accuracy_text(result.accuracy, 'github')}\n\n</details>\n"
    )


def short_text(store: Store) -> str:
    """Markdown of one result in ten lines: each method in LOOKS."""
    result = _main_results(store)[SHOWN[0]]
    table, rows = result.accuracy, []
    looks = (repair for order, bias in LOOKS for repair in repairs(METHODS[1:], (order,), (bias,)))
    for network in (DENSE, NO_REPAIR, BN_ONLY, *looks):
        own = rows_of(table, network)
        rows.append((label(network), *(_cell(ablation.rows_in(own, state)) for state in STATES)))
    headers = ("top-1 %", *(f"{recalibration(state)}, b = {state.calib_batches}" for state in STATES))
    text = tabulate(rows, headers, tablefmt="github", disable_numparse=True)
    what = f"{textreport.describe(result.setting)}, {table['n_eval'].iloc[0]} test images"
    return f"{what}:\n\n{text}\n"


def _cell(rows: pd.DataFrame) -> str:
    return "" if rows.empty else textreport.percent(rows.iloc[0])


def texts(store: Store) -> dict[str, dict[str, str]]:
    """File -> section -> its text."""
    measured = {"results": results_text(store), "shipped": shipped_text(store)}
    benchmarks = {name: benchmark_text(name) for name in BENCHMARKS}
    return {"README.md": {"short": short_text(store)}, "docs/results.md": measured | benchmarks}


def write(store: Store) -> None:
    """Replace the measured sections; raises StoreError if nothing is shipped."""
    if not results_text(store):
        raise StoreError(f"{store.shipped} holds no result to write into README.md; run the gallery first.")
    for file, sections in texts(store).items():
        path = PROJECT / file
        text = path.read_text()
        for name, new in sections.items():
            text = text.replace(f"<!-- {name}:begin -->\n{section(text, name)}", f"<!-- {name}:begin -->\n{new}")
        path.write_text(text)
