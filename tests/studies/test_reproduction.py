"""The paper's tables beside stored results: matching, differences and their noise, counts, conflicts, the protocol
card, costs."""

import json
import shlex
from dataclasses import replace

import pytest
from click.testing import CliRunner
from made_results import store_result

from asr_core.cli.main import main
from asr_core.networks import sgd
from asr_core.report.words import number
from asr_core.spec.experiment import Setting
from asr_core.spec.recalibration import REPORTED_STATE, BatchNormState
from asr_core.spec.repairs import RepairSpec
from asr_core.store import Store
from asr_core.store.catalogue import Stored, stored
from asr_core.studies import ablation, ahead, protocol, reproduction
from asr_core.studies.card import card as protocol_card
from asr_core.studies.cells import Cell, Variant

CIFAR_90 = Cell("resnet18", "cifar10", "global_l1_0.90")
JPEG = {"dataset_label": "CIFAR-10 (JPEG copy)"}
RESNET18 = {"architecture": "resnet18"}  # a network of the paper


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


def item(label="CIFAR-10 (JPEG copy)", key="k", rows=10, dense_id="ab", **setting) -> Stored:
    """A catalogue entry with that label."""
    usual = {"dataset": "folder", "digest": "0123456789abcdef", "classes": 10, "sparsity": 0.9} | RESNET18
    return Stored(key, Setting.of(**usual | setting), dense_id, {"dataset_label": label}, rows, "2026")


def fixed(store: Store, top1: dict, half: float = 0.02, **setting):
    """A stored network on CIFAR-10 at 90 %: methods in `top1` have that accuracy, plus and minus `half`, in every
    state."""

    def change(tables):
        rows = tables["accuracy"]
        for method, value in top1.items():
            mine = rows["method"] == method
            rows.loc[mine, ["top1", "top1_low", "top1_high"]] = value, value - half, value + half

    return store_result(store, change=change, **{"dataset": "cifar10", "sparsity": 0.9} | RESNET18 | setting)


def row_of(table, method, cell=CIFAR_90):
    return table.set_index([*reproduction.CELL, "method"]).loc[(cell.architecture, cell.dataset, cell.pruning, method)]


# Matching


def test_a_copy_of_cifar10_counts_as_cifar10_and_digits_as_nothing():
    assert protocol.cell_of(item()) == CIFAR_90
    assert protocol.cell_of(item("CIFAR-10", dataset="cifar10")) == CIFAR_90
    assert protocol.cell_of(item("scikit-learn digits", dataset="digits")) is None
    assert protocol.cell_of(item("holiday pictures")) is None


def test_other_sparsities_rules_and_networks_have_no_cell():
    assert protocol.cell_of(item(sparsity=0.95)) is None
    assert protocol.cell_of(item(pruning="uniform")) is None
    assert protocol.cell_of(item(architecture="resnet34")) is None
    assert protocol.cell_of(item(pruning="n_m", keep_n=2, group_m=4)) == replace(CIFAR_90, pruning="nm_2:4")
    assert protocol.cell_of(item(pruning="n_m", keep_n=1, group_m=4)) is None


def test_the_make_nearest_to_the_paper_answers_and_its_seeds_are_repeats():
    near, half, study = item(key="near"), item(key="half", stem="half"), item(key="study", stat_images=8)
    seeds = [item(key="two", seed=2), item(key="one", seed=1)]
    found = protocol.matches([half, study, *seeds, near])
    assert [(match.keys, match.repeat) for match in found] == [(("near",), 0), (("one",), 1), (("two",), 2)]
    assert [match.keys for match in protocol.matches([near, item(key="full", source="imagenet", image_size=224)])] == [
        ("full",)
    ]


def test_linear_layers_pruned_or_not_are_never_mixed():
    both = [item(key="conv"), item(key="all", include_linear=True)]
    assert [match.keys for match in protocol.matches(both)] == [("conv",)]
    assert [match.keys for match in protocol.matches(both, include_linear=True)] == [("all",)]


def test_results_of_one_setting_are_one_network_most_rows_first():
    found = protocol.matches([item(key="few", rows=3), item(key="many", rows=30)])
    assert [match.keys for match in found] == [("many", "few")]


# Table 1


def test_the_difference_to_the_paper_is_told_with_its_noise(store):
    fixed(store, {"bn_only": 0.60, "lw_bn": 0.58, "dense": 0.90})
    table = reproduction.table1(store, stored(store), Variant())
    bn, lw, dense = (
        row_of(table, "bn_only"),
        row_of(table, "lw_bn"),
        row_of(table, "dense", replace(CIFAR_90, pruning="none")),
    )
    assert (bn["paper"], bn["top1"]) == (0.537, 0.60)
    assert bn["difference"] == pytest.approx(0.063) and bn["beyond_interval"] and bn["beyond"]
    assert (
        lw["difference"] == pytest.approx(-0.0077) and not lw["beyond_interval"] and not lw["beyond"]
    )  # 58.77 is in [56, 60]
    assert dense["difference"] == pytest.approx(-0.0277)
    assert len(table) == len(ablation.published("table1")) == 156


def test_a_difference_smaller_than_the_spread_of_seeds_is_noise(store):
    fixed(store, {"bn_only": 0.60, "asr_bn": 0.70})
    fixed(store, {"bn_only": 0.52, "asr_bn": 0.69}, seed=1)
    table = reproduction.table1(store, stored(store), Variant())
    bn, asr = row_of(table, "bn_only"), row_of(table, "asr_bn")
    assert bn["top1"] == 0.60 and bn["repeats"] == 2 and bn["spread"] == pytest.approx(0.08)
    assert bn["beyond_interval"] and not bn["beyond_spread"] and not bn["beyond"]
    assert asr["beyond_spread"] and asr["beyond"]  # 70 against 63.56, seeds one point apart


def test_the_variant_chooses_order_mean_correction_and_recalibration(store):
    result = store_result(store, dataset="cifar10", sparsity=0.9, **RESNET18)
    chosen = Variant(order="sequential", bias=True, averaging="cumulative", calib_batches=50)
    table = reproduction.table1(store, stored(store), chosen)
    own = ablation.in_state(result.accuracy, BatchNormState.of(averaging="cumulative", calib_batches=50))
    assert row_of(table, "lw_bn")["top1"] == own.loc[RepairSpec.of("lw_bn", "sequential", True), "top1"]
    assert row_of(table, "asr_bn")[["order", "bias", "params"]].tolist() == ["sequential", True, ""]


def test_by_default_only_asr_corrects_means_as_in_table_2():
    assert Variant().repair("lw_bn") == RepairSpec.of("lw_bn", "simultaneous", False)
    assert Variant().repair("asr_bn") == RepairSpec.of("asr_bn", "simultaneous", True)


def test_an_empty_store_leaves_the_paper_alone(store):
    table = reproduction.table1(store, [], Variant())
    assert table["top1"].isna().all() and table["beyond"].isna().all() and table["paper"].notna().all()
    assert not reproduction.counts(store, [], Variant()).query("where != 'the paper'")["cells"].any()


# Tables 2 and 3


def test_table_2_comes_from_resnet50_on_cifar10_at_90_percent_only(store):
    fixed(store, {"bn_only": 0.60})
    assert reproduction.table2(store, stored(store), Variant())["top1"].isna().all()
    fixed(store, {"bn_only": 0.30}, architecture="resnet50")
    table = reproduction.table2(store, stored(store), Variant()).set_index("row")
    assert table.loc["BN only", "difference"] == pytest.approx(0.0089) and not table.loc["BN only", "beyond"]


def test_table_3_takes_the_median_over_settings_seeds_once(store):
    for sparsity, top1 in ((0.5, 0.9), (0.7, 0.8), (0.9, 0.4)):
        fixed(store, {"bn_only": top1}, sparsity=sparsity)
    fixed(store, {"bn_only": 0.1}, seed=1)
    table = reproduction.table3(store, stored(store), Variant()).set_index(["dataset", "step"])
    cifar = table.loc[("CIFAR-10", 20)]
    assert (cifar["settings"], cifar["median"]) == (3, 0.8)
    assert cifar["low"] == pytest.approx(0.4 + 0.05 * 0.4) and cifar["high"] == pytest.approx(0.9 - 0.05 * 0.1)
    assert cifar["paper_median"] == pytest.approx(0.8286) and cifar["paper_low"] == pytest.approx(0.2057)
    assert table.loc[("CIFAR-100", 20), "settings"] == 0 and table.loc[("Overall", 50), "settings"] == 3


# Counts and conflicts


def test_the_paper_s_own_counts_are_33_19_and_12_of_36():
    found = ahead.wins(ablation.published("table1").assign(paper=lambda t: t["top1_percent"] / 100))
    assert found[["better", "worse", "cells", "wins", "ties", "losses"]].values.tolist() == [
        ["asr_bn", "lw_bn", 36, 33, 1, 2],
        ["asr_bn", "bn_only", 36, 19, 0, 17],
        ["lw_bn", "bn_only", 36, 12, 1, 23],
    ]


def test_stored_cells_are_counted_under_each_recalibration(store):
    fixed(store, {"bn_only": 0.50, "lw_bn": 0.50, "asr_bn": 0.60})
    fixed(store, {"bn_only": 0.70, "lw_bn": 0.72, "asr_bn": 0.71}, sparsity=0.7)
    table = reproduction.counts(store, stored(store), Variant())
    assert list(table["where"].unique()) == [
        "the paper",
        "no recalibration",
        "ema 0.1 from reset, b = 20",
        "ema 0.1 from keep, b = 20",
        "cumulative, b = 20",
    ]
    here = table[table["where"] == "cumulative, b = 20"].set_index(["better", "worse"])
    columns = ["cells", "wins", "ties", "losses", "ahead", "behind", "equal"]
    assert here.loc[("asr_bn", "lw_bn"), columns].tolist() == [2, 1, 0, 1, 1, 1, 0]
    assert here.loc[("lw_bn", "bn_only"), columns].tolist() == [2, 1, 1, 0, 1, 0, 1]


def test_gaps_of_the_paper_under_its_own_noise_may_be_equal():
    found = ahead.wins(ablation.published("table1").assign(paper=lambda t: t["top1_percent"] / 100))
    assert found["equal"].tolist() == [21, 18, 18]
    assert (found[["ahead", "behind", "equal"]].sum(axis=1) == 36).all()


def test_figure_7_takes_the_same_settings_at_every_step(store):
    fixed(store, {"bn_only": 0.9}, sparsity=0.7)
    fixed(store, {"bn_only": 0.1}, sparsity=0.9, states=(REPORTED_STATE,))
    table = reproduction.table3(store, stored(store), Variant()).set_index(["dataset", "step"])
    assert set(table.loc["CIFAR-10", "settings"]) == {1} and table.loc[("CIFAR-10", 20), "median"] == 0.9
    assert table.loc[("CIFAR-10", 20), "paper_same"] == pytest.approx(0.8308, abs=0.2)


def test_tables_1_and_2_disagree_on_the_same_setting():
    table = reproduction.conflict().set_index("method")
    assert table.loc["bn_only", ["table1", "table2"]].tolist() == [28.04, 29.11]
    assert table.loc["lw_bn", ["table1", "table2"]].tolist() == [41.01, 39.42]
    assert table.loc["asr_bn", "difference"] == 0


def test_the_minimum_of_table_3_is_a_quantile_of_table_1():
    table = reproduction.ranges().set_index("dataset")
    assert table.loc["CIFAR-10", ["table1_least", "table3_min"]].tolist() == [16.09, 20.57]
    assert table["quantile"].round(2).tolist() == pytest.approx(table["table3_min"].tolist(), abs=0.011)
    assert (table["table3_min"] > table["table1_least"]).all()


# Protocols and costs


def test_the_card_quotes_the_paper_and_names_what_it_leaves_open():
    setting = Setting.of(dataset="cifar10", eval_images=2000, epochs=12, **RESNET18)
    card = protocol_card(setting, "CIFAR-10 (JPEG copy)", Variant(order="sequential")).set_index("aspect")
    assert "ImageNet-pretrained" in card.loc["weights", "paper"] and card.loc["weights", "here"] == "random start"
    for aspect in ("optimiser, learning rate", "input size", "pruned tensors", "averaging, momentum"):
        assert card.loc[aspect, "paper"] == "not stated"
    assert card.loc["epochs", "here"] == "12" and "2,000" in card.loc["test images", "here"]
    assert card.loc["order of collection", "here"] == "sequential" and card.loc["eps", "here"] == "1e-08"


def test_the_card_s_recipe_is_the_one_that_trains():
    words = protocol_card(Setting(), "digits", Variant()).set_index("aspect").loc["optimiser, learning rate", "here"]
    assert (
        f"momentum {sgd.MOMENTUM:g}" in words
        and f"weight decay {sgd.WEIGHT_DECAY:g}" == "weight decay 0.0005"
        and "5e-4" in words
    )


@pytest.mark.parametrize("cell", [CIFAR_90, Cell("vgg16_bn", "imagenette", "nm_2:4")])
def test_the_command_of_the_paper_s_protocol_is_one_that_the_command_line_takes(cell):
    words = shlex.split(protocol.command(cell))
    assert words[:4] == ["python", "-m", "asr_core", "run"]
    asked = main.get_command(None, "run").make_context("run", words[4:]).params
    assert (asked["source"], asked["image_size"], asked["architecture"], asked["dataset"]) == (
        "imagenet",
        224,
        cell.architecture,
        cell.dataset,
    )
    made = protocol.paper_setting(cell)
    assert (made.dense.source, made.data.image_size, made.dense.epochs) == (
        asked["source"],
        asked["image_size"],
        asked["epochs"],
    )


def test_a_missing_cell_costs_its_image_passes(store):
    missing = reproduction.missing(store, [], Variant(), as_paper=True).set_index("label")
    assert len(missing) == 36 and missing["seconds"].isna().all()
    decoded, trained, evaluated, recalibrated, measured = 60_000, 5 * 50_000, 8 * 10_000, 4 * 20 * 128, (4 + 3) * 64
    assert missing.loc["ResNet-18, CIFAR-10, 90 %", "images"] == decoded + trained + evaluated + recalibrated + measured


def test_a_stored_cell_is_not_missing(store):
    fixed(store, {})
    labels = set(reproduction.missing(store, stored(store), Variant())["label"])
    assert CIFAR_90.label not in labels and len(labels) == 35


def test_a_missing_cell_is_made_like_the_stored_ones(store):
    known = [item("CIFAR-10", dataset="cifar10", epochs=12, eval_images=2000, stem="small")]
    other = protocol.like_stored(Cell("vgg16_bn", "cifar100", "nm_2:4"), known, store)
    made = {
        "dataset": "cifar100",
        "architecture": "vgg16_bn",
        "head": "linear",
        "epochs": 12,
        "eval_images": 2000,
        "stem": "small",
    }
    assert made.items() <= other.values().items()
    pruned = {"pruning": "n_m", "keep_n": 2, "group_m": 4, "include_linear": False, "ignore": None}
    assert other.prune.values() == pruned
    spec = protocol.experiment(other, Variant())
    assert spec.data.classes == 100 and len(spec.repairs) == 3 and len(spec.states) == 2


def test_images_that_are_not_on_this_machine_are_replaced_by_the_download(store):
    assert protocol.like_stored(Cell("resnet50", "cifar10", "nm_2:4"), [item()], store).data.dataset == "cifar10"


# The command line


def asr(store, *arguments):
    return CliRunner().invoke(
        main, ["--cache-dir", str(store.root), "paper", *arguments], prog_name="python -m asr_core"
    )


def test_the_command_line_prints_the_tables_with_ours_beside_them(store):
    fixed(store, {"bn_only": 0.60})
    shown = asr(store)
    assert shown.exit_code == 0
    assert (
        "53.70 | 60.0 | +6.3*" in shown.output
        and "33 of 36 (1 tie)" in shown.output
        and "“resets and re-estimates" in shown.output
    )


def test_json_holds_the_same_numbers(store):
    fixed(store, {"bn_only": 0.60})
    found = json.loads(asr(store, "--json").output)
    row = next(
        r
        for r in found["table1"]
        if (r["architecture"], r["dataset"], r["pruning"], r["method"])
        == ("resnet18", "cifar10", "global_l1_0.90", "bn_only")
    )
    assert (row["paper"], row["top1"], row["beyond"]) == (0.537, 0.6, True)
    assert found["table1"][1]["top1"] is None and found["conflict"][0]["table2"] == 29.11


def test_a_bad_choice_is_one_line(store):
    for option, value in (("--bias", "sometimes"), ("--order", "backwards"), ("--start", "late"), ("--momentum", "2")):
        shown = asr(store, option, value)
        assert shown.exit_code == 2 and shown.output.count("\n") == 1 and value in shown.output


def test_numbers_that_are_not_known_leave_no_text():
    assert number(float("nan")) == "" and number(0.5, sign=True) == "+50.0"
