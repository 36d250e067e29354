"""The results section of README, written from shipped results: python -m asr_core readme."""

from dataclasses import asdict

from asr_core import textreport
from asr_core.errors import StoreError
from asr_core.results import read
from asr_core.spec import CalibrationSpec, ModelSpec
from asr_core.store import PROJECT, Store

CIFAR = "CIFAR-10 (JPEG copy)"
SHOWN = ((CIFAR, "global_l1", 0.9), (CIFAR, "n_m", 0.5), ("scikit-learn digits", "global_l1", 0.95))
BEGIN, END = "<!-- results:begin -->\n", "<!-- results:end -->"


def section(text: str) -> str:
    """What stands between the two markers."""
    return text.split(BEGIN)[1].split(END)[0]


def results_text(store: Store) -> str:
    """Markdown of the shipped results that README shows, in order: what made each, then its accuracy table."""
    shipped = [folder.name for folder in (store.shipped / "result").glob("*")]
    found = [read(entry) for key in shipped if (entry := store.find("result", key))]
    known = {(r.setting["dataset_label"], r.setting["prune"]["rule"], r.setting["sparsity_asked"]): r for r in found if _main(r)}
    return "\n".join(_one(known[name]) for name in SHOWN if name in known)


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
    """Replace the results section of README.md; raises StoreError if nothing is shipped."""
    path = PROJECT / "README.md"
    text, new = path.read_text(), results_text(store)
    if not new:
        raise StoreError(f"{store.shipped} holds no result to write into README.md; run the gallery first.")
    path.write_text(text.replace(BEGIN + section(text), BEGIN + new))
