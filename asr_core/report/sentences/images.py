"""Sentences about single images: which pay for pruning, class by class, and what is answered instead."""

import pandas as pd

from asr_core.measure.statistics import AHEAD, BEHIND, EQUAL, UNMEASURED
from asr_core.report import naming
from asr_core.report.words import begun, counted, in_state, listed, tested
from asr_core.spec.repairs import DENSE, NO_REPAIR
from asr_core.store.tables import networks, rows_of


def paying(table: pd.DataFrame) -> str:
    """What pruning loses, how much of it repairs regain, alone and together, and what they newly break.

    table: figures.paying.table.
    """
    row = table.iloc[0]
    names, shared = naming.in_words(networks(table))
    named = [*networks(table).map(names).astype(object)]
    text = f"Of {row['n']:,} test images, {row['lost']:,} are right when dense and lost by pruning. "
    text += f"{begun(in_state(table))}{shared}, "
    text += _regained(table, named) if row["lost"] else "so there is none to regain."
    broken = _reach(table["broken"])
    text += f" {broken} that are right when dense and pruned become wrong. Against no repair, "
    text += f"{'; '.join(_against(table, named))} ({tested(int(row['pairs']))})."
    return f"{text} Not stored: {row['absent']}." if row["absent"] else text


def _regained(table: pd.DataFrame, named: list[str]) -> str:
    row = table.iloc[0]
    if len(table) == 1:
        return f"{named[0]} regains {row['regained']:,} of them."
    alone = [f"{name} {count:,}" for name, count in zip(named, table["alone"], strict=True) if count]
    most = f" (alone: {', '.join(alone)})" if alone else ""
    return (
        f"{row['all']:,} of them are regained by all {len(table)} repairs, {row['one']:,} by exactly one{most}, "
        f"{row['none']:,} by none."
    )


def _reach(counts: pd.Series) -> str:
    low, high = int(counts.min()), int(counts.max())
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _against(table: pd.DataFrame, named: list[str]) -> list[str]:
    """Which repairs are ahead of no repair, behind it, and so on."""
    found = []
    for word, said in ((AHEAD, "ahead"), (BEHIND, "behind"), (EQUAL, "may be equal"), (UNMEASURED, "not measured")):
        own = [name for name, each in zip(named, table["word"], strict=True) if each == word]
        if own:
            found.append(f"{said}: {listed(own)}")
    return found


def recalls(table: pd.DataFrame) -> str:
    """Where pruning takes most and least, and in how many classes the repair that is looked at is ahead.

    table: figures.classes.recalls_table.
    """
    dense, pruned = (rows_of(table, network).set_index("class") for network in (DENSE, NO_REPAIR))
    text = _taken(table, dense, pruned)
    looked = table["looked_at"].iloc[0]
    words = table.loc[table["word"].ne(""), "word"]
    number = len(words)
    parts = [
        f"{said} in {count}"
        for word, said in (
            (AHEAD, "ahead of no repair"),
            (BEHIND, "behind"),
            (EQUAL, "may be equal"),
            (UNMEASURED, "not measured"),
        )
        if (count := int((words == word).sum()))
    ]
    test = "McNemar on the images of each class, Holm over the classes"
    return f"{text}Of {counted(number, 'class').replace('classs', 'classes')}, {looked} is {listed(parts)} ({test})."


def _taken(table: pd.DataFrame, dense: pd.DataFrame, pruned: pd.DataFrame) -> str:
    """Of which class pruning takes most and least; a class whose recall rises is said to gain."""
    most, least = (table.loc[at] for at in (table["moved"].idxmax(), table["moved"].idxmin()))
    of_most, of_least = (f"class {of} ({_from_to(dense, pruned, of)} right)" for of in (most["class"], least["class"]))
    gain = f" and gives most to {of_least}" if least["moved"] < 0 else ""
    if most["moved"] <= 0:
        return f"Pruning takes from no class{gain}. "
    smallest = f" and least from {of_least}" if least["class"] != most["class"] else ""
    return f"Pruning takes most from {of_most}{gain or smallest}. "


def _from_to(dense: pd.DataFrame, pruned: pd.DataFrame, name: str) -> str:
    return f"{100 * dense['recall'][name]:.0f} to {100 * pruned['recall'][name]:.0f} %"


def confusions(table: pd.DataFrame) -> str:
    """Of each network the commonest answer and the commonest confusion. table: figures.classes.confusions_table."""
    parts = [f"{rows['label'].iloc[0]}: {_one(rows)}." for _, rows in naming.each(table)]
    return " ".join(part[0].upper() + part[1:] for part in parts)


def _one(rows: pd.DataFrame) -> str:
    total = rows["n"].sum()
    answers = rows.groupby(["answer_index", "answer"], sort=False)["n"].sum()
    text = f"commonest answer {answers.idxmax()[1]}, {100 * answers.max() / total:.0f} % of all"
    wrong = rows[rows["class_index"] != rows["answer_index"]]
    if not wrong["n"].sum():
        return f"{text}; no image is wrong"
    worst = wrong.loc[wrong["share"].idxmax()]
    share = f"{100 * worst['share']:.0f} % of class {worst['class']}"
    return f"{text}; commonest confusion: {share} answered as {worst['answer']}"
