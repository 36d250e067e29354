"""Confidence: whether networks are as sure as they are right, before and after pruning and repair."""

from typing import Any

import pandas as pd
import streamlit as st

from asr_core.figures import confidence
from asr_core.report.words import number, points
from pages._frame import charts, common, folded

view = common.view()
what: dict[str, Any] = {
    "repairs": lambda found: found.look.repairs,
    "state": lambda found: found.look.bn_state,
}


def about() -> None:
    """What is drawn here, and how to read it."""
    st.markdown(
        "A network's confidence is the softmax of the class that it answers. Of images that it is 80 % sure of, 80 % "
        "should be right. Images fall into 15 equal bins of confidence; the **expected calibration error** is the mean "
        "over images of |share right − mean confidence| of their bin, in points. Accuracy does not see it: two "
        "networks that are right on the same images can be sure in very different ways."
    )
    st.markdown(
        "**Temperature** divides all logits by one number: over 1 makes a network less sure, under 1 surer, and no "
        "answer changes. The one used here makes the labels of the very images that it is judged on most likely: on "
        "other images it would do less, and the calibration error can even grow. **By chance**: bins hold few images, "
        "so that a network as sure as right shows an error too. Errors are not tested against each other here."
    )


def numbers(table: pd.DataFrame, place: int) -> None:
    """Every network's numbers."""
    rows = [
        {
            "network": row.label,
            "right, %": number(row.top1),
            "mean confidence, %": number(row.confidence),
            "confidence − right, points": points(row.gap),
            "calibration error, points": number(row.ece),
            "by chance": number(row.ece_chance),
            "best temperature": "" if pd.isna(row.temperature) else f"{row.temperature:.3g}",
            "error at it, points": number(row.ece_tempered),
        }
        for row in table.itertuples()
    ]
    alt = "Accuracy, mean confidence, calibration error and best temperature of each network."
    st.dataframe(pd.DataFrame(rows), hide_index=True, key=f"_confidence_{place}", alt=alt)


folded.expander("What am I looking at?", "_open_about", about)
st.subheader("How far from as sure as right?", anchor=False)
drawn = charts.show(confidence.ERRORS, "confidence_errors", **what)
for place, table in enumerate(drawn):
    numbers(table, place)
st.subheader("Bin by bin", anchor=False)
st.caption("Share of images that are right against how sure the network is; below, how many images each bin holds.")
charts.show(confidence.BINS, "confidence_bins", **what)
