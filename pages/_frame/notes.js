// The notes of the scene that another window of this browser shows, the next scene, and the time since the first one.
const line = (name, text, size) => Object.assign(document.createElement(name), {textContent: text, style: `font-size:${size}rem;margin:.4rem 0`});

function draw(place) {
    const {scene, since} = place;
    if (!scene) return place.replaceChildren(line("h2", "No window presents a talk yet", 1.5));
    const gone = Math.floor((Date.now() - since) / 1000);
    place.replaceChildren(
        line("h2", `${scene.number} / ${scene.count} · ${scene.title}`, 1.5), line("p", scene.notes, 1.4),
        line("p", scene.next ? `Next: ${scene.next}` : "Last scene", 1.1),
        line("p", `${Math.floor(gone / 60)}:${String(gone % 60).padStart(2, "0")} of ${scene.minutes}:00`, 1.1));
}

// Once for a place, however often the page runs.
function listen(place) {
    const windows = place.windows = new BroadcastChannel("asr-lens-talk");
    windows.onmessage = ({data: told}) => {
        if (!told.scene) return;
        Object.assign(place, {scene: told.scene, since: place.since ?? Date.now()});
        draw(place);
    };
    const hear = (event) => {
        const by = {ArrowRight: 1, PageDown: 1, ArrowLeft: -1, PageUp: -1}[event.key];
        if (!by || !place.isConnected || event.target.closest?.("input, textarea, [role=combobox]")) return;
        event.preventDefault();
        windows.postMessage({move: by});
    };
    document.addEventListener("keydown", hear);
    const tick = setInterval(() => draw(place), 1000);
    place.end = () => { clearInterval(tick); document.removeEventListener("keydown", hear); windows.close(); };
    windows.postMessage({ask: true});
}

export default function ({parentElement}) {
    let place = parentElement.querySelector(".notes");
    if (!place) parentElement.append(place = Object.assign(document.createElement("div"), {className: "notes", tabIndex: 0}));
    place.dataset.drawn = "yes";
    draw(place);
    if (!place.windows) listen(place);
    return () => setTimeout(() => place.isConnected || place.end()); // also called for a change that another overtook
}
