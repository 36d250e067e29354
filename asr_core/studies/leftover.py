"""What recalibration leaves of a repair, predicted from stored tables. numpy and pandas only, no torch.

A repair replaces a conv's output y by g*y + c. Re-estimated over b batches with momentum m, BatchNorm
still holds the fraction a = (1 - m)^b of the statistics (m0, v0) that it started from:

    running_mean = a*m0 + (1 - a)*(g*mu + c)        running_var = a*v0 + (1 - a)*g^2*v

Under cumulative averaging a = 0: g and c cancel. Under an exponential average from reset (m0 = 0, v0 = 1),
repair (g, c) is no repair started from m0 = -c/g, v0 = 1/g^2.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from asr_core.spec.recalibration import BatchNormState
from asr_core.spec.repairs import BN_ONLY, COLUMNS, NO_REPAIR, RepairSpec
from asr_core.store.results import Result
from asr_core.store.tables import is_of, networks, rows_of

EPS = 1e-5  # what BatchNorm adds to a variance, by default


def share_left(state: BatchNormState) -> float:
    """a: the fraction of the starting statistics that is left after recalibration; 1 without any."""
    if state.calib_batches == 0:
        return 1.0
    return state.weights[1]


def moments(result: Result) -> tuple[pd.DataFrame, RepairSpec]:
    """(layer, channel, mu_dense, v_dense, mu, v; the network that mu and v come from).

    mu and v estimate each pruned conv's output while BatchNorm recalibrates, when what comes before it
    is normalised: from a sequential repair with mean correction, its own factors divided out; else
    from BN only after recalibration; else from the pruned network.
    """
    base = result.channels[["layer", "channel", "mu_dense", "v_dense", "mu_pruned", "v_pruned"]]
    there = list(networks(result.repairs).unique()) if result.repairs is not None else []
    sequential = [repair for repair in there if repair.order == "sequential" and repair.bias and repair.scales]
    if sequential:
        source = sequential[0]
        rows = _shifted(result, [source])
        mu, v = (rows["mu_repaired"] - rows["shift"]) / rows["gamma"], rows["v_repaired"] / rows["gamma"] ** 2
        found = rows.assign(mu=mu, v=v)
    elif BN_ONLY in there and "v_recalibrated" in result.repairs:
        source, rows = BN_ONLY, rows_of(result.repairs, BN_ONLY)
        found = rows.assign(mu=rows["mu_recalibrated"], v=rows["v_recalibrated"])
    else:
        return base.rename(columns={"mu_pruned": "mu", "v_pruned": "v"}), NO_REPAIR
    measured = found[["layer", "channel", "mu", "v"]]
    return base.drop(columns=["mu_pruned", "v_pruned"]).merge(measured, on=["layer", "channel"]), source


def _shifted(result: Result, repairs: Iterable[RepairSpec]) -> pd.DataFrame:
    """Rows of the repairs with gamma (1 where nothing changes) and shift, the c of g*y + c.

    The old bias of a conv that has one is not stored: its shift is mu_dense - gamma*mu_pruned with mean
    correction, else 0.
    """
    rows = result.repairs
    rows = rows[is_of(rows, *repairs) & rows["layer"].isin(result.convs["layer"])]
    if "b_new" not in rows:  # no repair that changes weights is there
        return rows.assign(gamma=1.0, shift=0.0)
    rows = rows.merge(
        result.channels[["layer", "channel", "mu_dense", "mu_pruned"]], on=["layer", "channel"], validate="m:1"
    )
    gamma, bias = rows["gamma"].astype(float).fillna(1.0), rows["b_new"].astype(float)
    biased = result.convs.loc[result.convs["has_bias"].astype(bool), "layer"]
    shift = bias.where(~rows["layer"].isin(biased), rows["mu_dense"] - gamma * rows["mu_pruned"]).where(
        bias.notna(), 0.0
    )
    return rows.assign(gamma=gamma, shift=shift)


def factors(result: Result, repairs: Iterable[RepairSpec]) -> pd.DataFrame:
    """Per repair and channel of convs that BatchNorm absorbs: COLUMNS, layer, channel, gamma, shift, and `moments`.

    Repairs that are no factor and shift have no rows: the identity says nothing of them.
    """
    base, _ = moments(result)
    absorbed = result.convs.loc[result.convs["absorbed"] != "no", "layer"]
    columns = [*COLUMNS, "layer", "channel", "gamma", "shift"]
    rows = (
        pd.DataFrame(columns=columns)
        if result.repairs is None
        else _shifted(result, [repair for repair in repairs if repair.scales])
    )
    rows = rows.loc[rows["layer"].isin(absorbed), columns]
    return rows.merge(base, on=["layer", "channel"], validate="m:1")


def recalibrated(rows: pd.DataFrame, state: BatchNormState) -> pd.DataFrame:
    """`factors` with what BatchNorm puts out after recalibration.

    signal: standard deviation, in units of a fully re-estimated one (1 where nothing is left over);
    offset: mean, in the same units (0 where nothing is left over); error: root mean square difference to
    BN only for an input of unit variance, sqrt((signal - signal_bn)^2 + (offset - offset_bn)^2).
    """
    signal, offset = _normalised(rows, rows["gamma"], rows["shift"], state)
    plain_signal, plain_offset = _normalised(rows, 1.0, 0.0, state)
    return rows.assign(signal=signal, offset=offset, error=np.hypot(signal - plain_signal, offset - plain_offset))


def _normalised(rows: pd.DataFrame, g, c, state: BatchNormState) -> tuple:
    """(signal, offset) of BatchNorm's output for conv output g*y + c."""
    a = share_left(state)
    reset = state.averaging == "cumulative" or state.start == "reset"
    m0, v0 = (0.0, 1.0) if reset else (rows["mu_dense"], rows["v_dense"])
    width = np.sqrt(a * v0 + (1 - a) * g**2 * rows["v"] + EPS)
    return g * np.sqrt(rows["v"]) / width, a * (g * rows["mu"] + c - m0) / width


def predicted_error(rows: pd.DataFrame, state: BatchNormState) -> pd.Series:
    """Root mean square over channels of `error`, by network: 0 where a repair and BN only are one network."""
    error = recalibrated(rows, state)["error"]
    return (error**2).groupby(networks(rows), sort=False).mean() ** 0.5
