"""What tests of somebody's own networks share."""

import sys

import pytest
from made_networks import CODE

from asr_core.networks import named
from asr_core.store import Store


@pytest.fixture
def nobody_named_any(monkeypatch):
    """No process-wide memory of networks, and no server's."""
    monkeypatch.setattr(named, "_places", {})
    monkeypatch.setattr(named, "_held", {})
    monkeypatch.delenv(named.ENVIRONMENT, raising=False)
    monkeypatch.setattr(sys, "argv", ["pytest"])


@pytest.fixture
def file(tmp_path):
    """A file with functions that return networks."""
    path = tmp_path / "nets.py"
    path.write_text(CODE)
    return path


@pytest.fixture
def store(tmp_path):
    """An empty store."""
    return Store(tmp_path / "cache")
