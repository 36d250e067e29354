"""All layers at once: figures 10-11 for any network, and its worst cells."""

import math
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from asr_core.figures import Chart, NothingToDraw, cells, style
from asr_core.report.sentences import damage
from asr_core.spec.recalibration import REPORTED_STATE
from asr_core.spec.repairs import COLUMNS, NO_REPAIR
from asr_core.store import Store
from asr_core.store.results import Result
from asr_core.store.tables import networks, rows_of
from asr_core.studies import signalled

SHARE = "under dense 5th percentile"
BAND = 27  # layers side by side, so that a number fits into a cell; deeper networks continue below, as lines of text do
SHARE_COLOURS = {"colorscale": style.MAGNITUDE, "zmin": 0, "zmax": 1, "showscale": False}
LINE, LINES = 34, 27  # pixels of a row, where the layers stand in one band and in several
SLANT, LETTER = 55, 5.6  # degrees by which the layers' names are turned, and pixels of a letter of them
RHO, CORRELATION = "rho", "correlation"
SHARES = ("share", RHO)  # statistics from 0 to 1; the others are ratios
CLIP = 5.0  # log2 units: colours saturate at 1/32 and 32 times


def cells_table(
    result: Result, repairs=(), stage: str = "repaired", by: str = "depth", store: Store | Any = None
) -> pd.DataFrame:
    """One row per layer and statistic: COLUMNS, label, layer, depth, position, row, statistic, value, severity, log2.

    Statistics: the share of channels whose pruned variance lies under the 5th percentile of the dense
    ones (log2 NaN), and the 25th and 75th percentile of v / v_dense without repair and for each of
    `repairs` at `stage` (`repaired` or `recalibrated`); and, of those whose signal is stored in `store`, the median
    correlation with the dense output on the calibration images (rho, log2 NaN). by: `depth` or `damage` orders the
    layers.
    """
    if result.layers.empty:
        raise NothingToDraw("No channel statistics are stored for this setting.")
    table = _statistics(result.layers, repairs, stage)
    table = pd.concat([table, *_correlations(result, repairs, stage, store, table)], ignore_index=True)
    base = table[table["statistic"] == "share"]
    order = base.sort_values("depth" if by == "depth" else "severity", ascending=by == "depth")["layer"]
    position = pd.Series(range(len(order)), index=order)
    logs = np.log2(table["value"].where(table["value"] > 0))
    table = table.assign(position=table["layer"].map(position), log2=logs.where(~table["statistic"].isin(SHARES)))
    return table.sort_values("position", kind="stable").reset_index(drop=True)


def _correlations(result: Result, repairs, stage: str, store: Store | Any, table: pd.DataFrame) -> list[pd.DataFrame]:
    """Rows of `table`'s columns with the correlations of the networks in it, if they are stored."""
    found = None if store is None else signalled.layers(result, store, repairs, REPORTED_STATE, stage)
    if found is None:
        return []
    shown, severity = set(networks(table)), table.drop_duplicates("layer").set_index("layer")["severity"]
    found = style.labelled(style.ordered(found[networks(found).isin(shown).to_numpy()], "depth"))
    told = {"statistic": RHO, "value": found["rho"], "row": found["label"] + f", {CORRELATION}"}
    return [found.assign(**told, severity=found["layer"].map(severity))[list(table)]]


def _statistics(layers: pd.DataFrame, repairs, stage: str) -> pd.DataFrame:
    """The rows of `cells_table`: the share, then both quartiles of each network."""
    base = rows_of(layers[layers["state"] == "repaired"], NO_REPAIR)
    parts = [base.assign(row=SHARE, statistic="share", value=base["below_p5"])]
    measured = layers[layers["state"] == stage]
    for repair in [NO_REPAIR, *(repair for repair in style.in_order(repairs) if not repair.unchanged(stage))]:
        rows = base if repair == NO_REPAIR else rows_of(measured, repair)
        parts += [rows.assign(statistic=q, value=rows[q]) for q in ("q25", "q75")]
    columns = [*COLUMNS, "layer", "depth", "row", "statistic", "value", "severity"]
    table = style.labelled(pd.concat(parts, ignore_index=True)[columns])
    return table.assign(row=table["row"].fillna(table["label"] + ", " + table["statistic"].str[1:] + "th"))


def cells_figure(table: pd.DataFrame, scale: str = "log2") -> go.Figure:
    """Rows are statistics, columns are layers; true values stand in the cells.

    scale: `log2` (colour is log2 of the ratio, white at 1), or `ratio` (the paper's colours, clamped to [0, 2]).
    """
    rows, names = list(dict.fromkeys(table["row"])), _names(table)
    values = table.pivot(index="row", columns="position", values="value").loc[rows]
    figure = go.Figure()
    for band in range(_bands(names)):
        for at, colours in _blocks(rows, table, scale, band == 0):
            block = values.iloc[at, band * BAND : (band + 1) * BAND]
            if not len(block):
                continue
            z = block if colours is SHARE_COLOURS or scale == "ratio" else _logs(block)
            text = [[_cell_text(value) for value in row] for row in block.to_numpy(float)]
            _add_cells(figure, z, text, band * _pitch(rows, names), at, colours)
    _clickable(figure, table, rows)
    return _grid(figure, names, rows, style.legend(table)[1])


def _blocks(rows: list[str], table: pd.DataFrame, scale: str, with_bar: bool) -> list[tuple[slice, dict]]:
    """(rows, colours) of the share, of the ratios, and of the correlations, which stand last."""
    ratios = len(rows) - table.loc[table["statistic"] == RHO, "row"].nunique()
    colours = _ratio_colours(scale, with_bar)
    return [(slice(0, 1), SHARE_COLOURS), (slice(1, ratios), colours), (slice(ratios, None), SHARE_COLOURS)]


def _logs(block: pd.DataFrame) -> pd.DataFrame:
    """log2 of the values; where no variance is left, far below: the darkest blue."""
    return np.log2(block.where(block > 0)).where(block.isna() | (block > 0), -99.0)


def _names(table: pd.DataFrame) -> pd.Series:
    return table.drop_duplicates("position").set_index("position")["layer"]


def _bands(names: pd.Series) -> int:
    return -(-len(names) // BAND)


def _line(names: pd.Series) -> int:
    return LINE if _bands(names) == 1 else LINES


def _pitch(rows: list[str], names: pd.Series) -> int:
    """Rows from one band to the next: its own, and those that the layers' names take, aslant under it."""
    aslant = LETTER * names.str.len().max() * math.sin(math.radians(SLANT))
    return len(rows) + math.ceil((aslant + LETTER) / _line(names))


def _add_cells(figure: go.Figure, z: pd.DataFrame, text: list, top: int, at: slice, colours: dict) -> None:
    """One heatmap of the rows `at` of a band whose first row is `top`: columns restart in each band."""
    place = {"x": [c % BAND for c in z.columns], "y": [top + row for row in range(at.start, at.start + len(z))]}
    numbers = z.round(4).astype(object).where(z.notna(), None).to_numpy().tolist()
    figure.add_heatmap(z=numbers, hoverinfo="skip", xgap=1, ygap=1, **place, **colours)
    ends = colours["colorscale"], colours["zmin"], colours["zmax"]
    figure.add_trace(
        cells.written(**place, z=z, text=text, ends=ends, none=style.REFERENCE, size=10)
    )  # at 11, "1e39" is too wide


def _grid(figure: go.Figure, names: pd.Series, rows: list[str], shared: str) -> go.Figure:
    """Axes of a map: layers across, statistics down. Numeric, since two heatmaps cannot share a category axis."""
    bands, pitch = _bands(names), _pitch(rows, names)
    fixed = {"textangle": -SLANT, "showarrow": False, "xanchor": "right", "yanchor": "top", "font": {"size": 10}}
    labels = [
        {"x": at % BAND, "y": at // BAND * pitch + len(rows) - 0.4, "text": name, **fixed} for at, name in names.items()
    ]
    figure.update_layout(annotations=labels)
    plain = {"showgrid": False, "zeroline": False}
    across = [-0.5, min(len(names), BAND) - 0.5]
    figure.update_xaxes(showticklabels=False, ticks="", range=across, **plain)
    figure.update_yaxes(
        tickvals=[band * pitch + row for band in range(bands) for row in range(len(rows))],
        ticktext=rows * bands,
        range=[bands * pitch - 0.5, -0.5],
        tickfont={"size": 11},
        **plain,
    )
    return style.finish(figure, 30 + _line(names) * bands * pitch, style.LAYERS, "", shared)


def _bar(title: str) -> dict:
    """A colour bar at the upper end."""
    place = {"thickness": 12, "lenmode": "pixels", "len": 260, "y": 1, "yanchor": "top"}
    return {**place, "title": {"text": title, "side": "right"}}


def _ratio_colours(scale: str, with_bar: bool) -> dict:
    look = {"colorscale": style.RATIO, "showscale": with_bar}
    if scale == "ratio":
        return {**look, "zmin": 0, "zmid": 1, "zmax": 2, "colorbar": _bar("v / v_dense, colours clamped to [0, 2]")}
    ticks = {"tickvals": [-4, -2, 0, 2, 4], "ticktext": ["1/16", "1/4", "1", "4", "16"]}
    return {**look, "zmin": -CLIP, "zmid": 0, "zmax": CLIP, "colorbar": _bar("v / v_dense, log scale") | ticks}


def _cell_text(value: float) -> str:
    if not np.isfinite(value):
        return "–"
    if value >= 1000:
        return f"{value:.0e}".replace("e+0", "e").replace("e+", "e")
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"


def _clickable(figure: go.Figure, table: pd.DataFrame, rows: list[str]) -> None:
    """Transparent marks over the cells: heatmaps themselves report no clicks."""
    figure.add_scatter(
        x=table["position"] % BAND,
        y=table["row"].map(rows.index) + table["position"] // BAND * _pitch(rows, _names(table)),
        mode="markers",
        showlegend=False,
        customdata=table[["layer", "row", "value"]].to_numpy(),
        marker={"size": 26, "symbol": "square", "opacity": 0, "color": "#000"},
        unselected=style.UNSEEN,
        selected=style.UNSEEN,
        hovertemplate="<b>%{customdata[0]}</b><br>%{customdata[1]}<br>%{customdata[2]:.4g}<extra></extra>",
    )


def cells_difference(pinned: pd.DataFrame, current: pd.DataFrame) -> pd.DataFrame:
    """log2 ratio (or share) of current minus pinned, of cells in both."""
    by = [*COLUMNS, "layer", "statistic"]
    both = current.merge(pinned[[*by, "value", "log2"]], on=by, suffixes=("", "_pinned"))
    if both.empty:
        raise NothingToDraw("The pinned and the current network share no layer, so there is no difference to show.")
    change = both["log2"] - both["log2_pinned"]
    shares = both["value"] - both["value_pinned"]
    return both.assign(difference=change.where(~both["statistic"].isin(SHARES), shares))


def cells_difference_figure(table: pd.DataFrame, scale: str = "log2") -> go.Figure:
    """Change of each cell: of the share for the first row, of log2 for the others."""
    rows, names = list(dict.fromkeys(table["row"])), _names(table)
    values = table.pivot(index="row", columns="position", values="difference").loc[rows]
    bar = _bar("log2 current − log2 pinned")
    figure = go.Figure()
    for band in range(_bands(names)):
        block = values.iloc[:, band * BAND : (band + 1) * BAND]
        text = [["–" if value != value else f"{value:+.2f}" for value in row] for row in block.to_numpy(float)]
        colours = {"colorscale": style.RATIO, "zmid": 0, "zmin": -3, "zmax": 3, "colorbar": bar, "showscale": band == 0}
        _add_cells(figure, block, text, band * _pitch(rows, names), slice(0, len(rows)), colours)
    return _grid(figure, names, rows, style.legend(table)[1])


CELLS = Chart(
    "heatmaps.CELLS",
    cells_table,
    cells_figure,
    damage.cells,
    difference=cells_difference,
    difference_figure=cells_difference_figure,
    wide=True,
)


def worst_cells(table: pd.DataFrame, count: int = 12) -> pd.DataFrame:
    """The cells of a cells_table farthest from ratio 1, with rho of their layer and network (NaN: not stored); a ratio
    of 0 is farthest of all."""
    ratios = table[~table["statistic"].isin(SHARES)]
    value = ratios["value"]
    far = ratios["log2"].abs().where(value != 0, np.inf)
    ratios = ratios.assign(far=far, times=np.where(value < 1, 1 / value.where(value > 0), value))
    ratios = ratios.sort_values(["far", "depth"], ascending=[False, True]).head(count)
    direction = np.select([ratios["value"] == 0, ratios["value"] < 1], ["no variance left", "too small"], "too large")
    told = ratios.assign(direction=direction)[[*COLUMNS, "layer", "depth", "row", "value", "times", "direction"]]
    rho = table.loc[table["statistic"] == RHO, [*COLUMNS, "layer", "value"]].rename(columns={"value": RHO})
    return told.merge(rho, on=[*COLUMNS, "layer"], how="left").drop(columns=COLUMNS)
