"""The numbers that the lesson asks for and tells, each read from stored results. No torch."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from asr_core.spec.recalibration import NO_STATE, BatchNormState
from asr_core.spec.repairs import DENSE, NO_REPAIR, RepairSpec
from asr_core.store.results import Result
from asr_core.store.tables import is_of, rows_of
from asr_core.studies import leftover, taught

HALF_FORGOTTEN = BatchNormState.of("reset", "ema", 0.1, 20)
IN_TURN = tuple(RepairSpec.of(method, "sequential", True) for method in taught.METHODS)
CLOSE = 2.0  # times: what is counted as repaired


def numbers(result: Result, others: Iterable[Result] = ()) -> dict[str, object]:
    """Everything that the lesson's texts name; `others`: the same network at other sparsities.

    A number that is not stored is NaN, a layer or method None.
    """
    layer = taught.contrasting_layer(result)
    return {
        "sparsity": result.setting["sparsity_asked"],
        "layer": layer,
        **_layers(result),
        **_channels(result, layer),
        **_depth(result),
        **_accuracies(result),
        **_over_sparsities([*others, result]),
    }


def _layers(result: Result) -> dict[str, object]:
    layers = taught.repaired_layers(result)
    achieved = result.convs.set_index("layer")["achieved"]
    return {
        "worst": layers["severity"].idxmax() if layers["severity"].notna().any() else None,
        "severity": layers["severity"].max(),
        "emptiest": achieved.idxmax(),
        "least_removed": achieved.min(),
        "most_removed": achieved.max(),
    }


def _channels(result: Result, layer: str) -> dict[str, object]:
    """Of the live channels of `layer`, as if its input were what it was."""
    rows = taught.ratios(result)
    rows = rows[rows["layer"] == layer]
    if rows.empty:
        return dict.fromkeys(("channels", "apart", "missed", "largest", "weakest", "trust", "reached"), np.nan)
    one, shrunk = (rows[is_of(rows, repair)] for repair in (taught.ONE, taught.SHRUNK))
    low, high = one["before"].quantile([0.1, 0.9])
    weak = one["before"].idxmin()
    own = rows_of(result.repairs, taught.SHRUNK)
    own = own[(own["layer"] == layer) & (own["channel"] == one.loc[weak, "channel"])]
    return {
        "channels": len(one),
        "apart": high / low,
        "missed": float(((one["predicted"] > CLOSE) | (one["predicted"] < 1 / CLOSE)).mean()),
        "weakest": one.loc[weak, "before"],
        "largest": float(own["gamma_raw"].iloc[0]),
        "trust": float(own["shrinkage"].iloc[0]),
        "reached": float(shrunk["predicted"].median()),
    }


def _depth(result: Result) -> dict[str, object]:
    rows = taught.ratios(result)
    last = rows[rows["depth"] == rows["depth"].max()]
    typical = {repair.method: last[is_of(last, repair)]["measured"].median() for repair in taught.REPAIRS}
    return {
        "layers": rows["layer"].nunique(),
        "compounded": typical["raw_bn"],
        "compounded_one": typical["lw_bn"],
        "compounded_shrunk": typical["asr_bn"],
    }


def _accuracies(result: Result) -> dict[str, object]:
    anew = BatchNormState.of(averaging="cumulative", calib_batches=taught.forgotten(result) or 20)
    states = {"before": NO_STATE, "after": anew, "half": HALF_FORGOTTEN}
    tops = {name: _tops(result, state, taught.REPAIRS) for name, state in states.items()}
    turn = _tops(result, NO_STATE, IN_TURN)
    return {
        "dense_top1": taught.top1(result, DENSE),
        "pruned_top1": taught.top1(result, NO_REPAIR),
        **{f"spread_{name}": 100 * (found.max() - found.min()) for name, found in tops.items()},
        **{f"best_{name}": found.max() for name, found in tops.items()},
        "left": leftover.share_left(HALF_FORGOTTEN),
        "best_in_turn": turn.idxmax() if turn.notna().any() else None,
        "best_in_turn_top1": turn.max(),
        "anew_batches": anew.calib_batches,
    }


def _tops(result: Result, state: BatchNormState, repairs: Iterable[RepairSpec]) -> pd.Series:
    """Accuracy by method."""
    return pd.Series({repair.method: taught.top1(result, repair, state) for repair in repairs})


def _over_sparsities(found: list[Result]) -> dict[str, object]:
    """How the factors grow with sparsity, and in how many sparsities ASR is not the best (one test image counts)."""
    table = runaway(found)
    behind = [one for result in found if (one := _behind(result)) is not None]
    worst = max(behind, default=(np.nan, np.nan))
    return {
        "top_sparsity": table["sparsity"].max(),
        "runaway": table["gamma_lw"].iloc[-1],
        "collapsed": table["collapsed"].iloc[-1],
        "collapsed_first": table["collapsed"].iloc[0],
        "low_sparsity": table["sparsity"].min(),
        "compared": len(behind),
        "behind": sum(gap > 0 for gap, _ in behind),
        "behind_most": worst[0],
        "behind_where": worst[1],
    }


def runaway(found: list[Result]) -> pd.DataFrame:
    """Per sparsity, sorted: sparsity, collapsed (mean share of channels under the 5th dense percentile), gamma_lw (the
    largest of a repaired layer)."""
    rows = []
    for result in found:
        layers = taught.repaired_layers(result)
        row = {"sparsity": result.setting["sparsity_asked"], "collapsed": layers["below_p5"].mean()}
        rows.append(row | {"gamma_lw": layers["gamma_lw"].max()})
    return pd.DataFrame(rows).drop_duplicates("sparsity").sort_values("sparsity", ignore_index=True)


def _behind(result: Result) -> tuple[float, float] | None:
    """(How far ASR is behind the best other, sequential with mean correction, nothing recalibrated; sparsity)."""
    tops = _tops(result, NO_STATE, IN_TURN)
    if tops.isna().any():
        return None
    return float(tops.drop("asr_bn").max() - tops["asr_bn"]), result.setting["sparsity_asked"]
