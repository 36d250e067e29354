"""A visitor's own images and then own weights: computed, and looked at on every page."""

import pytest
from made_uploads import TREE, picture, saved, state_of, zipped
from playwright.sync_api import expect
from visitor import PATIENCE, SHOWING

# Few images in a batch: the whole computation is some hundred passes.
START = (
    "overview?dataset=digits&architecture=shufflenet_v2_x0_5&stem=small&sparsity=0.8&methods=bn_only&calib_batch_size=4"
)


NETWORK = """
from torch import nn

def small(classes):
    layers = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2)
    more = nn.Conv2d(8, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.AdaptiveAvgPool2d(1)
    return nn.Sequential(*layers, *more, nn.Flatten(), nn.Linear(16, classes))
"""


@pytest.fixture
def server_with_a_network(tmp_path, monkeypatch, request):
    """A server whose owner names a network of a file."""
    (tmp_path / "nets.py").write_text(NETWORK)
    monkeypatch.setenv("ASR_NETWORKS", f"{tmp_path / 'nets.py'}:small")
    return request.getfixturevalue("fresh_server")


def use_folder(visitor, folder) -> None:
    for name in TREE:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(picture(TREE.index(name)))
    path = visitor.page.locator(".st-key-_own_path input")
    path.fill(str(folder))
    path.press("Enter")
    expect(visitor.page.locator(".st-key-_own_use_path button")).to_be_enabled(timeout=1000 * PATIENCE)
    visitor.page.locator(".st-key-_own_use_path button").click()


def use_file(visitor, kind: str, name: str, content: bytes) -> None:
    """Upload a file and press the button that uses it."""
    visitor.page.locator(f"[class*=st-key-_own_{kind}_] input[type=file]").set_input_files(
        {"name": name, "mimeType": "application/octet-stream", "buffer": content}
    )
    button = visitor.page.locator(f".st-key-_own_use_{kind} button")
    expect(button).to_be_enabled(timeout=1000 * PATIENCE)
    button.click()


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_own_images_and_weights_are_computed_and_shown_on_every_page(fresh_server, visit, tmp_path, kind):
    visitor = visit(fresh_server, START)
    visitor.page.get_by_test_id("stSidebar").get_by_text("Own network and data").click()
    if kind == "folder":
        use_folder(visitor, tmp_path / "flowers")
    else:
        use_file(visitor, "zip", "flowers.zip", zipped().getvalue())
    visitor.until(lambda: visitor.address["dataset"] == "folder", "the images in the address")
    use_file(visitor, "weights", "w.pt", saved(state_of(2)).getvalue())
    visitor.until(lambda: visitor.address.get("source") == "file", "the weights in the address")
    visitor.page.get_by_role("button", name="Compute", exact=True).click()
    visitor.until(lambda: next(iter(visitor.crumbs), "").startswith("shufflenet"), "the result", 2 * PATIENCE)
    expect(visitor.page.get_by_test_id("stProgress")).to_have_count(0, timeout=1000 * PATIENCE)
    own = {
        name: visitor.address[name]
        for name in ("dataset", "digest", "architecture", "stem", "source", "weights_digest", "sparsity")
    }
    for page in SHOWING:
        visitor.follow(page, own["dataset"])
        expect(visitor.page.locator("[data-testid=stSidebar] .st-key-architecture input")).to_have_count(
            1, timeout=1000 * PATIENCE
        )
        assert visitor.address.items() >= own.items()
        assert "unknown" not in visitor.messages
    assert not visitor.broken()


def test_an_own_network_is_chosen_trained_and_shown_on_every_page(server_with_a_network, visit):
    visitor = visit(server_with_a_network, "overview?dataset=digits&sparsity=0.8&methods=bn_only&epochs=1")
    visitor.choose("architecture", "nets.py:small")
    visitor.until(lambda: visitor.address.get("architecture") == "nets.py:small", "the network in the address")
    visitor.page.get_by_role("button", name="Compute", exact=True).click()
    visitor.until(lambda: next(iter(visitor.crumbs), "").startswith("nets.py:small"), "the result", 2 * PATIENCE)
    expect(visitor.page.get_by_test_id("stProgress")).to_have_count(0, timeout=1000 * PATIENCE)
    for page in SHOWING:
        visitor.follow(page)
        assert visitor.address["architecture"] == "nets.py:small"
        assert "unknown" not in visitor.messages
    assert not visitor.broken()
