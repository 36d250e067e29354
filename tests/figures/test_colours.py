"""Colours of methods: seen on a white and on a dark page, and told apart by who sees no green."""

from itertools import combinations

import numpy as np
import pytest
from plotly.colors import sample_colorscale

from asr_core.figures import allocation, cells, severity, style
from asr_core.figures.colours import METHODS, SPARE

PAGES = ("#FFFFFF", "#0E1117")  # light and dark
# Machado, Oliveira and Fernandes 2009: full deuteranopia, in linear RGB.
DEUTERANOPIA = np.array(
    [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]]
)
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
APART = 15.0  # CIE 1976; 2.3 is just noticeable, marks of 6 pixels need several times that
COLOURS = {name: colour for name, (colour, _) in METHODS.items()}


def linear(colour: str) -> np.ndarray:
    part = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)


def lab(light: np.ndarray) -> np.ndarray:
    x, y, z = np.cbrt(np.maximum(TO_XYZ @ light / (0.95047, 1, 1.08883), 0.008856))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def sampled(scale: str, shares: np.ndarray) -> list[tuple[int, ...]]:
    """Red, green and blue, 0 to 255, at each share of a colour scale."""
    return [tuple(round(255 * part) for part in rgb) for rgb in sample_colorscale(scale, shares, colortype="tuple")]


def contrast(one: str, other: str) -> float:
    low, high = sorted(float(TO_XYZ[1] @ linear(colour)) for colour in (one, other))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("colour", sorted({*COLOURS.values(), *(colour for colour, _ in SPARE)}))
def test_a_method_s_colour_is_at_least_three_to_one_against_the_page(colour, page):
    assert contrast(colour, page) >= 3


@pytest.mark.parametrize(("one", "other"), list(combinations(COLOURS, 2)))
def test_two_methods_are_told_apart_by_who_sees_no_green(one, other):
    seen = [lab(np.clip(DEUTERANOPIA @ linear(COLOURS[name]), 0, 1)) for name in (one, other)]
    assert np.linalg.norm(seen[0] - seen[1]) >= APART


def test_other_categories_are_seen_on_both_pages_too():
    others = {*severity.COLOURS, *allocation.RULES.values()}
    assert min(contrast(colour, page) for colour in others for page in PAGES) >= 3


@pytest.mark.parametrize("scale", [style.MAGNITUDE, style.RATIO])
def test_a_number_in_a_cell_stands_out_from_any_colour_of_the_map(scale):
    values = np.linspace(0, 1, 257)
    grounds = [f"#{bytes(rgb).hex()}" for rgb in sampled(scale, values)]
    inks = cells.inks(values, (scale, 0.0, 1.0), style.REFERENCE)
    assert min(contrast(ink, ground) for ink, ground in zip(inks, grounds, strict=True)) >= 4.5


def test_what_stands_in_a_cell_without_a_number_has_a_colour_of_its_own():
    assert cells.inks(np.array([np.nan, 1.0]), (style.MAGNITUDE, 0.0, 1.0), "#123456")[0] == "#123456"
