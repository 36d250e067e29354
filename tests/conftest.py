"""Fixtures that several test files share, and how hypothesis and Python's collections run here."""

import gc
import os

# Tiny networks are fastest on one thread, and pytest-xdist runs one worker per core.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("ASR_WORKER_IDLE", "0")  # no worker outlives its jobs

import pytest
import streamlit as st
from hypothesis import settings
from small import SPEED
from tiny_networks import FAMILIES, noise, seeded

from asr_core.jobs.runner import Runner
from asr_core.store import Store

# Derandomised: a run fails because the code changed, never by luck. No deadline: two busy cores.
settings.register_profile("steady", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("steady")


def pytest_collection_finish() -> None:
    """What is loaded by now is left out of Python's collections: statsmodels asks for a whole one at each correction of
    p values, a third of a second."""
    gc.freeze()


@pytest.fixture(params=list(FAMILIES))
def model(request):
    """A seeded tiny network of each family, in eval mode."""
    return seeded(FAMILIES[request.param])


@pytest.fixture
def images():
    """16 random images for the tiny networks."""
    return noise()


@pytest.fixture
def known_speed(monkeypatch):
    """This machine's speed is known: no process measures it."""
    monkeypatch.setattr(Runner, "speed", lambda self, experiment: SPEED)


@pytest.fixture
def store(tmp_path, monkeypatch, known_speed):
    """An empty store, which pages open."""
    monkeypatch.setenv("ASR_CACHE_DIR", str(tmp_path))
    st.cache_resource.clear()
    return Store(tmp_path)


@pytest.fixture(scope="session")
def chromium():
    """One browser for all tests of a worker."""
    from benchmarks import dashboard

    if dashboard.chromium() is None:
        pytest.skip("no Chromium on this machine (Debian: apt-get install chromium fonts-dejavu-core)")
    with dashboard.browser() as found:
        yield found


@pytest.fixture
def use(monkeypatch):
    """use(store) makes a store the one that pages and figures open."""

    def chosen(store):
        monkeypatch.setenv("ASR_CACHE_DIR", str(store.root))
        st.cache_resource.clear()
        return store

    return chosen
