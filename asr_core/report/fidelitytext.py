"""The study of the paper's protocol as a document: python -m asr_core paper --fidelity."""

import pandas as pd
from tabulate import tabulate

from asr_core.report.words import BIAS_LABELS, counted, number, recalibration
from asr_core.store import Store, catalogue
from asr_core.store.catalogue import Stored
from asr_core.store.entries import PROJECT
from asr_core.studies import protocol
from asr_core.studies.cells import CANNOT_TELL, CONTRADICTS, REPRODUCES, dataset_label

COMMAND = "python -m asr_core paper --fidelity"
DOCUMENT = PROJECT / "docs" / "fidelity.md"
METHOD = (
    "The paper does not state the order in which statistics are collected, where LW corrects means, how BatchNorm "
    "statistics are averaged, or which tensors are pruned. Each row is one distinct choice of these (b = 20 "
    "batches of 128); cumulative averaging is one row, since BatchNorm absorbs every repair there, and eps is "
    "none, since 1e-5 and 1e-8 hardly differ. In each stored cell of table 1, each two of BN only, LW and "
    "ASR are compared on the same test images, seeds pooled: told apart where McNemar's test, corrected by "
    "Holm for all pairs of all protocols, gives p < 0.05. Gaps of the paper of at most 1.6 points, by which its "
    "own tables differ, are ties. alike, against: pairs told apart here that the paper orders the same and the "
    "other way; open: pairs apart in the paper and not here, and the test images that would tell all of them "
    "apart, were they as far apart as in the paper. The verdict is a sign test over alike and against, corrected "
    "by Holm for the protocols."
)
RATIOS = (
    "Figures 10 and 11 of the paper name the largest 75th percentile of v_lw / v_dense over the layers; here it "
    "is measured before recalibration, on weights of other training."
)
DEFAULTS = (
    "## What the tool uses by default\n\n"
    "An ema from reset at b = 20 batches of 128, since the paper says that it “resets and re-estimates” and "
    "reports there; momentum 0.1, PyTorch's own; convolutions only; simultaneous collection. Comparisons are made "
    "at equal mean correction; this study alone also takes it as table 2 names it (LW without, ASR with). None of "
    "it is chosen for fitting the paper, and each is a switch."
)


def shipped(store: Store) -> list[Stored]:
    """Results that come with the project: what docs/fidelity.md is written from."""
    return [item for item in catalogue.stored(store) if (store.shipped / "result" / item.key).is_dir()]


def text(study: pd.DataFrame, ratios: pd.DataFrame, stored: list[Stored]) -> str:
    """The study as markdown: what was compared, what it says, one row per protocol, and the defaults.

    study, ratios: tables of `asr_core.studies.fidelity` made from the results `stored`.
    """
    blocks = [
        "# Which protocol is the paper's?",
        f"Written by `{COMMAND}` from the shipped results listed at the end; a test compares.",
        METHOD,
        conclusion(study),
        *([study_table(study)] if len(study) else []),
        *([f"## Overshoot of LW at 90 %\n\n{RATIOS}\n\n{ratios_table(ratios)}"] if len(ratios) else []),
        DEFAULTS,
        "## Results\n\n" + ("\n".join(_results(stored)) or "none"),
    ]
    return "\n\n".join(blocks) + "\n"


def _results(stored: list[Stored]) -> list[str]:
    """A line for each network that answers a cell."""
    found = [match for linear in (False, True) for match in protocol.matches(stored, linear)]
    return [f"- {m.cell.label}: {m.network}, seed {m.setting.dense.seed}, result {', '.join(m.keys)}" for m in found]


HEADERS = {
    "recalibration": "recalibration",
    "order": "order",
    "bias": "mean correction",
    "linear": "linear layers",
    "cells": "cells",
    "networks": "networks",
    "told": "told apart",
    "alike": "alike",
    "against": "against",
    "open": "open",
    "images": "images for the open",
    "gap": "gap here",
    "paper_gap": "gap in the paper",
    "distance": "distance",
    "verdict": "verdict",
}


def study_rows(study: pd.DataFrame) -> pd.DataFrame:
    """The study as numbers and words, HEADERS' keys: gaps and distance in points, to be sorted by any column."""
    absorbed = [row.variant.averaging == "cumulative" for row in study.itertuples()]
    variants = list(study["variant"])
    return pd.DataFrame(
        {
            "recalibration": [recalibration(v) for v in variants],
            "order": ["any" if one else v.order for one, v in zip(absorbed, variants, strict=True)],
            "bias": ["any" if one else BIAS_LABELS[v.bias] for one, v in zip(absorbed, variants, strict=True)],
            "linear": ["pruned" if v.include_linear else "kept" for v in variants],
            **{name: study[name].to_numpy() for name in ("cells", "networks")},
            "told": [f"{row.told} of {row.pairs}" for row in study.itertuples()],
            **{name: study[name].to_numpy() for name in ("alike", "against", "open")},
            "images": [float(images) for images in study["images"]],
            "gap": (100 * study["spread"]).round(1).to_numpy(),
            "paper_gap": (100 * study["paper_spread"]).round(1).to_numpy(),
            "distance": (100 * study["distance"]).round(1).to_numpy(),
            "verdict": study["verdict"].to_numpy(),
        }
    )


def study_table(study: pd.DataFrame, style: str = "github") -> str:
    """Rows of fidelity.study as text."""
    rows = study_rows(study)
    rows["images"] = ["" if pd.isna(images) else f"{images:,.0f}" for images in rows["images"]]
    return tabulate(rows, headers=list(HEADERS.values()), tablefmt=style, showindex=False, disable_numparse=True)


def conclusion(study: pd.DataFrame) -> str:
    """What all protocols together say, in words."""
    if study.empty:
        return "No stored result answers a cell of the paper's table 1, so nothing can be told."
    cells = _between(str(study["cells"].min()), str(study["cells"].max()))
    verdicts = f"Of {counted(len(study), 'protocol')}, {_verdicts(study['verdict'])}."
    tests = f"{counted(int(study['tested'].iloc[0]), 'pair')} of methods are tested, in {cells} cells of table 1 each"
    return f"{verdicts} {tests[0].upper()}{tests[1:]}. {_open(study)}{_gaps(study)}"


def _open(study: pd.DataFrame) -> str:
    """What is not told, and how many images would tell it."""
    undecided = study[study["verdict"].eq(CANNOT_TELL)]
    known = undecided["images"].dropna()
    if known.empty:
        return ""
    most = f"{known.max():,.0f}"
    return (
        f"Where it cannot be told, the paper has differences that are not seen here: {most} test images would show "
        "them all, were they there. "
    )


def _verdicts(verdicts: pd.Series) -> str:
    """How many protocols say what: '2 order them against the paper, for 16 it cannot be told'."""
    count = verdicts.value_counts()
    words = {REPRODUCES: f"order the methods {REPRODUCES} does", CONTRADICTS: f"order them {CONTRADICTS}"}
    named = [f"{count[name]} {said}" for name, said in words.items() if name in count]
    if CANNOT_TELL in count:
        none = "for none can it be told whether they order the methods as the paper does"
        named.append(f"for {count[CANNOT_TELL]} it cannot be told" if named else none)
    return ", ".join(named)


def _gaps(study: pd.DataFrame) -> str:
    """How far best and worst method lie apart, here and in the paper, over the same cells."""
    parts = []
    ways = study.assign(way=[recalibration(v) for v in study["variant"]])
    for way, rows in ways.groupby("way", sort=False):
        for cells, own in rows.groupby("cells", sort=True):
            here = _between(number(own["spread"].min()), number(own["spread"].max()))
            paper = _between(number(own["paper_spread"].min()), number(own["paper_spread"].max()))
            parts.append(f"{here} under {way} where the paper has {paper} ({counted(int(cells), 'cell')})")
    return f"Best and worst method lie apart by, in points and over the same cells: {'; '.join(parts)}."


def _between(low: str, high: str) -> str:
    return low if low == high else f"{low} to {high}"


def ratios_table(ratios: pd.DataFrame, style: str = "github") -> str:
    """Rows of fidelity.ratios."""
    rows = [
        (
            f"{r.network}, {dataset_label(r.dataset)}",
            r.order,
            "on" if r.bias else "off",
            f"{r.largest:.3g}",
            r.layer,
            f"{r.paper:g} on {r.paper_dataset}",
        )
        for r in ratios.itertuples()
    ]
    return tabulate(
        rows, headers=("network", "order", "bias", "largest here", "in", "paper"), tablefmt=style, disable_numparse=True
    )
