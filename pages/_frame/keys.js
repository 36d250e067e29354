// Keys that turn pages: Right, Space and PageDown forward; Left and PageUp back. Not where a key has a meaning of its own.
const OWN = "input, textarea, select, summary, [contenteditable=true], [role=slider], [role=radio], [role=combobox], [role=option], [role=tab], [role=menuitem]";
const MOVES = {ArrowRight: 1, PageDown: 1, " ": 1, ArrowLeft: -1, PageUp: -1};

export default function ({data, parentElement, setTriggerValue}) {
    if (!parentElement.querySelector(".keys")) parentElement.append(Object.assign(document.createElement("span"), {className: "keys"}));
    parentElement.querySelector(".keys").dataset.drawn = "yes";
    const hear = (event) => {
        if (event.ctrlKey || event.altKey || event.metaKey || event.defaultPrevented || !(event.key in MOVES)) return;
        if (event.target.closest?.(OWN) || (event.key === " " && event.target.closest?.("button, a"))) return;
        if (event.key === " " && !data.space) return;
        event.preventDefault();
        setTriggerValue("move", event.key === " " && event.shiftKey ? -1 : MOVES[event.key]);
    };
    document.addEventListener("keydown", hear);
    return () => document.removeEventListener("keydown", hear);
}
