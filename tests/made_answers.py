"""A made-up result whose networks answer 200 images of ten classes: predictions, confidence and its measures fit."""

import numpy as np
from made_results import store_result

from asr_core.measure import confidence
from asr_core.measure.statistics import wilson
from asr_core.spec.recalibration import REPORTED_STATE
from asr_core.spec.repairs import BN_ONLY, RepairSpec
from asr_core.store import Store, answers
from asr_core.store.results import Result, open_results

RAW, ASR = (RepairSpec.of(name, "simultaneous", False) for name in ("raw_bn", "asr_bn"))
REPAIRS, STATE, IMAGES, CLASSES = (BN_ONLY, RAW, ASR), REPORTED_STATE, 200, 10


def stored(store: Store, change=None, **setting) -> Result:
    """Store it; `change(predictions, labels)` may edit the predictions (row of the accuracy table, image) first."""
    plain = store_result(Store(store.root / "plain"), **{"repairs": REPAIRS} | setting)
    rng = np.random.default_rng(0)
    labels = np.arange(IMAGES) % CLASSES
    logits = rng.normal(size=(len(plain.accuracy), IMAGES, CLASSES))
    logits[:, np.arange(IMAGES), labels] += 1.5
    if change:
        predictions = logits.argmax(2)
        change(predictions, labels, plain.accuracy)
        np.put_along_axis(logits, predictions[..., None], 5.0, 2)
    kept, rows = [], []
    for one in logits:
        measured, bins = confidence.measure(one, labels)
        kept.append({"predictions": one.argmax(1), "bins": bins})
        right = int((one.argmax(1) == labels).sum())
        low, high = wilson(right, IMAGES)
        rows.append(measured | {"top1": right / IMAGES, "top1_low": low, "top1_high": high, "n_eval": IMAGES})
    entry = plain.entry
    accuracy = entry.table("accuracy").assign(**{name: [row[name] for row in rows] for name in rows[0]})
    files = {f"{name}.parquet": entry.table(name) for name in ("channels", "repairs", "layers", "alphas", "convs")}
    files |= {"accuracy.parquet": accuracy, "correct.npz": answers.packed(kept, labels, CLASSES)}
    key = entry.manifest["key"]
    store.put("result", key, files, entry.manifest["facts"], entry.manifest["spec"])
    return open_results(store, (key,))
