"""The spatial maps page in every state: stored, not stored, dead channel, no input images, broken links."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from drawn import charts
from made_maps import LAYER, SPEC, copy
from made_results import store_result
from maps_page import EIGHT, kinds, opened, said
from streamlit.testing.v1 import AppTest

from asr_core.figures import kernels as kernel_figures
from asr_core.figures import map_numbers, map_sheets, sprites, style
from asr_core.figures import maps as figures
from asr_core.images import data
from asr_core.jobs.runner import Runner
from asr_core.pipeline import maps
from asr_core.pipeline.run import maps as measured
from asr_core.spec.repairs import BN_ONLY, DENSE, NO_REPAIR, RepairSpec
from asr_core.store import Store, catalogue, manifests, results
from asr_core.store.entries import PROJECT, write_manifest
from asr_core.store.tables import with_network

LW = RepairSpec.of("lw_bn", bias=False)
pytestmark = pytest.mark.usefixtures("known_speed")  # measuring it starts a process


@pytest.fixture(scope="module")
def mapped(tmp_path_factory):
    """A store with a result and the maps of LAYER."""
    store = copy(tmp_path_factory.mktemp("mapped"))
    measured(SPEC, store, EIGHT)
    return store


def test_stored_maps_are_one_sprite_with_sentence_numbers_and_kernel(use, mapped):
    app = opened(use(mapped))
    assert kinds(app).count("image") == 1 and len(charts(app)) == 3
    assert f"of {LAYER}, 8 test images, maps of 32 × 32" in said(app) and "Pruning left" in said(app)
    assert "not stored" not in said(app) and app.query_params["channel"]
    titles = charts(app)[0]["layout"]["xaxis"]["ticktext"]
    assert titles[:3] == ["input", "dense", "pruned"] and any("− dense" in title for title in titles)


def test_keys_walk_through_the_ranking(use, mapped):
    app = opened(use(mapped), channel=3, ranked="gain")
    order = app.selectbox(key="channel").options
    app.button(key="_next").click().run()
    after = app.session_state["channel"]
    app.button(key="_previous").click().run()
    assert after != 3 and app.session_state["channel"] == 3 and not app.exception
    assert f"channel 3: rank {order.index('3') + 1} of {len(order)}" in said(app)
    assert {app.button(key=key).proto.shortcut.upper() for key in ("_next", "_previous")} == {"N", "P"}


@pytest.mark.parametrize("scale", list(map_sheets.SCALES))
@pytest.mark.parametrize("overlay", ["on", "off"])
def test_every_scale_draws(use, mapped, scale, overlay):
    app = opened(use(mapped), scale=scale, overlay=overlay)
    assert kinds(app).count("image") == 1


def test_maps_that_are_not_stored_offer_to_be_computed_with_their_time(use, mapped, monkeypatch):
    submitted = []
    monkeypatch.setattr(Runner, "submit", lambda self, wanted, where=None, owner="": submitted.append(wanted))
    app = opened(use(mapped), layer="conv1.0")
    assert "The output maps of conv1.0 are not stored for any network." in said(app) and "about" in said(app)
    assert "image" not in kinds(app) and "Pruning left" in said(app)
    next(button for button in app.button if button.label == "Compute").click().run()
    assert (
        submitted[0].maps == maps.MapSpec(layer="conv1.0")
        and submitted[0].dense_id == results.dense_ids(mapped, SPEC)[0]
    )


def test_where_a_layer_has_no_maps_a_button_leads_to_one_that_has(use, mapped):
    app = opened(use(mapped), layer="conv1.0")
    app.button(key=f"_mapped_{LAYER}").click().run()
    assert not app.exception
    assert any("Channel" in h.value and "in numbers" in h.value for h in app.subheader)
    assert app.selectbox(key="layer").value == LAYER
    assert not any(button.key == f"_mapped_{LAYER}" for button in app.button)


def test_where_a_setting_has_no_maps_a_button_leads_to_one_that_has(use, tmp_path, mapped):
    shutil.copytree(mapped.root, tmp_path, dirs_exist_ok=True)
    other = store_result(Store(tmp_path))
    app = AppTest.from_file(PROJECT / "pages/_frame/main.py", default_timeout=300)
    use(Store(tmp_path))
    app.query_params |= {
        "dataset": "digits",
        "architecture": other.setting["model"]["architecture"],
        "seed": str(other.setting["dense"]["seed"]),
    }
    app.run()
    app.switch_page("../maps.py").run()
    assert not app.exception and "Maps are stored of another setting" in said(app)
    next(button for button in app.button if button.label == LAYER).click().run()
    assert not app.exception and "of another setting" not in said(app)
    assert app.selectbox(key="layer").value == LAYER and "image" in kinds(app)


def test_shipped_maps_without_the_weights_are_shown_without_complaint(use, tmp_path, mapped):
    store = Store(tmp_path)
    shutil.copytree(mapped.root, tmp_path, dirs_exist_ok=True)
    store.clear(["dense"])
    dense = tmp_path / "dense" / results.find(SPEC, mapped).setting["dense_id"]
    dense.mkdir(parents=True)
    write_manifest(dense, manifests.read(mapped.root / "dense" / dense.name) | {"files": {}})
    app = opened(use(store))
    assert any(h.value == "All images" for h in app.subheader)
    assert not any("cannot be computed" in info.value for info in app.info)


def test_after_recalibration_only_the_repairs_are_missing(use, mapped):
    app = opened(use(mapped), mapped="after", calib_batches=10)
    assert "not stored for BN only, LW" in said(app) and kinds(app).count("image") == 1


def test_without_weights_a_new_network_is_offered_with_its_training(use, tmp_path):
    store = use(copy(tmp_path))
    store.clear(["dense", "prune"])
    app = opened(store)
    assert "another one is trained by the same recipe" in said(app) and "training included" in said(app)
    assert "The kernel cannot be shown: the weights of dense network" in said(app)


def test_maps_of_another_dense_network_are_marked(use, tmp_path):
    store = use(copy(tmp_path))
    measured(SPEC, store, EIGHT)
    other = Store(tmp_path)
    (folder,) = (store.root / "result").iterdir()
    manifest = manifests.read(folder)
    manifest["facts"]["setting"]["dense_id"] = "f" * 16
    write_manifest(folder, manifest)
    app = opened(other)
    assert "The maps are of" in said(app) and kinds(app).count("image") == 1


def test_a_dead_channel_says_so(use, tmp_path):
    store = use(copy(tmp_path))
    measured(SPEC, store, EIGHT)
    change_maps(store, NO_REPAIR, lambda values: values[:, 2].fill(0.25))
    change_table(
        store,
        "channels",
        lambda table: table.assign(
            v_pruned=table["v_pruned"].where((table["layer"] != LAYER) | (table["channel"] != 2), 0.0)
        ),
    )
    app = opened(store, channel=2)
    assert "the channel is dead" in said(app) and "Dead: pruned, this channel answers with one constant" in said(app)


def test_values_that_are_not_finite_are_named(use, tmp_path):
    store = use(copy(tmp_path))
    measured(SPEC, store, EIGHT)
    change_maps(store, LW, lambda values: values[:, 1].fill(np.nan))
    app = opened(store, channel=1)
    assert "Values that are not finite (red): LW" in said(app)


def test_without_input_images_the_maps_stand_alone_with_the_reason(use, mapped, monkeypatch):
    def gone(*_):
        raise data.DataError(
            "the input images are not on this machine; fetch them with: python -m asr_core maps --layer NAME"
        )

    monkeypatch.setattr(maps, "inputs", gone)
    app = opened(use(mapped), overlay="on", channel=5)
    assert f"python -m asr_core maps --layer {LAYER}" in said(app)
    assert charts(app)[0]["layout"]["xaxis"]["ticktext"][0] == "dense" and app.toggle(key="overlay").disabled


def test_small_maps_are_named_as_too_small(use, tmp_path):
    store = use(copy(tmp_path))
    measured(SPEC, store, EIGHT)
    change_maps(store, None, lambda values: None, crop=2)
    assert "too small to read as pictures" in said(opened(store))


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ({"layer": "stage2.0.branch9"}, "has no layer 'stage2.0.branch9'"),
        ({"channel": 9999}, "has no channel 9999; showing 23"),
        ({"channel": "minus"}, "channel is 'minus'; give a whole number"),
        ({"image": 5000}, "This set of maps has no image 5000"),
        ({"scale": "odd"}, "unknown scale 'odd'. Choices: global, map, row"),
    ],
)
def test_a_broken_link_says_what_is_wrong_and_shows_the_nearest(use, mapped, address, message):
    app = opened(use(mapped), **address)
    assert message in said(app)


def test_an_empty_store_says_so(use, tmp_path):
    use(Store(tmp_path))
    app = AppTest.from_file(PROJECT / "pages/_frame/main.py", default_timeout=300).run()
    app.switch_page("../maps.py").run()
    assert not app.exception and "Nothing is stored yet" in said(app)


def test_the_notebook_table_is_the_one_on_the_page(use, mapped):
    use(mapped)
    item = catalogue.stored(mapped)[0]
    result = results.open_results(mapped, (item.key,))
    pixels = figures.table(result, mapped, LAYER, 4, [LW, BN_ONLY])
    assert [*style.headed(pixels).values()] == [DENSE, NO_REPAIR, LW]
    assert len(pixels) == 8 * 32 * 32
    stored = maps.read(SPEC, mapped, result.setting["dense_id"], EIGHT)
    np.testing.assert_array_equal(map_sheets.stacked(pixels)[:, 0], stored.of[DENSE][:, 4].astype(np.float32))
    pixels.to_parquet(mapped.root / "table.parquet")
    weights = kernel_figures.table(result, mapped, LAYER, 4, [LW])
    kept = weights["no repair"] != 0
    assert (weights["no repair"][kept] == weights["dense"][kept]).all()


def test_input_images_are_in_the_table_as_they_are_drawn(use, mapped):
    use(mapped)
    result = results.open_results(mapped, (catalogue.stored(mapped)[0].key,))
    pixels = figures.table(result, mapped, LAYER, 4)
    tiles = map_sheets.input_tiles(pixels, 64)
    expected = sprites.resized(maps.inputs(SPEC.data, mapped, [*pixels["image"].unique()]), 64)
    np.testing.assert_array_equal(tiles, expected)


def test_the_row_scale_comes_from_dense_and_differences_are_centred():
    values = np.zeros((2, 3, 4, 4), np.float32)
    values[0, 0], values[0, 1], values[1, 0] = np.linspace(-1, 1, 16).reshape(4, 4), 5, 2
    low, high, span = map_sheets.ranges(values, "row")
    assert (
        low[0, 1, 0, 0] == -1
        and high[0, 1, 0, 0] == 1
        and low[1, 0, 0, 0] == high[1, 0, 0, 0] == 2
        and span[0, 0, 0, 0] == 6
    )
    assert map_sheets.ranges(values, "map")[1][0, 1, 0, 0] == 5
    assert map_sheets.ranges(values, "global", low=-9, high=9, span=4)[0][1, 2, 0, 0] == -9
    middle = sprites.colour(np.zeros(1), -np.ones(1), np.ones(1), "RdBu_r")
    np.testing.assert_allclose(middle[0], [247, 247, 247], atol=2)
    assert tuple(sprites.colour(np.array([np.nan]), 0, 1, "Cividis")[0]) == sprites.UNDEFINED


def test_ranking_names_the_worst_and_puts_undefined_last():
    channels = pd.DataFrame(
        {"layer": "a", "channel": range(4), "v_dense": [1.0, 1.0, 0.0, 4.0], "v_pruned": [0.25, 0.0, 0.0, 4.0]}
    )
    repairs = pd.DataFrame(
        {
            "layer": "a",
            "channel": [*range(4)] * 2,
            "v_repaired": [1.0, 0, 0, 9, 4, 0, 0, 4],
        }
    )
    both = [LW, RepairSpec.of("raw_bn")]
    repairs = pd.concat(
        [with_network(rows, repair) for repair, rows in zip(both, (repairs[:4], repairs[4:]), strict=True)]
    )
    made = map_numbers.ranking(results.Result(None, None, channels, repairs, None, None, None), "a", both)
    assert map_numbers.ranked(made, "damage") == [1, 0, 3, 2] and map_numbers.ranked(made, "gain")[0] == 0
    assert map_numbers.ranked(made, "disagreement")[0] == 0 and map_numbers.ranked(made, "channel") == [0, 1, 2, 3]
    assert made["dead"].tolist() == [False, True, True, False]


def change_maps(store, network, change, crop=None):
    """Edit stored maps of one network (or of all: None) as a computation could have stored them."""
    for folder in list((store.root / "maps").iterdir()):
        manifest = json.loads((folder / "manifest.json").read_text())
        if network is None or manifest["facts"]["network"] == network.columns:
            values = np.load(folder / "maps.npy").astype(np.float32)
            change(values)
            rewrite(store, "maps", folder, manifest, {"maps.npy": values[:, :, :crop, :crop]})


def change_table(store, name, change):
    """Edit one table of the stored result."""
    (folder,) = (store.root / "result").iterdir()
    manifest = json.loads((folder / "manifest.json").read_text())
    files = {file: pd.read_parquet(folder / file) for file in manifest["files"] if file.endswith(".parquet")}
    files[f"{name}.parquet"] = change(files[f"{name}.parquet"])
    rewrite(store, "result", folder, manifest, files)


def rewrite(store, stage, folder, manifest, files):
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    store.put(stage, folder.name, files, manifest["facts"], manifest["spec"])


def test_a_picked_image_that_is_none_of_the_eight_is_offered_and_then_shown_alone(use, tmp_path):
    store = use(copy(tmp_path))
    measured(SPEC, store, EIGHT)
    eight = maps.read(SPEC, store, results.find(SPEC, store).setting["dense_id"], EIGHT).images
    other = next(image for image in range(20) if image not in eight)
    app = opened(store, image=other, alone="on")
    assert f"Maps of **test image {other}** alone" in said(app) and "are not stored for any network" in said(app)
    measured(SPEC, store, maps.MapSpec(layer=LAYER, image=other))
    app = opened(store, image=other, alone="on")
    assert app.selectbox(key="image").options == [str(other)] and kinds(app).count("image") == 1
    app.button(key="_all_images").click().run()
    assert app.selectbox(key="image").options == [str(image) for image in eight]


def test_a_picked_image_among_the_eight_needs_no_maps_of_its_own(use, mapped):
    eight = maps.read(SPEC, mapped, results.find(SPEC, mapped).setting["dense_id"], EIGHT).images
    app = opened(use(mapped), image=eight[3], alone="on")
    assert app.selectbox(key="image").value == eight[3] and kinds(app).count("image") == 1


def test_a_picked_image_that_there_is_not_says_how_many_there_are(use, mapped):
    assert "image is 5000; there are 360 test images, 0 to 359" in said(opened(use(mapped), image=5000, alone="on"))
