"""What comes with the project is sound, small enough, free of images, and can be recomputed from it."""

import itertools
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import shipped

from asr_core.measure import diagnostics
from asr_core.pipeline import run as experiment
from asr_core.spec.experiment import from_dict
from asr_core.spec.recalibration import NO_STATE, BatchNormState
from asr_core.spec.repairs import COLUMNS, RepairSpec
from asr_core.store import Store, catalogue, results, shipping, tables
from asr_core.store.entries import PROJECT
from asr_core.store.tables import networks

CACHE = shipped.store()
KEYS = sorted(folder.name for folder in (CACHE.shipped / "result").iterdir())
MOST = 60e6  # bytes
KNOWN_SUFFIXES = {".parquet", ".npz", ".npy", ".json", ".safetensors", ".md"}


@pytest.fixture(scope="module")
def opened():
    """Every shipped result by its key."""
    return {key: results.read(CACHE.find("result", key)) for key in KEYS}


def test_every_shipped_file_has_the_hash_in_its_manifest():
    assert Store(CACHE.root).verify() == []


def test_what_is_shipped_is_small_enough():
    assert sum(path.stat().st_size for path in CACHE.shipped.rglob("*") if path.is_file()) <= MOST


def test_no_file_of_the_repository_is_a_pickle_or_an_image_of_a_data_set():
    listed = subprocess.run(["git", "ls-files"], cwd=PROJECT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("this copy of the project is no git checkout")
    names = [PROJECT / name for name in listed.stdout.splitlines()]
    assert names
    assert {path.suffix for path in names if "cache" in path.relative_to(PROJECT).parts[:1]} <= KNOWN_SUFFIXES
    bad = {".pkl", ".pickle", ".pt", ".pth", ".jpg", ".jpeg", ".bmp", ".ppm", ".gif", ".webp", ".tar", ".zip", ".gz"}
    assert [path for path in names if path.suffix.lower() in bad] == []
    assert [path for path in names if path.suffix == ".png" and path.parent != PROJECT / "docs"] == []


def test_no_shipped_array_needs_a_pickle_to_be_read():
    for path in (*CACHE.shipped.rglob("*.npz"), *CACHE.shipped.rglob("*.npy")):
        found = np.load(path, allow_pickle=False)
        for array in found.values() if path.suffix == ".npz" else [found]:
            assert array.dtype != object


def test_achieved_sparsity_is_what_the_layers_add_up_to_and_what_was_asked(opened):
    for result in opened.values():
        convs, setting = result.convs, result.setting
        kept, weights = convs["kept"].sum(), convs["weights"].sum()
        if setting["prune"]["include_linear"]:
            continue  # the linear layers are no convs
        assert 1 - kept / weights == pytest.approx(setting["sparsity_achieved"], abs=1e-12)
        if setting["prune"]["pruning"] == "n_m":
            skipped = convs.loc[convs["skipped"] != "", "weights"].sum()
            assert kept - skipped == pytest.approx((weights - skipped) * (1 - setting["sparsity_asked"]))
        else:
            assert abs(kept - (1 - setting["sparsity_asked"]) * weights) <= 1


def test_at_higher_sparsity_no_conv_of_the_same_network_keeps_more_by_global_magnitude(opened):
    by_network = {}
    for result in opened.values():
        if result.setting["prune"]["pruning"] == "global_l1":
            by_network.setdefault(result.setting["dense_id"], {})[result.setting["sparsity_asked"]] = (
                result.convs.set_index("layer")["kept"]
            )
    assert max(len(found) for found in by_network.values()) >= 5
    for found in by_network.values():
        ordered = [found[sparsity] for sparsity in sorted(found)]
        assert all((more >= less).all() for more, less in itertools.pairwise(ordered))


def test_where_all_convs_are_absorbed_and_none_is_dead_cumulative_recalibration_makes_all_methods_equal(opened):
    compared = 0
    for result in opened.values():
        if not (result.convs["absorbed"] == "yes").all() or result.setting["dead"]:
            continue
        rows = result.accuracy[(result.accuracy["averaging"] == "cumulative")]
        per_method = rows[rows["method"].isin(["bn_only", "lw_bn", "raw_bn", "asr_bn"])]
        for _, same in per_method.groupby("calib_batches"):
            assert same["top1"].max() - same["top1"].min() <= 0.005 + 1e-9, (
                result.setting["dataset_label"],
                result.setting["prune"],
            )
            compared += 1
    assert compared


def test_a_rounded_table_is_within_half_a_percent_and_keeps_zeros_and_gaps():
    table = pd.DataFrame(
        {
            "layer": ["a"] * 6,
            "channel": range(6),
            "v_dense": [0.0, 1e-9, 3.7, 812.5, np.nan, 3e9],
            "mu_dense": [0.0, -1e-4, 2.5, -812.5, np.nan, 1e6],
            "alive": [True, False, True, True, False, True],
        }
    )
    again = shipping.expanded(shipping.compact(table))
    assert list(again) == list(table)
    assert again["v_dense"].to_numpy() == pytest.approx(table["v_dense"].to_numpy(), rel=6e-3, nan_ok=True)
    assert again["mu_dense"].to_numpy() == pytest.approx(table["mu_dense"].to_numpy(), rel=1e-3, nan_ok=True)
    assert again["v_dense"][0] == 0 and again["alive"].tolist() == table["alive"].tolist()


@pytest.mark.parametrize("most", [1e30, 3.4e38, 1e70])
def test_variances_of_a_signal_that_explodes_survive_rounding(most):
    table = pd.DataFrame({"v_repaired": [0.0, 1e-38, most, np.inf, np.nan], "gamma": 1.5})
    found = shipping.expanded(shipping.compact(tables.halved(table)))
    assert found["gamma"].dtype == np.float32 and (found["v_repaired"].dtype == np.float32) == (most < 3e38)
    np.testing.assert_allclose(found["v_repaired"], table["v_repaired"], rtol=0.05)


def test_maps_whose_bytes_lie_apart_are_the_same_maps():
    maps = np.array([[0.0, -0.0, 1.5, -65504.0, np.inf, np.nan, 6e-8]], np.float16)
    found = shipping.together(shipping.apart(maps[:, ::2]))
    assert found.dtype == np.float16 and found.tobytes() == maps[:, ::2].tobytes()


def test_a_fresh_computation_from_the_shipped_network_gives_the_shipped_numbers(tmp_path, opened):
    shipped = next(
        r
        for r in opened.values()
        if r.setting["data"]["dataset"] == "digits" and r.setting["sparsity_asked"] == 0.9 and r.channels is not None
    )
    repair, state = RepairSpec.of("lw_bn", "simultaneous", False), BatchNormState.of("reset", "ema", 0.1, 10)
    spec = from_dict(shipped.entry.manifest["spec"]).with_(repairs=(repair,), states=(NO_STATE, state))
    local = Store(tmp_path)
    (tmp_path / "shipped" / "dense").mkdir(parents=True)
    (tmp_path / "shipped" / "dense" / shipped.setting["dense_id"]).symlink_to(
        CACHE.shipped / "dense" / shipped.setting["dense_id"]
    )
    fresh = experiment.run(spec, local)
    assert fresh.setting["dense_id"] == shipped.setting["dense_id"]
    same = [*COLUMNS, "start", "averaging", "momentum", "calib_batches"]
    rows = fresh.accuracy.merge(shipped.accuracy, on=same, suffixes=("", "_shipped"))
    assert len(rows) == 5  # dense and the repair, each without and with recalibration, and no repair
    assert (rows["top1"] - rows["top1_shipped"]).abs().max() <= 2 / 360  # another processor may round a tie otherwise
    both = fresh.channels.merge(shipped.channels, on=["layer", "channel"], suffixes=("", "_shipped"))
    for moment in ("v_dense", "v_pruned"):
        assert both[f"{moment}_shipped"].to_numpy() == pytest.approx(both[moment].to_numpy(), rel=0.01, abs=1e-12)
    within = diagnostics.network_damage(shipped.channels)["within_share"]
    assert within == pytest.approx(fresh.setting["within_share"], abs=0.005)


def test_opening_every_shipped_setting_imports_no_torch():
    code = (
        "import sys; from asr_core.store import Store, catalogue, results\n"
        f"store = Store({str(CACHE.root)!r})\n"
        "found = catalogue.stored(store)\n"
        "for item in found:\n"
        "    results.open_results(store, tuple(i.key for i in catalogue.covering(found, item.setting)))\n"
        "assert found and 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, cwd=PROJECT)


def test_results_of_one_setting_open_as_one_even_if_some_come_without_channels(opened):
    found = catalogue.stored(CACHE)
    both = [catalogue.covering(found, item.setting) for item in found]
    mixed = [items for items in both if len({opened[i.key].channels is None for i in items}) == 2]
    assert mixed
    for items in mixed:
        merged = results.open_results(CACHE, tuple(item.key for item in items))
        assert merged.channels is not None and merged.repairs is not None
        assert not merged.accuracy.duplicated(results.UNIQUE["accuracy"]).any()
        assert set(networks(merged.accuracy)) == {n for item in items for n in networks(opened[item.key].accuracy)}
