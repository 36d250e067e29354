"""Charts on a page: drawn once per view on equal axes, with sentence, alt text, selection and export bar."""

from dataclasses import replace

import streamlit as st

from asr_core.figures import Chart, NothingToDraw, style
from asr_core.figures.chosen import chosen as mark
from asr_core.figures.room import make_room
from asr_core.figures.sized import for_stage
from pages._frame import common, export, folded, picture, plot, state, tabled
from pages._frame.export import Drawn
from pages._frame.text import plain

STAGE_WIDTH = 1780  # pixels of a figure across a screen of 1920
WIDE, HALF = 1140, 560  # pixels of a chart across the page and across half of it, about
LEAST = 0.75  # of that width: in a window 1280 pixels wide it is there


def show(
    chart: Chart,
    key: str,
    *,
    how: dict | None = None,
    select=None,
    more: dict | None = None,
    views: list | None = None,
    width: int = WIDE,
    chosen=lambda view: (),
    **what,
) -> list:
    """Draw `chart` for the pinned and the present view side by side; returns their tables.

    what: arguments of chart.table; a callable one is called with the view. how: arguments of
    chart.figure. select(point): called when a point is clicked, with a dict that holds
    its `customdata`, if any; it may call state.put or state.go. more: by view.keys, keys of further results
    that chart.table takes as `more`. views: drawn instead of the pinned and the present one. width: of
    the place, in pixels. chosen(view): the key of the marks to be ringed (`figures.chosen`), if any. What cannot be
    drawn says why.
    """
    views = common.views() if views is None else views
    made = [_prepare(chart, key, view, what, (more or {}).get(view.keys, ())) for view in views]
    drawable = [item for item in made if not isinstance(item, str)]
    tables, how = [item.table for item in drawable], _how(chart, drawable, how or {})
    if len(made) == len(tables) == 2 and chart.difference and state.get("compare") == "difference":
        _difference(chart, key, made, how, width)
        return tables
    places = [st.container() for _ in made] if chart.wide else st.columns(len(made))
    width = width if chart.wide else width // len(made)
    for place, item, view in zip(places, made, views, strict=True):
        with place:
            if len(made) > 1:
                st.caption(f"{common.which(view)}{plain(view.title)}{look_text(view)}")
            if isinstance(item, str):
                st.info(plain(item))
            else:
                _draw(item, how, width, select, len(made) > 1 and view is not common.view(), chosen(view))
    return tables


def _how(chart: Chart, drawn: list[Drawn], given: dict) -> dict:
    """How they are drawn: within the limits of all of them, and as is given."""
    tables, known = [item.table for item in drawn], tuple(_known(item) for item in drawn)
    limits = _limits(_chart=chart, _tables=tables, key=known)
    return {name: _plain(value) for name, value in {**limits, **given}.items()} if drawn else {}


def _plain(value):
    """A numpy scalar as Python's own, so that it can be written into a notebook."""
    return value.item() if hasattr(value, "item") else value


def look_text(view: common.View) -> str:
    """The recalibration of a view in words, for the caption above a chart."""
    return f" · {view.look.recalibration}"


@st.cache_resource(max_entries=64, show_spinner=False)
def _figured(
    _chart: Chart, _table, _how: dict, width: int, staged: bool, ringed: tuple, _signature: str, key: tuple
) -> tuple:
    """The figure of a table that `tabled` made, and its JSON, so that no click writes it again."""
    figure = style.signed(make_room(_chart.figure(_table, **_how), width), _signature, LEAST * width)
    figure = mark(figure, *ringed) if ringed else figure
    if staged:
        figure = for_stage(figure, STAGE_WIDTH * width / WIDE)
    return figure, style.for_screen(figure)


@st.cache_resource(max_entries=64, show_spinner=False)
def _limits(_chart: Chart, _tables: list, key: tuple) -> dict:
    """The limits of the figures of tables that `tabled` made: one look at all their rows for many clicks."""
    return _chart.limits(_tables) if _tables else {}


def _known(item: Drawn) -> tuple:
    """What its table, its figure and its sentence depend on, but for how it is drawn."""
    return item.chart.name, *tabled.known_by(item.view, item.what, item.more)


def _prepare(chart: Chart, key: str, view: common.View, what: dict, more: tuple):
    """The figure's table and sentence, or the reason why there is none."""
    values = {name: value(view) if callable(value) else value for name, value in what.items()}
    try:
        made = tabled.table(chart, view, values, more)
    except NothingToDraw as reason:
        return str(reason)
    item = Drawn(key, chart, view, made, None, "", values, {}, more)
    return replace(item, sentence=tabled.told(_chart=chart, _table=made, key=_known(item)))


def _draw(item: Drawn, how: dict, width: int, select, is_pinned: bool, ringed: tuple[int, ...]) -> None:
    staged = state.get("present") == "1"
    figure, text = _figured(
        _chart=item.chart,
        _table=item.table,
        _how=how,
        width=width,
        staged=staged,
        ringed=ringed,
        _signature=item.signature,
        key=(*_known(item), repr(how)),
    )
    drawn = replace(item, figure=figure, how=how)
    st.markdown(plain(item.sentence))
    widget = f"{item.key}_pinned" if is_pinned else item.key
    if staged:  # a stage has no toolbar, and no click leads away from it
        plot.draw(text, widget, item.sentence, _config(drawn.name, figure) | {"displayModeBar": False})
        return
    config = _config(drawn.name, figure)
    plot.draw(text, widget, item.sentence, config, None if is_pinned else select, round(LEAST * width))
    _export_bar(drawn, widget)
    st.session_state["_drawn"].append(drawn)


def _config(name: str, figure) -> dict:
    """Plotly's: the toolbar and what its camera saves."""
    picture = {"format": state.get("picture"), "scale": 3, "filename": name, "width": 1000}
    return {**style.CONFIG, "toImageButtonOptions": {**picture, "height": figure.layout.height}}


def _export_bar(drawn: Drawn, widget: str) -> None:
    def draw() -> None:
        picture.draw(drawn, widget)
        # Built here: a file built on click is lost when a run of the script ends before the browser has fetched it.
        files = [
            ("Table as CSV", "csv", "text/csv", export.csv(drawn.table, drawn.signature)),
            ("Table as Parquet", "parquet", "application/vnd.apache.parquet", export.parquet(drawn.table)),
        ]
        if drawn.view.keys:
            files.append(("This view as a notebook", "ipynb", "application/x-ipynb+json", export.notebook(drawn)))
        for label, suffix, mime, content in files:
            st.download_button(
                label,
                content,
                f"{drawn.name}.{suffix}",
                mime,
                key=f"{widget}_{suffix}",
                on_click="ignore",
                width="stretch",
            )
        if not drawn.view.keys:
            st.caption("A notebook needs a finished result.")

    folded.popover(
        "Take away",
        f"_open_{widget}",
        draw,
        icon=":material/download:",
        type="tertiary",
        help="This figure as picture, table or notebook.",
    )


def _difference(chart: Chart, key: str, made: list[Drawn], how: dict, width: int) -> None:
    """Current minus pinned as one figure."""
    try:
        table = chart.difference(made[0].table, made[1].table)
    except NothingToDraw as reason:
        st.info(plain(reason))
        return
    st.caption(
        f"current ({plain(made[1].view.title)}{look_text(made[1].view)}) minus pinned "
        f"({plain(made[0].view.title)}{look_text(made[0].view)})"
    )
    figure = make_room(chart.difference_figure(table, **how), width)
    sentence = f"Difference, current minus pinned. Pinned: {made[0].sentence} Current: {made[1].sentence}"
    plot.draw(
        style.for_screen(figure),
        f"{key}_difference",
        sentence,
        _config(f"{key}-difference", figure),
        None,
        round(LEAST * width),
    )
    st.download_button(
        "Difference as CSV",
        lambda: export.csv(table, f"current: {made[1].signature}; pinned: {made[0].signature}"),
        f"{key}-difference.csv",
        "text/csv",
        key=f"{key}_difference_csv",
        on_click="ignore",
        type="tertiary",
        icon=":material/download:",
    )
