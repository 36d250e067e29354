"""Users whose browsers run elsewhere: they send the server what a real browser sent, and read all that it answers.

Ten browsers on the server's own machine take the processor from each other and from the server; real users bring
their own. What they send is recorded from a real browser's click, so it is what the dashboard is asked in use.
"""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import ClientConnection, connect

from benchmarks import dashboard, stopwatch

PATIENCE = 120.0  # seconds for an answer
# Without pings: a server that is busy for long has not gone away.
CONNECTION = {"subprotocols": ["streamlit"], "max_size": None, "open_timeout": PATIENCE, "ping_interval": None}


def recorded(context, url: str, selectors: list[str]) -> tuple[bytes, list[bytes]]:
    """What a browser sends to open a page, and for a click on each of `selectors` in turn."""
    sent: list[bytes] = []
    page = context.new_page()
    page.on("websocket", lambda socket: socket.on("framesent", lambda frame: sent.append(frame)))
    page.goto(url)
    dashboard.finished(page, PATIENCE)
    opening, clicks = sent[0], []
    for selector in selectors:
        before = len(sent)
        page.click(selector)
        while len(sent) == before:
            page.wait_for_timeout(50)
        clicks.append(sent[before])
        dashboard.finished(page, PATIENCE)
    page.close()
    return opening, clicks


@contextmanager
def users(url: str, count: int, opening: bytes):
    """Connections of `count` users who have opened a page on the server at `url`."""
    with ExitStack() as stack:
        address = url.replace("http", "ws", 1) + "/_stcore/stream"
        found = [stack.enter_context(connect(address, **CONNECTION, origin=url)) for _ in range(count)]
        for user in found:
            _ask(user, opening)
        yield found


def _ask(user: ClientConnection, frame: bytes) -> None:
    """Send `frame`, and read until the script has run; raises RuntimeError if the page shows an error."""
    user.send(frame)
    message = ForwardMsg()
    while message.WhichOneof("type") != "script_finished":
        message = ForwardMsg.FromString(user.recv(timeout=PATIENCE))
        if message.delta.new_element.HasField("exception"):
            raise RuntimeError(f"a user elsewhere saw: {message.delta.new_element.exception.message}")


def among(others: list[ClientConnection], frame: bytes, page, chart: str, selector: str) -> float:
    """Milliseconds from a click in the real browser's `page` to its new chart, while `others` send their click too."""
    with ThreadPoolExecutor(len(others)) as threads:
        asked = []

        def everybody():
            asked.extend(threads.submit(_ask, user, frame) for user in others)
            page.click(selector)

        time = stopwatch.timed(page, chart, everybody)
        for answer in asked:
            answer.result()
    return time
