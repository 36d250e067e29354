"""The whole state of the dashboard as named parameters: widget <-> session <-> address.

A widget whose key is `key(name)`, of a name in PARAMS, needs nothing more: its value is in the address, survives a
change of page, and comes back from a pasted link. Give such a widget no default; `key` provides it.
"""

from difflib import get_close_matches

import streamlit as st

from asr_core.errors import AsrError
from pages._frame import address as addresses
from pages._frame import arrival
from pages._frame.address import ON_EVERY_PAGE, PARAMS, SETTING

STATE, ADDRESS, COMPLAINTS, PAGE, DRAWN = "_state", "_address", "_complaints", "_page", "_widgets"
NOW = "_drawing"  # the widgets that this run has drawn so far; between runs those that are on the screen
TOUCHED = "_touched"  # whether a widget has changed something since the session began
WRITTEN = "_written"  # the last addresses that were written
REMEMBERED = 20
SPELLED = "_spelled"  # parameters that the address names though they have their default
GIVEN = "_given"  # what an address named and nobody has tried or changed since: what is wrong with that is said
LED = "_led"  # the setting of the last run
UNCHOSEN = "_unchosen"  # (setting, look): what no address has named since the session began, and nobody has chosen yet


def begin(page: str) -> None:
    """Take the state from the widgets, or from an address that is new.

    STATE is the truth. The session is believed only for widgets that the last run drew on this same
    page: for others it may hold an older value. What a new address does not name is left to `unchosen`.
    """
    session = st.session_state
    state = session.setdefault(STATE, {})
    named = st.query_params.to_dict()
    behind = _is_behind(page, named)
    if session.get(PAGE) != page:
        session[PAGE], session[DRAWN] = page, session.get(DRAWN, set()) & ON_EVERY_PAGE
    session[NOW] = set()
    changed = _take()
    session[TOUCHED] = session.get(TOUCHED, False) or bool(changed)
    fresh = not state or bool(named and named != session.get(ADDRESS) and not changed and not behind)
    if fresh:
        session[GIVEN] = set(named)
    elif _setting() != session.get(LED):  # its address led elsewhere
        session[GIVEN] = set()
    if changed or (not fresh and address() != session.get(ADDRESS)):  # chosen by a widget, or in a callback
        session[COMPLAINTS] = []
        arrival.chosen()
    if fresh:
        arrival.led()
        state |= _from_address(named)
        session[ADDRESS], session[SPELLED] = named, named.keys() & {"methods"}
        session[UNCHOSEN] = not named.keys() & SETTING.keys(), not named.keys() & addresses.LOOK.keys()


def key(name: str) -> str:
    """The key of a parameter's widget, to be asked where the widget is drawn: it gets the parameter's value.

    >>> st.selectbox("Layer", layers, key=state.key("layer"))  # doctest: +SKIP
    """
    session, value = st.session_state, st.session_state[STATE][name]
    # A widget that appears in this run takes the value only if it is set in this run; one that stays
    # is left alone, so that a quick second click is not overwritten.
    if name not in session[DRAWN] or name not in session or session[name] != value:
        session[name] = _copy(value)
    session[NOW].add(name)
    return name


def unchosen() -> tuple[bool, bool]:
    """Whether the setting, and whether the look, is still to be chosen; said once."""
    setting, look = st.session_state.pop(UNCHOSEN, (False, False))
    usual = all(get(name) == addresses.default(name) for name in SETTING)  # a button of a lesson may have chosen one
    return setting and usual, look


def leave() -> None:
    """Take the state from the widgets before another page opens: this run draws none, and of such widgets Streamlit
    says an older value in the next."""
    _take()
    st.session_state[DRAWN] = st.session_state[NOW] = set()


def _take() -> set[str]:
    """Take what the widgets of the last run say; names of what they changed."""
    session, state = st.session_state, st.session_state[STATE]
    drawn = session.get(DRAWN, set())
    changed = {name for name in drawn if name in session and session[name] != state[name] and not _lost(name)}
    state |= {name: session[name] for name in changed}
    _forget(changed)
    return changed


def _forget(names: set[str]) -> None:
    """What an address gave is no longer so for these parameters."""
    st.session_state[GIVEN] = st.session_state.get(GIVEN, set()) - names


def _setting() -> dict:
    """What is looked at, whatever the look."""
    return {name: st.session_state[STATE].get(name) for name in (*SETTING, "instead")}


def _is_behind(page: str, named: dict[str, str]) -> bool:
    """Whether a busy browser says an address that this session has replaced since. Links and buttons open a page with
    none, so that one on another page is a step back to it."""
    session = st.session_state
    return page == session.get(PAGE) and named in session.get(WRITTEN, [])


def _lost(name: str) -> bool:
    """Whether a widget says what its parameter cannot be: nothing, as Streamlit's buttons in a row do back on their
    page, or a label that it no longer has."""
    value, default = st.session_state[name], addresses.default(name)
    if value in (None, []):
        return default not in (None, [])
    try:
        addresses.read(name, show(name, value))
    except (AsrError, TypeError, ValueError):  # also of a kind that no widget of ours sends
        return True
    return False


def _from_address(address: dict[str, str]) -> dict:
    """Values of an address, defaults where it is silent; what cannot be read becomes a complaint."""
    values = {name: addresses.default(name) for name in PARAMS}
    st.session_state[COMPLAINTS] = []
    for name, text in address.items():
        if name not in PARAMS:
            near = get_close_matches(name, list(PARAMS), n=1)
            complain(
                f"The address has an unknown part {name[:40]!r}"
                + (f"; did you mean {near[0]}?" if near else "; it is ignored.")
            )
            continue
        try:
            values[name] = addresses.read(name, text)
        except AsrError as error:
            complain(f"In the address: {error} Using {show(name, values[name]) or 'none'}.")
    return values


def _copy(value):
    return list(value) if isinstance(value, list) else value


def show(name: str, value) -> str:
    """A value as it stands in the address."""
    return PARAMS[name].text(value)


def address() -> dict[str, str]:
    """The state as address parameters: `dataset`, once a setting is chosen, and SPELLED always, the rest where it is
    not the default."""
    state, always = st.session_state[STATE], {*st.session_state.get(SPELLED, ())}
    if not st.session_state.get(UNCHOSEN, (False,))[0]:
        always |= {"dataset"}
    changed = {name: value for name, value in state.items() if value != addresses.default(name) or name in always}
    return {name: text for name, value in changed.items() if (text := show(name, value))}


def spell(names: set[str]) -> None:
    """Have the address name these parameters also where they have their default: a fresh browser would else choose."""
    st.session_state[SPELLED] = names


def finish(whole: bool) -> None:
    """Remember the widgets that this run drew (all of them if it was `whole`), and write the state into the address."""
    session = st.session_state
    session[STATE] |= {name: session[name] for name in session[NOW]}
    session[DRAWN] = session[NOW] = session[NOW] if whole else session[DRAWN] | session[NOW]
    session[LED], text = _setting(), address()
    session[WRITTEN] = [*session.get(WRITTEN, []), text][-REMEMBERED:]
    if st.query_params.to_dict() != text:
        st.query_params.from_dict(text)
    session[ADDRESS] = text


def get(name: str):
    """Present value of a parameter: what its widget says, where there is one."""
    return values([name])[name]


def values(names) -> dict:
    """Present values of some parameters, by name."""
    session = st.session_state
    drawn, state = session.get(NOW, ()), session[STATE]
    return {name: session[name] if name in drawn and name in session else state[name] for name in names}


def touched() -> bool:
    """Whether somebody has chosen something here by hand: an address alone has not."""
    return st.session_state.get(TOUCHED, False)


def before(name: str):
    """Its value before the choice that a callback is about."""
    return st.session_state[STATE][name]


def put(**values) -> None:
    """Set parameters: from a callback, or before their widgets are drawn."""
    _forget(set(values))
    for name, value in values.items():
        st.session_state[STATE][name] = _copy(value)
        if name in st.session_state[DRAWN] | st.session_state[NOW]:
            st.session_state[name] = _copy(value)


def complain(text: str) -> None:
    """Tell the user, above the page, until the next choice, what was wrong and what is shown instead."""
    found = st.session_state.setdefault(COMPLAINTS, [])
    if text not in found:
        found.append(text)


def complaints() -> list[str]:
    """What is wrong with the address, as told by `complain`."""
    return st.session_state.get(COMPLAINTS, [])


def keep_within(name: str, options, what: str):
    """The parameter's value if it is among `options`; else the nearest one, or the first if it was unset.

    Complains of a value that came with an address: the others were offered here, for another network.
    """
    value, options = get(name), list(options)
    if value in options or not options:
        _forget({name})
        return value
    if value is None:
        put(**{name: options[0]})
        return options[0]
    numeric = isinstance(value, (int, float)) and not isinstance(value, bool)
    near = (
        min(options, key=lambda o: abs(o - value))
        if numeric
        else next(iter(get_close_matches(value, options, n=1, cutoff=0)), options[0])
    )
    if name in st.session_state.get(GIVEN, ()):
        complain(f"{what} has no {name} {value!r}; showing {near!r}.")
    put(**{name: near})
    return near


def go(page: str, **values) -> None:
    """Set parameters and open a page (`variance` for pages/variance.py): from a callback."""
    put(**values)
    st.session_state["_goto"] = page
