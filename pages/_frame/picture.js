// A button that saves one figure, or several as lettered panels, as SVG, PNG or PDF, made in the browser: real text,
// vector marks, no network. Bytes come from Python: {parts: [{figure, x, y, letter}], across, down, font (pixels),
// name, format, width (centimetres), dpi}.
const WORDS = "font-family='DejaVu Sans, Arial, sans-serif' font-weight='bold' fill='#111'";

async function part({figure: {data, layout}, x, y, letter}, font) {
    const {width, height} = layout, address = await Plotly.toImage({data, layout}, {format: "svg", width, height});
    const text = decodeURIComponent(address.slice(address.indexOf(",") + 1));
    const placed = `<svg x="${x}" y="${y}" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}"`;
    const whole = text.replace(/^<svg[^>]*>/, tag => tag.replace(/ (width|height|viewBox)="[^"]*"/g, "").replace("<svg", placed));
    return whole + (letter ? `<text x="${x}" y="${y - .4 * font}" font-size="${font}" ${WORDS}>${letter}</text>` : "");
}

async function svg({parts, across, down, font, width}) {
    await loadPlotly();
    const drawn = [];
    for (const each of parts) drawn.push(await part(each, font));
    const height = (width * down / across).toFixed(3);
    return `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="${width}cm" height="${height}cm" ` +
        `viewBox="0 0 ${across} ${down}"><rect width="100%" height="100%" fill="white"/>${drawn.join("")}</svg>`;
}

function save(blob, name) {
    const link = Object.assign(document.createElement("a"), {href: URL.createObjectURL(blob), download: name});
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

async function print(wanted) {
    const {width, across, down, name} = wanted, height = width * down / across;
    const frame = Object.assign(document.createElement("iframe"), {title: name, style: "position:fixed;width:0;height:0;border:0"});
    document.body.append(frame);
    const page = frame.contentDocument;
    page.title = name;
    page.head.append(Object.assign(page.createElement("style"), {textContent: `@page {size: ${width}cm ${height.toFixed(3)}cm; margin: 0} body {margin: 0} svg {display: block}`}));
    page.body.append(page.importNode(new DOMParser().parseFromString(await svg(wanted), "image/svg+xml").documentElement, true));
    frame.contentWindow.addEventListener("afterprint", () => frame.remove());
    frame.contentWindow.print();
}

async function png(wanted) {
    const {width, dpi, across, down} = wanted, wide = Math.round(width / 2.54 * dpi);
    const address = URL.createObjectURL(new Blob([await svg(wanted)], {type: "image/svg+xml"}));
    const image = Object.assign(new Image(), {src: address});
    await image.decode();
    const canvas = Object.assign(document.createElement("canvas"), {width: wide, height: Math.round(wide * down / across)});
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    URL.revokeObjectURL(address);
    return new Promise(done => canvas.toBlob(done, "image/png"));
}

async function make(wanted) {
    const {name, format} = wanted;
    if (format === "pdf") return print(wanted);
    if (format === "png") return save(await png(wanted), `${name}.png`);
    save(new Blob([await svg(wanted)], {type: "image/svg+xml"}), `${name}.svg`);
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
