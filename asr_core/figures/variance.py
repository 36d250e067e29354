"""One layer's channels: repaired against dense variance, sorted as in the paper's figure 4, and kept energy."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from asr_core.figures import Chart, NothingToDraw, cloud, style
from asr_core.measure import diagnostics
from asr_core.store.results import Result

STAGES = {
    "repaired": "measured, before BatchNorm recalibration",
    "recalibrated": "measured, after recalibration at the reporting point",
    "predicted": "predicted: γ² · v_pruned",
}
CROWDED = 5000  # marks in a figure: more are drawn smaller, which hides fewer


def points_table(result: Result, layer: str, slugs=(), stage: str = "repaired") -> pd.DataFrame:
    """One row per network (no_repair, then `slugs`) and channel of `layer`.

    slug, label, channel, v_dense, v (variance of that network at `stage`), v_pruned, gamma, shrinkage,
    kept_energy, kept_fraction, dead (dense or shown variance at or under the floor). v is not finite where the
    network's signal explodes beyond the range of numbers.
    """
    base = result.channels[result.channels["layer"] == layer]
    if base.empty:
        raise NothingToDraw(f"No channel statistics of {layer} are stored for this setting yet; compute it.")
    base = base[["channel", "v_dense", "v_pruned", "kept_energy", "kept_fraction"]]
    unrepaired = base.assign(slug="no_repair", v=base["v_pruned"], gamma=1.0, shrinkage=np.nan)
    table = pd.concat([unrepaired, *repaired_rows(result, base, slugs, stage, layer)], ignore_index=True)
    dead = (table["v_dense"] <= diagnostics.FLOOR) | (table["v"] <= diagnostics.FLOOR)
    return table.assign(label=style.labels(table["slug"]), dead=dead, layer=layer)


def unchanged(slug: str, stage: str) -> bool:
    """Whether `slug` changes no weights, so that before recalibration it is the network without repair."""
    return "." not in slug and stage != "recalibrated"


def repaired_rows(
    result: Result, base: pd.DataFrame, slugs, stage: str, layer: str | None = None
) -> list[pd.DataFrame]:
    """`base` (rows of channels, of one `layer` or of all) once per repair, with slug, v at `stage`, gamma, shrinkage.

    Repairs that are not measured at that stage, or cannot differ from no repair there, are left out.
    """
    wanted = [slug for slug in slugs if not unchanged(slug, stage)]
    measured = "v_repaired" if stage == "predicted" else f"v_{stage}"
    if measured not in result.repairs:
        return []
    keep = result.repairs["slug"].isin(wanted)
    known = set(
        result.repairs.loc[keep & result.repairs[measured].notna(), "slug"]
    )  # of any layer: in one the signal may have exploded
    if layer is not None:
        keep &= result.repairs["layer"] == layer
    rows = result.repairs.loc[keep.to_numpy(), ["slug", "layer", "channel", measured, "gamma", "shrinkage"]]
    by = ["channel"] if layer is not None else ["layer", "channel"]
    parts = []
    for slug in (slug for slug in wanted if slug in known):
        own = base.merge(rows.loc[rows["slug"] == slug, [*by, measured, "gamma", "shrinkage"]], on=by)
        gamma = own["gamma"].fillna(1.0)
        v = gamma**2 * own["v_pruned"] if stage == "predicted" else own[measured]
        parts.append(own[[*base, "shrinkage"]].assign(slug=slug, v=v, gamma=gamma))
    return parts


def _size(table: pd.DataFrame, size: float) -> float:
    """Diameter of a mark in pixels."""
    return size if len(table) <= CROWDED else 0.6 * size


def scatter_figure(
    table: pd.DataFrame, low: float = 1e-6, high: float = 1e2, left: float = 1e-6, right: float = 1e2
) -> go.Figure:
    """v over [low, high] against v_dense over [left, right], log-log; dead channels lie on the lower edge."""
    figure = go.Figure()
    figure.add_scatter(
        x=[left, right],
        y=[left, right],
        mode="lines",
        line={"color": style.REFERENCE, "dash": "dash"},
        name="y = x: repaired exactly",
        hoverinfo="skip",
    )
    floor = style.floor_of(low, high)
    for slug, rows in table.groupby("slug", sort=False):
        colour, symbol = style.look_of(slug)
        x = rows["v_dense"].where(rows["v_dense"] > diagnostics.FLOOR, style.floor_of(left, right))
        y = rows["v"].where(~rows["dead"], floor)
        figure.add_trace(
            go.Scatter(
                x=style.numbers(x),
                y=style.numbers(y),
                mode="markers",
                name=style.label(slug),
                customdata=style.numbers(rows[["channel", "v_dense", "v", "gamma"]]),
                marker={"color": colour, "symbol": symbol, "size": _size(table, 7), "opacity": 0.75},
                unselected={"marker": {"opacity": 0.75}},
                hovertemplate="channel %{customdata[0]}<br>dense %{customdata[1]:.3g}<br>"
                + style.label(slug)
                + " %{customdata[2]:.3g}<br>factor %{customdata[3]:.3f}<extra></extra>",
            )
        )
    if table["dead"].any():
        figure.add_scatter(
            x=[left, right],
            y=[floor, floor],
            mode="lines+text",
            text=["", "dead channels"],
            textposition="top left",
            textfont={"size": 11},
            line={"color": style.REFERENCE, "dash": "dot", "width": 1},
            hoverinfo="skip",
            showlegend=False,
        )
    figure.update_xaxes(style.log_axis(left, right))
    figure.update_yaxes(style.log_axis(low, high))
    return cloud.condensed(
        style.finish(
            figure,
            520,
            "dense variance of the channel (activation units²)",
            "variance after pruning and repair (activation units²)",
        )
    )


def scatter_limits(tables) -> dict:
    """One range per axis for all figures, with room for the dead channels' line; y holds x's range too."""
    x = _live(tables, "v_dense")
    y = np.concatenate([x, _live(tables, "v")])
    if not len(y):
        return {}
    if not len(x):
        x = y
    ends = {"low": y.min() / 4, "high": y.max() * 2, "left": x.min() / 2, "right": x.max() * 2}
    return {name: float(f"{value:.2g}") for name, value in ends.items()}


def _live(tables, name: str) -> np.ndarray:
    values = np.concatenate([t[name].to_numpy(float) for t in tables])
    return values[np.isfinite(values) & (values > diagnostics.FLOOR)]


def alphas(table: pd.DataFrame) -> pd.DataFrame:
    """Both alphas of each network in a points_table: slope with interval and R², ratio, channels used and dropped."""
    rows = [
        {"slug": slug, "network": style.label(slug)} | diagnostics.alpha(rows["v_dense"], rows["v"])
        for slug, rows in table.groupby("slug", sort=False)
    ]
    return pd.DataFrame(rows)


def scatter_sentence(table: pd.DataFrame) -> str:
    """How far each network's variances are from the dense ones, and whether a scalar could mend that."""
    found = alphas(table).set_index("slug")
    names, shared = style.in_words(found.index)
    layer, channels = table["layer"].iloc[0], table["channel"].nunique()
    dead = int(table.loc[table["slug"] == "no_repair", "dead"].sum())
    parts = [
        f"{names[slug]} {_times(row.alpha_ratio)} (slope {_number(row.alpha_slope)})" for slug, row in found.iterrows()
    ]
    text = f"Variance of the {channels} channels of {layer} relative to dense{shared}: {'; '.join(parts)}."
    return text + (f" Pruning left {dead} without any variance." if dead else "") + _beyond(table, names)


def _beyond(table: pd.DataFrame, names: dict[str, str]) -> str:
    """Networks in which channels of the layer have no finite variance: those are not drawn."""
    lost = table[~np.isfinite(table["v"])].groupby("slug", sort=False).size()
    parts = [f"{names[slug]} in {count}" for slug, count in lost.items()]
    return (
        f" Not drawn, since the signal explodes beyond the range of numbers: {', '.join(parts)} of the channels."
        if parts
        else ""
    )


def _times(value: float) -> str:
    return "undefined" if not np.isfinite(value) else f"×{value:.3g}"


def _number(value: float) -> str:
    return "undefined" if not np.isfinite(value) else f"{value:.2f}"


SCATTER = Chart("variance.SCATTER", points_table, scatter_figure, scatter_sentence, scatter_limits)


def sorted_figure(table: pd.DataFrame, low: float = 1e-6, high: float = 1e2) -> go.Figure:
    """The paper's figure 4: channels sorted by dense variance, one line per network."""
    order = table[table["slug"] == "no_repair"].sort_values("v_dense", ascending=False)["channel"]
    rank = pd.Series(np.arange(1, len(order) + 1), index=order.to_numpy())
    figure = go.Figure()
    dense = table[table["slug"] == "no_repair"].assign(
        slug="dense", v=lambda t: t["v_dense"], dead=lambda t: t["v_dense"] <= diagnostics.FLOOR
    )
    for slug, rows in pd.concat([dense, table]).groupby("slug", sort=False):
        colour, symbol = style.look_of(slug)
        rows = rows.assign(rank=rank.loc[rows["channel"]].to_numpy()).sort_values("rank")
        line = slug == "dense"
        figure.add_trace(
            go.Scatter(
                x=rows["rank"].to_numpy("int32"),
                y=style.numbers(rows["v"].where(~rows["dead"], style.floor_of(low, high))),
                name=style.label(slug),
                mode="lines" if line else "markers",
                line={"color": colour, "width": 2.5} if line else None,
                marker=None if line else {"color": colour, "symbol": symbol, "size": _size(table, 5)},
                customdata=rows[["channel"]].to_numpy("int32"),
                hovertemplate="channel %{customdata[0]}, rank %{x}<br>"
                + style.label(slug)
                + " %{y:.3g}<extra></extra>",
            )
        )
    figure.update_xaxes(range=[1 - 0.02 * len(order), 1.02 * len(order)])
    figure.update_yaxes(style.log_axis(low, high))
    return cloud.condensed(
        style.finish(figure, 520, "channels, sorted by dense variance", "variance (activation units²)")
    )


def sorted_sentence(table: pd.DataFrame) -> str:
    """Which part of the spectrum pruning hit."""
    rows = table[(table["slug"] == "no_repair") & (table["v_dense"] > diagnostics.FLOOR)].sort_values("v_dense")
    if len(rows) < 4:
        return f"{table['layer'].iloc[0]} has too few live channels to compare weak with strong ones."
    ratio = (rows["v"] / rows["v_dense"]).to_numpy()
    quarter = max(1, len(rows) // 4)
    weak, strong = np.median(ratio[:quarter]), np.median(ratio[-quarter:])
    return f"Pruning leaves a median {weak:.1%} of the variance in the weakest quarter of the channels and {strong:.1%} in the strongest quarter of {table['layer'].iloc[0]}."


def sorted_limits(tables) -> dict:
    """One variance axis for all figures."""
    return {name: value for name, value in scatter_limits(tables).items() if name in ("low", "high")}


SORTED = Chart("variance.SORTED", points_table, sorted_figure, sorted_sentence, sorted_limits)


def energy_table(result: Result, layer: str) -> pd.DataFrame:
    """Per channel of `layer`: kept_energy (share of squared weights kept), variance_kept = v_pruned / v_dense."""
    table = points_table(result, layer)
    table = table[table["v_dense"] > diagnostics.FLOOR]
    if table.empty or table["kept_energy"].isna().all():
        raise NothingToDraw(f"{layer} has no channel with dense variance and known kept weights.")
    return table.assign(variance_kept=table["v_pruned"] / table["v_dense"])[
        ["layer", "channel", "kept_energy", "kept_fraction", "variance_kept"]
    ]


def energy_figure(table: pd.DataFrame, high: float = 1.2) -> go.Figure:
    """Share of variance kept against share of weight energy kept."""
    figure = go.Figure()
    figure.add_scatter(
        x=[0, 1],
        y=[0, 1],
        mode="lines",
        line={"color": style.REFERENCE, "dash": "dash"},
        name="y = x",
        hoverinfo="skip",
    )
    figure.add_trace(
        go.Scatter(
            x=table["kept_energy"].to_numpy("float32"),
            y=table["variance_kept"].to_numpy("float32"),
            mode="markers",
            name="channels",
            customdata=table[["channel", "kept_fraction"]].to_numpy("float32"),
            unselected={"marker": {"opacity": 0.8}},
            marker={
                "size": 7,
                "color": table["kept_fraction"].to_numpy("float32"),
                "colorscale": style.MAGNITUDE,
                "opacity": 0.8,
                "colorbar": {"title": {"text": "weights kept", "side": "right"}, "thickness": 12, "tickformat": ".1%"},
            },
            hovertemplate="channel %{customdata[0]}<br>%{customdata[1]:.1%} of weights kept<br>%{x:.1%} of weight energy<br>%{y:.1%} of variance<extra></extra>",
        )
    )
    figure.update_xaxes(range=[-0.03, 1.03], tickformat=".0%")
    figure.update_yaxes(range=[-0.03 * high, high], tickformat=".0%")
    return cloud.condensed(
        style.finish(figure, 420, "share of the channel's weight energy (Σ w²) kept", "v_pruned / v_dense")
    )


def energy_limits(tables) -> dict:
    """Up to the largest ratio, at least 1.05."""
    return {"high": round(max(1.05, *(1.05 * t["variance_kept"].max() for t in tables)), 3)}


def energy_sentence(table: pd.DataFrame) -> str:
    """Whether kept weights explain kept variance."""
    rank = table[["kept_energy", "variance_kept"]].corr("spearman").iloc[0, 1] if len(table) > 2 else np.nan
    less = (table["variance_kept"] < table["kept_energy"]).mean()
    tie = "undefined" if not np.isfinite(rank) else f"{rank:.2f}"
    return f"The rank correlation of kept weight energy and kept variance is {tie}; {less:.0%} of the channels of {table['layer'].iloc[0]} keep less variance than weight energy."


ENERGY = Chart("variance.ENERGY", energy_table, energy_figure, energy_sentence, energy_limits)
