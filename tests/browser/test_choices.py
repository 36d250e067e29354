"""What a visitor chooses stays chosen, on every page."""

import pytest
from playwright.sync_api import expect
from visitor import PATIENCE, SHOWING

START = "overview?dataset=digits&sparsity=0.9"


@pytest.mark.parametrize(
    ("key", "label", "value"),
    [
        ("_images", "CIFAR-100", {"dataset": "cifar100"}),
        ("_images", "Imagenette", {"dataset": "imagenette"}),
        ("architecture", "efficientnet_b0", {"architecture": "efficientnet_b0"}),
    ],
)
def test_what_is_not_stored_can_be_chosen_and_every_page_opened(server, visit, key, label, value):
    visitor = visit(server, START)
    visitor.choose(key, label)
    chosen = {"dataset": "digits"} | value
    visitor.arrive("overview", **chosen)
    for page in SHOWING:
        visitor.follow(page, chosen["dataset"])
        expect(visitor.page.locator(".st-key-architecture input")).to_have_count(1, timeout=1000 * PATIENCE)
        assert visitor.address.get("architecture") == chosen.get("architecture")
        assert "unknown" not in visitor.messages
    assert not visitor.broken()
