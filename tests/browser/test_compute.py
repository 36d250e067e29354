"""Compute on demand, with real workers: progress, Cancel, one job for two browsers, and the accuracy in the end."""

from contextlib import ExitStack

import pytest
from made_jobs import LINE, held, make_job
from playwright.sync_api import expect
from small import SMALL as OTHER
from visitor import PATIENCE

from asr_core.jobs import jobs
from asr_core.jobs.jobs import Wanted
from asr_core.store import Store

# A setting that is not stored, on the shipped dense network: few images, one method.
SMALL = "dataset=digits&methods=bn_only&eval_images=64&stat_images=16&calib_batch_size=16"


@pytest.fixture
def store(own_server) -> Store:
    """What the server writes to."""
    return Store(own_server.cache)


def compute(visitor):
    return visitor.page.get_by_role("button", name="Compute", exact=True)


def cancel(visitor):
    return visitor.page.get_by_role("button", name="Cancel", exact=True)


def test_a_running_job_shows_progress_and_can_be_cancelled(own_server, store, visit):
    before = {job.id for job in jobs.listed(store)}
    visitor = visit(own_server, f"overview?{SMALL}&sparsity=0.63")
    first = make_job(store, "running")  # it waits for its turn until its end is held up
    with ExitStack() as stack:
        compute(visitor).click()
        visitor.until(lambda: len(jobs.listed(store)) > len(before) + 1, "a job")
        (job,) = [job for job in jobs.listed(store) if job.id not in {*before, first}]
        stack.enter_context(held(job.asked()[0], store))
        jobs.update(store, first, state="cancelled")
        progress = visitor.page.get_by_test_id("stProgress")
        expect(progress).to_contain_text("left", timeout=1000 * PATIENCE)
        assert jobs.read(store, job.id).state == "running"
        cancel(visitor).click()
        said = visitor.page.get_by_text("Cancelled; finished stages stay stored")
        expect(said).to_be_visible(timeout=1000 * PATIENCE)
    job = jobs.read(store, job.id)
    assert job.state == "cancelled"
    assert not visitor.broken()


def test_two_browsers_that_ask_for_the_same_thing_share_one_job_and_both_see_its_accuracy(own_server, store, visit):
    before = {job.id for job in jobs.listed(store)}
    visitors = [visit(own_server, f"overview?{SMALL}&sparsity=0.6") for _ in range(2)]
    for visitor in visitors:
        assert "is not stored" in visitor.messages
    for visitor in visitors:
        compute(visitor).click(no_wait_after=True)
    for visitor in visitors:
        visitor.until(
            lambda visitor=visitor: (
                "60 %" in next(iter(visitor.crumbs), "") and any("BN only" in label for label in visitor.charts)
            ),
            "the accuracy",
            2 * PATIENCE,
        )
    (job,) = [job for job in jobs.listed(store) if job.id not in before]
    visitors[0].until(lambda: jobs.read(store, job.id).state == "finished", "the job's end", PATIENCE)
    for visitor in visitors:
        expect(visitor.page.get_by_test_id("stProgress")).to_have_count(0, timeout=1000 * PATIENCE)
        visitor.finish()
        assert "not stored" not in visitor.messages and not visitor.broken()
    assert visitors[0].charts == visitors[1].charts
    assert "b = 20, BN only reaches" in visitors[0].charts[0]


def test_a_job_that_ends_changes_no_choice(own_server, store, visit):
    visitor = visit(own_server, f"overview?{SMALL}&sparsity=0.93")
    chosen = {name: value for name, value in visitor.address.items() if name != "layer"}
    compute(visitor).click()
    visitor.until(lambda: "93 %" in next(iter(visitor.crumbs), ""), "the result", 2 * PATIENCE)
    expect(visitor.page.get_by_test_id("stProgress")).to_have_count(0, timeout=1000 * PATIENCE)
    for page in ("variance", "heatmaps"):
        visitor.follow(page)
        assert visitor.address.items() >= chosen.items() and "93 %" in visitor.crumbs[0]
    assert not visitor.broken()


def test_following_asks_for_what_is_chosen_and_leaves_it_when_one_moves_on(own_server, store, visit):
    before = {job.id for job in jobs.listed(store)}

    def followed() -> list[float]:
        found = [job for job in jobs.listed(store) if job.id not in before and job.followers]
        return [job.asked()[0].experiment.prune.parameters["sparsity"] for job in found]

    visitor = visit(own_server, f"overview?{SMALL}&sparsity=0.71")
    first = make_job(
        store, "running", line=LINE, wanted=Wanted(OTHER.with_(repairs=()))
    )  # what is followed waits for it
    before |= {first}
    visitor.page.get_by_text("Follow: compute as I choose").click()
    visitor.until(lambda: followed() == [0.71], "what was chosen")
    other = visitor.page.get_by_placeholder("e.g. 97")
    other.fill("72")
    other.press("Enter")
    visitor.until(lambda: followed() == [0.72], "the next choice alone")
    expect(visitor.page.get_by_text("it is dropped when you move on")).to_be_visible(timeout=1000 * PATIENCE)
    visitor.page.get_by_text("Follow: compute as I choose").click()
    visitor.until(lambda: followed() == [], "nothing")
    jobs.update(store, first, state="cancelled")
    assert not visitor.broken()


def test_the_jobs_page_lists_what_was_computed(fresh_server, visit):
    job_id = make_job(Store(fresh_server.cache), "finished", log="the last words")
    visitor = visit(fresh_server, "jobs")
    said = visitor.page.get_by_test_id("stMain").inner_text()
    assert f"Log of job {job_id}" in said
    assert "the last words" in said
    assert not visitor.broken()
