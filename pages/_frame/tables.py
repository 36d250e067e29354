"""Tables of numbers on a page: a grid that fits numbers of any size, and a few rows as text."""

import pandas as pd
import streamlit as st

from pages._frame.text import plain


def digits(values: pd.Series) -> pd.Series:
    """Numbers of any size as text with four digits, nothing where there is none."""
    return values.map(lambda value: "" if pd.isna(value) else f"{value:.4g}")


def number_table(table: pd.DataFrame, names: dict[str, str], alt: str) -> None:
    """The columns `names` (column -> heading) of a table, numbers as `digits`."""
    shown = table[[*names]].rename(columns=names)
    numbers = shown.select_dtypes("number").columns
    shown = shown.assign(**{name: digits(shown[name]) for name in numbers})
    columns = {name: st.column_config.TextColumn(alignment="right") for name in numbers}
    st.dataframe(shown, hide_index=True, alt=alt, column_config=columns)


def markdown(table: pd.DataFrame, floatfmt) -> str:
    """A few rows as text for st.markdown: a browser writes them at once, where the grid of st.dataframe is painted on a
    canvas for 30 ms."""
    cells = table.astype(object).where(table.notna(), None)
    cells = cells.map(lambda cell: plain(cell) if isinstance(cell, str) else cell)
    return cells.to_markdown(index=False, floatfmt=floatfmt, missingval="undefined")
