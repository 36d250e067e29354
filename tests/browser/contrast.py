"""How well what is written can be read."""

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
