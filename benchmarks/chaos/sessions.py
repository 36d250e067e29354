"""A session of the dashboard without a browser: it sends the server what a browser sends, and reads what it answers."""

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import ClientConnection, connect

from benchmarks.crowd import CONNECTION, PATIENCE


@dataclass
class Drawn:
    """What one run of a page sent: exceptions, texts that are Markdown or HTML, buttons as label -> id, every widget as
    (kind, id); refused: values that the server did not take."""

    errors: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    buttons: dict[str, str] = field(default_factory=dict)
    widgets: list[tuple[str, str]] = field(default_factory=list)
    refused: int = 0


@contextmanager
def session(url: str):
    """A connection of its own."""
    with connect(url.replace("http", "ws", 1) + "/_stcore/stream", **CONNECTION, origin=url) as socket:
        yield socket


def visit(socket: ClientConnection, page: str, query: str, *states: tuple[str, str, Any]) -> Drawn:
    """Have a page drawn at an address, with widgets as (id, kind of value, value)."""
    message = BackMsg()
    message.rerun_script.page_name, message.rerun_script.query_string = page, query
    for widget, kind, value in states:
        one = message.rerun_script.widget_states.widgets.add(id=widget)
        _set(one, kind, value)
    socket.send(message.SerializeToString())
    return drawn(socket)


def _set(one: Any, kind: str, value: Any) -> None:
    if kind in ("double_array_value", "int_array_value", "string_array_value"):
        getattr(one, kind).data.extend(value)
    else:
        setattr(one, kind, value)


def drawn(socket: ClientConnection) -> Drawn:
    """Read until the script has run, and once more where it asked for that."""
    found, message = Drawn(), ForwardMsg()
    while message.WhichOneof("type") != "script_finished":
        message = ForwardMsg.FromString(socket.recv(timeout=PATIENCE))
        if message.WhichOneof("type") == "delta":
            _element(found, message.delta.new_element)
    return found


def _element(found: Drawn, element: Any) -> None:
    kind = element.WhichOneof("type")
    if kind is None:
        return
    part = getattr(element, kind)
    if kind == "exception":
        found.errors.append(f"{part.type}: {part.message}")
    elif kind in ("markdown", "alert", "html"):
        found.texts.append(part.body)
    elif kind == "button":
        found.buttons[part.label] = part.id
    if getattr(part, "id", ""):
        found.widgets.append((kind, part.id))
