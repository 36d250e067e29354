"""The sidebar's section for the user's own images and weights."""

import io
import zipfile

import paged
import pytest
from fake_results import fake_result
from made_results import store_result
from made_uploads import TREE, picture, saved, state_of, tried_here, zipped
from small import SPEED
from streamlit.testing.v1 import AppTest

from asr_core.jobs.runner import Runner
from asr_core.networks import known_weights, uploads
from asr_core.store import Store
from asr_core.store.entries import PROJECT, versions

QUIET = ("glossary", "idea", "lesson", "talk")  # these have no sidebar but the pages
PAGES = sorted(path.stem for path in (PROJECT / "pages").glob("[!_]*.py") if path.stem not in QUIET)
SMALL = {"dataset": "digits", "architecture": "shufflenet_v2_x0_5", "stem": "small", "sparsity": "0.8"}


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("ASR_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(Runner, "speed", lambda self, experiment: SPEED)  # as if measured here
    return Store(tmp_path / "cache")


@pytest.fixture
def here(monkeypatch):
    """The trial of a weights file runs in this process."""
    versions()  # asks git, once, by the very function that is replaced
    monkeypatch.setattr(uploads.subprocess, "run", tried_here)


@pytest.fixture
def submitted(monkeypatch):
    """What was submitted, in place of starting a worker."""
    found = []
    monkeypatch.setattr(Runner, "submit", lambda self, wanted, where=None, owner="": found.append(wanted))
    return found


def opened(**address) -> AppTest:
    return paged.opened("overview", "_open_own", **address)


def give(app, key: str, name: str, content: bytes, button: str):
    """Upload a file and press the button that uses it."""
    next(item for item in app.file_uploader if item.key.startswith(key)).set_value(
        (name, content, "application/octet-stream")
    ).run()
    app.button(key=button).click().run()
    assert not app.exception
    return app


def compute(app):
    next(button for button in app.button if button.label == "Compute").click().run()
    assert not app.exception


def said(app) -> str:
    return "\n".join(item.value for kind in (app.success, app.error) for item in kind)


def weights_of(classes: int) -> bytes:
    return saved(state_of(classes)).getvalue()


def test_a_folder_on_the_machine_becomes_the_dataset_and_can_be_computed(store, submitted, tmp_path):
    with zipfile.ZipFile(zipped()) as archive:
        archive.extractall(tmp_path / "flowers")
    app = opened(**SMALL)
    app.text_input(key="_own_path").set_value(str(tmp_path / "flowers")).run()
    app.button(key="_own_use_path").click().run()
    assert "flowers: 2 classes, 4 images to train on" in said(app) and not app.exception
    assert app.query_params["dataset"] == "folder" and app.query_params["classes"] == "2"
    assert app.selectbox(key="_images").format_func(app.selectbox(key="_images").value).endswith("flowers")
    compute(app)
    wanted = submitted[0].experiment
    assert wanted.data.digest == app.query_params["digest"] and wanted.data.classes == 2
    assert wanted.calibration.stat_images == 2


@pytest.mark.parametrize(
    ("path", "why"), [("/nowhere/at/all", "there is no folder /nowhere/at/all"), ("odd\0name", "there is no folder")]
)
def test_a_folder_that_is_none_says_why(store, path, why):
    app = opened(**SMALL)
    app.text_input(key="_own_path").set_value(path).run()
    app.button(key="_own_use_path").click().run()
    assert why in said(app) and not app.exception and app.query_params["dataset"] == "digits"


def folder_at(path, names=TREE):
    """A tree of small images at `path`."""
    with zipfile.ZipFile(zipped(names)) as archive:
        archive.extractall(path)
    return path


def use_folder(app, path):
    app.text_input(key="_own_path").set_value(str(path)).run()
    app.button(key="_own_use_path").click().run()
    assert not app.exception and not app.error
    return app


def use_zip(app, path):
    content = zipped(sorted(str(file.relative_to(path)) for file in path.rglob("*.png"))).getvalue()
    return give(app, "_own_zip", "x.zip", content, "_own_use_zip")


@pytest.mark.parametrize("use", [use_folder, use_zip])
def test_own_images_and_then_own_weights_are_computed_and_shown_on_every_page(here, store, submitted, tmp_path, use):
    store_result(store)
    app = use(opened(**SMALL), folder_at(tmp_path / "flowers"))
    give(app, "_own_weights", "w.pt", weights_of(2), "_own_use_weights")
    compute(app)
    chosen = app.query_params
    own = {"dataset": "folder", "digest": chosen["digest"], "weights_digest": chosen["weights_digest"]}
    own |= {"source": "file", "classes": 2}
    store_result(store, **own, architecture="shufflenet_v2_x0_5", stem="small", sparsity=0.8, stat_images=2)
    assert submitted[0].experiment.dense.weights_digest == own["weights_digest"]
    for page in PAGES:
        app.switch_page(f"../{page}.py").run()
        assert not app.exception and not app.error
        assert {name: app.query_params[name] for name in own} == {name: str(value) for name, value in own.items()}
        assert app.query_params["sparsity"] == "0.8" and "_own_path" in {item.key for item in app.text_input}
        assert not any("is not stored. All below" in item.value for item in app.warning)


def test_weights_that_wait_stay_while_images_are_used(here, store, tmp_path):
    app = opened(**SMALL)
    next(item for item in app.file_uploader if item.key.startswith("_own_weights")).set_value(
        ("w.pt", weights_of(2), "application/octet-stream")
    ).run()
    use_folder(app, folder_at(tmp_path / "flowers"))
    app.button(key="_own_use_weights").click().run()
    assert "The weights fit shufflenet_v2_x0_5, small stem with 2 classes" in said(app) and not app.exception


def test_folders_of_one_name_are_told_apart_and_both_stay_to_be_chosen(store, tmp_path):
    app, found = opened(**SMALL), []
    for place, count in (("a", 4), ("b", 6)):
        names = [f"{split}/{kind}/{i}.png" for split in ("train", "test") for kind in "xy" for i in range(count)]
        use_folder(app, folder_at(tmp_path / place / "flowers", names))
        found.append(app.query_params["digest"])
    control = app.selectbox(key="_images")
    assert [label.startswith("flowers") for label in control.options].count(True) == 2
    for name in found:
        app.selectbox(key="_images").set_value(name).run()
        assert app.query_params["digest"] == name and app.query_params["classes"] == "2"


def test_own_images_are_used_also_where_the_weights_file_is_still_missing(store, tmp_path):
    app = opened(**SMALL, source="file")
    app.text_input(key="_own_path").set_value(str(folder_at(tmp_path / "flowers"))).run()
    app.button(key="_own_use_path").click().run()
    assert app.query_params["dataset"] == "folder" and "source" not in app.query_params


def test_own_weights_are_taken_also_where_a_link_asked_for_some_without_naming_them(here, store):
    app = give(opened(**SMALL, source="file"), "_own_weights", "w.pt", weights_of(10), "_own_use_weights")
    assert "The weights fit shufflenet_v2_x0_5, small stem with 10 classes" in said(app)
    assert app.query_params["source"] == "file" and app.query_params["weights_digest"]


def test_weights_of_another_architecture_are_let_go_of(here, store):
    app = give(opened(**SMALL), "_own_weights", "w.pt", weights_of(10), "_own_use_weights")
    app.selectbox(key="architecture").set_value("resnet18").run()
    assert not {"weights_digest", "source"} & set(app.query_params) and not app.error


def test_a_zip_becomes_the_dataset_and_is_let_go_of(store):
    app = give(opened(**SMALL), "_own_zip", "../../x.zip", zipped().getvalue(), "_own_use_zip")
    assert "2 classes, 4 images" in said(app) and app.button(key="_own_use_zip").disabled
    assert not list(store.root.rglob("x.zip"))


def test_a_zip_that_leads_out_of_itself_is_refused_and_changes_nothing(store):
    app = give(opened(**SMALL), "_own_zip", "x.zip", zipped(more=[("../x.png", picture())]).getvalue(), "_own_use_zip")
    assert "leads out of it" in said(app) and app.query_params["dataset"] == "digits" and not store.uploads.exists()


def test_weights_become_the_dense_network_and_are_found_by_the_job(here, store, submitted):
    app = give(opened(**SMALL), "_own_weights", "w.pt", weights_of(10), "_own_use_weights")
    assert "The weights fit shufflenet_v2_x0_5, small stem with 10 classes" in said(app)
    compute(app)
    dense = submitted[0].experiment.dense
    assert dense.source == "file" and app.query_params["weights_digest"] == dense.weights_digest
    assert known_weights.weights_file(store, dense.weights_digest).is_file()


def test_a_checkpoint_of_a_training_script_says_what_of_it_is_taken(here, store, submitted):
    content = saved({"model": state_of(10, seed=1), "model_ema": state_of(10)}).getvalue()
    app = give(opened(**SMALL), "_own_weights", "best.pth.tar", content, "_own_use_weights")
    assert "The averaged weights under model_ema are taken. Now compute it." in said(app)


def test_torchscript_is_refused_by_its_name(here, store):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("w/code/__torch__.py", b"")
    app = give(opened(**SMALL), "_own_weights", "w.pt", packed.getvalue(), "_own_use_weights")
    assert "TorchScript" in said(app) and "weights_digest" not in app.query_params


def test_weights_of_another_head_are_refused_with_their_classes(here, store):
    app = give(opened(**SMALL), "_own_weights", "w.pt", weights_of(3), "_own_use_weights")
    assert "Its head has 3 classes, the images 10" in said(app) and "weights_digest" not in app.query_params


def test_own_images_let_go_of_weights_for_other_classes(here, store):
    app = give(opened(**SMALL), "_own_weights", "w.pt", weights_of(10), "_own_use_weights")
    give(app, "_own_zip", "x.zip", zipped().getvalue(), "_own_use_zip")
    assert "weights_digest" not in app.query_params and "source" not in app.query_params


def test_going_back_to_a_bundled_set_leaves_nothing_of_the_own_one(here, store):
    fake_result(store)
    app = give(opened(**SMALL), "_own_zip", "x.zip", zipped().getvalue(), "_own_use_zip")
    give(app, "_own_weights", "w.pt", weights_of(2), "_own_use_weights")
    app.selectbox(key="_images").set_value("digits").run()
    assert not app.exception and not {"classes", "digest", "weights_digest", "source"} & set(app.query_params)


def test_a_link_to_weights_that_are_not_here_offers_no_traceback(store):
    app = opened(**SMALL, source="file", weights_digest="0" * 24)
    assert "Nothing is stored yet" in app.info[0].value
    assert opened(**SMALL, source="file").error[0].value.startswith("source 'file' needs a weights file")
