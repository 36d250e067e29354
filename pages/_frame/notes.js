// The notes of the scene that another window of this browser shows, the next scene, and the time since the first one.
export default function ({data, parentElement}) {
    let place = parentElement.querySelector(".notes");
    if (!place) parentElement.append(place = Object.assign(document.createElement("div"), {className: "notes"}));
    place.dataset.drawn = "yes";
    place.tabIndex = 0;
    const windows = new BroadcastChannel("asr-lens-talk");
    let now = 0, since = null;
    const line = (name, text, size) => Object.assign(document.createElement(name), {textContent: text, style: `font-size:${size}rem;margin:.4rem 0`});
    function draw() {
        const scene = data.scenes[now - 1], next = data.scenes[now];
        const gone = since === null ? 0 : Math.floor((Date.now() - since) / 1000);
        const clock = `${Math.floor(gone / 60)}:${String(gone % 60).padStart(2, "0")} of ${data.minutes}:00`;
        place.replaceChildren(
            line("h2", scene ? `${now} / ${data.scenes.length} · ${scene.title}` : "No window presents this talk yet", 1.5),
            line("p", scene ? scene.notes : "", 1.4),
            line("p", next ? `Next: ${next.title}` : scene ? "Last scene" : "", 1.1), line("p", clock, 1.1));
    }
    windows.onmessage = ({data: told}) => { if (told.scene) { now = told.scene; since ??= Date.now(); draw(); } };
    const hear = (event) => {
        const by = {ArrowRight: 1, PageDown: 1, ArrowLeft: -1, PageUp: -1}[event.key];
        if (by && !event.target.closest?.("input, textarea, [role=combobox]")) { event.preventDefault(); windows.postMessage({move: by}); }
    };
    document.addEventListener("keydown", hear);
    const tick = setInterval(draw, 1000);
    draw();
    windows.postMessage({ask: true});
    return () => { clearInterval(tick); document.removeEventListener("keydown", hear); windows.close(); };
}
