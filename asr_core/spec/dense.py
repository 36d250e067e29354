"""How the dense network came to be. Imports neither torch nor pandas."""

from dataclasses import dataclass
from typing import Any, Self

from asr_core.checks import digest
from asr_core.errors import SpecError
from asr_core.fields import Part, choice, declared, flag, number, text, whole

SOURCES = ("scratch", "imagenet", "file")
PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True, kw_only=True)
class DenseSpec(Part):
    """How the dense network came to be: the recipe, not the weights."""

    source: str = declared(
        choice(
            "scratch",
            "Source",
            "Dense network: scratch (all layers trained), imagenet (pretrained, last block and head fine-tuned), "
            "file (a state_dict).",
            SOURCES,
        )
    )
    epochs: int = declared(whole(5, "Epochs", "Training epochs of the dense network.", 1, 10_000))
    batch_size: int = declared(whole(64, "Batch size", "Images of a training batch.", 2, 10**6, unit="images"))
    learning_rate: float | None = declared(
        number(None, "Learning rate", "Peak learning rate.", optional=True, none="the recipe's", low=1e-9, high=1e3)
    )
    precision: str = declared(
        choice(
            "float32",
            "Precision",
            "Of the forward pass in training (bfloat16: faster on processors that have it; evaluation is float32).",
            PRECISIONS,
        )
    )
    average: bool = declared(
        flag("Average the weights", "A moving average of the weights over the last steps of training.", silent=True)
    )
    seed: int = declared(whole(0, "Seed", "Seed of training.", 0, 10**7))
    weights_digest: str | None = declared(
        text(None, "Weights", "Digest of a weights file.", digest, optional=True, derived=True)
    )

    @classmethod
    def pick(cls, **values: Any) -> Self:
        """As for every part; a file has no recipe, and what has a recipe no file."""
        if values.get("source") != "file":
            return super().pick(**values | {"weights_digest": None})
        return super().pick(source="file", seed=values.get("seed"), weights_digest=values.get("weights_digest"))

    def check_together(self) -> None:
        if (self.source == "file") != (self.weights_digest is not None):
            raise SpecError("source 'file' needs a weights file, and only it takes one (--weights FILE).")
