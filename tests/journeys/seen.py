"""What a walker sees: every control with its value, and what the address says of it."""

from typing import Any

from asr_core import registry
from asr_core.spec import labels
from pages._frame import address as addresses
from pages._frame.address import PARAMS
from pages._frame.controls import said

DATASET = "_images"
# Of each key that is on the page: kind, value as it is shown, whether it can be used, and the ends of a number.
CONTROLS = """keys => Object.fromEntries(keys.flatMap(key => {
    const box = document.querySelector(`.st-key-${key}`), find = what => box.querySelector(what);
    if (!box?.getClientRects().length || box.closest('[inert], details:not([open])')) return [];
    const side = !!box.closest('[data-testid=stSidebar]');
    const made = (kind, input, value, more) => [[key, {kind, side, value, off: input.disabled, ...more}]];
    let found;
    if (found = find('input[type=range]')) return made('slider', found, found.getAttribute('aria-valuetext'));
    if (found = find('input[role=switch]')) return made('switch', found, found.checked);
    if (found = find('input[role=combobox]')) return made('select', found, found.value || found.placeholder);
    if (found = find('input[type=number]'))
        return made('number', found, found.value, {low: found.min, high: found.max, step: found.step});
    const buttons = [...box.querySelectorAll('[role=toolbar] button, [role=radiogroup] button')];
    const on = b => (b.getAttribute('aria-checked') ?? b.getAttribute('aria-pressed')) === 'true';
    return buttons.length ? made('buttons', buttons[0], buttons.filter(on).map(b => b.innerText.trim()),
        {all: buttons.map(b => b.innerText.trim())}) : [];
}))"""


def controls(page) -> dict[str, dict]:
    """All controls whose key is a parameter of the address, and that of the dataset."""
    return page.evaluate(CONTROLS, [*PARAMS, DATASET, "_other_sparsity"])


def value(address: dict[str, str], name: str) -> Any:
    """What an address says of a parameter."""
    return addresses.read(name, address[name]) if name in address else addresses.default(name)


def disagreements(address: dict[str, str], shown: dict[str, dict]) -> list[str]:
    """Controls of the sidebar that show something else than the address says."""
    named = {name: control for name, control in shown.items() if control["side"] and name in PARAMS}
    wrong = [
        f"{name} shows {control['value']!r}, the address says {value(address, name)!r}"
        for name, control in named.items()
        if not agrees(name, control, value(address, name))
    ]
    dataset = shown.get(DATASET, {}).get("value")
    label = registry.get("image source", value(address, "dataset")).label
    if dataset is not None and value(address, "dataset") != "folder" and dataset != label:
        wrong.append(f"the dataset's control shows {dataset!r}, the address says {label!r}")
    return wrong


def agrees(name: str, control: dict, wanted: Any) -> bool:
    """Whether a control shows a value."""
    field, seen = PARAMS[name], control["value"]
    if control["kind"] == "number":
        return seen != "" and float(seen) == float(wanted)
    if control["kind"] == "switch":
        return seen == wanted
    if control["kind"] == "buttons":
        words = labels.method_label if name == "methods" else field.text
        return set(seen) == set(map(words, wanted))
    if name == addresses.DENSE_ID:
        return seen == (wanted[:12] if wanted else "any")
    return seen == said(field, wanted)
