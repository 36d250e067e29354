"""What a repair could mend in each layer of a dense network, at trial sparsities."""

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from asr_core.figures import Chart, NothingToDraw, style
from asr_core.pipeline.allocations import repairability_of
from asr_core.pipeline.plan import READING
from asr_core.report.sentences import rules
from asr_core.spec.experiment import ExperimentSpec, Setting
from asr_core.spec.recalibration import NO_STATE
from asr_core.store import Store
from asr_core.store.results import Result

MEASURES = {"rr": "RR", "d_raw": "D_raw", "d_res": "D_res"}
SAID = {
    "rr": " = D_res / D_raw: what is left of the damage after the repair",
    "d_raw": ": damage of pruning this layer alone",
    "d_res": ": what channelwise variance matching leaves of it",
}
CLIP = 3.0  # log2 units: colours of RR saturate at 1/8 and 8


def repairability_table(result: Result, store: Store) -> pd.DataFrame:
    """One row per layer, trial sparsity and measure (rr, d_raw, d_res): layer, depth, sparsity, measure, value (NaN:
    undefined)."""
    asked = ExperimentSpec.of_setting(Setting.from_facts(result.setting), (), (NO_STATE,))
    found = repairability_of(store, asked, result.setting["dense_id"])
    if found is None:
        raise NothingToDraw(
            "The repairability of this network's layers is not stored; python -m asr_core allocate measures it."
        )
    layers, _ = found
    depth = result.convs[["layer", "depth"]].drop_duplicates()
    table = layers.merge(depth, on="layer").melt(["layer", "depth", "sparsity"], list(MEASURES), var_name="measure")
    place = table["measure"].map(list(MEASURES).index)
    table = table.assign(place=place).sort_values(["place", "sparsity", "depth"], ignore_index=True)
    return table.drop(columns="place")


def repairability_figure(table: pd.DataFrame, low: float = 1e-4, high: float = 1.0) -> go.Figure:
    """Layers across, trial sparsities down, once for each measure; RR white at 1, distortions from `low` to `high`."""
    figure, trials = go.Figure(), sorted(table["sparsity"].unique())
    pitch = len(trials) + 1.2
    place = {"xref": "paper", "x": 0, "xanchor": "left", "yanchor": "bottom", "showarrow": False}
    for number, measure in enumerate(MEASURES):
        rows = table[table["measure"] == measure]
        _cells(figure, rows.assign(y=number * pitch + rows["sparsity"].map(trials.index)), measure, low, high)
        figure.add_annotation(y=number * pitch - 0.55, text=f"<b>{MEASURES[measure]}</b>{SAID[measure]}", **place)
    x, y = style.LAYERS, "trial sparsity of the one pruned layer"
    style.finish(figure, 110 + 26 * round(3 * pitch), x, y)
    style.layer_axis(figure, table, 0.5)
    figure.update_xaxes(zeroline=False)
    figure.update_yaxes(
        tickvals=[number * pitch + row for number in range(3) for row in range(len(trials))],
        ticktext=[style.percent(trial) for trial in trials] * 3,
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
    look = {"mode": "text", "hoverinfo": "skip", "showlegend": False}
    figure.add_scatter(x=absent["depth"], y=absent["y"], text=["–"] * len(absent), **look)
    _marks(figure, rows, measure)


def _marks(figure: go.Figure, rows: pd.DataFrame, measure: str) -> None:
    told = rows.assign(
        percent=rows["sparsity"].map(style.percent),
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
        unselected=style.UNSEEN,
        selected=style.UNSEEN,
        hovertemplate="<b>%{customdata[0]}</b> pruned alone to %{customdata[1]}<br>"
        f"{MEASURES[measure]} %{{customdata[2]}}{note}<extra></extra>",
    )


def _colours(measure: str, low: float, high: float) -> dict:
    bar: dict[str, Any] = {"thickness": 12, "len": 0.3, "yanchor": "top", "title": {"side": "right"}}
    if measure == "rr":
        powers = range(-round(CLIP), round(CLIP) + 1)
        words = [f"1/{2**-t}" if t < 0 else str(2**t) for t in powers]
        bar |= {"y": 0.98, "tickvals": list(powers), "ticktext": words}
        bar["title"]["text"] = "RR"
        return {"colorscale": style.RATIO, "zmin": -CLIP, "zmid": 0, "zmax": CLIP, "colorbar": bar}
    ends = np.log10([low, high])
    ticks = np.arange(np.ceil(ends[0]), np.floor(ends[1]) + 1)
    bar |= {"y": 0.62, "tickvals": ticks.tolist(), "ticktext": [f"{10.0**t:g}" for t in ticks]}
    bar["title"]["text"] = "D_raw, D_res"
    reach = {"zmin": float(ends[0]), "zmax": float(ends[1])}
    return {"colorscale": style.MAGNITUDE, **reach, "colorbar": bar, "showscale": measure == "d_raw"}


def repairability_limits(tables) -> dict:
    """Whole powers of ten around the distortions above 0."""
    rows = pd.concat(tables)
    values = rows.loc[(rows["measure"] != "rr") & (rows["value"] > 0), "value"]
    if values.empty:
        return {}
    low, high = np.floor(np.log10(values.min())), np.ceil(np.log10(values.max()))
    return {"low": float(10.0 ** max(low, high - 6)), "high": float(10.0 ** max(high, low + 1))}


REPAIRABILITY = Chart(
    "repairability.REPAIRABILITY",
    repairability_table,
    repairability_figure,
    rules.repairability,
    repairability_limits,
    wide=True,
    counts="",
)
