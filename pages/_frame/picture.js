// A button that saves one figure as SVG, PNG or PDF, made in the browser: real text, vector marks, no network.
// Bytes come from Python: {figure, name, format, width, dpi}; width in centimetres.
const CM = 96 / 2.54;

async function svg({figure: {data, layout}, width}) {
    await loadPlotly();
    const address = await Plotly.toImage({data, layout}, {format: "svg", width: layout.width, height: layout.height});
    const text = decodeURIComponent(address.slice(address.indexOf(",") + 1));
    const height = width * layout.height / layout.width;
    const sized = `<svg width="${width}cm" height="${height.toFixed(3)}cm" viewBox="0 0 ${layout.width} ${layout.height}"`;
    return text.replace(/^<svg[^>]*>/, tag => tag.replace(/ (width|height|viewBox)="[^"]*"/g, "").replace("<svg", sized));
}

function save(blob, name) {
    const link = Object.assign(document.createElement("a"), {href: URL.createObjectURL(blob), download: name});
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

async function print(wanted) {
    const {width, figure: {layout}, name} = wanted, height = width * layout.height / layout.width;
    const frame = Object.assign(document.createElement("iframe"), {title: name, style: "position:fixed;width:0;height:0;border:0"});
    document.body.append(frame);
    const page = frame.contentDocument;
    page.title = name;
    page.head.append(Object.assign(page.createElement("style"), {textContent: `@page {size: ${width}cm ${height.toFixed(3)}cm; margin: 0} body {margin: 0} svg {display: block}`}));
    page.body.append(page.importNode(new DOMParser().parseFromString(await svg(wanted), "image/svg+xml").documentElement, true));
    frame.contentWindow.addEventListener("afterprint", () => frame.remove());
    frame.contentWindow.print();
}

async function make(wanted) {
    const {figure: {data, layout}, name, format, width, dpi} = wanted;
    if (format === "pdf") return print(wanted);
    if (format === "svg") return save(new Blob([await svg(wanted)], {type: "image/svg+xml"}), `${name}.svg`);
    await loadPlotly();
    const scale = width / 2.54 * dpi / layout.width;
    const address = await Plotly.toImage({data, layout}, {format: "png", width: layout.width, height: layout.height, scale});
    save(await (await fetch(address)).blob(), `${name}.png`);
}

export default function ({data, parentElement}) {
    const wanted = JSON.parse(new TextDecoder().decode(data));
    let button = parentElement.querySelector("button");
    if (!button) {
        parentElement.append(button = Object.assign(document.createElement("button"), {type: "button", className: "picture"}));
        button.style = "font:inherit;color:inherit;background:transparent;border:1px solid currentColor;border-radius:.5rem;padding:.4rem .9rem;width:100%;cursor:pointer";
    }
    button.dataset.drawn = "yes";
    button.textContent = `Picture as ${wanted.format.toUpperCase()}`;
    button.onclick = async () => {
        try {
            await make(wanted);
        } catch (error) {
            button.textContent = `The picture could not be made: ${error.message}`;
        }
    };
}
