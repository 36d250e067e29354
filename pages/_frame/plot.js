// One figure of Plotly. From Python come the bytes of {figure, config, alt, clicks, least}; back goes the point that was clicked.

const FULLSCREEN = {
    name: "fullscreen", title: "Fullscreen", click: (plot) => document.fullscreenElement ? document.exitFullscreen() : plot.requestFullscreen(),
    icon: {width: 24, height: 24, path: "M3 3h7v2H5v5H3zM14 3h7v7h-2V5h-5zM3 14h2v5h5v2H3zM19 14h2v7h-7v-2h5z"},
};

// Plotly's template in the colours and the font of the page. Sizes: figures/room.py reckons with them.
function template(page) {
    const colour = (name) => page.getPropertyValue(`--st-${name}`).trim(), grid = "rgba(128,128,128,0.25)";
    const [text, paper] = [colour("text-color"), colour("background-color")];
    const size = 0.75 * parseFloat(getComputedStyle(document.documentElement).fontSize); // 11.25 at the usual 15 pixels
    const axis = {gridcolor: grid, zerolinecolor: grid, tickcolor: grid, automargin: true};
    return {layout: {
        font: {color: text, family: colour("font"), size}, paper_bgcolor: paper, plot_bgcolor: paper, margin: {pad: 7.5},
        xaxis: {...axis, showgrid: false, zeroline: false, title: {font: {size: 7 * size / 6}, standoff: 18.75}},
        yaxis: {...axis, title: {font: {size: 7 * size / 6}, standoff: 22.5}},
        hoverlabel: {bgcolor: paper, bordercolor: grid, font: {color: text}}, modebar: {bgcolor: "rgba(0,0,0,0)", color: grid, activecolor: text},
        coloraxis: {colorbar: {xpad: 22.5, outlinewidth: 0}},
    }};
}

// A page's figures are drawn one per painted frame: who clicks sees the first change before the last is ready. Those out of
// sight wait until they are less than a screen away, or the page is printed. data-drawn: yes; no (soon); later (out of sight).
let queue = Promise.resolve();
const painted = () => new Promise((done) => {
    requestAnimationFrame(() => setTimeout(done));
    setTimeout(done, 200); // a tab in the background paints no frames
});
const sight = new IntersectionObserver((changes) => changes.forEach(({target, isIntersecting}) => {
    target.near = isIntersecting;
    want(target);
}), {rootMargin: "100% 0px", scrollMargin: "100% 0px"});
window.addEventListener("beforeprint", () => document.querySelectorAll(".figure[data-drawn=later]").forEach(show));

function want(plot) {
    if (plot.dataset.drawn === "yes") return;
    plot.dataset.drawn = plot.near ? "no" : "later";
    if (plot.near) queue = queue.then(() => show(plot)).then((changed) => changed && painted());
}

async function show(plot) {
    const {content} = plot;
    if (plot.dataset.drawn === "yes" || !plot.isConnected) return false;
    try {
        await draw(plot, content);
    } catch (error) {
        plot.textContent = `The figure could not be drawn: ${error.message}`;
        if (!window.Plotly && !window.plotlyMissed) { // said once: all figures are then drawn without it (_plot.py)
            window.plotlyMissed = true;
            plot.tell("failed", true);
        }
    }
    if (plot.content === content) plot.dataset.drawn = "yes";
    return true;
}

// Whether a finger moves the figure within its place, and so not the axes within the figure.
const scrolls = (plot) => plot.parentElement.clientWidth < plot.clientWidth;

// A figure of square tiles (layout.meta.aspect: height by width) is only as high as its width has room for.
function heightOf(layout, width) {
    const {l = 0, r = 0, t = 0, b = 0} = layout.margin ?? {};
    return layout.meta?.aspect && width ? Math.min(layout.height, Math.round(t + b + (width - l - r) * layout.meta.aspect)) : layout.height;
}

async function draw(plot, {figure, config, clicks}) {
    await loadPlotly(); // _document.py
    const layout = {
        ...figure.layout, template: template(getComputedStyle(plot)), width: plot.clientWidth || undefined,
        height: heightOf(figure.layout, plot.clientWidth),
        clickmode: "event", dragmode: scrolls(plot) ? false : figure.layout.dragmode ?? (clicks ? "pan" : "zoom"),
    };
    await Plotly.react(plot, figure.data, layout, {...config, modeBarButtonsToAdd: [FULLSCREEN]});
    if (!plot.watcher) watch(plot);
}

// Once a plot is there: its width follows the page's, its height the screen's while it fills that; clicks are told.
function watch(plot) {
    const fit = () => {
        const drawn = plot._fullLayout, width = plot.clientWidth, usual = heightOf(plot.content.figure.layout, width);
        const height = document.fullscreenElement === plot ? window.innerHeight : usual;
        plot.style.height = `${usual}px`;
        if (drawn && width && (width !== drawn.width || height !== drawn.height)) Plotly.relayout(plot, {width, height});
    };
    plot.addEventListener("fullscreenchange", fit);
    plot.watcher = new ResizeObserver(fit);
    plot.watcher.observe(plot);
    plot.on("plotly_click", ({points: [point]}) => plot.content.clicks && plot.tell("point", {customdata: plain(point.customdata)}));
}

const plain = (value) => ArrayBuffer.isView(value) || Array.isArray(value) ? Array.from(value, plain) : value;

export default function ({data, parentElement, setTriggerValue}) {
    if (!data.length) return;
    const content = JSON.parse(new TextDecoder().decode(data));
    let plot = parentElement.querySelector(":scope > .figure");
    if (!plot) parentElement.append(plot = Object.assign(document.createElement("div"), {className: "figure"}));
    Object.assign(plot, {content, tell: setTriggerValue});
    plot.setAttribute("role", "figure");
    plot.setAttribute("aria-label", content.alt);
    plot.style.height = `${heightOf(content.figure.layout, plot.clientWidth)}px`;
    plot.style.minWidth = `${content.least}px`; // a narrower place scrolls its figure, not the page
    parentElement.style.overflowX = "auto";
    plot.dataset.drawn = "no";
    if (!("near" in plot)) { // sight tells a frame later
        plot.near = plot.getBoundingClientRect().top < 2 * window.innerHeight;
        sight.observe(plot);
    }
    want(plot);
    return () => setTimeout(() => { // Streamlit also calls this for a change that another overtook
        if (plot.isConnected) return;
        sight.unobserve(plot);
        plot.watcher?.disconnect();
        window.Plotly?.purge(plot);
    });
}
