"""Output maps: measured right, stored once per network, capped, refused early."""

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from made_maps import LAYER, RECALIBRATED, SPEC, WANTED, copy
from tiny_networks import Twice, convs, fingerprint, noise, outputs, seeded

from asr_core import activation_maps
from asr_core.cli.main import main
from asr_core.errors import DataError, SpecError, StoreError
from asr_core.measure import activations
from asr_core.pipeline import maps, run, stages
from asr_core.pipeline.lab import Lab, Report
from asr_core.pipeline.maps import MapSpec
from asr_core.runtime import Runtime
from asr_core.spec.keys import Keys
from asr_core.spec.parts import DataSpec
from asr_core.spec.repairs import BN_ONLY, DENSE, NO_REPAIR, RepairSpec
from asr_core.store import Store, results


class Stages(Report):
    """Remembers which stages were computed."""

    def __init__(self):
        self.done = []

    def finished(self, task):
        self.done.append((task.stage, task.network))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return copy(tmp_path_factory.mktemp("maps"))


@pytest.fixture(scope="module")
def found(store):
    return run.maps(SPEC, store, WANTED)


def test_maps_are_the_outputs_of_each_conv(model, images):
    before, expected = fingerprint(model), outputs(model, images)
    for layer in convs(model):
        measured = activation_maps(model, images, layer)
        assert measured.dtype == np.float32
        np.testing.assert_allclose(measured, expected[layer].numpy(), rtol=1e-4, atol=1e-5)
    assert fingerprint(model) == before


def test_chosen_channels_come_in_the_order_asked(model, images):
    layer = next(iter(convs(model)))
    whole = activation_maps(model, images, layer)
    np.testing.assert_array_equal(
        activation_maps(model, images.split(5), layer, channels=[3, 0]).shape, (16, 2, *whole.shape[2:])
    )
    np.testing.assert_allclose(activation_maps(model, images, layer, channels=[3, 0]), whole[:, [3, 0]])


def test_a_conv_that_runs_twice_shows_its_first_run(images):
    model, first = seeded(Twice), []
    handle = model.shared.register_forward_hook(lambda _, __, output: first.append(output))
    with torch.no_grad():
        model(images)
    handle.remove()
    np.testing.assert_allclose(activation_maps(model, images, "shared"), first[0].numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("layer", "channels", "message"),
    [
        ("conv9", None, "unknown layer 'conv9'. Did you mean .*conv"),
        ("zz", None, "The network has 4 layers, conv1 to down"),
        ("conv1", [8], r"channels is \[8\]; conv1 has 8 output channels, 0 to 7"),
        ("conv1", [], r"channels is \[\]"),
    ],
)
def test_an_unknown_layer_or_channel_is_refused_with_the_choices(layer, channels, message):
    with pytest.raises(SpecError, match=message):
        activation_maps(seeded(), noise(), layer, channels)


def test_no_images_are_refused():
    with pytest.raises(DataError, match="give at least one"):
        activation_maps(seeded(), [], "conv1")


@pytest.mark.parametrize(("factor", "kept"), [(1, np.float16), (1e6, np.float32), (1e-9, np.float32)])
def test_maps_are_halved_only_where_that_loses_nothing(factor, kept):
    values = noise(4).numpy() * np.float32(factor)
    stored = activations.compact(values)
    assert stored.dtype == kept
    np.testing.assert_allclose(stored.astype(np.float32), values, atol=1.1e-3 * np.abs(values).max())


def test_nan_and_infinity_survive():
    values = noise(2).numpy()
    values[0, 0, 0, :2] = np.nan, np.inf
    stored = activations.compact(values)
    assert np.isnan(stored[0, 0, 0, 0]) and np.isinf(stored[0, 0, 0, 1])


def test_each_network_of_the_grid_is_stored_with_its_images(found, store):
    assert list(found.of) == [DENSE, NO_REPAIR, *SPEC.repairs] and not found.absent
    lab = Lab(SPEC, store, Report(), Runtime())
    subset = lab.data.eval_indices(20, 0)
    chosen = [
        next(i for i in subset if lab.data.test_labels[i] == label)
        for label in sorted(set(lab.data.test_labels[subset]))[:3]
    ]
    assert found.images == chosen and found.files == [lab.data.test_files()[i] for i in chosen]
    assert found.classes == [str(lab.data.test_labels[i]) for i in chosen] and found.fewer is None
    batch = lab.data.batch(lab.data.test_images[chosen])
    for network in maps.networks(SPEC):
        expected = activation_maps(lab.network(network), batch, LAYER)
        np.testing.assert_allclose(found.of[network].astype(np.float32), expected, atol=2e-3 * np.abs(expected).max())


def test_images_are_one_of_each_class_in_turn():
    labels, indices = np.array([1, 1, 0, 0, 0, 2, 9]), np.array([0, 1, 2, 3, 4, 5])
    assert activations.one_of_each(indices, labels, 6).tolist() == [2, 0, 5, 3, 1, 4]
    assert activations.one_of_each(indices, labels, 2).tolist() == [2, 0] and activations.one_of_each(
        indices[:1], labels, 8
    ).tolist() == [0]


def test_a_second_time_nothing_is_computed(found, store):
    report = Stages()
    again = run.maps(SPEC, store, WANTED, report=report)
    assert report.done == [] and list(again.of) == list(found.of)


def test_one_more_method_costs_one_more_entry(found, store):
    report = Stages()
    raw = RepairSpec.of("raw_bn")
    more = SPEC.with_(repairs=(*SPEC.repairs, raw))
    assert maps.read(more, store, results.dense_ids(store, SPEC)[0], WANTED).absent == (raw,)
    run.maps(more, store, WANTED, report=report)
    assert report.done == [("repair", raw), ("maps", raw)]


def test_bn_only_is_the_pruned_network_until_it_is_recalibrated(found, store):
    dense_id = results.dense_ids(store, SPEC)[0]
    keys, after = Keys(SPEC, dense_id), MapSpec(layer=LAYER, images=3, state=RECALIBRATED)
    both = [maps.key_of(keys, NO_REPAIR, wanted) for wanted in (WANTED, after)]
    only = [maps.key_of(keys, BN_ONLY, wanted) for wanted in (WANTED, after)]
    assert both[0] == both[1] == only[0] != only[1]
    recalibrated = run.maps(SPEC, store, after)
    np.testing.assert_array_equal(recalibrated.of[NO_REPAIR], found.of[NO_REPAIR])
    assert not np.array_equal(recalibrated.of[BN_ONLY], found.of[BN_ONLY])


def test_a_recalibration_that_is_not_stored_is_recorded_no_longer_than_needed(store):
    dense_id = results.dense_ids(store, SPEC)[0]
    wanted = MapSpec(layer=LAYER, images=3, state=RECALIBRATED.of("keep", "ema", 0.1, 2))
    tasks = {task.stage: task.images for task in maps.missing(SPEC, store, dense_id, wanted)}
    assert tasks == {"recalibration": 2 * 16, "maps": 3}


def test_a_large_layer_keeps_fewer_images_and_says_so(found, store, monkeypatch):
    count = found.of[DENSE][0].size * 2
    monkeypatch.setattr(stages, "MAP_BYTES", 2 * count + 1)
    few = run.maps(SPEC, store, MapSpec(layer=LAYER, images=4))
    assert few.of[DENSE].shape[0] == 2 and len(few.images) == 2
    assert few.fewer.startswith("2 of 4 images are kept: maps of ")


def test_fewer_test_images_than_asked_are_named(store):
    few = run.maps(SPEC, store, MapSpec(layer="stage4.0.branch1.0", images=30))
    assert len(few.images) == 20 and few.fewer == "20 of 30 images: the evaluation subset has no more."


def test_an_unknown_layer_is_refused_before_anything_is_trained(tmp_path):
    with pytest.raises(SpecError, match=r"unknown layer 'stage2\.0'. Did you mean stage2\.0\."):
        run.maps(SPEC, Store(tmp_path), MapSpec(layer="stage2.0"))
    assert "dense" not in Store(tmp_path).stages()


@pytest.mark.parametrize(
    ("layer", "images", "message"), [("", 8, "layer is ''"), ("conv1", 0, "images is 0"), ("conv1", 65, "at most 64")]
)
def test_bad_wishes_are_refused(layer, images, message):
    with pytest.raises(SpecError, match=message):
        MapSpec(layer=layer, images=images)


def test_a_dense_network_without_weights_here_is_refused(store):
    with pytest.raises(StoreError, match="weights of dense network 0123abcd are not on this machine"):
        run.maps(SPEC, store, WANTED, "0123abcd0123abcd")


def test_without_a_dense_network_training_and_decoding_are_counted(tmp_path):
    stages = [task.stage for task in maps.missing(SPEC, Store(tmp_path), None, WANTED)]
    assert stages[:3] == ["images", "dense", "prune"] and stages.count("maps") == 4  # bn_only is the pruned one


def test_input_images_come_from_the_store_or_are_bundled(found, store, tmp_path):
    stored = maps.inputs(SPEC.data, store, found.images)
    assert stored.shape == (3, 32, 32, 3) and stored.dtype == np.uint8
    np.testing.assert_array_equal(stored, maps.inputs(SPEC.data, Store(tmp_path), found.images))


@pytest.mark.parametrize(
    "images", [DataSpec(dataset="cifar10"), DataSpec(dataset="folder", digest="0" * 16, classes=3)]
)
def test_images_that_are_not_here_name_the_command_that_fetches_them(tmp_path, images):
    with pytest.raises(DataError, match=f"python -m asr_core maps --layer NAME --dataset {images.dataset}"):
        maps.inputs(images, Store(tmp_path), [0])


def test_the_command_line_refuses_an_unknown_layer_in_one_line(tmp_path):
    asked = ["--cache-dir", str(tmp_path), "maps", "--layer", "layer1.conv1", "--threads", "1"]
    result = CliRunner().invoke(main, asked)
    assert result.exit_code == 2 and "error: unknown layer 'layer1.conv1'. Did you mean layer1." in result.output
    assert "Traceback" not in result.output


def test_the_command_line_stores_maps_and_tells_their_shapes(store):
    asked = "--architecture shufflenet_v2_x0_5 --stem small --epochs 1 --sparsity 0.8 --stat-images 16 "
    asked += "--calib-batch-size 16 --eval-images 20"
    asked += f" --methods bn_only,lw_bn --orders simultaneous --biases off --budgets 1 --layer {LAYER} --images 3"
    result = CliRunner().invoke(main, ["--cache-dir", str(store.root), "maps", *asked.split()])
    assert (
        result.exit_code == 0
        and f"maps of {LAYER}" in result.output
        and "LW (eq. 1) · simultaneous · bias off" in result.output
    )


def test_maps_of_one_chosen_image_are_an_entry_of_their_own(store, found):
    one = maps.MapSpec(layer=LAYER, image=7)
    alone = run.maps(SPEC, store, one)
    lab = Lab(SPEC, store, Report(), Runtime())
    assert alone.images == [7] and alone.files == [lab.data.test_files()[7]]
    expected = activation_maps(lab.network(DENSE), lab.data.test_batch([7]), LAYER)
    np.testing.assert_allclose(alone.of[DENSE].astype(np.float32), expected, atol=2e-3 * np.abs(expected).max())


@pytest.mark.parametrize("image", [-1, 360, 2.5])
def test_an_image_that_there_is_not_is_refused(store, found, image):
    with pytest.raises(SpecError, match="image"):
        run.maps(SPEC, store, maps.MapSpec(layer=LAYER, image=image))
