"""Light and dark: text can be read in both."""

import pytest
from contrast import CONTRASTS, ENOUGH

WRITTEN = {
    "headings": "h1, h3",
    "paragraphs": "[data-testid=stMain] [data-testid=stMarkdownContainer] > p",
    "captions": "[data-testid=stMain] [data-testid=stCaptionContainer] p",
    "labels": "[data-testid=stWidgetLabel] p",
    "numbers": "[data-testid=stMetricValue] div",
    "navigation": "[data-testid=stSidebarNavLink] span:not([data-testid=stIconMaterial])",
    "axis titles": ".xtitle, .ytitle",
    "ticks": ".xtick text, .ytick text",
    "legends": ".legendtext",
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_written_can_be_read(server, visit, scheme):
    seen, faint = set(), []
    visitor = visit(server, "overview?dataset=digits&sparsity=0.9", color_scheme=scheme)
    for page in ("overview", "variance"):
        visitor.open(f"{page}?dataset=digits&sparsity=0.9&layer=layer1.0.conv1")
        for what, selector in WRITTEN.items():
            found = visitor.page.evaluate(CONTRASTS, selector)
            seen |= {what} if found else set()
            faint += [f"{what}: {item['text']!r} {item['contrast']:.2f}" for item in found if item["contrast"] < ENOUGH]
    assert seen == WRITTEN.keys()
    assert not faint, "\n".join(dict.fromkeys(faint))


def test_the_schemes_differ(server, visit):
    shades = []
    for scheme in ("light", "dark"):
        visitor = visit(server, "overview?dataset=digits", color_scheme=scheme)
        shades.append(
            visitor.page.evaluate("getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor")
        )
    light, dark = (sum(int(v) for v in shade.strip("rgb()").split(",")[:3]) for shade in shades)
    assert light > 3 * 200 and dark < 3 * 60
