// Keys that turn pages: Right, Space and PageDown forward; Left and PageUp back; Escape leaves. Not where a key has a
// meaning of its own. Windows of one browser tell each other where a talk is (data.scene), so that one shows the notes.
const OWN = "input, textarea, select, summary, [contenteditable=true], [role=slider], [role=radio], [role=combobox], [role=option], [role=tab], [role=menuitem]";
const MOVES = {ArrowRight: 1, PageDown: 1, " ": 1, ArrowLeft: -1, PageUp: -1};

export default function ({data, parentElement, setTriggerValue}) {
    let mark = parentElement.querySelector(".keys");
    if (!mark) parentElement.append(mark = Object.assign(document.createElement("span"), {className: "keys"}));
    mark.dataset.drawn = "yes";
    const windows = new BroadcastChannel("asr-lens-talk");
    const here = () => data.scene && windows.postMessage({scene: data.scene});
    windows.onmessage = ({data: told}) => told.move ? data.scene && setTriggerValue("move", told.move) : told.ask && here();
    here();
    const hear = (event) => {
        if (event.ctrlKey || event.altKey || event.metaKey || event.defaultPrevented) return;
        if (event.key === "Escape" && data.stage) return setTriggerValue("leave", true);
        if (!(event.key in MOVES) || (event.key === " " && !data.stage)) return;
        if (event.target.closest?.(OWN) || (event.key === " " && event.target.closest?.("button, a"))) return;
        event.preventDefault();
        setTriggerValue("move", event.key === " " && event.shiftKey ? -1 : MOVES[event.key]);
    };
    document.addEventListener("keydown", hear);
    return () => { document.removeEventListener("keydown", hear); windows.close(); };
}
