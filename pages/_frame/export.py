"""What can be taken away: tables, notebooks, a page as a zip. Nothing here draws on the page."""

import io
import json
import zipfile
from dataclasses import dataclass

import pandas as pd

from asr_core.figures import MEASURED, TESTED, Chart, style
from asr_core.report import textreport
from asr_core.spec import labels
from asr_core.spec.recalibration import NO_BATCHNORM
from asr_core.store import Store
from pages._frame.common import View
from pages._frame.text import plain


@dataclass(frozen=True)
class Drawn:
    """One figure as it is on the page: enough to draw it again."""

    key: str
    chart: Chart
    view: View
    table: pd.DataFrame
    figure: object
    sentence: str
    what: dict
    how: dict
    more: tuple = ()

    @property
    def name(self) -> str:
        """File name without suffix."""
        return f"{self.key}-{(self.view.keys or ('unfinished',))[0][:10]}"

    @property
    def signature(self) -> str:
        """What it is of, for who meets it without its page: network, images, sparsity, recalibration, n; of several
        settings, how many."""
        if self.chart.over:
            return self.chart.over
        facts, several = self.view.result.setting, self._settings()
        asked, achieved = facts["sparsity_asked"], facts["sparsity_achieved"]
        title = self.view.title
        parts = [f"{several} stored settings, among them {title}" if several > 1 else title]
        if abs(asked - achieved) >= 0.0005:
            parts.append(f"asked {100 * asked:.4g} %, achieved {100 * achieved:.2f} %")
        if "state" in self.what:
            parts.append(self._recalibration())
        if several < 2 and (count := self._counted()):
            parts.append(count)
        return " · ".join(parts)

    def _settings(self) -> int:
        """Of how many settings it has a mark: not of all that were looked through."""
        for names in (["point"], ["rule", "sparsity"]):
            if "groups" in self.what and {*names} <= {*self.table}:
                return len(self.table[names].drop_duplicates())
        return len(self.what.get("groups", ()))

    def _recalibration(self) -> str:
        """The BatchNorm state that its numbers are of, which need not be the chosen one."""
        state = self.what["state"]
        if not self.view.result.batchnorm:
            return NO_BATCHNORM
        if self.what.get("when") == "repaired" or not state.calib_batches:
            return "before recalibration"
        return f"{labels.recalibration(state)}, b = {state.calib_batches}"

    def _counted(self) -> str:
        """The images that its numbers are of."""
        result, counts = self.view.result, self.chart.counts
        tested = result.accuracy["n_eval"].dropna()
        if counts == MEASURED:
            kind = TESTED if self.what.get("images") == "test" else MEASURED  # as many of either
            return f"n = {result.setting['calibration']['stat_images']:,} {kind}"
        return f"n = {int(tested.iloc[0]):,} {TESTED}" if counts and len(tested) else ""


def csv(table: pd.DataFrame, setting: str) -> bytes:
    """A table as CSV, full precision; every row says what its numbers belong to."""
    return table.assign(setting=setting).to_csv(index=False).encode()


def parquet(table: pd.DataFrame) -> bytes:
    """A table as Parquet."""
    buffer = io.BytesIO()
    table.to_parquet(buffer, index=False)
    return buffer.getvalue()


def code(drawn: Drawn) -> str:
    """Python that opens the same stored result and draws the figure again."""
    chart, module = drawn.chart.name, drawn.chart.module
    given = {name: "store" if isinstance(value, Store) else repr(value) for name, value in drawn.what.items()}
    arguments = "".join(f", {name}={value}" for name, value in given.items())
    if drawn.more:
        arguments += f", more=[open_results(store, keys) for keys in {drawn.more!r}]"
    looks = "".join(f", {name}={value!r}" for name, value in drawn.how.items())
    return "\n".join(
        [
            "from asr_core.store.results import open_results",
            f"from asr_core.figures import {module}, style",
            "from asr_core.spec.recalibration import BatchNormState",
            "from asr_core.spec.repairs import RepairSpec",
            "from asr_core.store import Store",
            "",
            "store = Store()  # the cache directory of this checkout, or ASR_CACHE_DIR",
            f"result = open_results(store, {drawn.view.keys!r})",
            f"table = {chart}.table(result{arguments})",
            f"figure = style.for_print({chart}.figure(table{looks}))",
            "figure",
        ]
    )


def notebook(drawn: Drawn) -> bytes:
    """The figure as a notebook that draws it again."""
    text = f"# {drawn.key}\n\n{plain(textreport.describe(drawn.view.result.setting))}\n\n{plain(drawn.sentence)}"
    cells = [
        {"cell_type": "markdown", "id": "about", "metadata": {}, "source": text},
        {
            "cell_type": "code",
            "id": "figure",
            "metadata": {},
            "execution_count": None,
            "outputs": [],
            "source": code(drawn),
        },
        {"cell_type": "code", "id": "table", "metadata": {}, "execution_count": None, "outputs": [], "source": "table"},
    ]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return json.dumps(
        {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}, indent=1
    ).encode()


def card(view: View, address: str) -> dict:
    """The setting's card: everything its numbers belong to."""
    look = {name: getattr(view.look, name) for name in view.look.__dataclass_fields__}
    return {"setting": view.result.setting, "shown": look, "stored_results": list(view.keys), "address": address}


def page_zip(title: str, drawn: list[Drawn], address: str) -> bytes:
    """All figures of a page: their tables and notebooks, one HTML that needs no network, the setting's card."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        cards = {item.view.stamp: card(item.view, address) for item in drawn}
        file.writestr("setting.json", json.dumps(list(cards.values()), indent=1, default=str))
        file.writestr(
            "setting.txt",
            "\n".join(textreport.describe(entry["setting"]) for entry in cards.values()) + f"\n{address}\n",
        )
        for item in drawn:
            file.writestr(f"{item.name}.csv", csv(item.table, item.signature))
            file.writestr(f"{item.name}.parquet", parquet(item.table))
            if item.view.keys:
                file.writestr(f"{item.name}.ipynb", notebook(item))
        file.writestr("page.html", html(title, drawn))
    return buffer.getvalue()


def html(title: str, drawn: list[Drawn]) -> str:
    """The page's figures in one file with Plotly inside."""
    from html import escape

    parts = [f"<!doctype html><meta charset='utf-8'><title>{escape(title)}</title><h1>{escape(title)}</h1>"]
    for number, item in enumerate(drawn):
        figure = style.for_print(item.figure).to_html(
            config=style.CONFIG, full_html=False, include_plotlyjs=number == 0
        )
        parts.append(f"<h2>{escape(item.key)}</h2><p>{escape(textreport.describe(item.view.result.setting))}</p>")
        parts.append(f"<p>{escape(item.sentence)}</p>{figure}")
    return "\n".join(parts)
