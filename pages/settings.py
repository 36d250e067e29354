"""All settings: what is stored, to filter, sort and open."""

import pandas as pd
import streamlit as st

from pages._frame import common, shelf, state
from pages._frame.rows import picked_row

BY = {
    "stored": "first stored",
    "severity": "severity",
    "within_share": "within share",
    "gain": "gain",
    "complete": "completeness",
}
NAMES = {  # what is compared first: a narrow window shows so much
    "network": "network",
    "images": "images",
    "pruning": "pruning",
    "sparsity": "sparsity, %",
    "severity": "severity",
    "within_share": "within share, %",
    "gain": "gain, points",
    "gain_low": "from",
    "gain_high": "to",
    "complete": "complete, %",
    "seed": "seed",
    "draw": "draw",
    "tested": "test images",
    "stat_images": "statistics images",
    "weights": "weights",
}
LETTER, ROOM, MOST = 6, 20, 150  # pixels of a letter, beside the words, and of a column of words
PERCENT = ("sparsity", "within_share", "gain", "gain_low", "gain_high", "complete")
WORDS = ("network", "images", "pruning", "tested", "weights")
WATCH = 5.0  # seconds between two looks at whether results came or went


def chosen(everything: pd.DataFrame) -> pd.DataFrame:
    """The rows that hold every word of the filter, in the chosen order: the largest first."""
    words, by = (state.get("words") or "").lower().split(), state.get("by")
    said = (
        everything["network"] + " " + everything["images"] + " " + everything["pruning"] + " " + everything["weights"]
    )
    said = said + " seed " + everything["seed"].astype(str) + " draw " + everything["draw"].astype(str)
    kept = everything[[all(word in text.lower() for word in words) for text in said]]
    return kept if by == "stored" else kept.sort_values(by, ascending=False, kind="stable", na_position="last")


def shown(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows as they are read: percent and points, a word where all test images were used."""
    tested = rows["tested"].astype("Int64").astype("string").fillna("all")
    percent = {name: 100 * rows[name].astype(float) for name in PERCENT}
    return rows.assign(**percent, tested=tested)[list(NAMES)].rename(columns=NAMES)


def wide(texts: pd.Series) -> int:
    """Pixels of a column for the longest of its words or its name: no more than leaves room for the numbers."""
    longest = max(map(len, [*texts.astype(str), str(texts.name)]), default=0)
    return min(MOST, LETTER * longest + ROOM)


def open_setting(keys: list[str]) -> None:
    """A callback: from the picked row to its setting."""
    row = picked_row("_settings", len(keys))
    for item in common.stored():
        if row is not None and item.key == keys[row]:
            common.adopt(item.setting, item.dense_id)
            state.go("overview", layer=None, channel=None)


def watch() -> None:
    """Draws the page again when results came or went: a sweep fills it."""
    now = common.store().stamp("result")
    if st.session_state.setdefault("_settings_of", now) != now:
        st.session_state["_settings_of"] = now
        st.rerun()


def draw(everything: pd.DataFrame) -> None:
    """The controls and the table."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.text_input(
            "Filter",
            key=state.key("words"),
            placeholder="resnet20 cifar lamp",
            width=320,
            help="Words that network, images, pruning, weights, 'seed N' or 'draw N' hold; all of them.",
        )
        st.segmented_control(
            "Sort by", list(BY), key=state.key("by"), required=True, format_func=BY.get, help="Largest first."
        )
    rows = chosen(everything)
    table = shown(rows)
    st.caption(f"{len(rows)} of {len(everything)} stored settings. **Click the box of a row to open its setting.**")
    st.dataframe(
        table,
        key="_settings",
        hide_index=True,
        width="stretch",
        height=560,
        on_select=lambda: open_setting(rows["key"].tolist()),
        selection_mode="single-row",
        column_config={name: st.column_config.NumberColumn(format="%.1f") for name in map(NAMES.get, PERCENT)}
        | {"severity": st.column_config.NumberColumn(format="%.3f")}
        | {name: st.column_config.TextColumn(width=wide(table[name])) for name in map(NAMES.get, WORDS)},
        alt="Stored settings: what they are, severity, within share, gain of ASR over LW, completeness.",
    )
    st.caption(
        "Gain: top-1 accuracy of ASR minus LW (simultaneous, bias off, median prior), both recalibrated (ema 0.1 "
        "from reset, b = 20), in points, with its 95 % interval over the test images (Bonett and Price), one by one: "
        "not corrected for how many settings there are. Empty: one of the two is not stored. Complete: the part of the "
        "default grid of methods, orders, biases and recalibrations that is stored."
    )


if common.stored():
    draw(shelf.settings())
else:
    st.info("Nothing is stored yet.")
st.fragment(watch, run_every=WATCH)()
