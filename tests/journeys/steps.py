"""Steps of a walk. Each does one thing that a visitor can do, and returns what it did and which parameters it set."""

from dataclasses import dataclass

from journeys import seen
from made_uploads import saved, zipped
from visitor import PAGES, PATIENCE

from asr_core.fields import declarations
from asr_core.networks import models
from asr_core.spec.dense import DenseSpec
from asr_core.spec.model import ModelSpec
from asr_core.spec.parts import DataSpec
from pages._frame.address import DENSE_ID, SETTING

WEIGHTS = {"source", "weights_digest", DENSE_ID}
RECIPE = {*declarations(DataSpec), *declarations(ModelSpec), *declarations(DenseSpec), "stem", "head"}


@dataclass(frozen=True)
class Done:
    """What a step did, the parameters it may have set, and how it moved: 'stay', 'open', 'back' or 'forward'."""

    words: str
    sets: frozenset = frozenset()
    moved: str = "stay"


def done(words: str, *sets: str, moved: str = "stay") -> Done:
    return Done(words, frozenset(sets), moved)


def control(walk, side: bool = True) -> Done | None:
    """Change one control of the sidebar or of the page."""
    shown = {n: c for n, c in seen.controls(walk.page).items() if c["side"] == side and not c["off"]}
    if not shown:
        return None
    name = walk.random.choice(sorted(shown))
    words = KINDS[shown[name]["kind"]](walk, name, shown[name])
    return Done(f"{name}: {words}", frozenset(follows(name))) if words else None


def follows(name: str) -> set[str]:
    """The parameters that a choice of `name` may set: itself, and what cannot go with it."""
    if name == seen.DATASET:
        return {"dataset", "digest", "classes", *WEIGHTS}
    found = {"sparsity"} if name == "_other_sparsity" else {name}
    if name in ("layer",):
        found |= {"channel"}
    if name in ("architecture", "stem", "head"):
        found |= WEIGHTS
    return found | ({DENSE_ID} if name in RECIPE else set())


def select(walk, name: str, shown: dict) -> str | None:
    """Choose one of the options that a list shows when it opens."""
    labels = walk.visitor.opened(name).all_inner_texts()
    label = walk.random.choice([one for one in labels if one != shown["value"]] or labels)
    walk.visitor.choose(name, label)
    return f"{shown['value']!r} -> {label!r}"


def slide(walk, name: str, shown: dict) -> str:
    """Move the knob one place."""
    key = walk.random.choice(["ArrowLeft", "ArrowRight"])
    walk.page.locator(f".st-key-{name} input[type=range]").press(key)
    return f"{key} from {shown['value']}"


def switch(walk, name: str, shown: dict) -> str:
    """Toggle."""
    walk.page.locator(f".st-key-{name} label").first.click()
    return f"not {shown['value']}"


def press(walk, name: str, shown: dict) -> str:
    """Press one of several buttons in a row."""
    label = walk.random.choice(shown["all"])
    walk.page.locator(f".st-key-{name} button:not([aria-label])").nth(shown["all"].index(label)).click()
    return f"press {label!r} of {shown['value']}"


def number(walk, name: str, shown: dict) -> str:
    """Type a number, or use the buttons beside the box."""
    low, high = float(shown["low"] or 0), float(shown["high"] or 1e6)
    if shown["value"] and walk.random.random() < 0.3:
        walk.page.locator(f".st-key-{name} [data-testid=stNumberInputStepUp]").click(force=True)
        return f"one step up from {shown['value']}"
    whole = float(shown["step"] or 1) >= 1 and name != "_other_sparsity"
    text = f"{walk.random.randint(int(low), int(min(high, low + 9)))}"
    if not whole:
        text = f"{walk.random.uniform(low, min(high, low + 2)):.3g}"
    if name == "_other_sparsity":
        text = walk.random.choice(["90", "92.5", "97", "0", "99.99", "33.3333"])
    box = walk.page.locator(f".st-key-{name} input")
    box.fill(text)
    box.press("Enter")
    return f"type {text} over {shown['value'] or 'nothing'}"


KINDS = {"select": select, "slider": slide, "switch": switch, "buttons": press, "number": number}


def own_control(walk) -> Done | None:
    """Change a control of the page itself."""
    return control(walk, side=False)


def fold(walk) -> Done | None:
    """Open or close a part of the sidebar."""
    parts = walk.page.locator("[data-testid=stSidebar] summary")
    if not parts.count():  # the idea has no setting
        return None
    place = walk.random.randrange(parts.count())
    parts.nth(place).click()
    return done(f"fold {parts.nth(place).inner_text().split()[-1]!r}")


def turn(walk) -> Done:
    """To another page by the navigation."""
    page = walk.random.choice([page for page in PAGES if page != walk.visitor.where])
    href = f"{walk.visitor.url}/{page}".removesuffix("idea")
    walk.page.locator(f'[data-testid=stSidebarNavLink][href="{href}"]').click()
    walk.visitor.until(lambda: walk.visitor.where == page, page)
    return done(f"to {page}", moved="open")


def crumb(walk) -> Done | None:
    """To another page by the breadcrumb."""
    ways = {"_crumb_network": "overview", "_crumb_layer": "variance", "_crumb_channel": "maps"}
    there = [key for key, page in ways.items() if walk.has(f".st-key-{key} button") and page != walk.visitor.where]
    if not there:
        return None
    key = walk.random.choice(there)
    walk.page.locator(f".st-key-{key} button").first.click()
    walk.visitor.until(lambda: walk.visitor.where == ways[key], key)
    return done(f"crumb to {ways[key]}", moved="open")


def pin(walk) -> Done | None:
    """Pin or unpin."""
    for key in ("_pin", "_unpin"):
        if walk.has(f".st-key-{key} button"):
            walk.page.locator(f".st-key-{key} button").first.click()
            return done(key.strip("_"), "pin")
    return None


def nearest(walk) -> Done | None:
    """Show the nearest stored setting instead."""
    if not walk.has(".st-key-_nearest button"):
        return None
    walk.page.locator(".st-key-_nearest button").first.click()
    return done("show the nearest", "instead")


def adopt(walk) -> Done | None:
    """Choose the setting that is shown instead."""
    if not walk.has(".st-key-_adopt button"):
        return None
    walk.page.locator(".st-key-_adopt button").first.click()
    return done("choose the nearest", "instead", *SETTING)


def compute(walk) -> Done | None:
    """Compute what is missing, and cancel it. Never what a download or a training of its own would be needed for."""
    address = walk.visitor.address
    if address.get("dataset") != "digits" or address.get("source", "scratch") != "scratch":
        return None
    button = walk.page.locator("[class*=st-key-_compute_] button")
    if not button.count():
        return None
    if not button.first.is_visible():
        walk.page.locator("[data-testid=stMain] summary", has_text="Not stored").first.click()
    button.first.click()
    cancel = walk.page.get_by_role("button", name="Cancel", exact=True).first
    cancel.wait_for()
    cancel.click()
    cancel.wait_for(state="detached")
    return done("compute and cancel")


def reload(walk) -> Done:
    """Reload the page."""
    walk.page.reload()
    return done("reload")


def back(walk) -> Done | None:
    """To the page before."""
    if walk.place == 0:
        return None
    walk.page.evaluate("history.back()")
    return done("back", moved="back")


def forward(walk) -> Done | None:
    """To the page after."""
    if walk.place == len(walk.way) - 1:
        return None
    walk.page.evaluate("history.forward()")
    return done("forward", moved="forward")


def images(walk) -> Done | None:
    """Upload a zip of images and use it."""
    if not use(walk, "zip", "flowers.zip", zipped().getvalue()):
        return None
    return done("use a zip", "dataset", "digest", "classes", "stat_images", "eval_images", *WEIGHTS)


def weights(walk) -> Done | None:
    """Upload weights of the present network, where it is a small one, and use them."""
    setting = walk.setting()
    if setting is None or setting.model.architecture not in ("cifar_resnet20", "shufflenet_v2_x0_5"):
        return None
    if setting.model.parameters.get("stem", "small") != "small":
        return None
    state = models.build(setting.model, setting.data.classes, setting.data.image_size).state_dict()
    return done("use weights", *WEIGHTS) if use(walk, "weights", "w.pt", saved(state).getvalue()) else None


def small_network(walk) -> Done | None:
    """Choose a small network by typing its name, so that weights of it can be given."""
    if not walk.page.locator(".st-key-architecture input").count():
        return None
    walk.visitor.choose("architecture", "cifar_resnet20")
    return Done("architecture: cifar_resnet20", frozenset(follows("architecture")))


def use(walk, kind: str, name: str, content: bytes) -> bool:
    """Upload a file and press its button."""
    box = walk.page.locator(f"[class*=st-key-_own_{kind}_] input[type=file]")
    if not box.count():
        part = walk.page.get_by_test_id("stSidebar").locator("summary", has_text="Own network")
        if not part.count():  # the idea has no setting
            return False
        part.click()
        box.first.wait_for(state="attached")
    before = walk.visitor.address
    box.set_input_files({"name": name, "mimeType": "application/octet-stream", "buffer": content})
    button = walk.page.locator(f".st-key-_own_use_{kind} button")
    walk.visitor.until(lambda: button.count() and button.is_enabled(), f"the button of {kind}")
    button.click()
    said = walk.page.get_by_test_id("stSidebar").get_by_test_id("stAlert")
    walk.visitor.until(lambda: walk.visitor.address != before or said.count(), f"the use of {kind}", PATIENCE)
    return True


# Steps and how often each is tried.
STEPS = {
    control: 40,
    own_control: 10,
    fold: 12,
    turn: 12,
    crumb: 3,
    pin: 5,
    nearest: 5,
    adopt: 5,
    compute: 3,
    reload: 4,
    back: 5,
    forward: 4,
    images: 2,
    small_network: 2,
    weights: 1,
}
