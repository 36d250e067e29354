"""Walks use what the browser tests use."""

import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path[:0] = [path for path in (str(TESTS), str(TESTS / "browser")) if path not in sys.path]

import pytest  # noqa: E402

from benchmarks import dashboard  # noqa: E402


@pytest.fixture(scope="module")
def chromium():
    """One browser for all walks."""
    if dashboard.chromium() is None:
        pytest.skip("no Chromium on this machine (Debian: apt-get install chromium fonts-dejavu-core)")
    with dashboard.browser() as found:
        yield found
