"""What is said of spatial maps and of kernels, at every shipped setting that has some, against the stored files."""

import json
import re
from functools import lru_cache

import numpy as np
import pytest
import shipped
from safetensors.numpy import load_file
from shipped import near, number

from asr_core.figures import kernels, maps
from asr_core.pipeline import maps as stored_maps
from asr_core.spec.keys import Keys
from asr_core.spec.recalibration import NO_STATE, REPORTED_STATE
from asr_core.spec.repairs import DENSE, NO_REPAIR, repairs
from asr_core.store import catalogue, results

REPAIRS = repairs(orders=("simultaneous",), biases=("off",))
STATES = {"before recalibration": NO_STATE, "at the reporting point": REPORTED_STATE}
FOLDER = shipped.SHIPPED.parent
SHARED = "(simultaneous, bias off)"  # what all repairs of these sentences share
CHANNELS = 5  # of a layer, where not every setting is read
FACTORS = {"LW (eq. 1)": "lw_bn", "raw": "raw_bn", "ASR": "asr_bn"}
ANY = "|".join(re.escape(name) for name in (*FACTORS, "BN only"))


@pytest.fixture(scope="module")
def mapped():
    """(store, keys, result, layers whose maps are stored) of shipped settings."""
    store = shipped.store()
    stored = [item for item in catalogue.stored(store) if (shipped.SHIPPED / item.key).is_dir()]
    found = stored_maps.mapped_settings(store, stored)
    once = {item.dense_id: (item, layers) for item, layers in reversed(found)}
    told = []
    for item, layers in found if shipped.EVERY else once.values():
        keys = catalogue.keys_of(catalogue.covering(stored, item.setting, item.dense_id))
        told.append((store, keys, results.open_results(store, keys), layers))
    assert told
    return told


def some(count: int) -> list[int]:
    """Channels of a layer."""
    return list(range(count)) if shipped.EVERY else sorted({int(i) for i in np.linspace(0, count - 1, CHANNELS)})


@lru_cache(maxsize=64)
def array(key: str) -> np.ndarray:
    """Stored maps (image, channel, H, W)."""
    with np.load(FOLDER / "maps" / key / "maps.npz") as bytes_of:
        return (bytes_of["low"] + 256 * bytes_of["high"].astype(np.uint16)).view(np.float16).astype(float)


def read(result, layer: str, state) -> tuple[dict[str, np.ndarray], dict]:
    """Name -> maps (image, channel, H, W) of each network that is stored, and facts of the dense one's."""
    experiment, found, told = maps.experiment_of(result, REPAIRS), {}, {}
    wanted = stored_maps.MapSpec(layer=layer, state=state)
    for network in (DENSE, NO_REPAIR, *REPAIRS):
        key = stored_maps.key_of(Keys(experiment, result.setting["dense_id"]), network, wanted)
        file = FOLDER / "maps" / key / "manifest.json"
        if not file.is_file() or (state == NO_STATE and network.method == "bn_only"):
            continue
        facts = json.loads(file.read_text())["facts"]
        own = facts["network"]
        assert facts["layer"] == layer
        assert own["method"] == network.method or not network.order
        assert (own["order"], own["bias"]) == ("simultaneous", False) or not network.order
        found[shipped.NAMES[network.method]] = array(key)
        told = told or facts
    return found, told


@pytest.fixture(scope="module", params=STATES)
def said(mapped, request):
    """(maps of one channel by name, facts, channel, sentence)."""
    state, found = STATES[request.param], []
    for store, _, result, layers in mapped:
        for layer in layers:
            own, facts = read(result, layer, state)
            for channel in some(own["dense"].shape[1]):
                text = maps.MAPS.sentence(maps.table(result, store, layer, channel, REPAIRS, state))
                found.append(({name: of[:, channel] for name, of in own.items()}, facts, channel, text))
    return found


def far(one: np.ndarray, dense: np.ndarray) -> float:
    """Root mean square difference to dense in standard deviations of dense."""
    return float(np.sqrt(((one - dense) ** 2).mean()) / dense.std())


def test_what_pruning_did_to_maps_is_what_is_stored(said):
    for own, facts, channel, text in said:
        dense, pruned = own["dense"], own["no repair"]
        count, height, width = dense.shape
        head = f"Channel {channel} of {facts['layer']}, {count} test images, maps of {height} × {width}."
        assert text.startswith(head), text
        if np.ptp(dense) == 0:
            assert "The dense maps do not vary" in text, text
        elif np.ptp(pruned) == 0:
            assert "its map is constant" in text, text
        else:
            assert near(number(r"vary ([\d.e+-]+) times", text), pruned.std() / dense.std(), 2), text
            assert near(number(r"differ from them by ([\d.e+-]+) of", text), far(pruned, dense), 2), text
            same = np.corrcoef(pruned.ravel(), dense.ravel())[0, 1]
            assert abs(number(r"correlation (-?[\d.]+)\)", text) - same) < 0.0051, text


def test_which_network_is_nearest_to_the_dense_maps_is_what_is_stored(said):
    for own, _, _, text in said:
        dense = own["dense"]
        if np.ptp(dense) == 0:
            continue
        told = {name: far(one, dense) for name, one in own.items() if name not in ("dense", "no repair")}
        if not told:
            assert not re.search("(?i)repairs leave|nearest|nearer", text), text
            continue
        plain, least, most = far(own["no repair"], dense), min(told.values()), max(told.values())
        if "leave this channel as it is" in text:
            assert all(np.allclose(own[name], own["no repair"], rtol=2e-3, atol=1e-5) for name in told), text
        elif "No repair is nearer" in text:
            assert plain <= least * 1.001, text
            assert near(number(r"than none: ([\d.e+-]+),", text), plain, 2), text
            assert near(number(r"against ([\d.e+-]+) with", text), least, 2), text
            name, shared = re.search(rf"with ({ANY})( {re.escape(SHARED)})?\.", text).groups()
            assert told[name] <= least * 1.001, text
            assert bool(shared) == (name in FACTORS), text
        else:
            assert least < plain * 1.001, text
            named = re.search(r"on these images is (.*?): the difference", text)[1]
            assert all((name in named) == (value <= least * 1.001) for name, value in told.items()), text
            assert named.endswith(SHARED) == any(name in named for name in FACTORS), text
            assert near(number(r"the difference is ([\d.e+-]+) of", text), least, 2), text
            if last := re.search(rf", with (.*?)( {re.escape(SHARED)})? ([\d.e+-]*\d)\.", text):
                assert near(float(last[3]), most, 2) and told[last[1]] >= most * 0.999, text
                assert bool(last[2]) == (last[1] in FACTORS and SHARED not in named), text


def test_what_is_said_of_one_image_is_what_is_stored(mapped):
    for store, _, result, layers in mapped:
        for layer in layers:
            own, facts = read(result, layer, REPORTED_STATE)
            for place, image in enumerate(facts["test_images"][:2]):
                what = {"repairs": REPAIRS, "state": REPORTED_STATE}
                text = maps.PIXELS.sentence(maps.one_image(result, store, layer, 0, image, **what))
                assert text.startswith(f"Test image {image} ({facts['files'][place]}, class {facts['classes'][place]})")
                shown = {name: of[place, 0] for name, of in own.items()}
                if np.ptp(shown["dense"]) == 0:
                    assert "nothing to compare with" in text, text
                    continue
                told = {name: far(one, shown["dense"]) for name, one in shown.items() if name != "dense"}
                assert (f"repaired maps {SHARED} to dense" in text) == bool({*FACTORS} & {*told}), text
                for name, value in told.items():
                    assert near(number(rf"[:,] {re.escape(name)} ([\d.e+-]*\d)", text), value, 2), (name, text)
                first = re.search(r"standard deviations: (.*?) [\d.e+-]*\d[,.]", text)[1]
                assert told[first] <= min(told.values()) * 1.001, text


# --- kernels ---


@lru_cache(maxsize=64)
def weights_of(dense_id: str, layer: str) -> np.ndarray:
    """Dense weights (out, in, kH, kW) of a conv, from those of the whole network or of the conv alone."""
    whole = FOLDER / "dense" / dense_id / "weights.safetensors"
    if whole.is_file():
        return load_file(whole)[f"{layer}.weight"].astype(float)
    for manifest in (FOLDER / "kernels").glob("*/manifest.json"):
        if json.loads(manifest.read_text())["facts"] == {"dense_id": dense_id, "layer": layer}:
            return load_file(manifest.parent / "weights.safetensors")[f"{layer}.weight"].astype(float)
    raise AssertionError((dense_id, layer))


@lru_cache(maxsize=64)
def mask_of(keys, layer: str, shape: tuple) -> np.ndarray:
    """Which weights of a conv are kept, of the stored masks those that keep as many in each conv as the setting."""
    convs = shipped.table(keys[0], "convs").set_index("layer")
    for file in (FOLDER / "prune").glob("*/masks.npz"):
        with np.load(file) as bits:
            if not set(convs.index) <= set(bits.files):
                continue
            kept = {
                name: np.unpackbits(bits[name], count=int(n))
                for name, n in convs["weights"].items()
                if len(bits[name]) == -(-int(n) // 8)
            }
        if len(kept) == len(convs) and all(kept[name].sum() == n for name, n in convs["kept"].items()):
            return kept[layer].reshape(shape).astype(bool)
    raise AssertionError((keys, layer))


@pytest.fixture(scope="module")
def said_of_kernels(mapped):
    """(keys, dense network, layer, channel, sentence)."""
    found = []
    for store, keys, result, layers in mapped:
        channels = shipped.table(keys[0], "convs").set_index("layer")["out_channels"]
        for layer in layers:
            for channel in some(int(channels[layer])):
                text = kernels.KERNEL.sentence(kernels.table(result, store, layer, channel, REPAIRS))
                found.append((keys, result.setting["dense_id"], layer, channel, text))
    return found


def test_what_is_left_of_a_kernel_is_what_is_stored(said_of_kernels):
    for keys, dense_id, layer, channel, text in said_of_kernels:
        own = weights_of(dense_id, layer)
        stays, own = mask_of(keys, layer, own.shape)[channel], own[channel]
        share = 100 * (own[stays] ** 2).sum() / (own**2).sum()
        inputs = stays.any(axis=(1, 2)).sum()
        assert number(r"Pruning left ([\d,]+) of", text) == stays.sum(), (keys, text)
        assert f" of {own.size} weights of this kernel, from {inputs} of {len(own)} input channels" in text
        assert abs(number(r"with ([\d.]+)% of its energy", text) - share) < 0.051, (keys, text)
        assert ("the channel is dead" in text) == (not stays.any()), (keys, text)


def test_what_repairs_multiply_a_kernel_by_is_what_is_stored(said_of_kernels):
    checked = 0
    for keys, _, layer, channel, text in said_of_kernels:
        for name, method in FACTORS.items() if "the channel is dead" not in text else ():
            rows = shipped.repaired(keys, method)
            factor = np.nan if rows is None else rows["gamma"].get((layer, channel), np.nan)
            told = re.search(rf"[:,] {re.escape(name)} ([\d.e+-]*\d)", text)
            assert (told is not None) == bool(np.isfinite(factor)), (keys, name, text)
            assert not told or near(float(told[1]), factor), (keys, name, factor, text)
            assert not told or f"Repairs {SHARED} multiply" in text, (keys, text)
            checked += 1
    assert checked > 0
