"""The frame around every page: navigation, sidebar, breadcrumb, pin. Add a page as one line in PAGES."""

import gc
from contextlib import contextmanager, suppress

import streamlit as st

from asr_core.errors import AsrError
from asr_core.jobs.jobs import Wanted
from asr_core.networks import named
from pages._frame import common, compute, document, follow, header, plot, sidebar, stage, state, takeaway
from pages._frame.text import problem

# section: (file, title, icon, what it shows)
PAGES = {
    "Learn": (
        (
            "idea",
            "The idea",
            ":material/lightbulb:",
            "One number for a layer, one for each channel, and trust: in a minute.",
        ),
        ("lesson", "Lesson", ":material/school:", "Ten steps: predict, look, and why."),
        ("talk", "Talks", ":material/slideshow:", "Views in an order, for a stage: two talks, and your own."),
        ("glossary", "Glossary", ":material/menu_book:", "Every term in one sentence, with its equation."),
    ),
    "Look": (
        (
            "overview",
            "Overview",
            ":material/dashboard:",
            "Accuracy of each method, the damage along the network, the setting.",
        ),
        (
            "variance",
            "Channel variance",
            ":material/scatter_plot:",
            "Repaired against dense variance of every channel of a layer.",
        ),
        (
            "heatmaps",
            "Layer heatmaps",
            ":material/grid_on:",
            "Variance ratios of all layers at once, and what a scalar per layer cannot see.",
        ),
        (
            "maps",
            "Spatial maps",
            ":material/image:",
            "What one channel answers to test images: dense, pruned, repaired, and the differences.",
        ),
        ("curves", "Calibration curves", ":material/show_chart:", "Accuracy against the calibration budget."),
    ),
    "Question": (
        (
            "signal",
            "Signal",
            ":material/graphic_eq:",
            "How much of each channel is signal, how much noise, and what of its error a factor and bias could mend.",
        ),
        (
            "absorption",
            "Does BatchNorm undo it?",
            ":material/layers_clear:",
            "Which differences between methods are left once BatchNorm is re-estimated, and why.",
        ),
        (
            "confidence",
            "Confidence",
            ":material/speed:",
            "Whether each network is as sure as it is right, and what a temperature would mend.",
        ),
        (
            "images",
            "Which images pay",
            ":material/imagesmode:",
            "Which test images pruning loses, which repair regains them, which become newly wrong, class by class.",
        ),
        (
            "allocation",
            "Allocation",
            ":material/account_tree:",
            "Where each pruning rule leaves the weights, what a repair could mend there, and which rule wins.",
        ),
        (
            "noise",
            "Noise",
            ":material/casino:",
            "How far accuracies and differences move by chance, what is certain, and what would settle the rest.",
        ),
        (
            "severity",
            "Severity",
            ":material/trending_up:",
            "Gain of one method over another against the damage, over all stored settings.",
        ),
        (
            "ablation",
            "Ablation",
            ":material/grid_view:",
            "Table 2 of the paper here, and accuracy over granularity and prior.",
        ),
        (
            "paper",
            "Paper",
            ":material/article:",
            "The paper's tables and figures beside the stored results, and which protocol it may have used.",
        ),
    ),
    "Work": (
        (
            "settings",
            "All settings",
            ":material/table_rows:",
            "Every stored setting in one table: damage, gain, completeness; to filter, sort and open.",
        ),
        ("jobs", "Jobs", ":material/pending_actions:", "What is computed, waits, is done or failed."),
    ),
}

# Pages that show no setting of the user's: no breadcrumb, no pin, nothing in the sidebar but the pages.
QUIET = ("idea", "lesson", "talk", "glossary")

# On some machines Streamlit offers to install its own tools, in a card that hides Pin and Share. What is out of date it
# fades over a second, painting the page anew sixty times meanwhile: with several users on one machine that is a fifth
# of all work.
STYLE = """
[data-stale=true] {transition: opacity 0s 1.5s !important}
[data-testid=stCaptionContainer], [data-testid=stCaptionContainer] :is(p, li) {color: inherit !important}
[data-testid=stCaptionContainer] {opacity: .82}
[data-testid=stMainBlockContainer] {padding: 4rem 2.5rem 3rem}
@media (max-width: 640px) {[data-testid=stMainBlockContainer] {padding: 4rem 1rem 3rem}}
[data-testid=stMarkdownContainer] table {display: block; width: max-content; max-width: 100%; overflow-x: auto}
[data-testid=stMetricLabel] :is(div, p) {white-space: normal; overflow: visible}
[data-testid=stButtonGroup] [role=radiogroup] {flex-wrap: wrap; overflow: visible}
:is([data-testid=stSkillsNudge], .st-key-_prepare, .st-key-_heard) {display: none}
"""


def main() -> None:
    """One run of the dashboard."""
    # Before st.navigation: the browser would otherwise fetch the page's own icon from the net as its tab's icon.
    st.set_page_config(page_title="ASR Lens", page_icon="🔬", layout="wide")
    plot.prepare()
    named_networks()
    pages = {
        section: [
            st.Page(f"../{file}.py", title=title, icon=icon, url_path=file, help=about, default=file == document.FRONT)
            for file, title, icon, about in files
        ]
        for section, files in PAGES.items()
    }
    page = st.navigation(pages, expanded=True)  # no page hides behind "view more"
    st.set_page_config(page_title=f"{page.title} · ASR Lens")
    st.html(f"<style>{STYLE}</style>")
    st.session_state["_shown"] = page.url_path or document.FRONT
    target = st.session_state.pop("_goto", None)
    if target in {file for files in PAGES.values() for file, *_ in files}:
        state.leave()
        st.switch_page(f"../{target}.py")
    state.begin(page.url_path)
    if st.session_state["_shown"] not in QUIET:  # which one to show is looked for in all results, for half a second
        adopt()
    whole = False
    try:
        frame(page)
        whole = True
    finally:
        state.finish(whole)
    settle()


def adopt() -> None:
    """Choose a setting and a look where the address names none."""
    setting, look = state.unchosen()
    if setting:
        common.adopt_default()
    if look:
        with suppress(AsrError):  # said where the page is drawn
            common.adopt_look()


@st.cache_resource(show_spinner=False)
def named_networks() -> None:
    """Once per process: the networks that the server's owner names may be imported by its jobs."""
    with one_line():
        named.admit_server()


@st.cache_resource(show_spinner=False)
def settle() -> None:
    """Once per process: what is loaded by now is left out of Python's collections, which would else hold up one page in
    ten by 0.1 s."""
    gc.freeze()


def frame(page) -> None:
    """Header, page and sidebar; errors of the library as one line."""
    found, quiet, staged = None, st.session_state["_shown"] in QUIET, stage.on()
    st.session_state["_drawn"] = []
    with one_line():
        found = st.session_state["_view"] = None if quiet else common.present()
        if found:
            state.spell({"methods"} if found.missing else set())
        if not quiet:
            leave_behind()
        header.draw(page.title, found, quiet or staged)
        if staged:
            stage.draw(found)
        with suppress(common.Ended):
            page.run()
        if not staged:
            takeaway.files(page.title, found, header.link())
    header.complaints()
    if quiet or staged:
        return
    with one_line():
        sidebar.draw(found)  # last: its many controls take a browser longer than the first chart


def leave_behind() -> None:
    """What this session followed and no longer looks at is dropped."""
    if follow.followed():
        wanted = None
        with suppress(AsrError):  # what is chosen is no setting: said where the page is drawn
            wanted = Wanted(common.experiment()).id
        follow.move(compute.runner(common.store()), wanted)


@contextmanager
def one_line():
    """An error of the library within becomes one line on the page."""
    try:
        yield
    except AsrError as error:
        problem(error)


main()
