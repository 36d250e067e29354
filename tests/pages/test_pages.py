"""Pages on one setting, and the frame around all pages: every state, broken links, pin, difference, selection."""

import ast
import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import streamlit as st
from drawn import charts, drawn, numbers
from made_jobs import LINE, make_job
from made_results import store_result
from paged import faultless as opened
from paged import turned, words
from streamlit.testing.v1 import AppTest

from asr_core.jobs.jobs import Wanted
from asr_core.pipeline import assembly
from asr_core.report import ideatext
from asr_core.spec.experiment import ExperimentSpec, Setting
from asr_core.spec.recalibration import NO_STATE, BatchNormState, default_states
from asr_core.spec.repairs import RepairSpec, repairs
from asr_core.store import Store, shipping
from asr_core.store.entries import PROJECT
from asr_core.store.tables import is_of
from pages._frame import document
from pages._frame import sidebar as _sidebar
from pages._frame.rows import picked_row

PAGES = ("overview", "variance", "heatmaps", "curves", "maps")
CHARTS = {"overview": 2, "variance": 4, "heatmaps": 2, "curves": 2, "maps": 0}  # of a stored setting whose maps are not


def pin_of(result, look="simultaneous~off~reset~ema~0.1~20") -> str:
    return f"{result.entry.manifest['key']}~{look}"


@pytest.mark.parametrize("page", PAGES)
def test_an_empty_store_is_said_in_words_and_offers_to_compute(store, page):
    app = opened(page)
    assert "Nothing is stored yet" in words(app) and "To compute: **about" in words(app)
    assert [button.label for button in app.button].count("Compute") == 1 and not charts(app)


@pytest.mark.parametrize("page", PAGES)
def test_choices_hold_and_reach_the_address_while_nothing_is_stored(store, page):
    app = opened(page)
    app.session_state["_open_dense"] = True
    app.selectbox(key="architecture").set_value("resnet50").run()
    app.number_input(key="seed").set_value(3).run()
    assert not app.exception and app.query_params["architecture"] == "resnet50" and app.query_params["seed"] == "3"


def test_layers_that_keep_weights_are_chosen_in_the_sidebar_and_reach_the_address(store):
    store_result(store)
    app = opened("overview", dataset="digits", min_density="0.01")
    app.session_state["_open_floors"] = True
    app.run()
    assert app.number_input(key="min_density").value == 0.01 and not app.toggle(key="keep_first").value
    app.toggle(key="keep_first").set_value(True).run()
    assert app.query_params["keep_first"] == "on" and app.query_params["min_density"] == "0.01"
    assert "To compute: **about" in words(app)
    app.number_input(key="min_density").set_value(0.0).run()
    app.toggle(key="keep_first").set_value(False).run()
    assert not app.exception and not {"keep_first", "min_density"} & {*app.query_params}
    app.selectbox(key="pruning").set_value("n_m").run()
    assert not app.exception and "keep_first" not in {toggle.key for toggle in app.toggle}


@pytest.mark.parametrize("page", PAGES)
def test_a_stored_setting_is_drawn_and_told(store, page):
    store_result(store)
    app = opened(page)
    assert len(charts(app)) == CHARTS[page] and app.title[0].value in words(app)
    assert all(item["alt"] for item in drawn(app))
    assert not app.warning


def job_of(store, state, **more):
    """A job that computes what the pages want of a digits setting that is not stored."""
    chosen = repairs(orders=("simultaneous",), biases=("off",))
    wanted = ExperimentSpec.of_setting(Setting.of(sparsity=0.97), chosen, default_states((10, 20, 30, 50)))
    return make_job(store, state, wanted=Wanted(wanted), **more)


@pytest.mark.parametrize("page", PAGES)
def test_a_running_job_shows_its_progress_and_no_other_setting(store, page):
    store_result(store)
    job_of(store, "running", line=LINE)
    app = opened(page, dataset="digits", sparsity="0.97")
    assert "is not stored, so nothing is drawn of it" in words(app)
    assert (
        app.get("progress")[0].proto.text.startswith("25 % · accuracy (BN only)")
        and app.button(key=f"_cancel_{jobs_id(store)}").label == "Cancel"
    )
    assert not charts(app)


def jobs_id(store) -> str:
    return next(store.jobs.iterdir()).name


@pytest.mark.parametrize("page", PAGES)
def test_what_a_running_job_has_stored_so_far_is_drawn(store, page, monkeypatch):
    """First statistics of some repairs and no accuracy at all."""
    made = store_result(store, sparsity=0.97)
    store.clear(["result"])
    some = made.repairs[made.repairs["method"].isin(["bn_only", "lw_bn"])]
    begun = replace(made, accuracy=None, repairs=some, entry=None)
    monkeypatch.setattr(assembly, "partial", lambda *_: begun)
    job_of(store, "running", line=LINE)
    app = opened(page, dataset="digits", sparsity="0.97")
    assert "This setting is being computed" in words(app)
    if page == "variance":
        drawn = {trace.get("name") for trace in charts(app)[0]["data"]}
        assert "LW (eq. 1)" in drawn
        assert not any(name and "ASR" in name for name in drawn)


@pytest.mark.parametrize("page", PAGES)
def test_a_failed_job_shows_its_reason_and_leaves_the_page_alive(store, page):
    store_result(store)
    job_of(store, "failed", reason="no room on the disk")
    app = AppTest.from_file(PROJECT / "pages/_frame/main.py", default_timeout=300)
    app.query_params |= {"dataset": "digits", "sparsity": "0.97"}
    app.run()
    app.switch_page(f"../{page}.py").run()
    assert not app.exception and app.error[0].value == "The computation failed: no room on the disk"
    assert "Retry" in [button.label for button in app.button]


@pytest.mark.parametrize("page", PAGES)
def test_dead_layers_and_numbers_that_are_not_finite_do_not_break_a_page(store, page):
    def spoil(tables):
        last = tables["channels"]["layer"].eq("layer2.0.conv2")
        tables["channels"].loc[last, ["v_pruned", "mu_pruned"]] = 0.0
        tables["channels"].loc[::5, ["v_dense", "kept_energy"]] = np.nan
        tables["channels"].loc[1::7, "v_dense"] = 0.0
        tables["repairs"].loc[::3, ["gamma", "v_repaired", "mu_repaired", "shrinkage"]] = np.nan
        tables["repairs"].loc[1::5, "v_recalibrated"] = np.inf
        raw = tables["accuracy"]["method"].eq("raw_bn")
        tables["accuracy"].loc[raw, ["top1", "top1_low", "top1_high"]] = np.nan
        numeric = tables["layers"].select_dtypes("number").columns
        tables["layers"].loc[tables["layers"]["layer"].eq("layer2.0.conv2"), numeric] = np.nan

    store_result(store, change=spoil)
    for layer in ("conv1", "layer2.0.conv2"):
        for stage in ("repaired", "recalibrated", "predicted"):
            assert len(charts(opened(page, dataset="digits", layer=layer, stage=stage))) == CHARTS[page]
            if page != "variance":
                break


def test_a_signal_that_explodes_is_drawn_on_the_upper_edge_and_told(store):
    layer, lw = "layer2.0.conv2", RepairSpec.of("lw_bn", bias=False)

    def explode(tables):
        repairs = tables["repairs"].astype({"v_repaired": "float64"})
        own = is_of(repairs, lw) & repairs["layer"].eq(layer)
        repairs.loc[own, "v_repaired"] = 1e70
        repairs.loc[own & repairs["channel"].lt(3), "v_repaired"] = [np.nan, np.inf, np.nan]
        repairs.loc[repairs["method"].eq("raw_bn") & repairs["layer"].eq(layer), "v_repaired"] = np.nan
        tables["repairs"] = repairs

    store_result(store, change=explode, sparsity=0.66)
    app = opened("variance", dataset="digits", layer=layer, sparsity="0.66")
    traces = {trace["name"]: trace for trace in charts(app)[0]["data"] if trace.get("name")}
    values = numbers(traces["LW (eq. 1)"]["y"])
    count = len(values)
    assert len(set(values)) == 1 and set(values) == set(numbers(traces["raw"]["y"]))  # the upper edge
    assert (
        f"Diverged, drawn on the upper edge: LW (eq. 1) in {count} channels (up to 1e+70), "
        f"raw in {count} channels (beyond the range of numbers)" in words(app)
    )


@pytest.mark.parametrize("page", PAGES)
def test_a_network_in_which_every_channel_is_dead_is_told(store, page):
    def kill(tables):
        tables["channels"][["v_pruned", "mu_pruned"]] = 0.0
        tables["repairs"][["v_repaired", "v_recalibrated"]] = 0.0

    store_result(store, change=kill)
    assert len(charts(opened(page))) == CHARTS[page]


@pytest.mark.parametrize("page", PAGES)
def test_a_network_of_one_layer_with_one_channel_is_drawn(store, page):
    store_result(store, layers={"conv1": 1}, dead=0.0)
    app = opened(page)
    assert len(charts(app)) == (1 if page == "heatmaps" else CHARTS[page])
    assert page != "heatmaps" or "This network has no repaired layer" in words(app)


@pytest.mark.parametrize("page", PAGES)
def test_a_result_that_was_shipped_without_channels_says_so(store, page):
    made = store_result(store)
    shipping.ship_result(made.entry, store, channels=False)
    store.clear(["result"])
    app = opened(page)
    assert "shipped without its channels" in words(app)
    assert len(charts(app)) == {"overview": 2, "heatmaps": 1, "curves": 2}.get(page, 0)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ({"architecture": "resnet81"}, "unknown architecture 'resnet81'. Did you mean"),
        ({"sparsity": "95"}, "For 95 % write 0.95"),
        ({"sparsity": "nan"}, "sparsity is nan"),
        ({"layer": "features.0"}, "cifar_resnet20 has no layer 'features.0'; showing"),
        ({"layer": "conv1", "channel": "999"}, "conv1 has no channel 999; showing 15"),
        ({"layer": "../../etc"}, "is no layer name"),
        (
            {"pin": "f" * 24 + "~simultaneous~off~reset~ema~0.1~20"},
            "The pinned setting cannot be shown: no stored result has the key",
        ),
        ({"pin": "odd"}, "pin is 'odd'; that is no pinned setting"),
        ({"dense_id": "f" * 16}, "The dense network ffffffff is not stored here"),
        ({"calib_batches": "-1"}, "calib_batches is -1; give a whole number"),
        ({"colour": "red"}, "unknown colour 'red'"),
        ({"sprsity": "0.9"}, "did you mean sparsity?"),
        ({"keep_frist": "on"}, "did you mean keep_first?"),
        ({"min_density": "5"}, "min_density is 5.0; give a fraction in [0, 1)"),
        ({"keep_first": "0.5"}, "unknown keep_first '0.5'. Choices: off, on"),
        ({"batch_size": "9" * 400}, "batch_size is beyond 9007199254740991; give a whole number"),
        ({"scene": "9" * 400}, "scene is beyond 9007199254740991; give a whole number"),
        ({"group_size": "-" + "9" * 400}, "group_size is beyond -9007199254740991; give a whole number"),
    ],
)
@pytest.mark.parametrize("page", ["overview", "variance"])
def test_a_broken_link_says_what_is_wrong_and_shows_the_nearest_view(store, page, address, message):
    store_result(store)
    app = opened(page, **{"dataset": "digits"} | address)
    assert message in words(app) and len(charts(app)) == CHARTS[page]


def test_a_setting_that_is_not_stored_is_offered_and_its_neighbour_is_one_click_away_and_foreign(store):
    store_result(store, sparsity=0.9)
    app = opened("overview", dataset="digits", sparsity="0.99")
    assert not charts(app) and "_crumb_network" not in {button.key for button in app.button}
    assert app.button(key="_nearest").label == "Show the nearest stored setting (sparsity 99 % → 90 %)"
    app.button(key="_nearest").click().run()
    assert len(charts(app)) == 2 and "Not what was chosen" in words(app)
    assert app.button(key="_crumb_network").label.startswith("not chosen:")
    assert app.query_params["sparsity"] == "0.99" and "_pin" not in {button.key for button in app.button}


def test_a_neighbour_is_shown_for_the_choice_that_it_was_asked_for_alone(store):
    store_result(store, sparsity=0.9)
    app = opened("overview", dataset="digits", sparsity="0.99", instead="on")
    assert len(charts(app)) == 2
    app.selectbox(key="architecture").set_value("resnet50").run()
    assert not charts(app) and "instead" not in app.query_params


def test_the_first_look_at_a_setting_is_one_that_is_stored(store):
    made = repairs(methods=("bn_only", "raw_bn", "asr_bn"), orders=("sequential",), biases=("on",))
    store_result(store, repairs=made, states=(NO_STATE,))
    app = opened("overview", dataset="digits")
    assert app.query_params["orders"] == "sequential" and app.query_params["calib_batches"] == "0"
    assert "Not stored for this setting" not in words(app) and "raw" in words(app)


def test_a_setting_of_another_budget_opens_with_that_budget(store):
    def at_10(tables):
        rows = tables["accuracy"]
        tables["accuracy"] = rows[rows["calib_batches"].isin((0, 10)) & (rows["start"] != "keep")]

    store_result(store, at_10)
    assert opened("overview", dataset="digits").query_params["calib_batches"] == "10"


def test_what_is_not_stored_of_a_look_is_drawn_as_not_stored(store):
    store_result(store, repairs=repairs(methods=("bn_only", "asr_bn"), orders=("simultaneous",), biases=("off",)))
    app = opened("overview", dataset="digits", methods="bn_only,lw_bn,asr_bn")
    assert "Not stored: LW (eq. 1)." in words(app)
    assert "not stored" in str(drawn(app)[0])


@pytest.mark.parametrize("page", PAGES[:4])
def test_a_pinned_setting_is_drawn_beside_the_present_one_on_equal_axes(store, page):
    pinned = store_result(store, sparsity=0.5)
    store_result(store, sparsity=0.9)
    app = opened(page, dataset="digits", sparsity="0.9", pin=pin_of(pinned))
    drawn = charts(app)
    assert len(drawn) == 2 * CHARTS[page]
    for left, right in zip(drawn[::2], drawn[1::2], strict=True):
        for axis in ("xaxis", "yaxis"):
            assert left["layout"][axis].get("range") == right["layout"][axis].get("range")
    assert "pinned" in words(app) and "current" in words(app)


def test_a_pinned_setting_keeps_its_own_look(store):
    pinned = store_result(store, sparsity=0.5)
    store_result(store, sparsity=0.9)
    pin = pin_of(pinned, "sequential~on~keep~cumulative~0.1~10")
    at = {"dataset": "digits", "sparsity": "0.9", "pin": pin}
    left, right = (figure["alt"] for figure in drawn(opened("overview", **at))[:2])
    assert "b = 10 (sequential, bias on)," in left
    assert "b = 20 (simultaneous, bias off)," in right and "sequential" not in right
    left, right = (chart["layout"]["title"]["text"] for chart in charts(opened("variance", **at))[:2])
    assert (left, right) == ("sequential, bias on", "simultaneous, bias off")


@pytest.mark.parametrize(
    ("page", "titles"),
    [("curves", "current minus pinned top-1, percentage points"), ("heatmaps", "log2 current \u2212 log2 pinned")],
)
def test_the_difference_view_shows_current_minus_pinned(store, page, titles):
    pinned = store_result(store, sparsity=0.5)
    store_result(store, sparsity=0.9)
    both = opened(page, dataset="digits", sparsity="0.9", pin=pin_of(pinned))
    app = opened(page, dataset="digits", sparsity="0.9", pin=pin_of(pinned), compare="difference")
    assert len(charts(app)) < len(charts(both)) and "minus pinned (" in words(app)
    assert any(titles in json.dumps(chart, ensure_ascii=False) for chart in charts(app))


def test_a_pin_carries_the_pseudo_count_of_the_look_that_was_pinned(store):
    states = [BatchNormState.of(averaging="pseudo", calib_batches=20, pseudo_count=count) for count in (8, 32)]
    store_result(store, states=(*default_states(), *states))
    app = opened("overview", dataset="digits", averaging="pseudo", pseudo_count=32)
    app.button(key="_pin").click().run()
    assert app.query_params["pin"].endswith("~pseudo~0.1~20~32")
    app = opened("overview", dataset="digits", averaging="pseudo", pseudo_count=8, pin=app.query_params["pin"])
    assert "pseudo-count 32, b = 20" in words(app) and "pseudo-count 8, b = 20" in words(app)


def test_pin_and_unpin_from_the_header(store):
    store_result(store)
    app = opened("overview")
    app.button(key="_pin").click().run()
    assert app.query_params["pin"].endswith("~simultaneous~off~reset~ema~0.1~20") and len(charts(app)) == 4
    app.button(key="_unpin").click().run()
    assert "pin" not in app.query_params and len(charts(app)) == 2


def test_a_choice_that_was_made_while_a_run_broke_off_is_not_lost(store, monkeypatch):
    store_result(store)
    app = opened("overview", dataset="digits")
    with monkeypatch.context() as broken:
        broken.setattr(_sidebar, "draw", lambda found: 1 / 0)
        assert app.run().exception
    app.session_state["sparsity"] = 0.5  # in the browser the sidebar of the run before is still there
    app.run()
    assert not app.exception and app.query_params["sparsity"] == "0.5"


def test_one_selection_is_shared_by_all_pages(store):
    store_result(store)
    app = opened("variance", dataset="digits", layer="layer2.0.conv1", channel="7")
    for page in PAGES:
        turned(app, page)
        assert app.query_params["layer"] == "layer2.0.conv1" and app.query_params["channel"] == "7"
        assert (
            app.button(key="_crumb_layer").label == "layer2.0.conv1"
            and app.button(key="_crumb_channel").label == "channel 7"
        )


def test_a_row_of_the_worst_layers_opens_its_channels(store):
    store_result(store)
    app = opened("overview")
    assert not app.dataframe
    app.session_state["_open_worst"] = True
    worst = app.run().dataframe[0].value["layer"].iloc[0]
    assert f"| {worst} " in words(app)
    app.session_state["worst"] = {"selection": {"rows": [0], "columns": [], "cells": []}}
    app.button(key="_crumb_layer").click().run()
    assert not app.exception and app.title[0].value == "Channel variance" and app.query_params["layer"] == worst


def test_every_page_file_is_in_the_navigation():
    listed = {file for section in navigation().values() for file, *_ in section}
    assert {path.stem for path in (PROJECT / "pages").glob("[!_]*.py")} == listed


def test_the_front_page_has_the_heading_of_its_document():
    assert navigation()["Learn"][0][:2] == (document.FRONT, ideatext.TITLE)


def navigation() -> dict:
    """PAGES of pages/_frame/main.py, read without running it."""
    for node in ast.parse((PROJECT / "pages/_frame/main.py").read_text()).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == "PAGES":
            return ast.literal_eval(node.value)
    raise AssertionError("pages/_frame/main.py has no PAGES")


def test_no_page_imports_torch(tmp_path):
    """Opening every page on an empty and on a filled store, as the server does."""
    store_result(Store(tmp_path / "cache"))
    code = f"""
import sys
from streamlit.testing.v1 import AppTest
sys.path.insert(0, 'tests')
app = AppTest.from_file('pages/_frame/main.py', default_timeout=300).run()
for page in {sorted(file for section in navigation().values() for file, *_ in section)}:
    app.switch_page('../' + page + '.py').run()
    assert not app.exception, page
    assert 'torch' not in sys.modules, page
"""
    import os

    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=PROJECT,
        env=os.environ | {"ASR_CACHE_DIR": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]


def imports(path) -> set[str]:
    """Top-level names of all modules that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module.partition(".")[0])
    return found


@pytest.mark.parametrize(
    ("files", "never"),
    [
        ("asr_core/**/*.py", {"streamlit", "pages", "app"}),
        ("asr_core/*.py", {"plotly", "streamlit"}),
        ("asr_core/repairs/*.py", {"plotly"}),
        ("asr_core/pruning/*.py", {"plotly"}),
        ("pages/*.py", {"torch", "torchvision", "plotly"}),
        ("app.py", {"torch", "plotly", "asr_core"}),
    ],
)
def test_the_rooms_of_the_house_import_only_along_its_arrows(files, never):
    paths = sorted(PROJECT.glob(files))
    wrong = {str(path.relative_to(PROJECT)): bad for path in paths if (bad := imports(path) & never)}
    assert paths and not wrong


def test_a_figure_says_which_images_its_numbers_are_of(store):
    store_result(store)
    accuracy, strip = (json.dumps(chart["layout"]["annotations"]) for chart in charts(opened("overview")))
    assert "test images" in accuracy and "statistics images" not in accuracy
    assert "n = 64 statistics images" in strip and "test images" not in strip


@pytest.mark.parametrize(("rows", "picked"), [([], None), ([0], 0), ([2], None), ([-1], None)])
def test_a_row_that_a_table_no_longer_has_is_not_picked(monkeypatch, rows, picked):
    monkeypatch.setattr(st, "session_state", {"table": {"selection": {"rows": rows}}})
    assert picked_row("table", 2) == picked
