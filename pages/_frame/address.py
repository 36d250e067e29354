"""Every parameter of the dashboard's address. Those of a setting are the spec's own fields, by their own names.

Add a control of a page as one line in PAGES and give its widget `state.key(name)` as key.
"""

import re
from collections.abc import Callable
from typing import Any

from asr_core.errors import SpecError
from asr_core.fields import Field, choice, declarations, flag, text, whole
from asr_core.spec import recalibration, repairs
from asr_core.spec.experiment import setting_fields
from asr_core.studies import protocol

MOST = 10**7
DENSE_ID = "dense_id"


def _matching(pattern: str, what: str) -> Callable[[str, Any], str]:
    def check(name: str, value: Any) -> str:
        if not re.fullmatch(pattern, value):
            raise SpecError(f"{name} is {value[:60]!r}; that is no {what}.")
        return value

    return check


def _text(pattern: str, what: str) -> Field:
    return text(None, what, "", _matching(pattern, what), optional=True)


def _one(default: str, *choices: str) -> Field:
    return choice(default, "", "", choices)


def _many(default: tuple[str, ...], *choices: str) -> Field:
    return choice(default, "", "", choices, many=True)


def _switch() -> Field:
    return flag("", "")


SETTING: dict[str, Field] = setting_fields() | {DENSE_ID: _text("[0-9a-f]{8,64}", "identity of a dense network")}
METHOD_PARAMETERS: dict[str, Field] = repairs.parameters()
LOOK: dict[str, Field] = (
    declarations(repairs.RepairChoice) | METHOD_PARAMETERS | declarations(recalibration.Recalibration)
)
SHOWN_FIRST = {"orders": ("simultaneous",), "biases": ("off",)}  # of all that is computed
SELECTION = {
    "layer": _text(r"[A-Za-z0-9_.]{1,150}", "layer name"),
    "channel": whole(None, "Channel", "", 0, MOST, optional=True),
    "image": whole(None, "Image", "", 0, MOST, optional=True),
}
# One line per control of a page; the key of a page's widget is `state.key(name)`.
PAGES = {
    "instead": _switch(),
    "pin": _text(r"[0-9a-f]{24}~[^~]*(~[^~]*){5,6}", "pinned setting"),
    "picture": _one("png", "png", "svg"),
    "compare": _one("both", "both", "difference"),
    "scale": _one("row", "row", "map", "global"),
    "stage": _one("repaired", "repaired", "recalibrated", "predicted"),
    "cells": _one("log2", "log2", "ratio"),
    "stage_cells": _one("repaired", "repaired", "recalibrated"),
    "rows": _one("depth", "depth", "damage"),
    "colour": _one("severity", "severity", "within_spread", "dead_share", "overshoot", "achieved", "rho", "unmendable"),
    "x": _one("batches", "batches", "images"),
    "recal": _many(("reset",), "reset", "keep", "cumulative"),
    "gap": _one("logit_gap", "logit_gap", "top1_gap"),
    "gain": _one("asr_lw", "asr_lw", "asr_bn", "bn_lw"),
    "against": _one("severity", "severity", "overshoot"),
    "order2": _one("simultaneous", *repairs.ORDERS),
    "map": _one("simultaneous-off", *(f"{order}-{bias}" for order in repairs.ORDERS for bias in ("off", "on"))),
    "fix": _text(r"[a-z0-9_]{1,40}(~[^~]{0,200}){0,3}", "repair"),
    "first": _text(r"[a-z0-9_]{1,40}(~[^~]{0,200}){0,3}", "repair"),
    "second": _text(r"[a-z0-9_]{1,40}(~[^~]{0,200}){0,3}", "repair"),
    "group": _one("alone", "alone", "regained", "all", "none", "broken", "found"),
    "mapped": _one("before", "before", "after"),
    "alone": _switch(),
    "measured": _one("calibration", "calibration", "test"),
    "bars": _one("shares", "shares", "sizes"),
    "ranked": _one("damage", "channel", "damage", "gain", "disagreement"),
    "overlay": _switch(),
    "seeds": _switch(),
    "draws": _switch(),
    "part": _one("table1", "table1", "tables", "figures", "protocol", "fidelity"),
    "paper_data": _one("cifar10", *protocol.DATASETS),
    "bias2": _one("most", "most", "own", "off", "on"),
    "made": _one("stored", "stored", "paper"),
    "drawn": whole(3, "", "", 3, 12),
    "step": whole(1, "Step", "", 1, 10),
    "present": _one("0", "0", "1"),
    "talk": _text(r"[A-Za-z0-9_=-]{1,8000}", "talk"),
    "scene": whole(1, "Scene", "", 1, 99),
    "locked": _one("0", "0", "1"),
    "hidden": _text(r"[a-z0-9_]{1,40}(,[a-z0-9_]{1,40}){0,40}", "list of controls"),
    "answers": _one("1", "0", "1"),
    "room": _text(r"[a-z0-9]{1,20}", "room"),
    "tally": _one("0", "0", "1"),
    "words": _text(r"[^\x00-\x1f]{1,200}", "words of a filter"),
    "by": _one("stored", "stored", "severity", "within_share", "gain", "complete"),
}
PARAMS: dict[str, Field] = SETTING | LOOK | SELECTION | PAGES
ON_EVERY_PAGE = {*SETTING, *LOOK}


def default(name: str) -> Any:
    """Default of a parameter, as a widget takes it: several choices as a list."""
    value = SHOWN_FIRST.get(name, PARAMS[name].default)
    return list(value) if isinstance(value, tuple) else value


def read(name: str, words: str) -> Any:
    """The value that a text of the address stands for, as a widget takes it; raises SpecError."""
    value = PARAMS[name].read(name, words)
    return list(value) if isinstance(value, tuple) else value
