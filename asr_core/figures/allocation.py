"""Where each pruning rule leaves the weights, what a repair could mend there, and the accuracy that follows."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from asr_core.figures import Chart, NothingToDraw, style
from asr_core.pipeline.allocations import READING, repairability_of
from asr_core.spec.grid import BatchNormState
from asr_core.store import Store, default_root
from asr_core.store.catalogue import Setting
from asr_core.store.results import Result
from asr_core.studies import transition

RULES = {
    "global_l1": "#0072B2",
    "uniform": "#E69F00",
    "erk": "#D55E00",
    "lamp": "#009E73",
    "rr": "#CC79A7",
    "n_m": "#56B4E9",
}
PATTERNS = {"first": ".", "projection": "/", "1x1": "x", "other": ""}  # hatching says what colour cannot
HATCH = {"fillmode": "overlay", "fgcolor": "#fff", "size": 6}
KINDS = {
    "first": "first conv",
    "projection": "1x1 projection on a shortcut",
    "1x1": "other 1x1 conv",
    "other": "other conv",
}
GAP = 0.42  # between two rows of bars, in heights of one
LOWEST = 1e-6  # density at which the axis ends at the latest


def _stored(groups) -> tuple[str, tuple]:
    """Arguments of transition.read."""
    return str(default_root()), tuple(map(tuple, groups))


def _percent(sparsity: float) -> str:
    return f"{100 * sparsity:.4g} %"


# Densities: one row of bars per rule -------------------------------------------------------------


def bars_table(result: Result, groups) -> pd.DataFrame:
    """transition.densities of every stored rule at the sparsity of `result`, and label, sparsity, whole (density of all convs).

    groups: transition.groups.
    """
    convs = transition.read(*_stored(groups))[1]
    sparsity = result.setting["sparsity_asked"]
    table = transition.densities(convs, sparsity)
    if table.empty:
        raise NothingToDraw(
            "No finished result is stored at this sparsity yet, so there are no densities to compare. Compute one."
        )
    by = table.groupby("rule", sort=False)
    whole = by["kept"].transform("sum") / by["weights"].transform("sum")
    return table.assign(label=table["rule"].map(transition.label_of), sparsity=sparsity, whole=whole)


def bars_figure(table: pd.DataFrame, low: float = 1e-3) -> go.Figure:
    """Rows of bars over the convs in execution order; in each row the density from `low` to 1, logarithmic.

    All rows share one pair of axes, so that every bar can be clicked.
    """
    figure, rules = go.Figure(), list(dict.fromkeys(table["rule"]))
    bottoms = {rule: -number * (1 + GAP) for number, rule in enumerate(rules)}
    for rule, rows in table.groupby("rule", sort=False):
        _bars(figure, rule, rows, bottoms[rule], low)
    for kind in [kind for kind in ("first", "projection", "1x1") if (table["kind"] == kind).any()]:
        figure.add_bar(
            x=[None],
            y=[None],
            name=KINDS[kind],
            marker={"color": style.REFERENCE, "pattern": HATCH | {"shape": PATTERNS[kind]}},
        )
    layers = table.drop_duplicates("layer").sort_values("depth")
    shown = layers.iloc[:: -(-len(layers) // 40)]
    style.finish(
        figure,
        190 + 110 * len(rules),
        "conv layers in execution order",
        "share of weights kept",
        barmode="overlay",
        bargap=0.15,
    )
    figure.update_layout(showlegend=len(figure.data) > len(rules))
    figure.update_xaxes(
        tickvals=shown["depth"],
        ticktext=shown["layer"],
        tickangle=-60,
        showgrid=False,
        range=[layers["depth"].min() - 0.7, layers["depth"].max() + 0.7],
    )
    figure.update_yaxes(**_density_ticks(bottoms.values(), low), zeroline=False, gridcolor=style.GRID)
    return figure


def _density_ticks(bottoms, low: float) -> dict:
    """Ticks at powers of ten in every row of bars."""
    decades = range(0, round(np.log10(low)) - 1, -1)
    ticks = [
        (bottom + _height(10.0**decade, low), f"{100 * 10.0**decade:g} %") for bottom in bottoms for decade in decades
    ]
    values, texts = zip(*ticks, strict=True)
    return {"tickvals": values, "ticktext": texts, "range": [min(bottoms) - 0.05, 1 + GAP]}


def _height(density, low: float):
    """Place of a density between `low` (0) and 1 (1), logarithmic."""
    return 1 - np.log10(np.maximum(density, low)) / np.log10(low)


def _bars(figure: go.Figure, rule: str, rows: pd.DataFrame, bottom: float, low: float) -> None:
    """One rule: its name, its bars, a cross where no weight is left, a dotted line at its overall density."""
    colour = RULES.get(rule.split()[0], style.SPARE[0][0])
    told = (
        rows[["layer", "label", "density", "kept", "weights", "share"]].assign(kind=rows["kind"].map(KINDS)).to_numpy()
    )
    hover = "<b>%{customdata[0]}</b> (%{customdata[6]})<br>%{customdata[1]}: %{customdata[2]:.3%} kept<br>%{customdata[3]:,} of %{customdata[4]:,} weights, %{customdata[5]:.1%} of all kept<extra></extra>"
    figure.add_bar(
        x=rows["depth"],
        y=_height(rows["density"], low),
        base=bottom,
        name=rows["label"].iloc[0],
        customdata=told,
        hovertemplate=hover,
        showlegend=False,
        marker={"color": colour, "pattern": HATCH | {"shape": rows["kind"].map(PATTERNS).tolist()}},
        unselected={"marker": {"opacity": 1}},
    )
    gone = (rows["kept"] == 0).to_numpy()
    if gone.any():
        figure.add_scatter(
            x=rows["depth"][gone],
            y=np.full(gone.sum(), bottom),
            mode="markers",
            customdata=told[gone],
            hovertemplate=hover,
            showlegend=False,
            marker={"symbol": "x", "size": 9, "color": colour},
            unselected={"marker": {"opacity": 1}},
        )
    level = bottom + _height(rows["whole"].iloc[0], low)
    figure.add_shape(
        type="line",
        xref="paper",
        x0=0,
        x1=1,
        y0=level,
        y1=level,
        line={"color": style.REFERENCE, "width": 1.5, "dash": "dot"},
    )
    figure.add_annotation(
        xref="paper",
        x=0,
        y=bottom + 1.02,
        text=f"<b>{rows['label'].iloc[0]}</b>",
        showarrow=False,
        xanchor="left",
        yanchor="bottom",
        font={"color": colour},
    )


def bars_limits(tables) -> dict:
    """The power of ten under every density above 0."""
    values = pd.concat(tables)["density"]
    least = values[values > 0].min()
    return {"low": float(max(LOWEST, min(0.1, 10.0 ** np.floor(np.log10(least)))))} if least == least else {}


def bars_sentence(table: pd.DataFrame) -> str:
    """Per rule, the densest and the sparsest layer."""
    parts = []
    for _, rows in table.groupby("rule", sort=False):
        most, least = rows.loc[rows["density"].idxmax()], rows.loc[rows["density"].idxmin()]
        parts.append(
            f"{most['label']} keeps {most['density']:.3g} of {most['layer']} and {least['density']:.3g} of {least['layer']}"
        )
    head = f"Share of each conv's weights that is kept at {_percent(table['sparsity'].iloc[0])} sparsity, by {len(parts)} rule{'s' if len(parts) > 1 else ''}: "
    return head + "; ".join(parts) + ". The dotted line is the density of all convs together."


DENSITIES = Chart("allocation.DENSITIES", bars_table, bars_figure, bars_sentence, bars_limits, wide=True)


# Repairability: three blocks of cells ------------------------------------------------------------

MEASURES = {"rr": "RR", "d_raw": "D_raw", "d_res": "D_res"}
CLIP = 3.0  # log2 units: colours of RR saturate at 1/8 and 8


def repairability_table(result: Result) -> pd.DataFrame:
    """One row per layer, trial sparsity and measure (rr, d_raw, d_res): layer, depth, sparsity, measure, value (NaN: undefined)."""
    setting = Setting.of(result.setting)
    found = repairability_of(Store(default_root()), setting.experiment((), (BatchNormState(),)), setting.dense)
    if found is None:
        raise NothingToDraw(
            "The repairability of this network's layers is not stored yet; compute it here, or with python -m asr_core allocate."
        )
    layers, _ = found
    depth = result.convs[["layer", "depth"]].drop_duplicates()
    table = layers.merge(depth, on="layer").melt(["layer", "depth", "sparsity"], list(MEASURES), var_name="measure")
    place = table["measure"].map(list(MEASURES).index)
    return (
        table.assign(place=place).sort_values(["place", "sparsity", "depth"], ignore_index=True).drop(columns="place")
    )


def repairability_figure(table: pd.DataFrame, low: float = 1e-4, high: float = 1.0) -> go.Figure:
    """Layers across, trial sparsities down, once for each measure; RR white at 1, distortions from `low` to `high`."""
    figure, trials = go.Figure(), sorted(table["sparsity"].unique())
    pitch = len(trials) + 1.2
    for number, measure in enumerate(MEASURES):
        rows = table[table["measure"] == measure].assign(
            y=lambda found, top=number * pitch: top + found["sparsity"].map(trials.index)
        )
        _cells(figure, rows, measure, low, high)
        text = (
            f"<b>{MEASURES[measure]}</b>"
            + {
                "rr": " = D_res / D_raw: what is left of the damage after the repair",
                "d_raw": ": damage of pruning this layer alone",
                "d_res": ": what channelwise variance matching leaves of it",
            }[measure]
        )
        figure.add_annotation(
            xref="paper", x=0, y=number * pitch - 0.55, text=text, showarrow=False, xanchor="left", yanchor="bottom"
        )
    layers = table.drop_duplicates("layer").sort_values("depth")
    shown = layers.iloc[:: -(-len(layers) // 40)]
    style.finish(
        figure, 110 + 26 * round(3 * pitch), "conv layers in execution order", "trial sparsity of the one pruned layer"
    )
    figure.update_xaxes(
        tickvals=shown["depth"],
        ticktext=shown["layer"],
        tickangle=-60,
        showgrid=False,
        zeroline=False,
        range=[layers["depth"].min() - 0.5, layers["depth"].max() + 0.5],
    )
    figure.update_yaxes(
        tickvals=[number * pitch + row for number in range(3) for row in range(len(trials))],
        ticktext=[_percent(trial) for trial in trials] * 3,
        range=[3 * pitch - 1.6, -1.6],
        showgrid=False,
        zeroline=False,
    )
    return figure


def _cells(figure: go.Figure, rows: pd.DataFrame, measure: str, low: float, high: float) -> None:
    """One block of cells, and transparent marks over them: heatmaps themselves report no clicks."""
    values = rows.pivot(index="y", columns="depth", values="value")
    logs = np.log2(values.where(values > 0)) if measure == "rr" else np.log10(values.where(values > 0))
    logs = logs.where(values.isna() | (values > 0), -99.0)  # no distortion at all: the darkest colour
    figure.add_heatmap(
        z=logs.round(4).astype(object).where(logs.notna(), None).to_numpy().tolist(),
        x=list(logs.columns),
        y=list(logs.index),
        xgap=1,
        ygap=1,
        hoverinfo="skip",
        **_colours(measure, low, high),
    )
    absent = rows[rows["value"].isna()]  # empty cells would look like 1 on white
    figure.add_scatter(
        x=absent["depth"],
        y=absent["y"],
        mode="text",
        text=["–"] * len(absent),
        textfont={"color": style.REFERENCE},
        hoverinfo="skip",
        showlegend=False,
    )
    told = rows.assign(
        percent=rows["sparsity"].map(_percent),
        text=[f"{value:.4g}" if value == value else "undefined" for value in rows["value"]],
    )
    note = f"<br>{READING}" if measure == "rr" else ""
    figure.add_scatter(
        x=rows["depth"],
        y=rows["y"],
        mode="markers",
        showlegend=False,
        customdata=told[["layer", "percent", "text"]].to_numpy(),
        marker={"size": 24, "symbol": "square", "opacity": 0, "color": "#000"},
        unselected={"marker": {"opacity": 0}},
        selected={"marker": {"opacity": 0}},
        hovertemplate=f"<b>%{{customdata[0]}}</b> pruned alone to %{{customdata[1]}}<br>{MEASURES[measure]} %{{customdata[2]}}{note}<extra></extra>",
    )


def _colours(measure: str, low: float, high: float) -> dict:
    bar = {"thickness": 12, "len": 0.3, "yanchor": "top", "title": {"side": "right"}}
    if measure == "rr":
        ticks = range(-round(CLIP), round(CLIP) + 1)
        bar |= {"y": 0.98, "tickvals": list(ticks), "ticktext": [f"1/{2**-t}" if t < 0 else str(2**t) for t in ticks]}
        bar["title"]["text"] = "RR"
        return {"colorscale": style.RATIO, "zmin": -CLIP, "zmid": 0, "zmax": CLIP, "colorbar": bar}
    ends = np.log10([low, high])
    ticks = np.arange(np.ceil(ends[0]), np.floor(ends[1]) + 1)
    bar |= {"y": 0.62, "tickvals": ticks.tolist(), "ticktext": [f"{10.0**t:g}" for t in ticks]}
    bar["title"]["text"] = "D_raw, D_res"
    return {
        "colorscale": style.MAGNITUDE,
        "zmin": float(ends[0]),
        "zmax": float(ends[1]),
        "colorbar": bar,
        "showscale": measure == "d_raw",
    }


def repairability_limits(tables) -> dict:
    """Whole powers of ten around the distortions above 0."""
    rows = pd.concat(tables)
    values = rows.loc[(rows["measure"] != "rr") & (rows["value"] > 0), "value"]
    if values.empty:
        return {}
    low, high = np.floor(np.log10(values.min())), np.ceil(np.log10(values.max()))
    return {"low": float(10.0 ** max(low, high - 6)), "high": float(10.0 ** max(high, low + 1))}


def repairability_sentence(table: pd.DataFrame) -> str:
    """At the highest trial sparsity: which layers a repair mends best and worst, and where it makes things worse."""
    rows = table[(table["measure"] == "rr") & (table["sparsity"] == table["sparsity"].max())]
    at, known = _percent(rows["sparsity"].iloc[0]), rows.dropna(subset="value")
    if known.empty:
        return f"RR ({READING}) is undefined in every layer at {at}: pruning one layer alone changes nothing."
    best, worst = known.loc[known["value"].idxmin()], known.loc[known["value"].idxmax()]
    text = (
        f"RR ({READING}): with one layer pruned to {at}, channelwise variance matching leaves between {best['value']:.2g} of the damage "
        f"({best['layer']}) and {worst['value']:.2g} ({worst['layer']}), in the median {known['value'].median():.2g}"
    )
    above, absent = int((known["value"] > 1).sum()), len(rows) - len(known)
    text += f"; above 1, that is worse than no repair, in {above} of {len(rows)} layers"
    return text + (f"; undefined in {absent}." if absent else ".")


REPAIRABILITY = Chart(
    "allocation.REPAIRABILITY",
    repairability_table,
    repairability_figure,
    repairability_sentence,
    repairability_limits,
    wide=True,
)
