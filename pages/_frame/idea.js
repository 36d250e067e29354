// Eight channels of one layer as bars, dense outlines behind them; all in the page. From Python come the channels, the
// ways of repair and the constants of the methods; nothing goes back.

const SVG = "http://www.w3.org/2000/svg", MATH = "http://www.w3.org/1998/Math/MathML";
const WIDTH = matchMedia("(max-width: 800px)").matches ? 400 : 640, HEIGHT = 330, TOP = 16, FOOT = 40, MOST = 3.2; // pixels, of a phone fewer, so that its text is not small; MOST: variance at the upper edge

const made = (space, name, attributes = {}, ...inside) => {
    const element = document.createElementNS(space, name);
    Object.entries(attributes).forEach(([key, value]) => element.setAttribute(key, value));
    element.append(...inside.flat());
    return element;
};
const svg = (name, attributes, ...inside) => made(SVG, name, attributes, ...inside);
const html = (name, attributes, ...inside) => made("http://www.w3.org/1999/xhtml", name, attributes, ...inside);
const m = (name, ...inside) => made(MATH, name, {}, ...inside);
const say = (value) => value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(value < 0.1 ? 3 : 2);
const percent = (value) => `${Math.round(100 * value)} %`;

// Formulas as MathML: n a number, v a name with an index, and what is built of them.
const n = (value) => m("mn", say(value)), o = (sign) => m("mo", sign), row = (...parts) => m("mrow", ...parts);
const v = (name, index) => index === undefined ? m("mi", name) : m("msub", m("mi", name), m("mtext", String(index)));
const over = (a, b) => m("mfrac", a, b), root = (inside) => m("msqrt", inside);
const line = (...parts) => { const math = m("math", row(...parts)); math.setAttribute("display", "block"); return math; };

const repaired = (state, way, i) => {
    const {factors, pruned} = state, gamma = {none: 1, one: factors.lw, each: factors.raw[i], shrunk: factors.asr[i]}[way];
    return {gamma, variance: gamma ** 2 * pruned[i], noise: gamma ** 2 * state.noise};
};

function equations(state) {
    const {way, chosen, dense, pruned, factors} = state, i = chosen, name = `channel ${i + 1}`;
    const {gamma, variance} = repaired(state, way, i);
    const after = line(v("v", "repaired"), o("="), m("msup", v("γ"), m("mn", "2")), o("·"), v("v", "pruned"), o("="), m("msup", n(gamma), m("mn", "2")), o("·"), n(pruned[i]), o("="), n(variance));
    const raw = line(v("γ", "raw"), o("="), root(over(v("v", "dense"), v("v", "pruned"))), o("="), root(over(n(dense[i]), n(pruned[i]))), o("="), n(factors.raw[i]));
    return {
        none: [[`What pruning left of ${name}`, line(v("v", "pruned"), o("="), n(pruned[i])), line(over(v("v", "pruned"), v("v", "dense")), o("="), over(n(pruned[i]), n(dense[i])), o("="), m("mtext", percent(pruned[i] / dense[i])))]],
        one: [["One number for all eight", line(v("γ"), o("="), root(over(row(m("mtext", "mean "), v("v", "dense")), row(m("mtext", "mean "), v("v", "pruned")))), o("="), root(over(n(mean(dense)), n(mean(pruned)))), o("="), n(factors.lw))], [`So ${name} has`, after]],
        each: [[`A number for ${name} alone`, raw], [`So ${name} has`, after]],
        shrunk: [[`How far to trust ${name}: m is the median of the eight`, line(v("s"), o("="), over(v("v", "pruned"), row(v("v", "pruned"), o("+"), v("m"))), o("="), over(n(pruned[i]), row(n(pruned[i]), o("+"), n(factors.prior))), o("="), n(factors.shrinkage[i]))], ["Its own number, pulled toward 1", line(v("γ"), o("="), m("mn", "1"), o("+"), v("s"), o("·"), row(o("("), v("γ", "raw"), o("−"), m("mn", "1"), o(")")), o("="), n(gamma))], [`So ${name} has`, after]],
    }[way];
}

function verdict(state) {
    const shares = state.dense.map((d, i) => repaired(state, state.way, i).variance / d), worst = shares.indexOf(Math.min(...shares));
    const high = shares.filter((share) => share > 1.1).length, low = shares.filter((share) => share < 0.9).length;
    const loud = state.dense.map((_, i) => i).filter((i) => repaired(state, state.way, i).noise > 0.25 * state.dense[i]);
    return {
        none: `Channel ${worst + 1} has ${percent(shares[worst])} of its variance left.`,
        one: `Every channel is multiplied by ${say(state.factors.lw)}: ${high} of 8 rise above their outlines, ${low} stay below.`,
        each: loud.length ? `Every bar reaches its outline. In channel ${loud.map((i) => i + 1).join(", ")} much of it is noise (hatched), made loud.` : "Every bar reaches its outline, and little of it is noise.",
        shrunk: `Who has much left is repaired, who has little is left alone: channel ${worst + 1} stays at ${percent(shares[worst])}${loud.length ? "" : ", and no noise grows loud"}.`,
    }[state.way];
}

function build(place, data) {
    const state = {...data, way: "none", chosen: data.first, noise: data.noise};
    const across = (WIDTH - 20) / data.dense.length, bottom = HEIGHT - FOOT, up = (value) => bottom - Math.min(value, MOST) / MOST * (bottom - TOP);
    const picture = svg("svg", {viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "bars", role: "group", "aria-label": "Eight channels of one layer: drag a channel to damage it"});
    picture.append(svg("defs", {}, svg("pattern", {id: "idea-noise", width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)"}, svg("rect", {width: 3, height: 6, class: "hatch"}))));
    picture.append(svg("line", {x1: 10, x2: WIDTH - 10, y1: bottom, y2: bottom, class: "ground"}));
    const bars = data.dense.map((d, i) => bar(i, d));

    function bar(i, d) {
        const x = 10 + i * across + 0.16 * across, width = 0.68 * across, group = svg("g", {role: "slider", tabindex: 0, "aria-label": `Damage of channel ${i + 1}`, "aria-valuemin": 0, "aria-valuemax": 100, "aria-orientation": "vertical"});
        const fill = svg("rect", {x, width, class: "fill"}), noise = svg("rect", {x, width, class: "noise"});
        const outline = svg("rect", {x, width, y: up(d), height: bottom - up(d), class: "outline"});
        const knob = svg("rect", {x: x - 5, width: width + 10, height: 6, rx: 3, class: "knob"});
        const beyond = svg("text", {x: x + width / 2, y: TOP - 3, class: "beyond"}), label = svg("text", {x: x + width / 2, y: HEIGHT - 20}, String(i + 1)), left = svg("text", {x: x + width / 2, y: HEIGHT - 4, class: "left"});
        group.append(svg("rect", {x: x - 0.16 * across, width: across, y: 0, height: HEIGHT, class: "catch"}), fill, noise, outline, knob, beyond, label, left);
        drag(group, i);
        picture.append(group);
        return {group, fill, noise, knob, beyond, left};
    }

    function drag(group, i) {
        const follow = (event) => {
            const box = picture.getBoundingClientRect(), y = (event.clientY - box.top) / box.height * HEIGHT;
            const share = Math.min(1, Math.max(0, (bottom - y) / (bottom - up(state.dense[i]))));
            change(i, Math.round(100 * (1 - Math.sqrt(share))));
        };
        group.addEventListener("pointerdown", (event) => { event.preventDefault(); group.setPointerCapture(event.pointerId); group.focus({preventScroll: true}); follow(event); });
        group.addEventListener("touchstart", (event) => event.preventDefault(), {passive: false}); // else the page scrolls with the finger
        group.addEventListener("pointermove", (event) => group.hasPointerCapture(event.pointerId) && follow(event));
        group.addEventListener("focus", () => { state.chosen = i; later(); });
        group.addEventListener("keydown", (event) => {
            const now = state.damages[i], step = {ArrowUp: now - 2, ArrowRight: now + 2, ArrowDown: now + 2, ArrowLeft: now - 2, PageUp: now - 20, PageDown: now + 20, Home: 0, End: 100}[event.key];
            if (step === undefined) return;
            event.preventDefault();
            event.stopPropagation();
            change(i, Math.min(100, Math.max(0, step)));
        });
    }

    function change(i, damage) { state.damages[i] = damage; state.chosen = i; later(); }
    let asked = false;
    const later = () => { if (!asked) { asked = true; requestAnimationFrame(() => { asked = false; draw(); }); } };

    const ways = html("div", {role: "radiogroup", "aria-label": "What is done to the pruned layer", class: "ways"});
    const buttons = data.ways.map(({key, label}) => html("button", {type: "button", role: "radio", "data-way": key}, label));
    buttons.forEach((button, place) => {
        button.addEventListener("click", () => { state.way = data.ways[place].key; draw(); });
        button.addEventListener("keydown", (event) => {
            const step = {ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1}[event.key];
            if (!step) return;
            event.preventDefault();
            event.stopPropagation();
            const next = buttons[(place + step + buttons.length) % buttons.length];
            next.focus();
            next.click();
        });
    });
    ways.append(...buttons);
    const told = html("p", {class: "told", "aria-live": "polite"}), beside = html("div", {class: "beside"});
    const again = html("button", {type: "button", class: "again"}, "Start again");
    again.addEventListener("click", () => { Object.assign(state, {damages: [...data.damages], chosen: data.first, way: "none"}); draw(); });
    place.replaceChildren(html("div", {class: "idea", "data-drawn": "yes"}, ways, html("div", {class: "both"}, html("div", {class: "drawn"}, picture, told), beside), again));

    function draw() {
        state.pruned = state.dense.map((d, i) => d * (1 - state.damages[i] / 100) ** 2 + state.noise);
        state.factors = repairFactors(state.dense, state.pruned, state);
        const colour = data.ways.find(({key}) => key === state.way).colour;
        bars.forEach((one, i) => {
            const {variance, noise} = repaired(state, state.way, i), heard = Math.min(noise, variance);
            one.fill.setAttribute("y", up(variance)); one.fill.setAttribute("height", bottom - up(variance)); one.fill.setAttribute("fill", colour);
            one.noise.setAttribute("y", up(heard)); one.noise.setAttribute("height", bottom - up(heard));
            one.knob.setAttribute("y", up(state.pruned[i]) - 3);
            one.beyond.textContent = variance > MOST ? `↑ ${say(variance)}` : "";
            one.left.textContent = percent(variance / state.dense[i]);
            one.group.classList.toggle("chosen", i === state.chosen);
            one.group.setAttribute("aria-valuenow", state.damages[i]);
            one.group.setAttribute("aria-valuetext", `${state.damages[i]} % damaged, now ${percent(variance / state.dense[i])} of dense`);
        });
        buttons.forEach((button, place) => {
            const on = data.ways[place].key === state.way;
            button.setAttribute("aria-checked", on);
            button.tabIndex = on ? 0 : -1;
        });
        told.textContent = verdict(state);
        beside.replaceChildren(...equations(state).flatMap(([title, ...formulas]) => [html("p", {}, title), ...formulas]));
        place.idea = state; // looked at by tests
    }
    state.damages = [...data.damages];
    draw();
}

// The bars of the document (early.js), as whoever came first has left them, else new ones.
function taken(parent) {
    const place = window.earlyIdea ?? html("div", {class: "idea-place"}), held = document.activeElement;
    window.earlyIdea = undefined;
    if (parent.moveBefore && parent.isConnected && place.isConnected) parent.moveBefore(place, null); // keeps a drag
    else parent.append(place);
    if (held && place.contains(held)) held.focus({preventScroll: true});
    return place;
}

export default function arrive({data, parentElement}) {
    let place = parentElement.querySelector(":scope > .idea-place");
    if (!place) place = taken(parentElement);
    if (!place.idea) build(place, data);
}
