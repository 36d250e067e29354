"""Links: into a server that nobody has visited, into a second browser, and links that are wrong."""

import shutil
from pathlib import Path

import pytest
import shipped
from visitor import CHARTED, PAGES

from asr_core.spec.experiment import Setting
from asr_core.store import Store
from asr_core.store.catalogue import stored
from benchmarks import dashboard

SETTING = "dataset=digits&sparsity=0.9&layer=layer2.0.conv1&channel=3"
LOOKS = {
    "overview": "colour=overshoot",
    "variance": "stage=predicted",
    "heatmaps": "rows=damage",
    "maps": "ranked=channel",
    "curves": "x=images",
    "absorption": "gap=top1_gap",
    "severity": "gain=bn_lw",
    "ablation": "order2=sequential",
}


# Opened on a server that nobody has visited: the front page, a page of charts, one that asks for maps, one of tables.
COLD = ("overview", "variance", "maps", "jobs")


def has_torch(server) -> bool:
    """Whether the server's process has torch in memory."""
    return "libtorch" in Path(f"/proc/{server.process.pid}/maps").read_text()


def see_twice(server, visit, page: str) -> None:
    """A page's link in a browser, and the address it has there in a fresh one."""
    link = f"{page}?{SETTING}&{LOOKS.get(page, '')}".rstrip("&")
    first = visit(server, link)
    assert first.where == page and first.title
    assert bool(first.charts) == (page in CHARTED) or first.offers_to_compute
    assert first.address.items() >= dict(part.split("=") for part in link.partition("?")[2].split("&")).items()
    assert not first.broken() and "address" not in first.messages and not first.widened
    second = visit(server, first.page.url.removeprefix(first.url).lstrip("/"), fresh=True)
    assert second.page.url == first.page.url
    assert (second.title, second.crumbs, second.charts) == (first.title, first.crumbs, first.charts)
    assert not second.broken()
    assert not has_torch(server)


@pytest.mark.parametrize("page", COLD)
def test_a_link_opened_on_a_fresh_server_is_finished_and_the_same_in_a_second_browser(fresh_server, visit, page):
    see_twice(fresh_server, visit, page)


@pytest.mark.parametrize("page", [page for page in PAGES if page not in COLD])
def test_a_link_is_finished_and_the_same_in_a_second_browser(server, visit, page):
    see_twice(server, visit, page)


def test_the_bare_address_opens_on_the_idea_and_stays_bare(fresh_server, visit):
    visitor = visit(fresh_server)
    assert visitor.where == "idea" and len(visitor.charts) >= 2
    assert visitor.address == {} and not visitor.broken()


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="what a process has loaded is read from /proc")
def test_the_server_never_loads_torch_however_many_pages_are_opened(server, visit):
    visitor = visit(server, f"?{SETTING}")
    for page in PAGES:
        visitor.follow(page)
    assert not has_torch(server) and not visitor.broken()


WRONG = [
    ("variance?dataset=digits&architecture=resnet19", "unknown architecture 'resnet19'", {"dataset": "digits"}),
    ("overview?dataset=nowhere", "unknown dataset 'nowhere'", {}),
    ("overview?dataset=digits&sparsity=1.7", "sparsity", {"dataset": "digits"}),
    ("overview?dataset=digits&sparsity=lots", "sparsity", {"dataset": "digits"}),
    ("variance?dataset=digits&layer=features.3.0", "has no layer 'features.3.0'", {"dataset": "digits"}),
    ("maps?dataset=digits&layer=layer1.0.conv1&channel=4000", "has no channel 4000", {"layer": "layer1.0.conv1"}),
    (
        "overview?dataset=digits&pin=0123456789abcdef01234567~simultaneous~off~reset~ema~0.1~20",
        "no stored result has the key",
        {"dataset": "digits"},
    ),
    ("overview?dataset=digits&pin=../../etc/passwd", "is no pinned setting", {"dataset": "digits"}),
    ("overview?dataset=digits&layr=conv1", "unknown part 'layr'", {"dataset": "digits"}),
    ("overview?dataset=digits&dense_id=0123456789abcdef", "is not stored here", {"dataset": "digits"}),
]


@pytest.mark.parametrize(("link", "said", "kept"), WRONG, ids=[said for _, said, _ in WRONG])
def test_a_wrong_link_says_what_is_wrong_and_shows_the_nearest_view(server, visit, link, said, kept):
    visitor = visit(server, link)
    assert said in visitor.messages
    assert visitor.address.items() >= kept.items()
    assert visitor.crumbs[0].startswith("cifar_resnet20") and not visitor.broken()
    assert visitor.charts or visitor.offers_to_compute


def test_a_setting_that_is_not_stored_is_offered_and_no_other_is_drawn(server, visit):
    visitor = visit(server, "overview?dataset=digits&sparsity=0.92")
    assert "92 %" in visitor.messages and "is not stored" in visitor.messages
    assert not visitor.charts and not visitor.broken()
    assert visitor.offers_to_compute


@pytest.fixture
def results_to_remove(tmp_path) -> Path:
    """A cache of its own that holds the results at 80 and 90 %."""
    for item in stored(shipped.store()):
        if any(item.setting == Setting.of(sparsity=sparsity) for sparsity in (0.8, 0.9)):
            shutil.copytree(shipped.SHIPPED / item.key, tmp_path / "result" / item.key)
    return tmp_path


def test_a_result_that_is_removed_is_said_and_offered(chromium, results_to_remove, visit):
    link = "variance?dataset=digits&sparsity=0.9"
    with dashboard.served(results_to_remove) as server:
        visitor = visit(server, link)
        assert "90 %" in visitor.crumbs[0]
        for item in stored(Store(results_to_remove)):
            if item.setting == Setting.of(sparsity=0.9):
                shutil.rmtree(results_to_remove / "result" / item.key)
        visitor.open(link)
        assert "90 %" in visitor.messages and "is not stored" in visitor.messages
        assert not visitor.charts and visitor.offers_to_compute and not visitor.broken()
