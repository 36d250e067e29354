"""Chance: how far accuracies and their differences move with other test images, another draw, another seed."""

import pandas as pd
import plotly.graph_objects as go

from asr_core.figures import TESTED, Chart, NothingToDraw, style
from asr_core.report.sentences import noise as sentences
from asr_core.spec import labels
from asr_core.spec.experiment import Setting
from asr_core.spec.recalibration import REPORTED_STATE, BatchNormState
from asr_core.store import Store
from asr_core.store.results import Result
from asr_core.store.tables import typed
from asr_core.studies import noise

LOOKS = {"images": ("#0072B2", "circle"), "draw": ("#009E73", "diamond"), "seed": ("#D55E00", "square")}
NAMES = {"images": "test images (95 % interval)", "draw": "draws (mean ± s. d.)", "seed": "seeds (mean ± s. d.)"}


def _rows(result: Result, store: Store, keys, repairs, state: BatchNormState) -> tuple[pd.DataFrame, int, int]:
    setting = Setting.from_facts(result.setting)
    table = noise.rows(store, keys, repairs, state)
    seed, draw = setting.dense.seed, setting.calibration.draw
    if not (table["seed"].eq(seed) & table["draw"].eq(draw)).any():
        raise NothingToDraw("None of the chosen repairs is stored at this recalibration.")
    return table, seed, draw


def methods_table(
    result: Result, store: Store, keys=(), repairs=(), state: BatchNormState = REPORTED_STATE
) -> pd.DataFrame:
    """noise.methods, with label. keys: of the results of noise.alike."""
    table = noise.methods(*_rows(result, store, keys, repairs, state))
    return style.labelled(style.ordered(typed(table)))


def methods_figure(table: pd.DataFrame, high: float = 0.05) -> go.Figure:
    """Standard deviation of each network's accuracy, a bar per noise."""
    figure = go.Figure()
    for name, (colour, _) in LOOKS.items():
        text = [_beside(row, name) for _, row in table.iterrows()]
        figure.add_bar(
            y=table["label"],
            x=100 * table[f"{name}_sd"].fillna(0),
            name=sentences.SOURCES[name],
            orientation="h",
            marker_color=colour,
            text=text,
            textposition="outside",
            cliponaxis=False,
            hovertemplate="%{y}<br>%{x:.2f} points<extra>%{fullData.name}</extra>",
        )
    figure.update_yaxes(autorange="reversed", type="category")
    figure.update_xaxes(range=[0, 120 * high])
    x = "standard deviation of top-1 by chance, points"
    return style.finish(figure, 130 + 60 * len(table), x, "", style.legend(table)[1], barmode="group")


def _beside(row: pd.Series, name: str) -> str:
    """A bar's length, or why there is none."""
    deviation, several = row[f"{name}_sd"], int(row.get(f"{name}s", 0))
    if deviation == deviation:
        return f"{100 * deviation:.1f}"
    return f"too few: {several}, at least {noise.FEWEST} are needed" if several > 1 else "not measured"


def methods_limits(tables) -> dict:
    """Up to the longest bar."""
    rows = pd.concat(tables)[[f"{name}_sd" for name in LOOKS]]
    return {"high": round(float(max(rows.max().max(), 0.005)), 4)}


METHODS = Chart("noise.METHODS", methods_table, methods_figure, sentences.methods, methods_limits, counts=TESTED)


def differences_table(
    result: Result, store: Store, keys=(), repairs=(), state: BatchNormState = REPORTED_STATE
) -> pd.DataFrame:
    """noise.differences, largest first, with first_label, second_label, and their networks as text."""
    table = noise.differences(store, *_rows(result, store, keys, repairs, state))
    if table.empty:
        raise NothingToDraw("Fewer than two networks are stored at this recalibration, so there is no difference.")
    names, shared = labels.labels({*table["first"], *table["second"]})
    table = table.assign(**{f"{side}_label": table[side].map(names) for side in ("first", "second")}, shared=shared)
    order = table["gain"].abs().sort_values(ascending=False).index
    return table.loc[order].drop(columns=["first", "second"]).reset_index(drop=True)


def differences_figure(table: pd.DataFrame, low: float = -0.1, high: float = 0.1) -> go.Figure:
    """Each difference with what three noises say of it; 0 is no difference."""
    figure = go.Figure()
    y = table["first_label"] + " − " + table["second_label"]
    spans = {
        "images": (table["gain"], table["low"], table["high"]),
        "draw": (table["draw_mean"], *_around(table, "draw")),
        "seed": (table["seed_mean"], *_around(table, "seed")),
    }
    for name, (value, least, most) in spans.items():
        colour, symbol = LOOKS[name]
        figure.add_scatter(
            x=100 * value.where(least.notna()),
            y=y,
            error_x=style.interval(value, least, most),
            mode="markers",
            name=NAMES[name],
            marker={"color": colour, "symbol": symbol, "size": 9},
            hovertemplate="%{y}<br>%{x:+.2f} points<extra>%{fullData.name}</extra>",
        )
    figure.add_vline(0, line={"color": style.REFERENCE, "dash": "dot", "width": 1.5})
    figure.update_yaxes(autorange="reversed", type="category")
    figure.update_xaxes(range=[100 * low, 100 * high])
    x = "difference of top-1, points"
    return style.finish(figure, 130 + 34 * len(table), x, "", table["shared"].iloc[0])


def _around(table: pd.DataFrame, name: str) -> tuple[pd.Series, pd.Series]:
    return table[f"{name}_mean"] - table[f"{name}_sd"], table[f"{name}_mean"] + table[f"{name}_sd"]


def differences_limits(tables) -> dict:
    """Axes that hold all intervals."""
    rows = pd.concat(tables)
    least = min(rows["low"].min(), *(_around(rows, name)[0].min() for name in ("draw", "seed")), -0.01)
    most = max(rows["high"].max(), *(_around(rows, name)[1].max() for name in ("draw", "seed")), 0.01)
    pad = 0.05 * (most - least)
    return {"low": round(float(least - pad), 3), "high": round(float(most + pad), 3)}


DIFFERENCES = Chart(
    "noise.DIFFERENCES",
    differences_table,
    differences_figure,
    sentences.differences,
    differences_limits,
    wide=True,
    counts=TESTED,
)
