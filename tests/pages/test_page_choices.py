"""What the user chooses stays chosen: labels of controls never change, and nothing but the user changes a setting."""

import re

import pytest
from made_results import store_result
from paged import clean, turned, words
from paged import faultless as opened
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Selectbox

from asr_core.spec.model import ModelSpec
from asr_core.store.entries import PROJECT
from pages._frame import sidebar
from pages._frame.address import LOOK, PARAMS, SETTING
from pages._frame.controls import said

OTHERS = (
    "variance",
    "heatmaps",
    "curves",
    "maps",
    "absorption",
    "allocation",
    "noise",
    "severity",
    "ablation",
    "paper",
    "jobs",
)
CONTROLS = {"dataset": "_images"}  # parameters whose control has another key
OPEN = ("_open_dense", "_open_images", "_open_own")  # parts of the sidebar that are folded


def labels(app) -> dict[str, list[str]]:
    """Key of each control that has choices: their labels."""
    return {item.key: item.options for kind in (app.selectbox, app.select_slider, app.button_group) for item in kind}


def setting(app) -> dict:
    """All that the user can choose of the experiment and of the look at it."""
    return {name: app.session_state["_state"][name] for name in (*SETTING, *LOOK)}


def unfolded(app):
    for key in OPEN:
        app.session_state[key] = True
    return app.run()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("dataset", "cifar100"),
        ("dataset", "imagenette"),
        ("architecture", "efficientnet_b0"),
        ("pruning", "lamp"),
        ("sparsity", 0.6),
    ],
)
def test_a_choice_of_which_nothing_is_stored_is_the_only_change_on_every_page(store, key, value):
    store_result(store)
    app = unfolded(opened("overview", dataset="digits"))
    before = setting(app)
    control = app.select_slider(key=key) if key == "sparsity" else app.selectbox(key=CONTROLS.get(key, key))
    control.set_value(value).run()
    for page in OTHERS:
        turned(app, page)
        assert app.query_params[key] == str(value) and labels(app).keys() >= {
            "_images",
            "architecture",
            "pruning",
            "sparsity",
        }
        assert setting(app) == before | {key: value}


def test_labels_are_the_same_whatever_is_stored_and_chosen(store):
    app = unfolded(opened("overview", dataset="digits", sparsity="0.93"))
    before = labels(app)
    store_result(store, sparsity=0.93)
    store_result(store, sparsity=0.5, architecture="vgg16_bn", stat_images=24)
    for key, value in (("architecture", "vgg16_bn"), ("stem", "small"), ("source", "imagenet"), ("stat_images", 128)):
        app.selectbox(key=key).set_value(value).run()
        after = labels(app)
        assert not app.exception
        assert {key: set(before[key]) - set(after[key]) for key in before} == {key: set() for key in before}
        assert [key for key in before if [o for o in after[key] if o in before[key]] != before[key]] == []


def test_what_is_stored_is_said_beside_the_control(store):
    for sparsity in (0.5, 0.9):
        store_result(store, sparsity=sparsity, architecture="resnet18")
    app = opened("overview", dataset="digits", sparsity="0.9", architecture="resnet18")
    assert "stored: resnet18" in words(app) and "stored: 50 %, 90 %" in words(app)
    app.selectbox(key="architecture").set_value("vgg16_bn").run()
    assert "stored: resnet18" in words(app) and "stored: none" in words(app)


def test_a_network_that_is_stored_with_another_stem_is_told_and_one_click_away(store):
    store_result(store, architecture="resnet18", stem="small")
    store_result(store, architecture="vgg16_bn")
    app = opened("overview", dataset="digits", architecture="vgg16_bn")
    assert "stored: resnet18, vgg16_bn" in words(app)
    app.selectbox(key="architecture").set_value("resnet18").run()
    assert any("(stem imagenet → small" in button.label for button in app.button)


def test_two_sparsities_never_share_a_label(store):
    store_result(store, sparsity=0.95)
    app = opened("overview", dataset="digits", sparsity="0.950000001")
    assert {"95 %", "95.0000001 %"} <= set(app.select_slider(key="sparsity").options)
    assert app.select_slider(key="sparsity").value == 0.950000001


def test_only_what_has_a_control_on_the_page_is_among_its_widgets(store):
    store_result(store)
    app = opened("curves", dataset="digits")
    assert "recal" in app.session_state and "gap" not in app.session_state


def test_curves_lead_to_the_same_setting_on_other_test_images_and_back(store):
    store_result(store)
    store_result(store, eval_images=100)
    app = opened("curves", dataset="digits")
    for images in ("100", None):
        app.button(key="_other_images").click().run()
        assert clean(app).query_params.get("eval_images") == images


def test_where_a_setting_is_stored_on_one_choice_of_test_images_curves_offer_no_other(store):
    store_result(store)
    store_result(store, eval_images=100, sparsity=0.8)
    assert "_other_images" not in [button.key for button in opened("curves", dataset="digits").button]


def test_every_widget_of_a_parameter_asks_for_its_key():
    named = re.compile(rf'key="({"|".join(PARAMS)})"')
    sources = [path.read_text(encoding="utf-8") for path in (PROJECT / "pages").rglob("*.py")]
    assert sum("state.key(" in source for source in sources) > 10
    assert not [found for source in sources for found in named.findall(source)]


def typed():
    """A page on which anything can be typed as the architecture."""
    import streamlit as st

    from pages._frame import state

    state.begin("typed")
    st.text_input("Architecture", key=state.key("architecture"))
    state.finish(True)


def test_a_label_that_no_choice_has_does_not_become_the_choice():
    app = AppTest.from_function(typed).run()
    app.text_input[0].set_value("● resnet18").run()
    assert not app.exception
    assert app.text_input[0].value == ModelSpec().architecture != "resnet18"
    assert "architecture" not in app.query_params


def paged():
    """Two pages with one switch."""
    import streamlit as st

    from pages._frame import state

    state.begin(st.session_state.setdefault("at", "one"))
    state.unchosen()  # as every page that shows a setting asks
    st.toggle("Over the image", key=state.key("overlay"))
    state.finish(True)


def at(app, page: str, **address):
    """The session as a browser asks for it that is on `page` with `address`."""
    app.session_state["at"] = page
    app.query_params.clear()
    app.query_params.update(address)
    return app.run()


def test_a_browser_that_is_behind_with_the_address_of_its_page_changes_nothing():
    app = AppTest.from_function(paged).run()
    older = dict(app.query_params)
    app.toggle[0].set_value(True).run()
    newer = dict(app.query_params)
    at(app, "one", **older)
    assert app.toggle[0].value is True
    assert dict(app.query_params) == newer


def test_a_step_back_to_a_page_brings_the_address_with_which_it_was_left():
    app = AppTest.from_function(paged).run()
    left = dict(app.query_params)
    at(app, "two", **left).toggle[0].set_value(True).run()
    assert dict(app.query_params) != left
    assert at(app, "one", **left).toggle[0].value is False


def test_a_choice_made_while_a_run_is_cut_short_counts(store, monkeypatch):
    store_result(store)
    app = opened("overview", dataset="digits")
    with monkeypatch.context() as cut:
        cut.setattr(sidebar, "draw", lambda shown: 1 / 0)
        assert app.run().exception
    app.session_state["sparsity"] = 0.8  # its slider is still on the screen
    app.run()
    assert app.query_params["sparsity"] == "0.8"
    assert app.select_slider(key="sparsity").value == 0.8


def test_what_a_job_has_stored_changes_no_choice(store):
    store_result(store, sparsity=0.5)
    app = opened("overview", dataset="digits", sparsity="0.93")
    before = setting(app)
    store_result(store, sparsity=0.93)
    app.run()
    assert "is not stored" not in words(app)
    for page in OTHERS:
        turned(app, page)
        assert setting(app) == before and "dense_id" not in app.query_params


def test_the_nearest_stored_setting_is_chosen_by_a_click_alone(store):
    store_result(store, sparsity=0.5, architecture="resnet18", stem="half", epochs=9)
    app = opened("overview", dataset="digits", sparsity="0.93", architecture="resnet18")
    assert app.query_params["sparsity"] == "0.93" and "stem" not in app.query_params
    button = app.button(key="_nearest")
    assert button.label == "Show the nearest stored setting (stem imagenet → half, epochs 5 → 9 …)"
    button.click().run()
    assert app.query_params["sparsity"] == "0.93" and "stem" not in app.query_params
    app.button(key="_adopt").click().run()
    assert app.query_params["stem"] == "half" and app.query_params["epochs"] == "9"
    assert app.query_params["sparsity"] == "0.5" and "is not stored" not in words(app)


def test_a_layer_that_came_with_what_is_not_stored_is_no_fault_of_the_nearest(store):
    store_result(store, sparsity=0.5)
    app = opened("overview", dataset="digits", sparsity="0.93", layer="of.another.network")
    app.button(key="_nearest").click().run()
    assert "has no layer" not in words(app)
    faulty = opened("overview", dataset="digits", sparsity="0.5", layer="of.another.network")
    assert "has no layer" in words(faulty)


def test_a_layer_that_no_page_has_tried_is_no_fault_of_the_next_setting(store):
    store_result(store, sparsity=0.5)
    store_result(store, sparsity=0.9)
    app = opened("ablation", dataset="digits", sparsity="0.5", layer="of.another.network")
    app.session_state["sparsity"] = 0.9
    assert app.run().query_params["sparsity"] == "0.9"
    assert "has no layer" not in words(turned(app, "overview"))


def test_an_address_that_names_a_choice_is_not_replaced_by_what_is_stored(store):
    store_result(store, sparsity=0.5, epochs=9)
    app = opened("overview", sparsity="0.93")
    assert app.query_params["sparsity"] == "0.93" and "epochs" not in app.query_params
    assert opened("overview").query_params["epochs"] == "9"


def test_a_rule_without_a_sparsity_gives_it_back_to_the_next_rule(store):
    store_result(store, sparsity=0.8)
    store_result(store, pruning="n_m", keep_n=2, group_m=4)
    app = opened("overview", dataset="digits", sparsity="0.8")
    app.selectbox(key="pruning").set_value("n_m").run()
    assert "is not stored" not in words(app) and app.button(key="_crumb_network").label.count("2:4") == 1
    app.selectbox(key="pruning").set_value("global_l1").run()
    assert "is not stored" not in words(app) and app.query_params["sparsity"] == "0.8"


def test_the_identity_is_in_the_address_only_where_one_of_several_was_picked(store):
    store_result(store, dense_id="a" * 16)
    app = unfolded(opened("overview", dataset="digits"))
    assert "dense_id" not in app.query_params and "one of" not in words(app)
    store_result(store, dense_id="b" * 16)
    app.run()
    assert f"shown: dense network {'a' * 12}, one of 2 of its recipe" in words(app)
    app.selectbox(key="dense_id").set_value("b" * 16).run()
    assert app.query_params["dense_id"] == "b" * 16
    assert f"shown: dense network {'b' * 12}, one of 2 of its recipe" in words(app)
    app.number_input(key="epochs").set_value(7).run()
    assert "dense_id" not in app.query_params


def test_a_folder_that_is_chosen_again_brings_its_number_of_classes(store):
    name = "ab" * 8
    store_result(store)
    store_result(store, dataset="folder", digest=name, classes=7)
    app = opened("overview", dataset="digits")
    app.selectbox(key="_images").set_value(name).run()
    assert app.query_params["classes"] == "7" and "is not stored" not in words(app)
    app.selectbox(key="_images").set_value("digits").run()
    assert "classes" not in app.query_params and "is not stored" not in words(app)


@pytest.fixture
def no_images(monkeypatch, tmp_path):
    monkeypatch.setenv("ASR_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data"


def buttons(app: AppTest) -> list[str]:
    return [button.label for button in app.button]


@pytest.mark.parametrize(("dataset", "megabytes"), [("cifar10", 170), ("cifar100", 169), ("imagenette", 99)])
def test_images_that_are_not_here_are_downloaded_by_a_click_that_says_so(store, no_images, dataset, megabytes):
    app = opened("overview", dataset=dataset)
    assert f"Download {megabytes} MB and compute" in buttons(app)
    assert f"are not on this machine. Computing downloads them first ({megabytes} MB" in words(app)


def test_instead_of_a_download_a_folder_is_taken(store, no_images):
    app = opened("overview", dataset="cifar10")
    next(button for button in app.button if button.label == "Use a folder").click().run()
    assert [item.label for item in app.text_input if "folder" in item.label] == ["Image folder on the server's machine"]


def test_images_that_were_downloaded_are_not_offered_again(store, no_images):
    (no_images / "cifar-10-batches-py").mkdir(parents=True)
    assert not any("Download" in label for label in buttons(opened("overview", dataset="cifar10")))


@pytest.mark.parametrize("key", ["_images", "architecture"])
def test_a_value_that_a_control_never_offered_changes_nothing(store, monkeypatch, key):
    sent, place = "-inf", Selectbox.index.fget
    monkeypatch.setattr(
        Selectbox, "index", property(lambda box: box.options.index(sent) if sent in box.options else place(box))
    )
    store_result(store)
    app = opened("overview", dataset="digits")
    before = dict(app.query_params)
    app.selectbox(key).options.append(sent)
    clean(app.run())
    assert dict(app.query_params) == before


def test_a_text_in_place_of_a_number_reads_as_it_was_sent():
    assert said(SETTING["sparsity"], "<b>") == "<b>"
    assert said(SETTING["sparsity"], 0.5) == "50 %"
