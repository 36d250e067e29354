"""Every parameter of the dashboard's address: its default, and how its text is read and refused.

Add a control of a page as one line in PAGES and give its widget that name as key.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches

from asr_core import checks, registry
from asr_core.errors import SpecError
from asr_core.figures import style
from asr_core.networks import architectures
from asr_core.pruning.rules import BUDGET
from asr_core.spec import experiment as spec
from asr_core.spec import grid
from asr_core.store import catalogue
from asr_core.studies import protocol


@dataclass(frozen=True)
class Param:
    """One parameter: its default, and `read(text) -> value`, which raises SpecError."""

    default: object
    read: Callable


def choice(default, choices) -> Param:
    """One of `choices` (texts)."""

    def read(text):
        if text not in choices:
            near = get_close_matches(text, list(choices), n=1, cutoff=0.4)
            raise SpecError(f"{text!r} is none of {_some(choices)}" + (f"; did you mean {near[0]}?" if near else "."))
        return text

    return Param(default, read)


def _some(choices, most: int = 8) -> str:
    names = [str(name) for name in choices]
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def many(default, choices) -> Param:
    """Several of `choices`, at least one, separated by commas."""
    one = choice(None, choices)
    return Param(list(default), lambda text: [one.read(part) for part in dict.fromkeys(text.split(","))])


def number(default, low, high, whole: bool = True) -> Param:
    """A number in [low, high]."""

    def read(text):
        try:
            value = int(text) if whole else float(text)
        except ValueError:
            raise SpecError(f"{text!r} is no {'whole ' if whole else ''}number.") from None
        if not low <= value <= high:
            raise SpecError(f"{text} is outside [{low:g}, {high:g}].")
        return value

    return Param(default, read)


def matching(default, pattern: str, what: str) -> Param:
    """A text of a fixed form."""

    def read(text):
        if not re.fullmatch(pattern, text):
            raise SpecError(f"{text[:60]!r} is no {what}.")
        return text

    return Param(default, read)


def _dataset(text):
    if re.fullmatch(r"folder:[0-9a-f]{8,64}", text):
        return text
    return choice(None, [name for name in spec.DATASETS if name != "folder"]).read(text)


def _floors(text):
    held = catalogue.floors_of(text)
    return catalogue.floors_text({name: BUDGET[name].check(name, value) for name, value in held.items()})


def switch(default: bool = False) -> Param:
    """On or off."""
    return Param(default, lambda text: choice(None, ("on", "off")).read(text) == "on")


METHODS = style.methods()
MOST = 10**7

SETTING = {
    "data": Param("digits", _dataset),
    "size": number(32, 8, 1024),
    "norm": choice("dataset", spec.NORMALIZATIONS),
    "classes": number(None, 2, MOST),
    "net": choice("resnet18", architectures.ARCHITECTURES),
    "stem": choice("imagenet", architectures.STEMS),
    "head": choice("torchvision", architectures.HEADS),
    "source": choice("scratch", spec.SOURCES),
    "epochs": number(catalogue.RECIPE.epochs, 1, 10_000),
    "batch": number(catalogue.RECIPE.batch_size, 2, 10**6),
    "lr": number(None, 1e-9, 1e3, whole=False),
    "precision": choice(catalogue.RECIPE.precision, spec.PRECISIONS),
    "average": switch(),
    "weights": matching(None, "[0-9a-f]{8,64}", "digest of a weights file"),
    "seed": number(0, 0, MOST),
    "dense": matching(None, "[0-9a-f]{8,64}", "identity of a dense network"),
    "rule": choice("global_l1", registry.names("pruning rule")),
    "sparsity": Param(0.95, checks.checked_sparsity),
    "nm": matching("2:4", "[0-9]{1,3}:[0-9]{1,3}", "N:M pattern such as 2:4"),
    "linear": switch(),
    "floors": Param(None, _floors),
    "stats": number(64, 2, MOST),
    "calib": number(128, 2, MOST),
    "draw": number(None, 0, MOST),
    "eval": number(None, 1, MOST),
}
LOOK = {
    "methods": many(("bn_only", "lw_bn", "raw_bn", "asr_bn"), METHODS),
    "orders": many(("simultaneous",), grid.ORDERS),
    "biases": many(("off",), ("off", "on")),
    "prior": choice("median", ("median", "mean", "fixed")),
    "start": choice("reset", grid.STARTS),
    "averaging": choice("ema", grid.AVERAGINGS),
    "momentum": number(0.1, 1e-6, 1, whole=False),
    "b": number(20, 0, 10_000),
}
SELECTION = {
    "layer": matching(None, r"[A-Za-z0-9_.]{1,150}", "layer name"),
    "channel": number(None, 0, MOST),
    "image": number(None, 0, MOST),
}
# One line per control of a page; a page's widget uses the name as its key.
PAGES = {
    "pin": matching(None, r"[0-9a-f]{24}~[a-z,]+~[a-z,]+~[a-z]+~[a-z]+~[0-9.e-]+~[0-9]+", "pinned setting"),
    "picture": choice("png", ("png", "svg")),
    "compare": choice("both", ("both", "difference")),
    "scale": choice("row", ("row", "map", "global")),
    "stage": choice("repaired", ("repaired", "recalibrated", "predicted")),
    "cells": choice("log2", ("log2", "ratio")),
    "stage_cells": choice("repaired", ("repaired", "recalibrated")),
    "rows": choice("depth", ("depth", "damage")),
    "colour": choice("severity", ("severity", "within_spread", "dead_share", "overshoot", "achieved")),
    "x": choice("batches", ("batches", "images")),
    "recal": many(("reset",), ("reset", "keep", "cumulative")),
    "gap": choice("logit_gap", ("logit_gap", "top1_gap")),
    "gain": choice("asr_lw", ("asr_lw", "asr_bn", "bn_lw")),
    "against": choice("severity", ("severity", "overshoot")),
    "order2": choice("simultaneous", grid.ORDERS),
    "map": choice("simultaneous-off", [f"{order}-{bias}" for order in grid.ORDERS for bias in ("off", "on")]),
    "fix": matching(None, r"[a-z0-9_.=]{1,80}", "repair"),
    "mapped": choice("before", ("before", "after")),
    "ranked": choice("damage", ("channel", "damage", "gain", "disagreement")),
    "overlay": switch(),
    "seeds": switch(),
    "part": choice("table1", ("table1", "tables", "figures", "protocol", "fidelity")),
    "paper_data": choice("cifar10", protocol.DATASETS),
    "bias2": choice("own", ("own", "off", "on")),
    "made": choice("stored", ("stored", "paper")),
    "drawn": number(3, 3, 12),
}
PARAMS = SETTING | LOOK | SELECTION | PAGES
ON_EVERY_PAGE = {*SETTING, *LOOK}
