"""The lesson as data: ten steps, each with its view, what to predict, where the answer stands, and why.

Texts are templates over `lessonnumbers.numbers`, so that every number in them is a stored one. Bold introduces a term;
nothing uses one before (`glossary.unknown`, after the words of the front page).
"""

from dataclasses import dataclass, field
from math import isfinite, log
from string import Formatter

# Log scale for "how many times", in steps of about 1-2-5.
TIMES = tuple(float(f"{digit}e{power}") for power in range(6) for digit in (1, 2, 5))
REPAIR_NAMES = {"lw_bn": "one scalar", "raw_bn": "one factor each", "asr_bn": "shrinkage"}


@dataclass(frozen=True)
class Question:
    """What is predicted before the reveal. kind: share (in percent), times (on a log scale), layer or method.

    answer: name of the number in `lessonnumbers.numbers`.
    """

    kind: str
    text: str
    answer: str


@dataclass(frozen=True)
class Shot:
    """A view of the app. chart: 'module.CONSTANT' of asr_core.figures; what: arguments of its table; repairs: which
    ones, by their name in `lessonviews`; page: where the app shows it."""

    chart: str
    page: str
    what: dict = field(default_factory=dict)
    how: dict = field(default_factory=dict)
    repairs: str = ""


@dataclass(frozen=True)
class Step:
    """One step. before, after: what is shown before and after the reveal (None: nothing)."""

    title: str
    text: str
    question: Question
    before: Shot | None
    after: Shot
    why: str


STEPS = (
    Step(
        "What pruning does to layers",
        "**Pruning** by **global L1** set {sparsity:.0%} of a trained network's weights to zero, the smallest of all. "
        "**Layers** lost {least_removed:.0%} to {most_removed:.0%} of theirs, their **sparsity** (colour). Their "
        "**channels** now speak more softly: their **variance** over images shrank, which is their **damage**.",
        Question("layer", "In which layer did channels lose most of their variance?", "worst"),
        Shot("overview.STRIP", "overview", {"colour": "achieved"}),
        Shot("overview.STRIP", "overview", {"colour": "severity"}),
        "The mean damage of a network's or a layer's channels is its **severity**. A layer hears only what the layers "
        "before it still say, so its damage is its own and theirs.",
    ),
    Step(
        "Weak and healthy side by side",
        "Now one layer, {layer}, whose {channels} channels lost the most different amounts.",
        Question(
            "times",
            "How many times more of its variance did a healthy channel (stronger than nine tenths of them) keep than a "
            "weak one (weaker than nine tenths)?",
            "apart",
        ),
        None,
        Shot("variance.SCATTER", "variance", {"layer": "{layer}", "stage": "repaired"}),
        "Each mark is a channel: its variance when **dense** across, when pruned upward, both in powers of ten. On the "
        "dashed line nothing is lost. How far below it they lie differs {apart:.3g} times.",
    ),
    Step(
        "One scalar for all",
        "A **repair** multiplies channels by a **factor**. First: all channels of {layer} by **one scalar**, chosen so "
        "that the mean variance is right.",
        Question("share", "Which share of the channels is then still wrong by more than a factor of 2?", "missed"),
        Shot("variance.SCATTER", "variance", {"layer": "{layer}", "stage": "repaired"}),
        Shot("variance.SCATTER", "variance", {"layer": "{layer}", "stage": "predicted"}, {}, "one"),
        "One scalar lifts all marks by one distance and cannot bring them closer together. {missed:.0%} of the "
        "channels stay too weak or become too strong by more than a factor of 2.",
    ),
    Step(
        "One factor each",
        "Or give each channel its own, **one factor each**, so that its variance is exactly right. The weakest "
        "channel here kept {weakest:.2%} of its variance.",
        Question("times", "By how much must the weakest channel be multiplied?", "largest"),
        None,
        Shot("variance.SCATTER", "variance", {"layer": "{layer}", "stage": "predicted"}, {}, "each"),
        "All marks are on the line. But {largest:.3g} times is also how much louder everything in that channel grows "
        "that is not its old answer: **noise**.",
    ),
    Step(
        "Shrinkage as trust",
        "**Shrinkage** is a trust between 0 and 1: a channel's variance over the sum of it and the layer's median. Its "
        "factor is 1 plus that share of the rest.",
        Question("share", "How far is the weakest channel's factor trusted?", "trust"),
        Shot("variance.SCATTER", "variance", {"layer": "{layer}", "stage": "predicted"}, {}, "each"),
        Shot("variance.SCATTER", "variance", {"layer": "{layer}", "stage": "predicted"}, {}, "both"),
        "The weakest is trusted to {trust:.0%}. The price is paid by all: a typical channel of this layer reaches "
        "{reached:.0%} of its dense variance.",
    ),
    Step(
        "One layer after another",
        "Above, each layer was treated as if it still heard what it heard before pruning; so are the lines here, where "
        "one factor each is exactly right. In the network all {layers} layers are repaired at once, with numbers that "
        "were measured on the pruned one: **simultaneous**.",
        Question(
            "times", "How many times its dense variance has a typical channel of the last layer then?", "compounded"
        ),
        Shot("idea.DEPTH", "heatmaps", {"measured": False}),
        Shot("idea.DEPTH", "heatmaps", {"measured": True}),
        "Each layer enlarges what is enlarged already: **compounding**, {compounded:,.3g} times in the end, and "
        "{compounded_shrunk:,.3g} times with shrinkage. Measuring each layer after those before it were repaired, "
        "**sequential**, avoids it.",
    ),
    Step(
        "A number that runs away",
        "Prune more. More channels are **collapsed**: below nearly all dense variances of their layer, "
        "{collapsed_first:.0%} of them at a sparsity of {low_sparsity:.0%}, {collapsed:.0%} at {top_sparsity:.1%}. The "
        "mean in the one scalar is then made by few channels.",
        Question(
            "times", "How large is the largest one scalar of a layer at a sparsity of {top_sparsity:.1%}?", "runaway"
        ),
        None,
        Shot("runaway.RUNAWAY", "severity"),
        "If only a share of channels still speaks, the scalar's square is the dense mean over what these few add up "
        "to, and every channel is multiplied by it (eq. 22 and 23 of the paper). The shrunk factor of a collapsed "
        "channel goes to 1 instead (eq. 24 and 25).",
    ),
    Step(
        "BatchNorm takes it all back",
        "Behind each layer a **BatchNorm** divides channels by stored numbers. **Recalibration** measures these anew, "
        "here over {anew_batches} batches, and forgets the old ones. Before it, the repairs are "
        "{spread_before:.1f} points apart in **top-1 accuracy**, the best at {best_before:.1%}.",
        Question("share", "What is the best accuracy after it? ({dense_top1:.1%} when dense)", "best_after"),
        Shot("overview.ACCURACY", "overview", {"repairs": "{all}", "state": "{none}"}),
        Shot("idea.BATCHNORM", "absorption"),
        "{best_after:.1%}, and the repairs are {spread_after:.1f} points apart: a factor before a BatchNorm that is "
        "measured anew cancels. The layer is **absorbed**.",
    ),
    Step(
        "Half-forgotten starts",
        "An **ema** forgets slowly: each batch is mixed in with a weight, the **momentum**, here 0.1. The paper begins "
        "it from mean 0 and variance 1 (**reset**) and stops after 20 **batches b**.",
        Question("share", "Which share of that start is still in it after 20 batches?", "left"),
        None,
        Shot("curves.CURVES", "curves", {"repairs": "{all}", "ways": ("reset", "cumulative")}),
        "{left:.1%} is **left over** of a variance that has nothing to do with the network; at b = 20 the repairs are "
        "{spread_half:.1%} apart. A gap that closes as the start is forgotten is about the start, not the repair.",
    ),
    Step(
        "Where repair pays, and where shrinkage loses",
        "Leave BatchNorm as it is, repair layer by layer, and set each channel's mean right as well (**mean "
        "correction**). Pruned, the network has {pruned_top1:.1%}, dense {dense_top1:.1%}.",
        Question("method", "Which repair is best here?", "best_in_turn"),
        None,
        Shot("overview.ACCURACY", "overview", {"repairs": "{turn}", "state": "{none}"}),
        "Without recalibration, repair brings {best_in_turn_top1:.1%}: that is where it pays. **ASR**, the repair by "
        "shrinkage, is behind another one at {behind} of {compared} stored sparsities, by up to {behind_most:.1%} (at "
        "{behind_where:.0%}): no repair wins everywhere, so look.",
    ),
)


class _Shares(Formatter):
    """Nearly none and nearly all are not said to be none and all: 99.8%, where 100% was asked for."""

    def format_field(self, value, format_spec):
        text = super().format_field(value, format_spec)
        if format_spec.endswith("%") and 0 < value < 1 and float(text[:-1]) in (0, 100):
            return f"{100 * value:.2g}%" if value < 0.5 else f"{100 - float(f'{100 - 100 * value:.1g}'):.12g}%"
        return text


def filled(text: str, numbers: dict) -> str:
    """A template with the stored numbers; one that is not stored is said to be."""
    try:
        return _Shares().vformat(text, (), numbers)
    except (TypeError, ValueError):
        known = {name: value if isinstance(value, int | float) else str(value) for name, value in numbers.items()}
        return _Shares().vformat(text, (), known)


def said(question: Question, value) -> str:
    """An answer as a reader has it: '35 %', '6.13 times', 'shrinkage'."""
    if value is None or (isinstance(value, float) and not isfinite(value)):
        return "not stored"
    if question.kind == "share":
        return f"{100 * value:.3g} %"
    if question.kind == "times":
        return f"{value:,.3g} times" if value < 1000 else f"{value:,.0f} times"
    return REPAIR_NAMES.get(value, str(value))


def compared(question: Question, guess, answer) -> str:
    """How near a prediction was, kindly."""
    told = f"It is **{said(question, answer)}**; you said {said(question, guess)}."
    if said(question, answer) == "not stored":
        return "The answer is not stored here."
    if question.kind in ("layer", "method"):
        return f"Yes. {told}" if guess == answer else told
    if question.kind == "share":
        near = abs(guess - answer) <= 0.05
    else:
        near = abs(log(guess / answer)) <= log(1.6)
    return f"Well seen. {told}" if near else told


def paragraphs() -> list[str]:
    """Everything that the lesson says, in the order of reading, templates unfilled."""
    return [text for step in STEPS for text in (step.text, step.question.text, step.title, step.why)]
