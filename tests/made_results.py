"""fake_results, with logit gaps that shrink as the start is forgotten, convs of both verdicts, and tables that a test
may spoil."""

from fake_results import fake_result, right

from asr_core.spec.recalibration import NO_STATE, BatchNormState
from asr_core.store import Store, results
from asr_core.store.results import Result, open_results
from asr_core.studies import leftover


def store_result(store: Store, change=None, **setting) -> Result:
    """Store a made-up result (arguments: fake_results.fake_result); `change(tables)` may edit its dict of tables first.

    Only the last conv is not absorbed. Repairs differ from BN only by 10 logits times what is left of the start.
    """
    entry = fake_result(Store(store.root / "made"), **setting)
    tables = {name: entry.table(name) for name in results.TABLES}
    tables["convs"] = _convs(tables["convs"])
    tables["accuracy"]["logit_gap"] = [_gap(row) for row in tables["accuracy"].itertuples()]
    if change:
        change(tables)
    facts, key = entry.manifest["facts"], entry.manifest["key"]
    files = {f"{name}.parquet": table for name, table in tables.items()} | {"correct.npz": right(tables["accuracy"])}
    store.put("result", key, files, facts, entry.manifest["spec"])
    return open_results(store, (key,))


def _convs(table):
    verdicts = [("yes", "every consumer is a BatchNorm")] * (len(table) - 1) + [("no", "feeds relu")]
    absorbed, reasons = zip(*verdicts, strict=True)
    return table.assign(
        absorbed=absorbed,
        reason=reasons,
        out_channels=16,
        in_channels=3,
        kernel="3x3",
        stride="1x1",
        groups=1,
        has_bias=False,
    )


def _gap(row) -> float:
    if row.method in ("dense", "no_repair"):
        return float("nan")
    state = (
        BatchNormState.of(row.start, row.averaging, row.momentum, row.calib_batches) if row.calib_batches else NO_STATE
    )
    return 0.0 if row.method == "bn_only" else 1e-4 + 10 * leftover.share_left(state)
