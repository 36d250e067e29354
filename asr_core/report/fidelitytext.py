"""The study of the paper's protocol as a document: python -m asr_core paper --fidelity."""

import pandas as pd
from tabulate import tabulate

from asr_core.report.words import BIAS_LABELS, number, recalibration
from asr_core.store import Store, catalogue
from asr_core.store.catalogue import Stored
from asr_core.store.entries import PROJECT
from asr_core.studies import protocol
from asr_core.studies.cells import CANNOT_TELL, CONTRADICTS, REPRODUCES, dataset_label

COMMAND = "python -m asr_core paper --fidelity"
DOCUMENT = PROJECT / "docs" / "fidelity.md"
STILL = 0.005  # a spread of methods under half a point is none
METHOD = (
    "The paper does not state the order in which statistics are collected, where LW corrects means, how BatchNorm "
    "statistics are averaged, eps, or which tensors are pruned. Each row below is one choice of these (b = 20 "
    "batches of 128). The grid of methods (BN only, LW+BN, ASR+BN) x prunings is compared with the same cells of "
    "table 1: Spearman's correlation with its 95 % interval and Kendall's tau-b of the accuracies; Spearman's of "
    "the gains over BN only, which does not credit a row for knowing that 90 % is harder than 70 %; the mean "
    "distance; the mean gap between best and worst method, here and in the paper; and, of the pairs of methods "
    "whose 95 % intervals are apart here, how many the paper orders alike. The verdict is a one-sided sign test "
    "over these pairs at 5 %, for which at least 5 pairs are needed. A value stays empty where fewer than 4 "
    "numbers, or constant ones, are all there is. Choices of eps and of linear layers appear where such results "
    "are stored."
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
    """The study as markdown: what was compared, one table per network, what it says, and the defaults.

    study, ratios: tables of `asr_core.studies.fidelity` made from the results `stored`.
    """
    networks = [
        f"## {network}\n\n{conclusion(rows)}\n\n{study_table(rows)}"
        for network, rows in study.groupby("network", sort=False)
    ]
    blocks = [
        "# Which protocol is the paper's?",
        f"Written by `{COMMAND}` from the shipped results listed at the end; a test compares.",
        METHOD,
        *(networks or ["No stored result answers a cell of the paper's table 1, so nothing can be told."]),
        *([f"## Overshoot of LW at 90 %\n\n{RATIOS}\n\n{ratios_table(ratios)}"] if len(ratios) else []),
        DEFAULTS,
        "## Results\n\n" + ("\n".join(_results(stored)) or "none"),
    ]
    return "\n\n".join(blocks) + "\n"


def _results(stored: list[Stored]) -> list[str]:
    """A line for each network that answers a cell."""
    found = [match for linear in (False, True) for match in protocol.matches(stored, linear)]
    return [f"- {m.cell.label}: {m.network}, seed {m.setting.dense.seed}, result {', '.join(m.keys)}" for m in found]


def study_table(rows: pd.DataFrame, style: str = "github") -> str:
    """Rows of fidelity.study of one network."""
    cells = [
        (
            recalibration(row.variant),
            row.variant.order,
            BIAS_LABELS[row.variant.bias],
            "" if row.variant.eps is None else f"{row.variant.eps:g}",
            "with" if row.variant.include_linear else "without",
            _interval(row),
            _two(row.kendall),
            _two(row.gain_spearman),
            number(row.distance),
            f"{number(row.spread)} / {number(row.paper_spread)}",
            f"{row.alike} of {row.told}",
            row.verdict,
        )
        for row in rows.itertuples()
    ]
    headers = (
        "recalibration",
        "order",
        "bias",
        "eps",
        "linear",
        "Spearman",
        "Kendall",
        "of gains",
        "distance",
        "gap here / paper",
        "pairs alike",
        "verdict",
    )
    return tabulate(cells, headers=headers, tablefmt=style, disable_numparse=True)


def _two(value: float) -> str:
    return "" if pd.isna(value) else f"{value:.2f}"


def _interval(row) -> str:
    if pd.isna(row.spearman) or abs(row.spearman) == 1:  # no interval can be told from values all in order
        return _two(row.spearman)
    return f"{row.spearman:.2f} [{row.spearman_low:.2f}, {row.spearman_high:.2f}]"


def conclusion(rows: pd.DataFrame) -> str:
    """What the rows of one network say, in words."""
    cells, numbers = rows["cells"].max(), rows["values"].max()
    told = _between(str(rows["told"].min()), str(rows["told"].max()))
    stored = f"{cells} of the paper's cells {'is' if cells == 1 else 'are'} stored, {numbers} numbers."
    verdicts = f"Of {len(rows)} protocols, {_verdicts(rows['verdict'])} ({told} pairs of methods are apart)."
    return f"{stored} {verdicts} {_gaps(rows)}"


def _verdicts(verdicts: pd.Series) -> str:
    """How many protocols say what: '2 order them against the paper, for 16 it cannot be told'."""
    count = verdicts.value_counts()
    words = {
        REPRODUCES: f"order the methods {REPRODUCES} does",
        CONTRADICTS: f"order them {CONTRADICTS}",
    }
    named = [f"{count[name]} {said}" for name, said in words.items() if name in count]
    if CANNOT_TELL in count:
        none = "for none can it be told whether they order the methods as the paper does"
        named.append(f"for {count[CANNOT_TELL]} it cannot be told" if named else none)
    return ", ".join(named)


def _gaps(rows: pd.DataFrame) -> str:
    """How far best and worst method lie apart, here and in the paper, and which ways leave no gap."""
    ways = rows.assign(way=[recalibration(v) for v in rows["variant"]]).groupby("way", sort=False)["spread"]
    gaps = ways.agg(["min", "max"]).T.to_dict()
    words = [f"{_between(number(gap['min']), number(gap['max']))} under {way}" for way, gap in gaps.items()]
    paper = rows["paper_spread"].max()
    text = (
        f"In these cells the paper's best and worst method lie {number(paper)} points apart on average; "
        f"here {'; '.join(words)}."
    )
    still = [way for way, gap in gaps.items() if gap["max"] < STILL]
    if still and paper > 4 * STILL:
        text += (
            f" So gaps like the paper's do not come from {' and '.join(still)}: BatchNorm absorbs every repair there, "
            "whatever the weights."
        )
    return text


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
