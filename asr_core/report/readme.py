"""The measured sections of README, written from shipped results and docs/benchmark.json: python -m asr_core readme."""

import json
from dataclasses import asdict

from tabulate import tabulate

from asr_core.errors import StoreError
from asr_core.report import textreport
from asr_core.spec.experiment import CalibrationSpec, ModelSpec
from asr_core.store import Store, catalogue
from asr_core.store.entries import PROJECT
from asr_core.store.results import read

CIFAR = "CIFAR-10 (JPEG copy)"
SHOWN = ((CIFAR, "global_l1", 0.9), (CIFAR, "n_m", 0.5), ("scikit-learn digits", "global_l1", 0.95))
BENCHMARKS = {
    "benchmark": PROJECT / "docs" / "benchmark.json",
    "dashboard": PROJECT / "docs" / "benchmark-ui.json",
}  # section -> numbers


def section(text: str, name: str) -> str:
    """What stands between the two markers of section `name`."""
    return text.split(f"<!-- {name}:begin -->\n")[1].split(f"<!-- {name}:end -->")[0]


def benchmark_text(name: str) -> str:
    """Markdown of the last benchmark of a section that was kept: what had a target, what came of it, and what made it."""
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
    """Markdown of the shipped results that README shows, in order: what made each, then its accuracy table."""
    shipped = [folder.name for folder in (store.shipped / "result").glob("*")]
    found = [read(entry) for key in shipped if (entry := store.find("result", key))]
    known = {
        (r.setting["dataset_label"], r.setting["prune"]["rule"], r.setting["sparsity_asked"]): r
        for r in found
        if _main(r)
    }
    return "\n".join(_one(known[name]) for name in SHOWN if name in known)


def shipped_text(store: Store) -> str:
    """Markdown of all shipped networks: what each was pruned to, and how many accuracies are there."""
    rows = {}
    for item in catalogue.stored(store):
        if (store.shipped / "result" / item.key).is_dir():
            rows.setdefault(_network(item), []).append(item)
    table = [(*name, _prunings(items), sum(item.rows for item in items)) for name, items in rows.items()]
    return tabulate(table, ("network", "images", "dense", "pruned by", "accuracies"), tablefmt="github") + "\n"


def _prunings(items: list[catalogue.Stored]) -> str:
    """The prunings of some results, rule by rule: '2:4; global L1 50, 90 %'."""
    found = {}
    for setting in (item.setting for item in items):
        found.setdefault(setting.how, set()).add(setting.sparsity)
    return "; ".join(
        rule
        + (f" {', '.join(f'{100 * value:g}' for value in sorted(sparsities))} %" if None not in sparsities else "")
        + more
        for (rule, more), sparsities in sorted(found.items())
    )


def _network(item: catalogue.Stored) -> tuple[str, str, str]:
    setting = item.setting
    return (
        setting.model.words,
        item.facts["dataset_label"],
        f"{setting.dense[:8]}, {setting.epochs} epochs, seed {setting.seed}",
    )


def _main(result) -> bool:
    """Whether a result is of the main network and grid: not a study, another stem or another seed."""
    setting = result.setting
    usual = setting["calibration"] == asdict(CalibrationSpec()) and setting["dense"]["seed"] == 0
    return usual and setting["model"] == asdict(ModelSpec()) and result.channels is not None


def _one(result) -> str:
    setting, calibration = result.setting, result.setting["calibration"]
    dense = result.accuracy.iloc[0]
    return (
        f"<details><summary><b>{textreport.describe(setting)}</b></summary>\n\n"
        f"Top-1 % [95 % Wilson interval] on {dense['n_eval']} test images; {calibration['stat_images']} statistics "
        f"images; b recalibration batches of {calibration['calib_batch_size']}; seed {calibration['seed']}; severity "
        f"{setting['severity']:.3f}; within-layer share of the damage {setting['within_share']:.0%}.\n\n"
        f"{textreport.accuracy_text(result.accuracy, 'github')}\n\n</details>\n"
    )


def write(store: Store) -> None:
    """Replace the measured sections of README.md; raises StoreError if nothing is shipped."""
    path = PROJECT / "README.md"
    text, results = path.read_text(), results_text(store)
    if not results:
        raise StoreError(f"{store.shipped} holds no result to write into README.md; run the gallery first.")
    for name, new in (
        ("results", results),
        ("shipped", shipped_text(store)),
        *((name, benchmark_text(name)) for name in BENCHMARKS),
    ):
        text = text.replace(f"<!-- {name}:begin -->\n{section(text, name)}", f"<!-- {name}:begin -->\n{new}")
    path.write_text(text)
