"""Channel statistics -> tidy numbers of damage and repair. numpy and pandas only, no torch.

Variances are in activation units squared; `floor` is the variance at or under which a channel is dead.
"""

import numpy as np
import pandas as pd

from asr_core.measure.errorparts import FLOOR
from asr_core.spec.repairs import COLUMNS

EPS = 1e-8


def alpha(v_dense, v_repaired, floor: float = FLOOR) -> dict:
    """Two alphas of repaired against dense variance over channels, in log10-log10.

    alpha_ratio: slope fixed at 1, 10^intercept = geometric mean of v_repaired / v_dense;
    alpha_slope: ordinary least squares with its 95 % interval (slope_low, slope_high) and r2.
    Both are 1 for a perfect repair. Channels dead in either are dropped and counted. NaN where too
    few channels are left (1 for the ratio, 3 for the slope) or the dense variances are all equal.
    """
    v_dense, v_repaired = np.asarray(v_dense, float), np.asarray(v_repaired, float)
    use = (v_dense > floor) & (v_repaired > floor) & np.isfinite(v_dense) & np.isfinite(v_repaired)
    x, y = np.log10(v_dense[use]), np.log10(v_repaired[use])
    result = dict.fromkeys(("alpha_ratio", "alpha_slope", "slope_low", "slope_high", "r2"), np.nan)
    result |= {"used": int(use.sum()), "dropped": int((~use).sum())}
    if len(x) >= 1:
        result["alpha_ratio"] = float(10 ** (y - x).mean())
    if len(x) >= 3 and np.ptp(x) > 0:
        result |= _slope(x, y)
    return result


def _slope(x, y) -> dict:
    from scipy.special import stdtrit  # scipy.stats, which tests compare with, loads most of a second long

    x, y, left = x - x.mean(), y - y.mean(), len(x) - 2
    slope, squares = (x @ y) / (x @ x), y @ y
    r2 = min(1.0, slope * (x @ y) / squares) if squares > 0 else np.nan
    half = stdtrit(left, 0.975) * np.sqrt((1 - r2) * squares / (x @ x) / left)
    return {
        "alpha_slope": float(slope),
        "slope_low": float(slope - half),
        "slope_high": float(slope + half),
        "r2": float(r2),
    }


def severity(v_dense, v_pruned, floor: float = FLOOR) -> tuple[float, int]:
    """(mean over channels of |sqrt(v_pruned / v_dense) - 1|, channels dead in the dense network, left out)."""
    v_dense, v_pruned = np.asarray(v_dense, float), np.asarray(v_pruned, float)
    use = v_dense > floor
    if not use.any():
        return float("nan"), len(v_dense)
    return float(np.abs(np.sqrt(v_pruned[use] / v_dense[use]) - 1).mean()), int((~use).sum())


def gamma_lw(v_dense, v_pruned, eps: float = EPS, floor: float = FLOOR) -> float:
    """The layer-wise factor of eq. 1, as `lw_bn` has it: over channels whose variances are both finite, a mean dense
    variance under the floor counts as the floor; 1 for a layer whose mean pruned variance is at or under it."""
    v_dense, v_pruned = np.asarray(v_dense, float), np.asarray(v_pruned, float)
    finite = np.isfinite(v_dense) & np.isfinite(v_pruned)
    if not finite.any() or not v_pruned[finite].mean() > floor:
        return 1.0
    return float(np.sqrt(max(v_dense[finite].mean(), floor) / (v_pruned[finite].mean() + eps)))


def log_gamma_raw(channels: pd.DataFrame, eps: float = EPS, floor: float = FLOOR) -> pd.Series:
    """Natural log of gamma_raw (eq. 4) for live channels; NaN where dense or pruned variance is dead."""
    live = (channels["v_pruned"] > floor) & (channels["v_dense"] > floor)
    ratio = channels["v_dense"].where(live) / (channels["v_pruned"].where(live) + eps)
    return 0.5 * np.log(ratio)


def mismatch(channels: pd.DataFrame) -> dict:
    """What one scalar per layer cannot mend, over repaired layers (all but the first conv) and live channels.

    Damage of a channel is d = ln gamma_raw, 0 for none; the best scalar of a layer takes away the layer's mean of d:
    within_share = sum of (d - layer mean)^2 / sum of d^2 (NaN where no channel is damaged or live), damage = mean of
    d^2, within_var = mean of (d - layer mean)^2. live_share: of the repaired layers' channels; the others are dead, and
    nothing mends them. `channels`: layer, depth, v_dense, v_pruned.
    """
    rows = channels[channels["depth"] > channels["depth"].min()]
    values = pd.DataFrame({"layer": rows["layer"], "log": log_gamma_raw(rows)})
    live_share = float(values["log"].notna().mean()) if len(values) else float("nan")
    values = values.dropna()
    layers = values.groupby("layer")["log"]
    return {**shares(layers.mean(), layers.std(ddof=0), layers.size()), "live_share": live_share}


def shares(means, spreads, live) -> dict:
    """within_share, damage and within_var of `mismatch` from each layer's mean and standard deviation of ln gamma_raw
    and its number of live channels; layers without any do not count.

    >>> shares([1.0], [0.5], [8])
    {'within_share': 0.2, 'damage': 1.25, 'within_var': 0.25}
    """
    means, spreads, live = (np.asarray(values, float) for values in (means, spreads, live))
    means, spreads, live = (values[live > 0] for values in (means, spreads, live))
    if not len(live):
        return dict.fromkeys(("within_share", "damage", "within_var"), float("nan"))
    within = float(np.average(spreads**2, weights=live))
    damage = float(np.average(spreads**2 + means**2, weights=live))
    return {"within_share": within / damage if damage > 0 else float("nan"), "damage": damage, "within_var": within}


def _quartiles(ratio: np.ndarray) -> tuple[float, float]:
    return tuple(np.percentile(ratio, [25, 75])) if len(ratio) else (np.nan, np.nan)


def layer_damage(channels: pd.DataFrame) -> pd.DataFrame:
    """What pruning did, one row per layer (figures 10-11 and 6).

    `channels`: layer, depth, v_dense, v_pruned, one row per channel. Columns: layer, depth, channels,
    dead (pruned variance at the floor), below_p5 (fraction of channels whose pruned variance lies
    under the 5th percentile of the dense ones), q25_pruned, q75_pruned (of v_pruned / v_dense),
    severity, dense_dead, gamma_lw, overshoot = max(0, gamma_lw - 1), within_spread (standard
    deviation of log gamma_raw over live channels), live_share.
    """
    return pd.DataFrame([_damage_of(layer, rows) for layer, rows in channels.groupby("layer", sort=False)])


def _damage_of(layer: str, rows: pd.DataFrame) -> dict:
    v_dense, v_pruned = rows["v_dense"].to_numpy(float), rows["v_pruned"].to_numpy(float)
    alive = v_dense > FLOOR
    q25, q75 = _quartiles(v_pruned[alive] / v_dense[alive])
    level, dense_dead = severity(v_dense, v_pruned)
    factor = gamma_lw(v_dense, v_pruned)
    logs = log_gamma_raw(rows).dropna()
    return {
        "layer": layer,
        "depth": int(rows["depth"].iloc[0]),
        "channels": len(rows),
        "dead": int((v_pruned <= FLOOR).sum()),
        "below_p5": float((v_pruned < np.percentile(v_dense, 5)).mean()),
        "q25_pruned": q25,
        "q75_pruned": q75,
        "severity": level,
        "dense_dead": dense_dead,
        "gamma_lw": factor,
        "overshoot": max(0.0, factor - 1),
        "within_spread": float(logs.std(ddof=0)) if len(logs) else np.nan,
        "live_share": len(logs) / len(rows),
    }


def layer_repair(v_dense, v_repaired) -> dict:
    """What a repair achieved in one layer: q25, q75 of v_repaired / v_dense, and both alphas."""
    v_dense, v_repaired = np.asarray(v_dense, float), np.asarray(v_repaired, float)
    alive = v_dense > FLOOR
    q25, q75 = _quartiles(v_repaired[alive] / v_dense[alive])
    return {"q25": q25, "q75": q75} | alpha(v_dense, v_repaired)


def network_damage(channels: pd.DataFrame) -> dict:
    """Per network: severity (mean over channels), overshoot (mean over repaired layers), mismatch, dead channels."""
    level, dense_dead = severity(channels["v_dense"], channels["v_pruned"])
    repaired = layer_damage(channels).sort_values("depth").iloc[1:]
    return {
        "severity": level,
        "dense_dead": dense_dead,
        "overshoot": float(repaired["overshoot"].mean()) if len(repaired) else np.nan,
        "dead": int((channels["v_pruned"] <= FLOOR).sum()),
        "channels": len(channels),
    } | mismatch(channels)


def summarise_alphas(layers: pd.DataFrame) -> pd.DataFrame:
    """Per network (method, order, bias, params) and state: median and quartiles of both alphas over repaired layers."""
    rows = layers[layers["depth"] > layers["depth"].min()]
    parts = []
    names = [*COLUMNS, "state"]
    for values, group in rows.groupby(names, sort=False, dropna=False, observed=True):
        row = dict(zip(names, values, strict=True))
        for name in ("alpha_ratio", "alpha_slope"):
            q25, q50, q75 = (
                np.percentile(group[name].dropna(), [25, 50, 75]) if group[name].notna().any() else [np.nan] * 3
            )
            row |= {name: q50, f"{name}_q25": q25, f"{name}_q75": q75}
        parts.append(row)
    columns = [*names, *(f"{name}{q}" for name in ("alpha_ratio", "alpha_slope") for q in ("", "_q25", "_q75"))]
    return pd.DataFrame(parts, columns=columns).astype({"bias": "boolean"})
