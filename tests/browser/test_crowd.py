"""Several users at once, whose browsers are elsewhere: as the benchmark sends them."""

import pytest
from visitor import PATIENCE

from benchmarks import crowd, dashboard, stopwatch
from benchmarks.ui import selector

PAGE, CHART, CLICK = "variance?dataset=digits&sparsity=0.9&layer=layer1.0.conv1", "scatter", selector("stage", 3)


@pytest.fixture
def context(chromium):
    found = chromium.new_context(viewport=dashboard.SIZE)
    found.set_default_timeout(1000 * PATIENCE)
    yield found
    found.close()


def test_users_elsewhere_are_served_while_a_browser_here_gets_its_chart(server, context):
    opening, (click,) = crowd.recorded(context, f"{server.url}/{PAGE}", [CLICK])
    page = stopwatch.open_page(context, f"{server.url}/{PAGE}")
    with crowd.users(server.url, 3, opening) as others:
        assert crowd.among(others, click, page, CHART, CLICK) > 0
    assert "stage=predicted" in page.url and not page.get_by_test_id("stException").count()
