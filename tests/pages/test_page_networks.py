"""Networks of somebody's own in the dashboard: those that the server's owner names, known by what they do."""

import sys

import paged
import pytest
from drawn import shown
from made_networks import CODE
from paged import words
from small import SPEED
from streamlit.testing.v1 import AppTest

from asr_core.fields import declarations
from asr_core.jobs.runner import Runner
from asr_core.networks import named, own
from asr_core.networks.sources.timm import TimmNetworks
from asr_core.pipeline import run as pipeline
from asr_core.spec.experiment import ExperimentSpec, Setting
from asr_core.spec.model import ModelSpec
from asr_core.spec.recalibration import NO_STATE, NOTHING
from asr_core.spec.repairs import repairs
from asr_core.store import Store

QUICK = {"epochs": 1, "batch_size": 256, "eval_images": 20, "stat_images": 8, "sparsity": 0.5}


@pytest.fixture
def store(tmp_path, monkeypatch, use):
    """An empty store, and a server whose owner names some networks of a file."""
    (tmp_path / "nets.py").write_text(CODE)
    monkeypatch.setattr(named, "_places", {})
    monkeypatch.setattr(sys, "argv", ["app.py"])
    monkeypatch.setenv(
        named.ENVIRONMENT, ",".join(f"{tmp_path}/nets.py:{name}" for name in ("small", "failing", "normed", "raising"))
    )
    monkeypatch.setattr(named, "identity", lambda *asked: named.place(asked[0]) and own.identity(*asked))
    monkeypatch.setattr(Runner, "speed", lambda self, experiment: SPEED)
    return use(Store(tmp_path / "cache"))


def opened(**address) -> AppTest:
    return paged.opened("overview", "_open_dense", "_open_floors", "_open_own", **address)


def choose(app: AppTest, key: str, value) -> AppTest:
    app.selectbox(key=key).set_value(value).run()
    assert not app.exception
    return app


def typed(app: AppTest, key: str, value: str) -> AppTest:
    app.text_input(key=key).set_value(value).run()
    assert not app.exception
    return app


def complaints(app: AppTest) -> str:
    return "\n".join(item.value for kind in (app.warning, app.error, app.info) for item in kind)


def test_a_named_network_is_offered_and_its_digest_is_in_the_address(store):
    app = choose(opened(dataset="digits"), "architecture", "nets.py:small")
    assert app.query_params["architecture"] == "nets.py:small"
    assert app.query_params["network_digest"] == own.identity("nets.py:small", 10, 32)["network_digest"]
    choose(app, "architecture", "resnet18")
    assert "network_digest" not in app.query_params


def test_one_without_batchnorm_is_asked_for_without_recalibration_and_that_is_said(store, monkeypatch):
    asked = []
    monkeypatch.setattr(Runner, "submit", lambda self, wanted, where=None, owner="": asked.append(wanted))
    app = choose(opened(dataset="digits", **QUICK), "architecture", "nets.py:normed")
    assert app.query_params["without_batchnorm"] == "on"
    assert any(NOTHING in shown(item.value) for item in app.sidebar.caption)
    stages = {stage for frame in app.dataframe for stage in frame.value.get("stage", [])}
    assert stages and not any("recalibration" in stage for stage in stages)
    next(button for button in app.button if button.label == "Compute").click().run()
    assert [wanted.experiment.states for wanted in asked] == [(NO_STATE,)]


@pytest.fixture
def computed(store):
    """The address of a network without BatchNorm whose result is stored."""
    named.admit_server()
    told = {"architecture": "nets.py:normed", **own.identity("nets.py:normed", 10, 32)}
    chosen = repairs(("lw_bn",), ("simultaneous",), ("off",))
    pipeline.run(ExperimentSpec.of_setting(Setting.of(**QUICK, **told), chosen, (NO_STATE,)), store)
    return {"dataset": "digits", "methods": "bn_only,lw_bn", **QUICK, **told, "without_batchnorm": "on"}


@pytest.mark.parametrize("page", ["overview", "absorption", "signal", "confidence", "images", "heatmaps"])
def test_pages_of_one_without_batchnorm_lack_nothing(computed, page):
    told = words(paged.faultless(page, **computed))
    assert "Not stored for this setting" not in told and "b = 0" not in told
    assert page != "overview" or NOTHING in told


def test_another_network_chosen_after_it_has_its_recalibration_again(store):
    app = choose(opened(dataset="digits"), "architecture", "nets.py:normed")
    choose(app, "architecture", "nets.py:small")
    assert "without_batchnorm" not in app.query_params
    assert app.selectbox(key="averaging").value == "ema"


def test_a_network_that_cannot_be_built_gives_way_to_the_one_before_whole(store):
    app = choose(opened(dataset="digits"), "architecture", "nets.py:normed")
    before = {name: app.query_params[name] for name in ("architecture", "network_digest", "without_batchnorm")}
    choose(app, "architecture", "nets.py:raising")
    assert "raised KeyError" in complaints(app)
    assert {name: app.query_params[name] for name in before} == before


def test_timms_networks_are_asked_only_for_who_may_compute(store, monkeypatch):
    asked, there = [], ("timm:convnext_atto", "timm:vit_tiny")
    monkeypatch.setattr(TimmNetworks, "names", classmethod(lambda source: there))
    monkeypatch.setattr(named, "identity", lambda *given: asked.append(given) or {"without_batchnorm": True})
    app = choose(opened(dataset="digits"), "architecture", "timm:convnext_atto")
    assert asked == [("timm:convnext_atto", 10, 32)] and app.query_params["without_batchnorm"] == "on"
    monkeypatch.setenv("ASR_PASSWORD", "known")
    choose(opened(dataset="digits"), "architecture", "timm:vit_tiny")
    assert len(asked) == 1


def test_an_address_imports_nothing_that_nobody_named(store):
    app = opened(dataset="digits", architecture="antigravity:fly")
    assert app.selectbox(key="architecture").value == "antigravity:fly"
    choose(app, "image_size", 64)
    assert "is not among those that this server may import" in complaints(app)
    assert app.selectbox(key="architecture").value == declarations(ModelSpec)["architecture"].default
    assert "antigravity" not in sys.modules


def test_layers_are_left_out_by_a_typed_pattern(store):
    app = typed(opened(dataset="digits"), "ignore", "layer1.*, conv1")
    assert app.query_params["ignore"] == "conv1,layer1.*"
    typed(app, "ignore", "a b;c")
    assert app.query_params["ignore"] == "conv1,layer1.*" and "ignore is 'a b;c'" in complaints(app)
    typed(app, "ignore", "")
    assert "ignore" not in app.query_params


def test_a_class_map_brings_the_outputs_of_imagenet(store):
    app = typed(opened(dataset="digits"), "class_map", "0,1,2,3,4,5,6,7,8,9")
    assert app.query_params["class_map"] == "0,1,2,3,4,5,6,7,8,9" and app.query_params["outputs"] == "1000"
    typed(app, "class_map", "")
    assert "class_map" not in app.query_params and "outputs" not in app.query_params


def test_a_typed_normalisation_is_in_the_address(store):
    app = opened(dataset="digits", normalization="0.5,0.5,0.5/1.0,1.0,1.0")
    assert app.query_params["normalization"] == "0.5,0.5,0.5/1.0,1.0,1.0"
