"""Walks use what the browser tests use."""

import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path[:0] = [path for path in (str(TESTS), str(TESTS / "browser")) if path not in sys.path]
