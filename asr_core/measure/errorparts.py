"""What of a channel's error a bias mends, what a factor, and what none of them. numpy and pandas only, no torch."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

FLOOR = 1e-12  # variance at or under which a channel is dead, activation units squared
MOMENTS = ("mu_dense", "mu", "v_dense", "v", "cov")
PARTS = ("error_mean", "error_scale", "error_decorrelation")


def with_parts(moments: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """MOMENTS with rho and PARTS, of `moments` that hold `apart` too, the variance of z - y; shape (channel,). NaN as
    `signal` says."""
    mu_dense, mu, v_dense, v, cov, apart = (moments[name] for name in (*MOMENTS, "apart"))
    told = np.isfinite([mu_dense, mu, v_dense, v, cov, apart]).all(axis=0) & (v_dense > FLOOR)
    with np.errstate(all="ignore"):  # of what is not told
        scale = (np.sqrt(v / v_dense) - 1) ** 2
        # 2 (r - cov / v_dense), in a form that keeps its digits where both outputs are nearly equal
        decorrelation = (apart / v_dense - scale).clip(min=0)
        rho = np.where(v > FLOOR, cov / np.sqrt(v_dense) / np.sqrt(v), np.nan).clip(-1, 1)
        parts = (mu - mu_dense) ** 2 / v_dense, scale, decorrelation
    found = dict(zip(("rho", *PARTS), (rho, *parts), strict=True))
    return {name: moments[name] for name in MOMENTS} | {n: np.where(told, each, np.nan) for n, each in found.items()}


def counts(table: pd.DataFrame) -> dict[str, int]:
    """Channels of a `signal` table: all of them; dense_dead: dead in the dense network, so that nothing is told of
    them; dead: in the other, so without rho; not_finite: of moments that are not finite."""
    wild = ~np.isfinite(table[list(MOMENTS)]).all(axis=1)
    dense_dead = ~wild & (table["v_dense"] <= FLOOR)
    dead = ~wild & ~dense_dead & (table["v"] <= FLOOR)
    found = {"dense_dead": dense_dead, "dead": dead, "not_finite": wild}
    return {"channels": len(table)} | {name: int(rows.sum()) for name, rows in found.items()}


def by_layer(table: pd.DataFrame) -> pd.DataFrame:
    """A `signal` table, whole layers: layer; rho (median over channels that have one) with its quartiles rho_q25 and
    rho_q75; and per unit of the layer's dense variance, sum of squared errors over sum of v_dense: PARTS, `error`
    (their sum) and `unmendable`, what the best factor and bias of each channel would leave of it, v_dense (1 - rho^2).
    """
    told = table[table["error_mean"].notna()]
    weights = told["v_dense"]
    left = 1 - told["rho"].fillna(0.0) ** 2
    energy = told[list(PARTS)].mul(weights, axis=0).assign(unmendable=left * weights, v_dense=weights)
    sums = energy.groupby(told["layer"], sort=False, observed=True).sum()
    shares = sums.div(sums.pop("v_dense"), axis=0)
    rho = told.groupby("layer", sort=False, observed=True)["rho"].quantile([0.25, 0.5, 0.75]).unstack()
    rho.columns = pd.Index(["rho_q25", "rho", "rho_q75"])
    return rho.join(shares).assign(error=shares[list(PARTS)].sum(axis=1)).reset_index()


def mendable(table: pd.DataFrame) -> float:
    """The share of a network's squared error, in units of each layer's dense variance, that the best factor and bias
    of each channel could take away; NaN where there is no error."""
    layers = by_layer(table)
    whole = layers["error"].sum()
    return float(1 - layers["unmendable"].sum() / whole) if whole > 0 else float("nan")
