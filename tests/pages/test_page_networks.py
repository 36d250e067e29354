"""Networks of somebody's own in the dashboard: those that the server's owner names, known by what they do."""

import sys

import paged
import pytest
from made_networks import CODE
from small import SPEED
from streamlit.testing.v1 import AppTest

from asr_core.fields import declarations
from asr_core.jobs.runner import Runner
from asr_core.networks import named, own
from asr_core.spec.model import ModelSpec
from asr_core.store import Store


@pytest.fixture
def store(tmp_path, monkeypatch, use):
    """An empty store, and a server whose owner names two networks of a file."""
    (tmp_path / "nets.py").write_text(CODE)
    monkeypatch.setattr(named, "_places", {})
    monkeypatch.setattr(sys, "argv", ["app.py"])
    monkeypatch.setenv(named.ENVIRONMENT, f"{tmp_path}/nets.py:small,{tmp_path}/nets.py:failing")
    monkeypatch.setattr(named, "digest", lambda *asked: named.place(asked[0]) and own.digest_of(*asked))
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
    assert app.query_params["network_digest"] == own.digest_of("nets.py:small", 10, 32)
    choose(app, "architecture", "resnet18")
    assert "network_digest" not in app.query_params


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
