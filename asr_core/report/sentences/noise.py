"""Sentences about chance: what is certain of a difference, what would settle it, how far factors move."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from asr_core.measure.statistics import AHEAD, BEHIND, EQUAL, UNMEASURED
from asr_core.report.words import counted, listed
from asr_core.spec import labels
from asr_core.spec.repairs import RepairSpec
from asr_core.store.tables import networks
from asr_core.studies.noise import FEWEST

SETTLED = (AHEAD, BEHIND)
SOURCES = {"images": "test images", "draw": "calibration draws", "seed": "training seeds"}


def differences(table: pd.DataFrame) -> str:
    """How many differences are certain against each noise. table: figures.noise.differences_table."""
    pairs = len(table)
    if not pairs:
        return "Fewer than two networks are stored in this state, so there is no difference."
    parts = []
    for name, what in SOURCES.items():
        words = table[f"{name}_word"]
        if words.eq(UNMEASURED).all():
            parts.append(f"not measured over {what} ({_stored(table, name)})")
        else:
            sure = int(words.isin(SETTLED).sum())
            parts.append(f"{sure} of {pairs} told apart over {what}{_how_many(table, name)}")
    return f"Of {counted(pairs, 'difference')}: {'; '.join(parts)}. Each is corrected by Holm for all of them."


def _stored(table: pd.DataFrame, name: str) -> str:
    if name == "images":
        return "not kept per image"
    most = int(table[f"{name}s"].max())
    return f"{most} stored, at least {FEWEST} are needed"


def _how_many(table: pd.DataFrame, name: str) -> str:
    return "" if name == "images" else f" ({int(table[f'{name}s'].max())} stored)"


def one(row) -> str:
    """What is certain of one difference, and what would settle it. row: of figures.noise.differences_table."""
    parts = [f"{row.first_label} minus {row.second_label}: {100 * row.gain:+.1f} points at this draw"]
    known = np.isfinite(row.low)
    interval = f" [{100 * row.low:+.1f}, {100 * row.high:+.1f}]" if known else ""
    parts[0] += f"{interval} ({row.images_word} on these images)"
    if row.draws >= FEWEST:
        parts.append(
            f"over {counted(int(row.draws), 'draw')} {100 * row.draw_mean:+.1f}, standard deviation "
            f"{100 * row.draw_sd:.1f} ({row.draw_word}; {int(row.draws_ahead)} of them above 0)"
        )
    if row.seeds >= FEWEST:
        parts.append(
            f"over {counted(int(row.seeds), 'seed')} {100 * row.seed_mean:+.1f}, standard deviation "
            f"{100 * row.seed_sd:.1f} ({row.seed_word})"
        )
    return f"{'; '.join(parts)}. {settle(row)}"


def settle(row) -> str:
    """What more would tell the two apart, of each noise that does not yet."""
    needs = [
        f"{_number(row.images_needed)} test images" if row.images_word == EQUAL else "",
        f"{_number(row.draws_needed)} draws" if row.draw_word in (EQUAL, UNMEASURED) else "",
        f"{_number(row.seeds_needed)} seeds" if row.seed_word in (EQUAL, UNMEASURED) else "",
    ]
    asked = [need for need in needs if need and not need.startswith("?")]
    unknown = [what for need, what in zip(needs, ("images", "draws", "seeds"), strict=True) if need.startswith("?")]
    text = f"A difference of this size would be told apart with {listed(asked)} in all." if asked else ""
    if unknown:
        text += f"{' ' if text else ''}How many {listed(unknown, 'or')} it would take cannot be told from those stored."
    return text or "It is told apart against all three noises."


def _number(value: float) -> str:
    if not np.isfinite(value):
        return "? "
    return f"{int(value):,}" if value < 1e7 else "over 10,000,000"


def methods(table: pd.DataFrame) -> str:
    """How large each noise is, over the methods. table: figures.noise.methods_table."""
    parts = []
    for name, what in SOURCES.items():
        values = table[f"{name}_sd"].dropna()
        if values.empty:
            parts.append(f"{what}: not measured" if name == "images" else f"{what}: too few ({_stored(table, name)})")
        else:
            low, high = (f"{100 * v:.1f}" for v in (values.min(), values.max()))
            parts.append(f"{what}: {low if low == high else f'{low} to {high}'} points")
    return f"Standard deviation of an accuracy by chance, over {counted(len(table), 'network')}: {'; '.join(parts)}."


def factors(found: pd.DataFrame, repairs: Iterable[RepairSpec]) -> str:
    """How far one channel's factors move with the calibration draw. found: the channel's rows of
    pipeline.factors.widest; repairs: those that are shown."""
    shown = [repair for repair in repairs if repair.order]
    names, shared = labels.labels(shown)
    rows = dict(zip(networks(found), found.itertuples(), strict=True))
    absent = [names[repair] for repair in shown if repair not in rows]
    if not shown:
        return "No network that is shown has a factor here."
    if len(absent) == len(shown):
        return f"How far factor γ of {listed(absent)} moves with the calibration draw is not stored."
    parts = [f"{names[repair]} {_factor(rows[repair])}" for repair in shown if repair in rows]
    missing = f" It is not stored of {listed(absent)}." if absent else ""
    behind = f" ({shared})" if shared else ""
    return f"Factor γ over calibration draws, mean ± standard deviation{behind}: {'; '.join(parts)}.{missing}"


def _factor(row) -> str:
    finite = np.isfinite(row.mean) and np.isfinite(row.std)
    return (f"{row.mean:.4g} ± {row.std:.2g}" if finite else "not finite") + f" ({row.draws} draws)"
