"""Pictures for a paper, as the browser makes them."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

OUTSIDE = """() => {
    const frame = document.querySelector('svg').getBoundingClientRect();
    return Array.from(document.querySelectorAll('svg text')).filter(text => text.textContent.trim()).map(text =>
        [text.textContent.slice(0, 30), text.getBoundingClientRect()]).filter(([, box]) => box.width &&
        (box.left < frame.left - 1 || box.right > frame.right + 1 || box.bottom > frame.bottom + 1))
        .map(([text]) => text);
}"""


def svg(visitor) -> str:
    """The picture that the button saves."""
    return Path(visitor.download(visitor.page.locator("button.picture")).path()).read_text()


def outside(visitor, picture: str) -> list:
    """What of its text leaves its frame."""
    page = visitor.context.new_page()
    page.set_content(f"<body style='margin:0'>{picture}</body>")
    return page.evaluate(OUTSIDE)


@pytest.fixture
def opened(server, visit):
    """The overview with the first figure's way to take it away."""
    visitor = visit(server, "overview?dataset=digits&sparsity=0.9")
    visitor.page.get_by_role("button", name="Take away").first.click()
    visitor.page.locator("button.picture").wait_for()
    return visitor


def test_an_svg_has_real_text_its_width_in_centimetres_and_the_setting_below(opened):
    root = ElementTree.fromstring(svg(opened))
    text = " ".join("".join(node.itertext()) for node in root.iter() if node.tag.endswith("}text"))
    assert root.get("width") == "8.5cm" and re.fullmatch(r"[\d.]+cm", root.get("height"))
    assert "ASR" in text and "global L1 90%" in text and "top-1 accuracy" in text
    assert not [node for node in root.iter() if node.tag.endswith("}image")]
    assert not opened.broken()


def test_no_text_of_an_svg_leaves_its_frame(opened):
    assert outside(opened, svg(opened)) == []


def test_a_png_has_six_hundred_points_per_inch(opened):
    opened.page.get_by_role("radio", name="PNG").click()
    button = opened.page.locator("button.picture", has_text="PNG")
    button.wait_for()
    head = Path(opened.download(button).path()).read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    assert abs(int.from_bytes(head[16:20]) - 8.5 / 2.54 * 600) <= 2


@pytest.fixture
def several(server, visit):
    """The overview with its two figures chosen as one picture."""
    visitor = visit(server, "overview?dataset=digits&sparsity=0.9")
    visitor.page.get_by_role("button", name="Several figures as one picture").click()
    visitor.page.locator("button.picture").wait_for()
    return visitor


def test_several_figures_are_one_svg_with_letters_one_legend_and_one_caption(several):
    root = ElementTree.fromstring(svg(several))
    texts = ["".join(node.itertext()) for node in root.iter() if node.tag.endswith("}text")]
    assert root.get("width") == "17.0cm" or root.get("width") == "17cm"
    assert [text for text in texts if re.fullmatch(r"\([a-z]\)", text)] == ["(a)", "(b)"]
    assert "global L1 90%" in " ".join(texts) and " ".join(texts).count("pixels, dense") == 1
    assert not [node for node in root.iter() if node.tag.endswith("}image")]
    assert [node for node in root.iter() if node.tag.endswith("}path")]
    assert not several.broken()


def test_no_text_of_several_figures_leaves_the_frame(several):
    assert outside(several, svg(several)) == []
