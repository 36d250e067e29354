// Keys that turn pages: Right, Space and PageDown forward; Left and PageUp back; Escape leaves. Not where a key has a
// meaning of its own. Windows of one browser tell each other where a talk is (data.scene: its number,
// count, title, notes, next, minutes), so that one shows the notes.
const OWN = "input, textarea, select, summary, [contenteditable=true], [role=slider], [role=radio], [role=combobox], [role=option], [role=tab], [role=menuitem]";
const MOVES = {ArrowRight: 1, PageDown: 1, " ": 1, ArrowLeft: -1, PageUp: -1};

// Moves that the server has not been told. It is told the next ones once it has turned the page for the last (data.turned
// counts): a move that meets it between two pages would be lost. Who hears nothing for PATIENCE may ask again.
const PATIENCE = 3000;
let owed = 0, asked = null, since = 0;

function tell(mark) {
    const {turned} = mark.data;
    if (!owed || (asked === turned && Date.now() - since < PATIENCE)) return;
    [asked, since] = [turned, Date.now()];
    mark.tell("move", owed);
    owed = 0;
}

function move(mark, by) {
    owed += by;
    tell(mark);
}

// Once for a mark, however often its data change: who listens twice turns two pages at one word from the notes.
function listen(mark) {
    const windows = mark.windows = new BroadcastChannel("asr-lens-talk");
    windows.onmessage = ({data: told}) => {
        if (!mark.isConnected || !mark.data.scene) return;
        if (told.move) move(mark, told.move);
        if (told.ask) windows.postMessage({scene: mark.data.scene});
    };
    const hear = (event) => {
        const {stage} = mark.data;
        if (!mark.isConnected || event.ctrlKey || event.altKey || event.metaKey || event.defaultPrevented) return;
        if (event.key === "Escape" && stage) return mark.tell("leave", true);
        if (!(event.key in MOVES) || (event.key === " " && !stage)) return;
        if (event.target.closest?.(OWN) || (event.key === " " && event.target.closest?.("button, a"))) return;
        event.preventDefault();
        move(mark, event.key === " " && event.shiftKey ? -1 : MOVES[event.key]);
    };
    document.addEventListener("keydown", hear);
    mark.end = () => { document.removeEventListener("keydown", hear); windows.close(); };
}

export default function ({data, parentElement, setTriggerValue}) {
    let mark = parentElement.querySelector(".keys");
    if (!mark) parentElement.append(mark = Object.assign(document.createElement("span"), {className: "keys"}));
    Object.assign(mark, {data, tell: setTriggerValue});
    mark.dataset.drawn = "yes";
    if (!mark.windows) listen(mark);
    tell(mark);
    if (data.scene) mark.windows.postMessage({scene: data.scene});
    return () => setTimeout(() => mark.isConnected || mark.end()); // also called for a change that another overtook
}
