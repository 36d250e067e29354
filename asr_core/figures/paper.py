"""Figure 7: BN only against the recalibration step: median and band over settings, the paper's and the stored ones."""

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from asr_core.figures import TESTED, Chart, NothingToDraw, style
from asr_core.report.sentences import paper as sentences
from asr_core.store.results import Result
from asr_core.studies.reproduction import STEP

FIELDS = tuple(STEP)
LOOKS = {"paper": ("the paper", "#D55E00", "solid"), "here": ("here", "#0072B2", "dash")}


def steps_table(result: Result, rows=()) -> pd.DataFrame:
    """Table 3 of the paper and of all stored settings, long: whose (`paper` | `here`), dataset, step, median, low, high
    (fractions), settings.

    rows: those of studies.reproduction.table3, as tuples of FIELDS, None where nothing is known. `result` is not used,
    since the medians are over settings.
    """
    table = pd.DataFrame(list(rows), columns=list(FIELDS))
    if not table["settings"].any():
        raise NothingToDraw("No stored setting is on one of the paper's datasets.")
    numbers = ["median", "low", "high"]
    table = table.astype(dict.fromkeys([*numbers, *(f"paper_{name}" for name in numbers)], float))
    columns = ["dataset", "step", *numbers, "paper_same"]
    names = {f"paper_{name}": name for name in numbers}
    paper = (
        table[["dataset", "step", *names]]
        .rename(columns=names)
        .assign(whose="paper", settings=pd.NA, paper_same=float("nan"))
    )
    here = table.loc[table["settings"] > 0, [*columns, "settings"]].assign(whose="here")
    table = pd.concat([paper, here], ignore_index=True).astype({"settings": "Int64", "paper_same": float})
    return table[["whose", *columns, "settings"]]


def steps_figure(table: pd.DataFrame) -> go.Figure:
    """One panel per dataset: medians as lines, 95 % quantile bands."""
    panels = [name for name in table["dataset"].unique() if name != "Overall"]
    figure = make_subplots(1, len(panels), subplot_titles=panels, shared_yaxes=True, horizontal_spacing=0.03)
    for column, dataset in enumerate(panels, 1):
        for whose, rows in table[table["dataset"] == dataset].groupby("whose", sort=False):
            for trace in _band(rows, *LOOKS[whose]):
                figure.add_trace(trace, row=1, col=column)
    seen: set[str] = set()
    for trace in figure.data:
        trace.showlegend = trace.mode != "none" and trace.name not in seen
        seen |= {trace.name} if trace.showlegend else set()
    style.finish(figure, 400, "recalibration step b", "")
    figure.update_layout(margin={"t": 50}, legend={"y": 1.1})
    figure.update_yaxes(range=[0, 102])
    return figure.update_yaxes(title="BN only, top-1, %", col=1)


def _band(rows: pd.DataFrame, name: str, colour: str, dash: str) -> list[go.Scatter]:
    x = list(rows["step"])
    band = go.Scatter(
        x=[*x, *x[::-1]],
        y=[*(100 * rows["high"]), *(100 * rows["low"])[::-1]],
        fill="toself",
        fillcolor=style.faint(colour, 0.15),
        mode="none",
        name=name,
        legendgroup=name,
        hoverinfo="skip",
    )
    line = go.Scatter(
        x=x,
        y=100 * rows["median"],
        mode="lines+markers",
        name=name,
        legendgroup=name,
        line={"color": colour, "dash": dash},
        hovertemplate=f"{name}, b = %{{x}}<br>median %{{y:.1f}} %<extra></extra>",
    )
    return [band, line]


STEPS = Chart(
    "paper.STEPS",
    steps_table,
    steps_figure,
    sentences.steps,
    wide=True,
    counts=TESTED,
    over="BN only, medians over stored settings and over the paper's",
)
