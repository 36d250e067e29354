// Unpacks what draws figures, then each figure as it comes near; links a layer's block to its channels.
const read = (id) => JSON.parse(document.getElementById(id).textContent);
const figures = read("figures"), sentences = read("sentences"), config = read("config"), layers = Object.keys(sentences);

async function unpacked(text) {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
}

const loaded = unpacked(document.getElementById("plotly").textContent).then((code) => {
    document.head.append(Object.assign(document.createElement("script"), {textContent: code}));
});

async function draw(place, name) {
    await loaded;
    const {data, layout} = JSON.parse(await unpacked(figures[name]));
    place.style.height = `${layout.height}px`;
    await Plotly.react(place, data, layout, config);
    place.dataset.drawn = name;
}

const choice = document.getElementById("layer"), scatter = document.getElementById("scatter"), numbers = document.getElementById("channel");

async function show(layer, move) {
    if (!layers.includes(layer)) return;
    choice.value = layer;
    document.getElementById("said").textContent = sentences[layer];
    scatter.setAttribute("aria-label", sentences[layer]);
    numbers.textContent = "";
    await draw(scatter, `layer:${layer}`);
    if (!scatter.heard) {
        scatter.heard = true;
        scatter.on("plotly_click", ({points: [point]}) => {
            const [channel, dense, variance, factor] = Array.from(point.customdata);
            numbers.textContent = `${choice.value}, channel ${channel}, ${point.data.name}: dense variance ${dense.toPrecision(4)}, variance ${variance.toPrecision(4)}, factor ${factor.toPrecision(4)}.`;
        });
    }
    if (move) document.getElementById("channels").scrollIntoView();
}

const step = (by) => show(layers[(layers.indexOf(choice.value) + by + layers.length) % layers.length]);
choice.addEventListener("change", () => show(choice.value));
document.getElementById("before").addEventListener("click", () => step(-1));
document.getElementById("after").addEventListener("click", () => step(1));

const sight = new IntersectionObserver((changes) => changes.forEach(async ({target, isIntersecting}) => {
    if (!isIntersecting) return;
    sight.unobserve(target);
    if (target === scatter) { if (layers.length) await show(layers[0]); return; }
    await draw(target, target.id);
    if (target.dataset.links) target.on("plotly_click", ({points: [point]}) => show(point.customdata[0].replaceAll("&lt;", "<"), true));
}), {rootMargin: "100% 0px"});
document.querySelectorAll(".figure").forEach((place) => sight.observe(place));
