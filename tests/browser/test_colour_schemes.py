"""Light and dark: text can be read in both."""

import pytest

ENOUGH = 4.5  # WCAG 2.2, level AA, for text of normal size
# Contrast of what is written in each element with what lies behind it.
CONTRASTS = """selector => {
    const probe = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
    const rgba = colour => {
        probe.clearRect(0, 0, 1, 1); probe.fillStyle = colour; probe.fillRect(0, 0, 1, 1);
        return Array.from(probe.getImageData(0, 0, 1, 1).data, (v, i) => i < 3 ? v : v / 255);
    };
    const over = (top, below) => [0, 1, 2].map(i => top[3] * top[i] + (1 - top[3]) * below[i]);
    const layers = element => element
        ? [...layers(element.parentElement), rgba(getComputedStyle(element).backgroundColor)] : [];
    const opacity = element => element ? getComputedStyle(element).opacity * opacity(element.parentElement) : 1;
    const luminance = colour => colour.map(v => v / 255)
        .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
        .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
    const shown = Array.from(document.querySelectorAll(selector))
        .filter(e => e.textContent.trim() && e.getClientRects().length);
    return shown.map(element => {
        const style = getComputedStyle(element);
        const behind = layers(element).reduce((below, top) => over(top, below), [255, 255, 255]);
        const ink = rgba(element instanceof SVGElement ? style.fill : style.color);
        ink[3] *= opacity(element) * (element instanceof SVGElement ? style.fillOpacity : 1);
        const [a, b] = [luminance(over(ink, behind)), luminance(behind)];
        const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        return {text: element.textContent.trim().slice(0, 40), contrast};
    });
}"""
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
