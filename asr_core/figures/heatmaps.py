"""All layers at once: figures 10-11 for any network, its worst cells, and what a scalar per layer cannot see."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from asr_core.figures import Chart, NothingToDraw, style
from asr_core.figures.variance import unchanged
from asr_core.measure import diagnostics
from asr_core.store.results import Result

SHARE = "under dense 5th percentile"
BAND = 27  # layers side by side, so that a number fits into a cell; deeper networks continue below, as lines of text do
SHARE_COLOURS = {"colorscale": style.MAGNITUDE, "zmin": 0, "zmax": 1, "showscale": False}
LABELS = 4  # rows of room for the layers' names under each band
CLIP = 5.0  # log2 units: colours saturate at 1/32 and 32 times


def cells_table(result: Result, slugs=(), stage: str = "repaired", by: str = "depth") -> pd.DataFrame:
    """One row per layer and statistic: layer, depth, position, row, slug, statistic, value, log2.

    Statistics: the share of channels whose pruned variance lies under the 5th percentile of the dense
    ones (log2 NaN), and the 25th and 75th percentile of v / v_dense without repair and for each of
    `slugs` at `stage` (`repaired` or `recalibrated`). by: `depth` or `damage` orders the layers.
    """
    layers = result.layers
    if layers.empty:
        raise NothingToDraw("No channel statistics are stored for this setting yet; compute it.")
    base = layers[(layers["slug"] == "no_repair") & (layers["state"] == "repaired")]
    parts = [base.assign(row=SHARE, statistic="share", value=base["below_p5"])]
    for slug in ["no_repair", *slugs]:
        if unchanged(slug, stage) and slug != "no_repair":
            continue
        rows = base if slug == "no_repair" else layers[(layers["slug"] == slug) & (layers["state"] == stage)]
        parts += [
            rows.assign(row=f"{style.label(slug)}, {q[1:]}th", statistic=q, value=rows[q], slug=slug)
            for q in ("q25", "q75")
        ]
    table = pd.concat(parts)[["layer", "depth", "row", "slug", "statistic", "value", "severity"]]
    order = base.sort_values("depth" if by == "depth" else "severity", ascending=by == "depth")["layer"]
    position = pd.Series(range(len(order)), index=order)
    logs = np.log2(table["value"].where(table["value"] > 0))
    table = table.assign(position=table["layer"].map(position), log2=logs.where(table["statistic"] != "share"))
    return table.sort_values("position", kind="stable").reset_index(drop=True)


def cells_figure(table: pd.DataFrame, scale: str = "log2") -> go.Figure:
    """Rows are statistics, columns are layers; true values stand in the cells.

    scale: `log2` (colour is log2 of the ratio, white at 1), or `ratio` (the paper's colours, clamped to [0, 2]).
    """
    rows, names = list(dict.fromkeys(table["row"])), _names(table)
    values = table.pivot(index="row", columns="position", values="value").loc[rows]
    figure = go.Figure()
    for band in range(_bands(names)):
        for at, colours in ((slice(0, 1), SHARE_COLOURS), (slice(1, None), _ratio_colours(scale, band == 0))):
            block = values.iloc[at, band * BAND : (band + 1) * BAND]
            logs = np.log2(block.where(block > 0)).where(
                block.isna() | (block > 0), -99.0
            )  # no variance left: the darkest blue
            z = block if colours is SHARE_COLOURS or scale == "ratio" else logs
            text = [[_cell_text(value) for value in row] for row in block.to_numpy(float)]
            _add_cells(figure, z, text, band, len(rows), at, colours)
    _clickable(figure, table, rows)
    return _grid(figure, names, rows)


def _names(table: pd.DataFrame) -> pd.Series:
    return table.drop_duplicates("position").set_index("position")["layer"]


def _bands(names: pd.Series) -> int:
    return -(-len(names) // BAND)


def _add_cells(figure: go.Figure, z: pd.DataFrame, text: list, band: int, rows: int, at: slice, colours: dict) -> None:
    """One heatmap: columns restart in each band, rows lie `rows` + LABELS lower per band."""
    figure.add_heatmap(
        z=z.round(4).astype(object).where(z.notna(), None).to_numpy().tolist(),
        x=[c % BAND for c in z.columns],
        y=[band * (rows + LABELS) + row for row in range(rows)[at]],
        text=text,
        texttemplate="%{text}",
        textfont={"size": 11},
        hoverinfo="skip",
        xgap=1,
        ygap=1,
        **colours,
    )


def _grid(figure: go.Figure, names: pd.Series, rows: list[str]) -> go.Figure:
    """Axes of a map: layers across, statistics down. Numeric, since two heatmaps cannot share a category axis."""
    bands, pitch = _bands(names), len(rows) + LABELS
    fixed = {"textangle": -55, "showarrow": False, "xanchor": "right", "yanchor": "top", "font": {"size": 10}}
    labels = [
        {"x": at % BAND, "y": at // BAND * pitch + len(rows) - 0.4, "text": name, **fixed} for at, name in names.items()
    ]
    figure.update_layout(annotations=labels)
    figure.update_xaxes(
        showticklabels=False, ticks="", showgrid=False, zeroline=False, range=[-0.5, min(len(names), BAND) - 0.5]
    )
    figure.update_yaxes(
        tickvals=[band * pitch + row for band in range(bands) for row in range(len(rows))],
        ticktext=rows * bands,
        range=[bands * pitch - 0.5, -0.5],
        showgrid=False,
        zeroline=False,
        tickfont={"size": 11},
    )
    return style.finish(figure, 30 + (34 if bands == 1 else 27) * (bands * pitch), "conv layers", "")


def _ratio_colours(scale: str, with_bar: bool) -> dict:
    bar = {"thickness": 12, "lenmode": "pixels", "len": 260, "y": 1, "yanchor": "top", "title": {"side": "right"}}
    if scale == "ratio":
        bar["title"]["text"] = "v / v_dense, colours clamped to [0, 2]"
        return {"colorscale": style.RATIO, "zmin": 0, "zmid": 1, "zmax": 2, "colorbar": bar, "showscale": with_bar}
    ticks = [-4, -2, 0, 2, 4]
    bar |= {"tickvals": ticks, "ticktext": ["1/16", "1/4", "1", "4", "16"]}
    bar["title"]["text"] = "v / v_dense, log scale"
    return {"colorscale": style.RATIO, "zmin": -CLIP, "zmid": 0, "zmax": CLIP, "colorbar": bar, "showscale": with_bar}


def _cell_text(value: float) -> str:
    if not np.isfinite(value):
        return "–"
    return (
        f"{value:.2f}"
        if value < 10
        else f"{value:.1f}"
        if value < 100
        else f"{value:.0e}".replace("e+0", "e").replace("e+", "e")
        if value >= 1000
        else f"{value:.0f}"
    )


def _clickable(figure: go.Figure, table: pd.DataFrame, rows: list[str]) -> None:
    """Transparent marks over the cells: heatmaps themselves report no clicks."""
    figure.add_scatter(
        x=table["position"] % BAND,
        y=table["row"].map(rows.index) + table["position"] // BAND * (len(rows) + LABELS),
        mode="markers",
        showlegend=False,
        customdata=table[["layer", "row", "value"]].to_numpy(),
        marker={"size": 26, "symbol": "square", "opacity": 0, "color": "#000"},
        unselected={"marker": {"opacity": 0}},
        selected={"marker": {"opacity": 0}},
        hovertemplate="<b>%{customdata[0]}</b><br>%{customdata[1]}<br>%{customdata[2]:.4g}<extra></extra>",
    )


def cells_sentence(table: pd.DataFrame) -> str:
    """How far from 1 the ratios are, per network."""
    ratios = table[table["statistic"] != "share"]
    worst = ratios.groupby("slug", sort=False)["log2"].apply(lambda logs: logs.abs().median())
    share = table.loc[table["statistic"] == "share", "value"].mean()
    names, shared = style.in_words(worst.index)
    parts = [
        f"{names[slug]} ×{2**value:.3g}" if np.isfinite(value) else f"{names[slug]} undefined"
        for slug, value in worst.items()
    ]
    return f"On average {share:.0%} of a layer's channels fall under the dense 5th percentile. Typical distance of the ratios from 1{shared}: {', '.join(parts)}."


def cells_difference(pinned: pd.DataFrame, current: pd.DataFrame) -> pd.DataFrame:
    """log2 ratio (or share) of current minus pinned, of cells in both."""
    both = current.merge(pinned[["layer", "row", "value", "log2"]], on=["layer", "row"], suffixes=("", "_pinned"))
    if both.empty:
        raise NothingToDraw("The pinned and the current network share no layer, so there is no difference to show.")
    change = (both["log2"] - both["log2_pinned"]).where(
        both["statistic"] != "share", both["value"] - both["value_pinned"]
    )
    return both.assign(difference=change)


def cells_difference_figure(table: pd.DataFrame, scale: str = "log2") -> go.Figure:
    """Change of each cell: of the share for the first row, of log2 for the others."""
    rows, names = list(dict.fromkeys(table["row"])), _names(table)
    values = table.pivot(index="row", columns="position", values="difference").loc[rows]
    bar = {
        "thickness": 12,
        "lenmode": "pixels",
        "len": 260,
        "y": 1,
        "yanchor": "top",
        "title": {"text": "log2 current − log2 pinned", "side": "right"},
    }
    figure = go.Figure()
    for band in range(_bands(names)):
        block = values.iloc[:, band * BAND : (band + 1) * BAND]
        text = [["–" if value != value else f"{value:+.2f}" for value in row] for row in block.to_numpy(float)]
        colours = {"colorscale": style.RATIO, "zmid": 0, "zmin": -3, "zmax": 3, "colorbar": bar, "showscale": band == 0}
        _add_cells(figure, block, text, band, len(rows), slice(None), colours)
    return _grid(figure, names, rows)


CELLS = Chart(
    "heatmaps.CELLS",
    cells_table,
    cells_figure,
    cells_sentence,
    difference=cells_difference,
    difference_figure=cells_difference_figure,
    wide=True,
)


def worst_cells(table: pd.DataFrame, count: int = 12) -> pd.DataFrame:
    """The cells of a cells_table farthest from ratio 1; a ratio of 0 is farthest of all."""
    ratios = table[table["statistic"] != "share"]
    far = ratios["log2"].abs().where(ratios["value"] != 0, np.inf)
    ratios = ratios.assign(
        far=far, times=np.where(ratios["value"] < 1, 1 / ratios["value"].where(ratios["value"] > 0), ratios["value"])
    )
    ratios = ratios.sort_values(["far", "depth"], ascending=[False, True]).head(count)
    direction = np.select([ratios["value"] == 0, ratios["value"] < 1], ["no variance left", "too small"], "too large")
    return ratios.assign(direction=direction)[["layer", "depth", "row", "value", "times", "direction"]]


def spread_table(result: Result) -> pd.DataFrame:
    """Per repaired layer: `shared` = mean of ln γ_raw (one scalar can mend it), `spread` = its standard deviation (it cannot)."""
    channels = result.channels
    rows = channels[channels["depth"] > channels["depth"].min()] if len(channels) else channels
    logs = rows.assign(log=diagnostics.log_gamma_raw(rows)) if len(rows) else rows.assign(log=[])
    table = logs.groupby(["depth", "layer"], as_index=False)["log"].agg(
        shared="mean", spread=lambda x: x.std(ddof=0), live="count", channels="size"
    )
    if table.empty:
        raise NothingToDraw(
            "This network has no repaired layer: its only conv is the first one, which every method leaves as it is."
        )
    return table.assign(within_share=diagnostics.mismatch(channels)["within_share"])


def spread_figure(table: pd.DataFrame, high: float = 3.0) -> go.Figure:
    """Two bars per layer: the part that all channels share, and the spread between them."""
    figure = go.Figure()
    for name, text, colour in (
        ("shared", "shared by all channels (|mean|): one scalar mends it", "#0072B2"),
        ("spread", "spread between channels (standard deviation): it cannot", "#D55E00"),
    ):
        figure.add_bar(
            x=table["depth"],
            y=table[name].abs(),
            name=text,
            marker_color=colour,
            customdata=table[["layer", "live", "channels"]].to_numpy(),
            hovertemplate="<b>%{customdata[0]}</b><br>"
            + name
            + " %{y:.3f}<br>%{customdata[1]} of %{customdata[2]} channels live<extra></extra>",
            unselected={"marker": {"opacity": 1}},
        )
    step = -(-len(table) // 30)
    figure.update_xaxes(tickvals=table["depth"][::step], ticktext=table["layer"][::step], tickangle=-60)
    figure.update_yaxes(range=[0, high], gridcolor=style.GRID)
    return style.finish(figure, 360, "conv layers in execution order", "ln of the channel's factor γ_raw")


def spread_limits(tables) -> dict:
    """Up to the tallest bar."""
    return {"high": round(1.05 * max(float(t[["shared", "spread"]].abs().max().max()) for t in tables), 3) or 1.0}


def spread_sentence(table: pd.DataFrame) -> str:
    """The project's headline in words."""
    share, more = table["within_share"].iloc[0], table["spread"] > table["shared"].abs()
    if not np.isfinite(share):
        return "The within-layer share is undefined: no channel is live, or the damage is the same everywhere."
    return (
        f"{share:.0%} of the variance of ln γ_raw lies within layers, where one scalar per layer cannot reach; "
        f"in {int(more.sum())} of {len(table)} repaired layers the channels differ by more than they share."
    )


SPREAD = Chart("heatmaps.SPREAD", spread_table, spread_figure, spread_sentence, spread_limits)
