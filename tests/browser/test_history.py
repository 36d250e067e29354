"""Back leads from a page to the one before, with one press, however the visitor came there and whatever was chosen
meanwhile."""

import pytest

LAYER = "layer2.0.conv1"


@pytest.fixture
def visitor(server, visit):
    return visit(server, "overview?dataset=digits&sparsity=0.9")


def back(visitor, page: str, **address) -> None:
    visitor.page.evaluate("history.back()")
    visitor.arrive(page, **address)


def entries(visitor) -> int:
    return visitor.page.evaluate("history.length")


def test_back_leaves_one_page_after_links_of_the_sidebar(visitor):
    before = entries(visitor)
    for page in ("variance", "curves", "overview"):
        visitor.follow(page)
    assert entries(visitor) == before + 3
    for page in ("curves", "variance", "overview"):
        back(visitor, page, sparsity="0.9")
    assert not visitor.broken()


def test_back_leaves_one_page_after_a_click_in_a_figure_and_brings_its_choice_back(visitor):
    before = visitor.address
    visitor.click_point("strip", 0, lambda point: point["custom"][0] == LAYER)
    visitor.arrive("variance", layer=LAYER)
    visitor.page.locator(".st-key-_crumb_network button").first.click()
    visitor.arrive("overview", layer=LAYER)
    back(visitor, "variance", layer=LAYER)
    back(visitor, "overview", layer=before["layer"])
    assert visitor.address == before
    visitor.page.evaluate("history.forward()")
    visitor.arrive("variance", layer=LAYER)
    assert not visitor.broken()


def test_choices_on_a_page_are_no_steps_of_the_way_back(visitor):
    visitor.follow("variance")
    before = entries(visitor)
    for stage in ("recalibrated", "predicted"):
        visitor.page.get_by_role("radio", name=stage).click()
        visitor.arrive("variance", stage=stage)
    assert entries(visitor) == before
    back(visitor, "overview", sparsity="0.9")
    visitor.page.evaluate("history.forward()")
    visitor.arrive("variance", stage="predicted")
    assert not visitor.broken()


def test_back_brings_back_what_was_left_before_a_reload(visitor):
    visitor.follow("curves")
    visitor.follow("variance")
    visitor.page.reload()
    visitor.arrive("variance", sparsity="0.9")
    visitor.page.get_by_role("radio", name="recalibrated").click()
    visitor.arrive("variance", stage="recalibrated")
    back(visitor, "curves", sparsity="0.9")
    visitor.finish()
    visitor.follow("variance")
    assert "stage" not in visitor.address
    assert not visitor.broken()


def test_a_choice_is_kept_on_the_way_that_a_button_opens(server, visit):
    visitor = visit(server, "")
    visitor.follow("paper", dataset="cifar10")
    visitor.page.locator(".st-key-orders button", has_text="sequential").click()
    visitor.arrive("paper", orders="simultaneous,sequential")
    visitor.page.locator(".st-key-_crumb_network button").first.click()
    visitor.arrive("overview", orders="simultaneous,sequential")


def test_back_leaves_the_dashboard_from_its_bare_address(server, visit):
    visitor = visit(server, "jobs")
    visitor.page.goto("about:blank")
    visitor.open("")
    visitor.page.evaluate("history.back()")
    visitor.until(lambda: visitor.page.url == "about:blank", "the page before")
