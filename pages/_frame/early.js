// In the document of the front page: the bars stand at once; the page takes them from here (idea.js).
{
    const early = document.getElementById("early"), place = html("div", {class: "idea-place"});
    const chosen = Object.entries(localStorage).find(([key]) => key.startsWith(`stActiveTheme-${location.pathname}-`))?.[1] ?? "";
    const dark = chosen.includes("Dark") || (!chosen.includes("Light") && matchMedia("(prefers-color-scheme: dark)").matches);
    early.classList.toggle("dark", dark);
    build(place, $data);
    early.append(place);
    window.earlyIdea = place;
}
