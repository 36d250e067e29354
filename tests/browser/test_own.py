"""A visitor's own images and then own weights: computed, and looked at on every page."""

import pytest
from made_uploads import TREE, picture, saved, state_of, zipped
from playwright.sync_api import expect
from visitor import PATIENCE, SHOWING

# Few images in a batch: the whole computation is some hundred passes.
START = (
    "overview?dataset=digits&architecture=shufflenet_v2_x0_5&stem=small&sparsity=0.8&methods=bn_only&calib_batch_size=4"
)


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
    visitor.until(lambda: visitor.crumbs[0].startswith("shufflenet"), "the result", 2 * PATIENCE)
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
