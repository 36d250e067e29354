"""What the user chooses stays chosen: labels of controls never change, whatever is stored."""

import pytest
from made_results import store_result
from streamlit.testing.v1 import AppTest
from test_pages import opened, store, turned, words  # noqa: F401 - store is a fixture

OTHERS = ("variance", "heatmaps", "curves", "maps", "absorption", "allocation", "severity", "ablation", "paper", "jobs")
OPEN = ("_open_dense", "_open_images", "_open_own")  # parts of the sidebar that are folded


def labels(app) -> dict[str, list[str]]:
    """Key of each control that has choices: their labels."""
    return {item.key: item.options for kind in (app.selectbox, app.select_slider, app.button_group) for item in kind}


def unfolded(app):
    for key in OPEN:
        app.session_state[key] = True
    return app.run()


@pytest.mark.parametrize(
    ("key", "value"),
    [("data", "cifar100"), ("data", "imagenette"), ("net", "efficientnet_b0"), ("rule", "lamp"), ("sparsity", 0.6)],
)
def test_a_choice_of_which_nothing_is_stored_holds_on_every_page(store, key, value):  # noqa: F811
    store_result(store)
    app = unfolded(opened("overview", data="digits"))
    control = app.select_slider(key=key) if key == "sparsity" else app.selectbox(key=key)
    control.set_value(value).run()
    for page in OTHERS:
        turned(app, page)
        assert app.query_params[key] == str(value) and labels(app).keys() >= {"data", "net", "rule", "sparsity"}


def test_labels_are_the_same_whatever_is_stored_and_chosen(store):  # noqa: F811
    app = unfolded(opened("overview", data="digits", sparsity="0.93"))
    before = labels(app)
    store_result(store, sparsity=0.93)
    store_result(store, sparsity=0.5, net="vgg16_bn", stats=24)
    for key, value in (("net", "vgg16_bn"), ("stem", "small"), ("source", "file"), ("eval", 1000)):
        app.selectbox(key=key).set_value(value).run()
        after = labels(app)
        assert not app.exception
        assert {key: set(before[key]) - set(after[key]) for key in before} == {key: set() for key in before}
        assert [key for key in before if [o for o in after[key] if o in before[key]] != before[key]] == []


def test_what_is_stored_is_said_beside_the_control(store):  # noqa: F811
    for sparsity in (0.5, 0.9):
        store_result(store, sparsity=sparsity)
    app = opened("overview", data="digits", sparsity="0.9")
    assert "stored: resnet18" in words(app) and "stored: 50 %, 90 %" in words(app)
    app.selectbox(key="net").set_value("vgg16_bn").run()
    assert "stored: resnet18" in words(app) and "stored: none" in words(app)


def test_two_sparsities_never_share_a_label(store):  # noqa: F811
    store_result(store, sparsity=0.95)
    app = opened("overview", data="digits", sparsity="0.950000001")
    assert {"95 %", "95.0000001 %"} <= set(app.select_slider(key="sparsity").options)
    assert app.select_slider(key="sparsity").value == 0.950000001


def typed():
    """A page on which anything can be typed as the architecture."""
    import streamlit as st

    from pages import _state as state

    state.begin("typed")
    st.text_input("Architecture", key="net")
    state.finish(True)


def test_a_label_that_no_choice_has_does_not_become_the_choice():
    app = AppTest.from_function(typed).run()
    app.text_input[0].set_value("● resnet18").run()
    assert not app.exception
    assert app.text_input[0].value == "resnet18" and "net" not in app.query_params
