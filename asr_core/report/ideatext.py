"""The front page in words: what is said before the bars, and three steps on a stored result.

Bold introduces a term; nothing uses one before (`glossary.unknown`).
"""

from dataclasses import dataclass
from typing import Any

TITLE = "The idea"
INTRO = (
    "A network for images is made of **layers**, and each layer of **channels**: each listens for one pattern. How "
    "strongly a channel speaks is its **variance**, the height of its bar below. Dashed outlines are the **dense** "
    "network, with all its weights.",
    "**Pruning** throws small weights away, and channels fall silent, each by a different amount. A **repair** "
    "multiplies what is left by a **factor**, without any training: **one scalar** for the whole layer; **one factor "
    "each**; or **shrinkage**, which trusts a channel's own factor only as far as something is left of the channel. "
    "Hatched is **noise**: what a channel says that has nothing to do with its old answers.",
    "Drag a bar to **damage** a channel, or choose it with Tab and use the arrow keys; then try the repairs.",
)
RULE = "Of all that is stored, the network shown is the one in which pruning took about half of what its channels had."
WAYS = {"none": "Pruned", "one": "One scalar", "each": "One factor each", "shrunk": "Shrinkage"}
AFTER = (
    "**One scalar** cannot fit channels that lost different amounts: the healthy ones rise above their outlines, the "
    "weak ones stay weak. **One factor each** fits all; but where nearly nothing is left it enlarges noise. "
    "**Shrinkage** leaves such a channel alone, and pays for it: nobody quite reaches the outline. That one number is "
    "too coarse for many channels is the granularity mismatch. The numbers of these bars are made up, the formulas are "
    "those of the tool."
)


@dataclass(frozen=True)
class Shown:
    """A step on a stored result. chart: name of a figure; what: arguments of its table; after: what to see in it."""

    title: str
    text: str
    chart: str
    after: str
    what: tuple[tuple[str, Any], ...] = ()


STEPS = (
    Shown(
        "The same in a real layer",
        "Now a trained network, pruned. These are eight channels of the layer in which channels lost the most "
        "different amounts, as if the layer still heard what it heard before pruning. On the dashed line a channel is "
        "repaired. Each step of the upright axis is a multiple.",
        "idea.LAYER",
        "The marks of one scalar lie as far apart as those of the pruned layer: it moves all alike. One factor each "
        "puts every mark on the line.",
    ),
    Shown(
        "Through all layers",
        "In the network the layers stand one after another. Each factor was measured on the pruned network, and none "
        "knows that the layers before it are repaired too. So gains multiply: this is **compounding**.",
        "idea.DEPTH",
        "What was right for each layer alone can be far too much for all together. Shrinkage holds back here as well.",
    ),
    Shown(
        "When stored numbers are measured anew",
        "Most networks have a **BatchNorm** behind each layer: it divides each channel by a stored number. Measure "
        "those numbers anew on training images, still without training, and a channel that speaks twice as loud is "
        "divided by twice as much.",
        "idea.BATCHNORM",
        "Measured anew, BatchNorm undoes every factor, and all repairs are one network: what matters then is not which "
        "repair was chosen. When does the choice matter? That is what this tool is for.",
    ),
)


def paragraphs() -> list[str]:
    """Everything that the page says, in the order of reading."""
    told = [*INTRO, *WAYS.values(), AFTER]
    for step in STEPS:
        told += [step.title, step.text, step.after]
    return told
