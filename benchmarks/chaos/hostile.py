"""Addresses and websocket values that nobody sends by accident: no error is shown, nothing runs or reaches out."""

import json
import re
from random import Random
from urllib.parse import quote

from benchmarks import dashboard
from benchmarks.chaos import sessions
from benchmarks.chaos.ground import Ground, environment
from benchmarks.chaos.tally import Tally
from benchmarks.load import PAGES

MARK = "chaosmark"
LIVE = rf"\]\(http://127\.0\.0\.1:9/{MARK}|(?<!\\)<script>{MARK}|(?<!\\)<img src=x onerror={MARK}"  # not escaped
PICTURE = f"![x](http://127.0.0.1:9/{MARK}.png)"
VALUES = (
    "", " ", "\x00", "null", "nan", "-1", "1e999", "-inf", "0x10", "9" * 400, "a" * 20_000, "é" * 3000,
    "../../etc/passwd", "%2e%2e%2f", "'; drop table x;--", "${jndi:ldap://127.0.0.1:9}", "{{7*7}}", "[](", "`" * 50,
    PICTURE, f"[y](http://127.0.0.1:9/{MARK})", f"<script>{MARK}()</script>", f"<img src=x onerror={MARK}()>",
    f"javascript:{MARK}()", "\u202eabc", "\ud7ff", "true", "[]", "{}", "[[[[[[", "~" * 30, ",,,,", "asr_bn," * 500,
    "folder:/etc", "folder:", "torchvision:resnet18", "os:system", "__import__", "file.py:main", "1;2", "0.5,0.5",
)  # fmt: skip
TABLE = "arrow_data_frame"
NO_JSON = "{"  # which no component sends
KINDS = {
    "string_value": VALUES,
    "double_value": (float("nan"), float("inf"), -1e308, 0.0),
    "int_value": (-(2**63), 2**63 - 1, 0),
    "bool_value": (True, False),
    "json_value": (NO_JSON, "[]", "null", '{"a":' * 500 + "1" + "}" * 500, f'"{PICTURE}"', '{"__proto__": 1}'),
    "string_array_value": ([PICTURE] * 3, ["x"] * 5000, []),
    "double_array_value": ([float("nan")] * 3, [1e308, -1e308], []),
    "int_array_value": ([-1, 2**40], [], [0] * 5000),
    "bytes_value": (b"\x00\xff" * 500,),
    "trigger_value": (True,),
}
# what a table sends as its text: rows, of which there need not be as many, and columns
SELECTED = tuple(
    json.dumps({"selection": {"rows": rows, "columns": [PICTURE], "cells": []}})
    for rows in ([], [0], [-1], [10**9], [0] * 5000)
)
OWN = {  # what each kind of widget sends
    "selectbox": "string_value",
    "text_input": "string_value",
    "text_area": "string_value",
    "radio": "string_value",
    "number_input": "double_value",
    "slider": "string_array_value",  # of options
    "button_group": "string_array_value",
    "multiselect": "string_array_value",
    "checkbox": "bool_value",
    "button": "trigger_value",
    "bidi_component": "json_value",
    TABLE: "string_value",
}
OTHER = "values of another kind, refused in that session"
NEVER = ("cancel", "compute", "measure")  # what these buttons do is asked elsewhere


def addresses(ground: Ground, count: int, chance: Random) -> Tally:
    """Half of them are addresses, half are values of widgets on the page, of their own kind and of others."""
    from pages._frame.address import PARAMS

    tally, folder = Tally("hostile addresses and websocket values"), ground.folder / "hostile"
    dashboard.cache_with_shipped(folder)
    with environment(ASR_WORKER_IDLE=0), dashboard.served(folder) as server:
        for number in range(count):
            with sessions.session(server.url) as socket:
                ask = (_address, _widget, _address, _other)[number % 4]
                _judge(tally, *ask(socket, list(PARAMS), chance))
        with sessions.session(server.url) as socket:
            if sessions.visit(socket, "overview", "").errors or server.process.poll() is not None:
                tally.broken.append("the server is not what it was")
    if (folder / "jobs").exists() and list((folder / "jobs").glob("[0-9a-f]*")):
        tally.broken.append("an address or a value started a job")
    return tally


def _address(socket, names: list[str], chance: Random):
    """A page at an address with one to four odd values."""
    chosen = {chance.choice(names): chance.choice(VALUES) for _ in range(chance.randint(1, 4))}
    query = "&".join(f"{name}={quote(value, errors='surrogatepass')}" for name, value in chosen.items())
    page = chance.choice(PAGES) if chance.random() < 0.9 else chance.choice(("../x", "nope", PICTURE))
    return f"{page}?{query[:200]}", sessions.visit(socket, page, query)


def _widget(socket, names: list[str], chance: Random):
    """A page, then an odd value for one of its widgets."""
    page, kind, widget = _chosen(socket, chance)
    field = OWN.get(kind, "string_value")
    values = SELECTED if kind == TABLE else [value for value in KINDS[field] if value != NO_JSON]
    value = chance.choice(values)
    return f"{page} {kind} {str(value)[:80]!r}", sessions.visit(socket, page, "", (widget, field, value))


def _other(socket, names: list[str], chance: Random):
    """The same with a value of a kind that the widget never sends: Streamlit refuses some, in that session alone; the
    next one sees whether the server is what it was."""
    page, kind, widget = _chosen(socket, chance)
    field = chance.choice([name for name in KINDS if name != OWN.get(kind)])
    value = chance.choice(KINDS[field])
    found = sessions.visit(socket, page, "", (widget, field, value))
    found.refused, found.errors = int(bool(found.errors)), []
    return f"{page} {kind} {field}={str(value)[:80]!r}", found


def _chosen(socket, chance: Random) -> tuple[str, str, str]:
    """A page, and kind and id of one of its widgets."""
    page = chance.choice(PAGES)
    found = sessions.visit(socket, page, "")
    known = [(kind, name) for kind, name in found.widgets if not any(word in name for word in NEVER)]
    return page, *(chance.choice(known) if known else ("none", "$$ID-0-None"))


def _judge(tally: Tally, asked: str, found: sessions.Drawn) -> None:
    tally.tries += 1
    tally.counted[OTHER] = tally.counted.get(OTHER, 0) + found.refused
    tally.broken += [f"{asked}: {error}" for error in found.errors]
    tally.broken += [f"{asked} is read as markup: {text[:200]!r}" for text in found.texts if _live(text)]


def _live(text: str) -> bool:
    """Whether a text that a browser reads as Markdown or HTML carries a hostile value as such."""
    return re.search(LIVE, text) is not None
