"""Noise: how far each accuracy and each difference moves by chance, what is certain, and what would settle the rest."""

from typing import Any

import pandas as pd
import streamlit as st

from asr_core.figures import noise
from asr_core.report.sentences import noise as sentences
from asr_core.report.words import points
from asr_core.studies import noise as study
from pages._frame import charts, common, folded
from pages._frame.text import plain

view = common.view()


def keys(found: common.View) -> tuple[str, ...]:
    """Keys of the stored results that differ from a view in draw or seed alone."""
    return tuple(item.key for item in study.alike(common.stored(), found.setting, found.dense_id))


what: dict[str, Any] = {
    "store": common.store(),
    "keys": keys,
    "repairs": lambda found: found.look.repairs,
    "state": lambda found: found.look.bn_state,
}


def about() -> None:
    """What is drawn here, and how to read it."""
    st.markdown(
        "An accuracy moves by chance in three ways that have nothing to do with each other. **Test images**: another "
        "set of as many. **Calibration draw**: other training images for the statistics and the recalibration, on the "
        "same dense network; it costs no training. **Training seed**: another dense network of the same recipe. A "
        "difference of two methods on the same images, draw and network has three noises of its own, which are below: "
        "what moves both alike is not in them."
    )
    st.markdown(
        f"*ahead*, *behind*: more than chance, corrected for all differences listed and all three noises. *may be "
        f"equal*: tested, and not told apart. *not measured*: fewer than {study.FEWEST} draws or seeds are stored. One "
        "draw is not a finding: what is ahead on these images may be behind with other statistics images."
    )
    st.code("python -m asr_core run --draws 16", language="bash")


def settled(table: pd.DataFrame) -> None:
    """Every difference, what is certain of it, and how many more draws, seeds or images would settle it."""
    rows = [
        {
            "difference": f"{row.first_label} − {row.second_label}",
            "here": points(row.gain),
            "on these images": row.images_word,
            "images needed": _needed(row.images_needed, row.images_word),
            "mean of draws": points(row.draw_mean) if row.draws > 1 else "",
            "over draws": f"{row.draw_word} ({int(row.draws)})",
            "draws needed": _needed(row.draws_needed, row.draw_word),
            "mean of seeds": points(row.seed_mean) if row.seeds > 1 else "",
            "over seeds": f"{row.seed_word} ({int(row.seeds)})",
            "seeds needed": _needed(row.seeds_needed, row.seed_word),
        }
        for row in table.itertuples()
    ]
    st.dataframe(
        pd.DataFrame(rows), hide_index=True, alt="Differences of methods, what is certain, and what would settle them."
    )
    st.caption(
        "Needed: how many in all would tell the two apart at 5 % in four of five cases, if the difference is as large "
        "as it looks here; empty where it is told apart already or cannot be told."
    )


def _needed(value: float, word: str) -> str:
    told = word in sentences.SETTLED or not value < float("inf")
    return "" if told else f"{int(value):,}"


folded.expander("What am I looking at?", "_open_about", about)
st.subheader("Each accuracy", anchor=False)
charts.show(noise.METHODS, "noise_methods", **what)
st.subheader("Each difference", anchor=False)
drawn = charts.show(noise.DIFFERENCES, "noise_differences", **what)
if drawn:
    settled(drawn[-1])
    picked = st.selectbox(
        "One difference in words",
        range(len(drawn[-1])),
        key="_difference",
        width=520,
        format_func=lambda i: f"{drawn[-1]['first_label'][i]} − {drawn[-1]['second_label'][i]}",
        help="What is certain of it, and what would settle it.",
    )
    st.markdown(plain(sentences.one(drawn[-1].iloc[picked])))
