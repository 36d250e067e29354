"""Does BatchNorm undo the repair? Logits against BN only by budget, what the identity predicts, and where."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from asr_core.figures import Chart, NothingToDraw, style
from asr_core.spec.grid import BatchNormState
from asr_core.store.results import Result
from asr_core.studies import leftover

WAYS = {"cumulative": "cumulative", "reset": "ema from reset", "keep": "ema from keep"}
FLOOR = 1e-5  # lowest value drawn on a logarithmic axis
SAME = 0.05  # a largest logit difference up to which two networks count as one function


def _state(way: str, b: int, momentum: float) -> BatchNormState:
    return BatchNormState.of(way, "cumulative" if way == "cumulative" else "ema", momentum, b)


def _comparable(result: Result, slugs) -> pd.DataFrame:
    """Accuracy rows of repairs that change weights, with their distance to BN only; or the reason why there are none."""
    rows = result.accuracy
    if "logit_gap" not in rows:
        raise NothingToDraw(
            "This result was stored before logits were kept. Remove it (python -m asr_core cache clear evaluation result) and compute it again."
        )
    chosen = rows[rows["slug"].isin([slug for slug in slugs if "." in slug])]
    if chosen.empty:
        raise NothingToDraw(
            "None of the chosen methods that change weights is stored. Choose LW, raw or ASR in the sidebar, or compute them."
        )
    if chosen["logit_gap"].notna().sum() == 0:
        raise NothingToDraw(
            "Logits are compared with BN only, which is not stored for this setting. Compute it with BN only among the methods."
        )
    return chosen


def gap_table(result: Result, slugs=(), momentum: float = 0.1) -> pd.DataFrame:
    """Per slug, way of recalibration and budget: slug, label, way (None at b = 0), b, a (share of the start that is left),
    logit_gap, top1_gap (top-1 minus that of BN only, fraction), predicted (leftover.predicted_error, NaN at b = 0)."""
    rows = _by_way(_comparable(result, slugs), momentum)
    if rows.empty:
        raise NothingToDraw("Nothing is stored for this momentum; choose a stored one or compute this one.")
    plain = _by_way(result.accuracy[result.accuracy["slug"] == "bn_only"], momentum).set_index(["way", "b"])["top1"]
    table = rows.join(plain.rename("plain"), on=["way", "b"])
    factors = leftover.factors(result, rows["slug"].unique())
    states = {where: _state(*where, momentum) for where in zip(table["way"], table["b"], strict=True)}
    predicted = {where: leftover.predicted_error(factors, state) for where, state in states.items() if state.batches}
    errors = [predicted[row.way, row.b].get(row.slug, np.nan) if row.b else np.nan for row in table.itertuples()]
    return pd.DataFrame(
        {
            "slug": table["slug"],
            "label": table["slug"].map(style.label),
            "way": table["way"].where(table["b"] > 0, None),
            "b": table["b"],
            "a": [leftover.share_left(states[where]) for where in zip(table["way"], table["b"], strict=True)],
            "logit_gap": table["logit_gap"].astype(float),
            "top1_gap": (table["top1"] - table["plain"]).astype(float),
            "predicted": np.array(errors, float),
        }
    ).reset_index(drop=True)


def _by_way(rows: pd.DataFrame, momentum: float) -> pd.DataFrame:
    """Accuracy rows with `way` ('none' at b = 0) and `b`, of this momentum only, each repair and state once."""
    ema = rows["averaging"].eq("ema").to_numpy(bool, na_value=False) & rows["momentum"].eq(momentum).to_numpy(
        bool, na_value=False
    )
    cumulative, none = (
        rows["averaging"].eq("cumulative").to_numpy(bool, na_value=False),
        rows["calib_batches"].eq(0).to_numpy(bool),
    )
    ways = np.select([none, cumulative, ema], ["none", "cumulative", rows["start"].fillna("").to_numpy(object)], "")
    found = rows.assign(way=ways, b=rows["calib_batches"].astype(int))
    return found[found["way"] != ""].drop_duplicates(["slug", "way", "b"]).sort_values(["b"], kind="stable")


def gap_figure(
    table: pd.DataFrame,
    show: str = "logit_gap",
    low: float = FLOOR,
    high: float = 10.0,
    bottom: float = FLOOR,
    top: float = 1.0,
    points: float = 0.1,
) -> go.Figure:
    """Measured distance to BN only above, predicted channel error below; one column per way of recalibration."""
    ways = [way for way in WAYS if (table["way"] == way).any()]
    figure = make_subplots(
        2,
        len(ways),
        shared_xaxes=True,
        shared_yaxes=True,
        vertical_spacing=0.07,
        horizontal_spacing=0.03,
        column_titles=[WAYS[way] for way in ways],
    )
    traces, rows_of, columns = [], [], []
    for column, way in enumerate(ways, start=1):
        for slug, rows in table[table["way"] == way].groupby("slug", sort=False):
            traces += _gap_lines(slug, rows, show, low, bottom, legend=way == ways[0])
            rows_of, columns = [*rows_of, 1, 2], [*columns, column, column]
    figure.add_traces(traces, rows=rows_of, cols=columns)
    style.finish(figure, 560, "", "")
    figure.update_layout(margin={"t": 70}, legend={"y": 1.07})
    figure.update_xaxes(title="budget b, batches", row=2, tickvals=sorted(set(table["b"]) - {0}))
    figure.update_yaxes(**style.log_axis(low, high), title=None, row=1)
    figure.update_yaxes(**style.log_axis(bottom, top), title=None, row=2)
    if show == "top1_gap":
        figure.update_yaxes(
            type="linear",
            dtick=None,
            exponentformat=None,
            range=[-100 * points, 100 * points],
            zeroline=True,
            zerolinecolor=style.REFERENCE,
            row=1,
        )
    titles = {
        "logit_gap": "measured: largest<br>logit difference",
        "top1_gap": "measured: top-1 minus<br>BN only, points",
    }
    figure.update_yaxes(title=titles[show], row=1, col=1)
    figure.update_yaxes(title="predicted: channel<br>error, σ units", row=2, col=1)
    return figure


def _gap_lines(slug: str, rows: pd.DataFrame, show: str, low: float, bottom: float, legend: bool) -> list[go.Scatter]:
    """The measured and the predicted line of one repair in one way of recalibration."""
    colour, symbol = style.look_of(slug)
    measured = 100 * rows["top1_gap"] if show == "top1_gap" else rows["logit_gap"].clip(lower=low)
    shared = {
        "x": rows["b"],
        "line": {"color": colour, "width": 2},
        "customdata": rows[["a", "logit_gap", "top1_gap", "predicted"]].to_numpy(float),
        "legendgroup": slug,
        "name": rows["label"].iloc[0],
        "hovertemplate": _HOVER,
        "mode": "lines+markers",
    }
    return [
        go.Scatter(
            y=measured, marker={"symbol": symbol, "size": 9, "line": {"width": 1.5}}, showlegend=legend, **shared
        ),
        go.Scatter(
            y=rows["predicted"].clip(lower=bottom), marker={"symbol": symbol, "size": 6}, showlegend=False, **shared
        ),
    ]


_HOVER = (
    "%{fullData.name}<br>b = %{x}, a = %{customdata[0]:.3f}<br>largest logit difference %{customdata[1]:.3g}<br>top-1 minus BN only %{customdata[2]:+.1%}"
    "<br>predicted channel error %{customdata[3]:.3g} σ<extra></extra>"
)


def gap_limits(tables) -> dict:
    """Equal axes, whole powers of ten."""
    rows = pd.concat(tables)
    rows = rows[rows["way"].notna()]
    (low, high), (bottom, top) = _decades(rows["logit_gap"]), _decades(rows["predicted"])
    points = rows["top1_gap"].abs().max()
    return {
        "low": low,
        "high": high,
        "bottom": bottom,
        "top": top,
        "points": round(float(points) * 1.1 + 0.01, 3) if points == points else 0.1,
    }


def _decades(values: pd.Series) -> tuple[float, float]:
    """Whole powers of ten around the positive finite values, at least FLOOR."""
    values = values[np.isfinite(values) & (values > FLOOR)]
    if values.empty:
        return FLOOR, 1.0
    low, high = np.floor(np.log10(values.min())), np.ceil(np.log10(values.max()) + 1e-9)
    return float(10.0**low), float(10.0**high)


def gap_sentence(table: pd.DataFrame) -> str:
    """The verdict: are the methods one network, in which way of recalibration, and how far apart otherwise."""
    parts = [_verdict(way, table[table["way"] == way]) for way in WAYS if (table["way"] == way).any()]
    none = table[table["b"] == 0]
    if none["logit_gap"].notna().any():
        parts.append(
            f"Without recalibration nothing is absorbed: logits differ by up to {none['logit_gap'].max():.2g}, top-1 by up to {100 * none['top1_gap'].abs().max():.1f} points."
        )
    return " ".join(parts)


def _verdict(way: str, rows: pd.DataFrame) -> str:
    methods = rows["slug"].nunique()
    names = "the method and BN only are" if methods == 1 else f"all {methods} repairs and BN only are"
    gap, points = rows["logit_gap"].max(), 100 * rows["top1_gap"].abs().max()
    if not np.isfinite(rows["logit_gap"]).all():
        return f"Under {WAYS[way]} some logits are not finite, so the methods cannot be compared."
    if way == "cumulative":
        verdict = (
            f"{names} one network"
            if gap <= SAME
            else f"{names} not quite one network (a conv that is not absorbed, or variances near BatchNorm's eps)"
        )
        return f"Under cumulative averaging {verdict}: logits differ by at most {gap:.2g}, top-1 by at most {points:.1f} points."
    near = rows[rows["b"] == _reporting(rows["b"])]
    last = rows[rows["b"] == rows["b"].max()]
    text = f"Under {WAYS[way]} at b = {near['b'].iloc[0]} (a = {near['a'].iloc[0]:.3f}) logits differ by up to {near['logit_gap'].max():.2g} and top-1 by up to {100 * near['top1_gap'].abs().max():.1f} points"
    if len(near) and last["b"].iloc[0] != near["b"].iloc[0]:
        text += f"; at b = {last['b'].iloc[0]} (a = {last['a'].iloc[0]:.3f}) by {last['logit_gap'].max():.2g} and {100 * last['top1_gap'].abs().max():.1f} points"
    return text + "."


def _reporting(budgets: pd.Series) -> int:
    """The paper's reporting budget, or the stored one nearest to it."""
    return min(set(budgets), key=lambda b: abs(b - 20))


GAP = Chart("absorption.GAP", gap_table, gap_figure, gap_sentence, gap_limits)


def agreement_table(result: Result, slugs=(), momentum: float = 0.1) -> pd.DataFrame:
    """gap_table's recalibrated rows with both a prediction and a measurement above 0."""
    table = gap_table(result, slugs, momentum)
    rows = table[
        table["way"].notna() & (table["predicted"] > 0) & (table["logit_gap"] > 0) & np.isfinite(table["logit_gap"])
    ]
    if rows.empty:
        raise NothingToDraw(
            "No recalibrated network has both a prediction and a measurement; compute the default budgets."
        )
    return rows.reset_index(drop=True)


_SYMBOLS = {"cumulative": "circle", "reset": "triangle-up", "keep": "square"}


def agreement_figure(
    table: pd.DataFrame, low: float = FLOOR, high: float = 10.0, left: float = FLOOR, right: float = 1.0
) -> go.Figure:
    """Measured logit difference against predicted channel error, log-log; colour: method, shape: way of recalibration."""
    figure = go.Figure()
    for way, rows in table.groupby("way", sort=False):
        colours = [style.look_of(slug)[0] for slug in rows["slug"]]
        marker = {"symbol": _SYMBOLS[way], "size": 10, "color": colours, "line": {"width": 1, "color": style.REFERENCE}}
        figure.add_scatter(
            x=rows["predicted"],
            y=rows["logit_gap"],
            mode="markers",
            marker=marker,
            name=WAYS[way],
            customdata=rows[["label", "b", "a"]].to_numpy(),
            hovertemplate="%{customdata[0]}<br>"
            + WAYS[way]
            + ", b = %{customdata[1]}, a = %{customdata[2]:.3f}<br>predicted %{x:.3g} σ, measured %{y:.3g}<extra></extra>",
        )
    style.finish(figure, 400, "predicted channel error, σ units", "measured largest logit difference")
    figure.update_xaxes(**style.log_axis(left, right))
    figure.update_yaxes(**style.log_axis(low, high))
    return figure


def agreement_limits(tables) -> dict:
    """Equal axes, whole powers of ten."""
    rows = pd.concat(tables)
    (low, high), (left, right) = _decades(rows["logit_gap"]), _decades(rows["predicted"])
    return {"low": low, "high": high, "left": left, "right": right}


def agreement_sentence(table: pd.DataFrame) -> str:
    """How well the prediction orders what was measured."""
    from asr_core.studies.severity import correlation

    found = correlation(table["predicted"], table["logit_gap"])
    if np.isnan(found["spearman"]):
        return f"{found['n']} points are too few to tell how well the prediction orders the measurements."
    text = f"The predicted channel error, from factors and variances alone, ranks the measured logit differences of {found['n']} recalibrated networks with Spearman ρ = {found['spearman']:.2f}"
    ema = table[table["way"] != "cumulative"]
    within = correlation(ema["predicted"], ema["logit_gap"])
    if len(ema) < len(table) and not np.isnan(within["spearman"]):
        text += f"; within the exponential averages alone ρ = {within['spearman']:.2f} ({within['n']} networks)"
    told = found["spearman"] > 0.7
    return text + (
        ". What is left of the starting statistics sets the methods apart."
        if told
        else ". So something else than left-over starting statistics sets the methods apart here."
    )


AGREEMENT = Chart("absorption.AGREEMENT", agreement_table, agreement_figure, agreement_sentence, agreement_limits)
