"""Kernels read without torch are those of the networks."""

import subprocess
import sys

import numpy as np
import pytest
from made_maps import SPEC, copy

from asr_core.cli import gallery_command
from asr_core.errors import SpecError, StoreError
from asr_core.pipeline import kernels
from asr_core.pipeline.lab import Lab, Report
from asr_core.runtime import Runtime
from asr_core.spec.repairs import BN_ONLY, DENSE, NO_REPAIR
from asr_core.store import results
from asr_core.store.entries import WEIGHTS
from asr_core.store.tables import rows_of


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return copy(tmp_path_factory.mktemp("kernels"))


@pytest.fixture(scope="module")
def result(store):
    return results.find(SPEC, store)


def test_kernels_are_the_weights_of_dense_pruned_and_repaired_networks(store, result):
    lab = Lab(SPEC, store, Report(), Runtime())
    read = {
        (layer, channel): kernels.read(SPEC, store, result, layer, channel)
        for layer in ("conv1.0", "stage2.0.branch2.0", "stage2.0.branch2.3", "conv5.0")  # 3x3, 1x1, depthwise, last
        for channel in (0, 5, 7)
    }
    for network in (DENSE, NO_REPAIR, *SPEC.repairs[1:]):
        built = lab.network(network)
        for (layer, channel), found in read.items():
            expected = built.get_submodule(layer).weight[channel].detach().numpy()
            got = found.of.get(network, found.of[NO_REPAIR])  # a layer that is not repaired has no factor
            np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-7)
    assert all(found.kept == np.count_nonzero(found.of[NO_REPAIR]) for found in read.values())


def test_repairs_are_the_pruned_kernel_times_gamma(store, result):
    found = kernels.read(SPEC, store, result, "conv5.0", 3)
    rows = result.repairs.query("layer == 'conv5.0' and channel == 3")
    for repair in SPEC.repairs[1:]:
        gamma = rows_of(rows, repair)["gamma"].item()
        np.testing.assert_allclose(found.of[repair], gamma * found.of[NO_REPAIR])
    assert BN_ONLY not in found.of


def test_an_unknown_layer_or_channel_is_refused(store, result):
    with pytest.raises(SpecError, match=r"unknown layer 'conv5'. Did you mean conv5\.0"):
        kernels.read(SPEC, store, result, "conv5", 0)
    with pytest.raises(SpecError, match=r"channel is 24; conv1\.0 has 24 output channels, 0 to 23"):
        kernels.read(SPEC, store, result, "conv1.0", 24)


def test_what_is_not_on_this_machine_is_named(tmp_path, result):
    store = copy(tmp_path)
    store.clear(["prune"])
    with pytest.raises(StoreError, match="which weights were pruned is not stored"):
        kernels.read(SPEC, store, result, "conv1.0", 0)
    store.clear(["dense"])
    with pytest.raises(StoreError, match=r"weights of dense network \w{8} are not on this machine"):
        kernels.read(SPEC, store, result, "conv1.0", 0)


def test_where_the_dense_network_is_not_here_the_shipped_weights_of_the_conv_are_read(tmp_path, result):
    store = copy(tmp_path)
    whole = kernels.read(SPEC, store, result, "conv5.0", 3)
    dense_id = result.setting["dense_id"]
    gallery_command.ship_kernels(store.find("dense", dense_id, WEIGHTS), ["conv5.0"], store)
    store.clear(["dense"])
    shipped = kernels.read(SPEC, store, result, "conv5.0", 3)
    assert shipped.of.keys() == whole.of.keys() and shipped.kept == whole.kept
    for name, kernel in whole.of.items():
        np.testing.assert_allclose(shipped.of[name], kernel, rtol=1e-3, atol=1e-6)
    with pytest.raises(StoreError, match="are not on this machine"):
        kernels.read(SPEC, store, result, "conv1.0", 3)


def test_kernels_and_stored_maps_are_read_without_torch(store):
    code = (
        "import sys; from asr_core.pipeline import kernels, maps; from asr_core.spec.experiment import from_dict; "
        "from asr_core.store import Store, catalogue, results; "
        f"store = Store({str(store.root)!r}); item = catalogue.stored(store)[0]; "
        "result = results.open_results(store, (item.key,)); "
        "asked = from_dict(result.entry.manifest['spec']); kernels.read(asked, store, result, 'conv1.0', 0); "
        "maps.read(asked, store, result.setting['dense_id'], maps.MapSpec(layer='conv1.0')); "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
