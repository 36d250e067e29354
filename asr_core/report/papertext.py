"""The paper's tables beside the stored results, and the study of its protocol, as text: python -m asr_core paper."""

import pandas as pd
from tabulate import tabulate

from asr_core.images.sources import LABELS
from asr_core.report.textreport import method_label
from asr_core.store import Store, catalogue
from asr_core.store.catalogue import Stored
from asr_core.store.entries import PROJECT
from asr_core.studies import fidelity, protocol, reproduction
from asr_core.studies.protocol import ARCHITECTURES, DATASETS, PRUNING_LABELS, Variant

BIAS_LABELS = {None: "as in table 2", False: "off", True: "on"}
COMMAND = "python -m asr_core paper --fidelity"
DOCUMENT = PROJECT / "docs" / "fidelity.md"
MARK = "*"  # of a difference beyond noise
STILL = 0.005  # a spread of methods under half a point is none


def recalibration(variant: Variant) -> str:
    """'ema 0.1 from reset, b = 20'."""
    state = variant.state
    how = {None: "none", "cumulative": "cumulative"}.get(
        state.averaging, f"ema {variant.momentum:g} from {state.start}"
    )
    return f"{how}, b = {state.batches}"


def described(variant: Variant) -> str:
    """A variant in words."""
    linear = ", linear layers pruned too" if variant.linear else ""
    eps = "" if variant.eps is None else f", eps {variant.eps:g}"
    return f"{variant.order} collection, mean correction {BIAS_LABELS[variant.bias]}, {recalibration(variant)}{eps}{linear}"


def number(value, digits: int = 1, sign: bool = False) -> str:
    """A fraction in percent; nothing for what is not known."""
    return "" if pd.isna(value) else f"{100 * value:{'+' if sign else ''}.{digits}f}"


def marked(row) -> str:
    """The difference in points, with MARK where it is beyond noise."""
    beyond = MARK if not pd.isna(row.beyond) and row.beyond else ""
    return f"{number(row.difference, sign=True)}{beyond}"


def table1(table: pd.DataFrame, dataset: str, style: str = "simple") -> str:
    """One dataset of reproduction.table1: cells 'paper | ours | difference'."""
    rows = [
        (
            ARCHITECTURES[row.architecture],
            method_label(row.method),
            PRUNING_LABELS[row.pruning],
            f"{number(row.paper, 2)} | {number(row.top1)} | {marked(row)}".rstrip(" |"),
        )
        for row in table[table["dataset"] == dataset].itertuples()
    ]
    long = pd.DataFrame(rows, columns=["architecture", "method", "pruning", "cell"])
    wide = long.pivot(index=["architecture", "method"], columns="pruning", values="cell").fillna("")
    order = (
        long[["architecture", "method"]]
        .drop_duplicates()
        .sort_values("architecture", key=lambda s: s.map(list(ARCHITECTURES.values()).index), kind="stable")
    )
    columns = [label for label in PRUNING_LABELS.values() if label in wide.columns]
    wide = wide.loc[pd.MultiIndex.from_frame(order), columns].rename(columns={"": "dense"}).reset_index()
    return tabulate(wide, headers="keys", tablefmt=style, showindex=False, disable_numparse=True)


def table2(table: pd.DataFrame, style: str = "simple") -> str:
    """Rows of reproduction.table2."""
    rows = [(row.row, number(row.paper, 2), number(row.top1), marked(row)) for row in table.itertuples()]
    return tabulate(rows, headers=("method", "paper", "here", "difference"), tablefmt=style, disable_numparse=True)


def table3(table: pd.DataFrame, style: str = "simple") -> str:
    """Rows of reproduction.table3 as median [low, high]."""
    rows = [
        (
            row.dataset,
            row.step,
            band(row.paper_median, row.paper_low, row.paper_high, 2),
            band(row.median, row.low, row.high),
            row.settings,
        )
        for row in table.itertuples()
    ]
    return tabulate(
        rows, headers=("dataset", "step", "paper", "here", "settings here"), tablefmt=style, disable_numparse=True
    )


def band(median, low, high, digits: int = 1) -> str:
    """'68.6 [63.5, 73.7]', or nothing for what is not known."""
    return "" if pd.isna(median) else f"{number(median, digits)} [{number(low, digits)}, {number(high, digits)}]"


def counts(table: pd.DataFrame, style: str = "simple") -> str:
    """Rows of reproduction.counts: '33 of 36 (1 tie)'."""
    rows = [
        (
            row.where,
            f"{method_label(row.better)} over {method_label(row.worse)}",
            wins(row),
            "" if pd.isna(row.clear) else str(row.clear),
        )
        for row in table.itertuples()
    ]
    return tabulate(
        rows, headers=("where", "ahead", "in cells", "intervals apart"), tablefmt=style, disable_numparse=True
    )


def wins(row) -> str:
    """'33 of 36 (1 tie)', or that no cell is stored."""
    ties = f" ({row.ties} tie{'s' if row.ties > 1 else ''})" if row.ties else ""
    return f"{row.wins} of {row.cells}{ties}" if row.cells else "no cell stored"


def conflicts(style: str = "simple") -> str:
    """Where the paper's tables differ from each other."""
    one = [
        (method_label(row.method), f"{row.table1:.2f}", f"{row.table2:.2f}", f"{row.difference:+.2f}")
        for row in reproduction.conflict().itertuples()
    ]
    two = [
        (row.dataset, f"{row.table1_least:.2f}", f"{row.table3_min:.2f}", f"{row.quantile:.2f}")
        for row in reproduction.ranges().itertuples()
    ]
    return "\n\n".join(
        [
            tabulate(
                one,
                headers=(reproduction.ABLATED.label, "table 1", "table 2", "difference"),
                tablefmt=style,
                disable_numparse=True,
            ),
            tabulate(
                two,
                headers=("BN only, b = 20", "least in table 1", "“min” in table 3", "2.5 % quantile of the settings"),
                tablefmt=style,
                disable_numparse=True,
            ),
        ]
    )


def report(store: Store, stored: list[Stored], variant: Variant) -> str:
    """All tables of the paper with ours beside them."""
    table = reproduction.table1(store, stored, variant)
    blocks = [
        f"Table 1 here: {described(variant)}. paper | here | difference in points; {MARK}: beyond our 95 % interval and the spread of stored repeats."
    ]
    blocks += [f"{LABELS[name]}\n{table1(table, name)}" for name in DATASETS]
    blocks += [f"Table 2 ({reproduction.ABLATED.label})\n{table2(reproduction.table2(store, stored, variant))}"]
    blocks += [
        f"Table 3: BN only, median [2.5 %, 97.5 % quantile] over settings\n{table3(reproduction.table3(store, stored, variant))}"
    ]
    blocks += [f"Who is ahead in how many cells\n{counts(reproduction.counts(store, stored, variant))}"]
    blocks += [
        f"Where the paper's own tables differ, %\n{conflicts()}",
        f"The paper's protocol and this one\n{card(stored, variant)}",
    ]
    return "\n\n".join(blocks)


def card(stored: list[Stored], variant: Variant) -> str:
    """protocol.card of the first stored network that answers a cell, or of the paper's protocol as it runs here."""
    setting, label = card_of(stored, variant)
    return tabulate(
        protocol.card(setting, label, variant),
        headers="keys",
        tablefmt="simple",
        showindex=False,
        disable_numparse=True,
        maxcolwidths=[None, 60, 60],
    )


def card_of(stored: list[Stored], variant: Variant) -> tuple[catalogue.Setting, str]:
    """(setting, name of its images) of the first stored network that answers a cell; of the paper's protocol where none does."""
    for match in protocol.matches(stored, variant.linear):
        return match.setting, next(item.facts["dataset_label"] for item in stored if item.key == match.keys[0])
    return protocol.paper_setting(reproduction.ABLATED), LABELS[reproduction.ABLATED.dataset]


def as_json(store: Store, stored: list[Stored], variant: Variant) -> dict:
    """The same tables as one object; numbers are fractions, null where nothing is stored."""
    setting, label = card_of(stored, variant)
    tables = {
        "table1": reproduction.table1(store, stored, variant),
        "table2": reproduction.table2(store, stored, variant),
        "table3": reproduction.table3(store, stored, variant),
        "counts": reproduction.counts(store, stored, variant),
        "conflict": reproduction.conflict(),
        "ranges": reproduction.ranges(),
        "protocol": protocol.card(setting, label, variant),
    }
    plain = {name: table.astype(object).where(table.notna(), None).to_dict("records") for name, table in tables.items()}
    return {"variant": described(variant), **plain}


def shipped(store: Store) -> list[Stored]:
    """Results that come with the project: what docs/fidelity.md is written from."""
    return [item for item in catalogue.stored(store) if (store.shipped / "result" / item.key).is_dir()]


def write_fidelity(store: Store) -> None:
    """Write docs/fidelity.md."""
    DOCUMENT.write_text(fidelity_text(store, shipped(store)))


def fidelity_text(store: Store, stored: list[Stored]) -> str:
    """The study as markdown: what was compared, one table per network, what it says, and the defaults."""
    study, ratios = fidelity.study(store, stored), fidelity.ratios(store, stored)
    networks = [
        f"## {network}\n\n{conclusion(rows)}\n\n{study_table(rows)}"
        for network, rows in study.groupby("network", sort=False)
    ]
    keys = [
        f"- {m.cell.label}: {m.network}, seed {m.setting.seed}, result {', '.join(m.keys)}"
        for linear in (False, True)
        for m in protocol.matches(stored, linear)
    ]
    return (
        "\n\n".join(
            [
                "# Which protocol is the paper's?",
                f"Written by `{COMMAND}` from the shipped results listed at the end; a test compares.",
                METHOD,
                *(networks or ["No stored result answers a cell of the paper's table 1, so nothing can be told."]),
                *([f"## Overshoot of LW at 90 %\n\n{RATIOS}\n\n{ratios_table(ratios)}"] if len(ratios) else []),
                DEFAULTS,
                "## Results\n\n" + ("\n".join(keys) or "none"),
            ]
        )
        + "\n"
    )


METHOD = (
    "The paper does not state the order in which statistics are collected, where LW corrects means, how BatchNorm statistics are averaged, "
    "eps, or which tensors are pruned. Each row below is one choice of these (b = 20 batches of 128). The grid of methods (BN only, LW+BN, "
    "ASR+BN) x prunings is compared with the same cells of table 1: Spearman's correlation with its 95 % interval and Kendall's tau-b of the "
    "accuracies; Spearman's of the gains over BN only, which does not credit a row for knowing that 90 % is harder than 70 %; the mean "
    "distance; the mean gap between best and worst method, here and in the paper; and, of the pairs of methods whose 95 % intervals are "
    "apart here, how many the paper orders alike. The verdict is a one-sided sign test over these pairs at 5 %, for which at least 5 pairs are needed. "
    "A value stays empty where fewer than 4 numbers, or constant ones, are all there is. Choices of eps and of linear layers appear where such results are stored."
)
RATIOS = (
    "Figures 10 and 11 of the paper name the largest 75th percentile of v_lw / v_dense over the layers; here it is measured before recalibration, "
    "on weights of other training."
)
DEFAULTS = (
    "## What the tool uses by default\n\nAn ema from reset at b = 20 batches of 128, since the paper says that it “resets and re-estimates” and reports there; "
    "momentum 0.1, PyTorch's own; convolutions only; simultaneous collection. Comparisons are made at equal mean correction; this study alone also takes "
    "it as table 2 names it (LW without, ASR with). None of it is chosen for fitting the paper, and each is a switch."
)


def study_table(rows: pd.DataFrame, style: str = "github") -> str:
    """Rows of fidelity.study of one network."""
    cells = [
        (
            recalibration(row.variant),
            row.variant.order,
            BIAS_LABELS[row.variant.bias],
            "" if row.variant.eps is None else f"{row.variant.eps:g}",
            "with" if row.variant.linear else "without",
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
    verdicts = rows["verdict"].value_counts()
    told = rows["told"]
    cells = rows["cells"].max()
    text = f"{cells} of the paper's cells {'is' if cells == 1 else 'are'} stored, {rows['values'].max()} numbers. "
    named = [
        f"{verdicts[name]} order the methods {name} does"
        if name == fidelity.REPRODUCES
        else f"{verdicts[name]} order them {name}"
        for name in (fidelity.REPRODUCES, fidelity.CONTRADICTS)
        if name in verdicts
    ]
    named += (
        [
            f"for {verdicts[fidelity.CANNOT_TELL]} it cannot be told"
            if named
            else "for none can it be told whether they order the methods as the paper does"
        ]
        if fidelity.CANNOT_TELL in verdicts
        else []
    )
    text += f"Of {len(rows)} protocols, {', '.join(named)} ({_between(str(told.min()), str(told.max()))} pairs of methods are apart). "
    gaps = (
        rows.assign(way=[recalibration(v) for v in rows["variant"]])
        .groupby("way", sort=False)["spread"]
        .agg(["min", "max"])
    )
    words = [f"{_between(number(gap.min()), number(gap.max()))} under {way}" for way, gap in gaps.T.items()]
    text += f"In these cells the paper's best and worst method lie {number(rows['paper_spread'].max())} points apart on average; here {'; '.join(words)}."
    still = [way for way, gap in gaps.T.items() if gap.max() < STILL]
    if still and rows["paper_spread"].max() > 4 * STILL:
        text += f" So gaps like the paper's do not come from {' and '.join(still)}: BatchNorm absorbs every repair there, whatever the weights."
    return text


def _between(low: str, high: str) -> str:
    return low if low == high else f"{low} to {high}"


def ratios_table(ratios: pd.DataFrame, style: str = "github") -> str:
    """Rows of fidelity.ratios."""
    rows = [
        (
            f"{r.network}, {LABELS[r.dataset]}",
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
