"""The page that sets the paper's tables and figures beside the stored results, run headless on made-up results."""

import re

import pytest
import shipped
from drawn import charts
from made_results import store_result
from paged import faultless, words
from streamlit.testing.v1 import AppTest

from asr_core.report.words import described
from asr_core.spec.repairs import RepairSpec, repairs
from asr_core.store import Store
from asr_core.store.entries import PROJECT
from asr_core.store.tables import rows_of
from asr_core.studies.cells import Variant
from pages._frame import paper_drawn

PARTS = ("table1", "tables", "figures", "protocol", "fidelity")
FIGURES = {3: 1, 4: 1, 5: 0, 6: 1, 7: 1, 8: 1, 9: 4, 10: 1, 11: 1, 12: 1}  # charts; maps are not stored
TEXT = PROJECT.parent / "shared" / "paper" / "asr_paper.txt"


def cifar(store: Store, sparsity: float = 0.9, architecture: str = "resnet18", **setting):
    return store_result(store, dataset="cifar10", architecture=architecture, sparsity=sparsity, **setting)


def opened(**address) -> AppTest:
    """The page after a link with `address`."""
    return faultless("paper", **{"architecture": "resnet18", **address})


def number(app: AppTest, method: str, column: str, architecture: str = "ResNet-18") -> str:
    """A cell of table 1; column: '90 % here'."""
    table = app.dataframe[0].value
    row = (table["", "architecture"] == architecture) & (table["", "method"] == method)
    return table.loc[row, tuple(column.rsplit(" ", 1))].item()


@pytest.mark.parametrize("part", PARTS)
def test_an_empty_store_shows_the_paper_and_says_what_is_missing(store, part):
    app = opened(dataset="digits", part=part)
    said = {
        "table1": "Networks here: none yet",
        "tables": "This network is not stored",
        "figures": "Nothing is stored yet",
        "protocol": "one command",
        "fidelity": "nothing can be told",
    }
    assert said[part] in words(app)
    assert not charts(app)


def test_table_1_sets_ours_beside_the_paper_s(store):
    def change(tables):
        rows = tables["accuracy"]
        rows.loc[rows["method"] == "bn_only", ["top1", "top1_low", "top1_high"]] = 0.6, 0.58, 0.62
        rows.loc[rows["method"] == "lw_bn", ["top1", "top1_low", "top1_high"]] = 0.59, 0.57, 0.61

    cifar(store, change=change)
    app = opened(dataset="cifar10", sparsity="0.9")
    assert [number(app, "BN only", f"90 % {name}") for name in ("paper", "here", "Δ")] == ["53.70", "60.0", "+6.3 ▲"]
    assert number(app, "LW (eq. 1)", "90 % Δ") == "+0.2"
    assert [number(app, "BN only", f"90 % {name}", "ResNet-50") for name in ("here", "Δ")] == ["–", ""]
    assert "a single seed is stored" in words(app)


def test_another_dataset_is_chosen_by_the_address(store):
    cifar(store)
    app = opened(dataset="cifar10", sparsity="0.9", paper_data="imagenette")
    assert number(app, "dense", "dense paper") == "97.27" and number(app, "dense", "dense here") == "–"


def test_the_counts_are_the_paper_s_and_live(store):
    cifar(store)
    table = opened(dataset="cifar10", sparsity="0.9").dataframe[1].value.set_index("recalibration")
    assert table.loc["the paper"].tolist() == [
        "33 of 36 (1 tie) [ahead 15, behind 0, may be equal 21]",
        "19 of 36 [ahead 7, behind 11, may be equal 18]",
        "12 of 36 (1 tie) [ahead 2, behind 16, may be equal 18]",
    ]
    assert all(" of 1" in cell for cell in table.loc["cumulative, b = 20"])
    cifar(store, 0.7)
    table = opened(dataset="cifar10", sparsity="0.9").dataframe[1].value.set_index("recalibration")
    assert all(" of 2" in cell for cell in table.loc["cumulative, b = 20"])


def test_missing_cells_say_what_they_cost_and_one_starts_by_button(store):
    cifar(store)
    app = opened(dataset="cifar10", sparsity="0.9", made="paper")
    costs = app.dataframe[2].value.set_index("cell")
    assert len(costs) == 35 and costs.loc["ResNet-18, CIFAR-10, 70 %", "image passes"] == "400,688"
    assert not [button for button in app.button if button.label.lower().endswith("compute")]
    app.selectbox(key="_cell").select("ResNet-50, CIFAR-10, 90 %").run()
    assert not app.exception and [button for button in app.button if button.label.lower().endswith("compute")]
    assert "To compute: **about" in words(app)
    assert "--architecture resnet50" in app.code[-1].value


def test_the_mean_correction_of_the_page_and_the_recalibration_of_the_sidebar_are_shown(store):
    result = cifar(store)
    app = opened(
        dataset="cifar10", sparsity="0.9", bias2="on", order2="sequential", averaging="cumulative", calib_batches="50"
    )
    rows = result.accuracy.query("averaging == 'cumulative' and calib_batches == 50")
    lw = rows_of(rows, RepairSpec.of("lw_bn", "sequential", True))["top1"].item()
    assert number(app, "LW (eq. 1)", "90 % here") == f"{100 * lw:.1f}"
    assert "sequential collection, mean correction on, cumulative, b = 50" in words(app)


def test_tables_2_and_3_and_the_conflict_are_shown(store):
    cifar(store)
    cifar(store, architecture="resnet50")
    app = opened(dataset="cifar10", sparsity="0.9", part="tables")
    table2, table3 = (frame.value for frame in app.dataframe[:2])
    assert table2["paper"].tolist()[:2] == ["29.11", "39.42"] and table2["here"].tolist()[0] != "–"
    assert set(table3.loc[table3["dataset"] == "CIFAR-10", "settings here"]) == {2}
    assert "| BN only                     | 28.04     | 29.11     | +1.07        |" in words(app)


@pytest.mark.parametrize("drawn", FIGURES)
def test_each_figure_is_redrawn_or_says_why_not(store, drawn):
    cifar(store)
    app = opened(dataset="cifar10", sparsity="0.9", part="figures", drawn=str(drawn))
    assert len(charts(app)) == FIGURES[drawn]
    own = drawn in (3, 6, 7, 9)  # the others show networks that are not stored
    assert own == ("Drawn instead" not in words(app))
    if drawn == 5:
        assert "maps of layer2.0.conv1 are not stored" in words(app)


def test_a_figure_opens_the_page_that_draws_it_in_full(store):
    cifar(store)
    cifar(store, sparsity=0.5)
    app = opened(dataset="cifar10", sparsity="0.5", part="figures", drawn="10")
    app.button(key="_open_figure").click().run()
    assert not app.exception
    assert app.query_params["sparsity"] in ("0.9", ["0.9"])  # how AppTest gives it differs between versions
    assert app.title[0].value == "Layer heatmaps"


def test_a_result_of_layers_and_accuracy_only_is_enough_for_tables_and_says_so_at_figures(store):
    shown = Store(store.root / "made")
    entry = cifar(shown).entry
    files = {
        name: entry.table(name.removesuffix(".parquet")) if name.endswith(".parquet") else entry.arrays("correct")
        for name in entry.manifest["files"]
        if name not in ("channels.parquet", "repairs.parquet")
    }
    store.put("result", entry.manifest["key"], files, entry.manifest["facts"], entry.manifest["spec"])
    store_result(store, architecture="resnet18", sparsity=0.5)  # digits, whole: the present setting
    assert number(opened(dataset="digits", sparsity="0.5"), "BN only", "90 % here") != "–"
    assert "only layers and accuracy are stored" in words(
        opened(dataset="digits", sparsity="0.5", part="figures", drawn="4")
    )
    assert len(charts(opened(dataset="digits", sparsity="0.5", part="figures", drawn="10"))) == 1  # needs layers only


def test_the_card_names_what_differs(store):
    cifar(store)
    card = opened(dataset="cifar10", sparsity="0.9", part="protocol").dataframe[0].value.set_index("aspect")
    assert card.loc["input size"].tolist() == ["not stated", "32 x 32 pixels"]


def test_the_study_has_a_row_per_protocol_and_says_what_cannot_be_told(store):
    cifar(store, repairs=repairs())
    cifar(store, 0.7)
    app = opened(dataset="cifar10", sparsity="0.9", part="fidelity")
    table = app.dataframe[0].value
    assert len(table) == 12 + 1 and set(table["cells"]) == {2}
    assert "Of 13 protocols" in words(app) and "in 2 cells of table 1 each" in words(app)


def test_the_results_that_come_with_the_project_open_without_an_error(monkeypatch):
    monkeypatch.setenv("ASR_CACHE_DIR", str(shipped.store().root))
    for part in PARTS:
        opened(dataset="digits", part=part)


def test_the_page_opens_with_the_choices_of_the_command_line(store):
    assert described(Variant()) in words(opened(dataset="digits"))


def test_the_mean_correction_that_is_shown_first_is_the_one_with_most_numbers(store):
    cifar(store, repairs=repairs(orders=("simultaneous",), biases=("off",)))
    assert number(opened(dataset="cifar10", sparsity="0.9"), "ASR", "90 % here") not in ("", "–")
    app = opened(dataset="cifar10", sparsity="0.9", bias2="own")
    assert number(app, "ASR", "90 % here") == "–"


@pytest.mark.skipif(not TEXT.is_file(), reason="the paper's text lies beside the checkout, not in it")
@pytest.mark.parametrize("number", [n for n, figure in paper_drawn.FIGURES.items() if figure.numbers])
def test_numbers_that_are_said_to_be_the_papers_stand_in_its_text_beside_the_figure(number):
    lines = [" ".join(line.split()) for line in TEXT.read_text().splitlines()]
    about = " ".join(line for line in lines if f"Figure {number}" in line)
    said = re.findall(r"\d+\.\d+(?![.\w])", paper_drawn.FIGURES[number].numbers)
    assert [value for value in said if value not in about] == []
    assert said or "table 3" in paper_drawn.FIGURES[number].numbers
