"""Entries in the spelling of before are found again after a migration, with the numbers that they had."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from fake_results import fake_result

from asr_core.cli.main import main
from asr_core.pipeline import allocations, maps, migration
from asr_core.spec.digests import key
from asr_core.spec.experiment import from_dict
from asr_core.spec.keys import Keys, recipe_key
from asr_core.spec.recalibration import REPORTED_STATE
from asr_core.spec.repairs import BN_ONLY, COLUMNS, DENSE, RepairSpec
from asr_core.store import Store, results
from asr_core.store.entries import MANIFEST, digest_file
from asr_core.store.tables import networks

ASR = RepairSpec.of("asr_bn", "sequential", True, prior="mean", eps=1e-5)
WANTED = maps.MapSpec(layer="conv1", state=REPORTED_STATE)


def old_repair(repair: RepairSpec) -> dict:
    params = dict(repair.params)
    named = {"method": repair.method, "order": repair.order, "bias": repair.bias, "prior": params.pop("prior", None)}
    return named | {"params": sorted(params.items())}


def old_spec(spec: dict) -> dict:
    prune, calibration, evaluation = dict(spec["prune"]), dict(spec["calibration"]), dict(spec["evaluation"])
    silent = ("keep_first", "keep_head", "min_density", "ignore")
    params = sorted((n, v) for n, v in prune.items() if n != "pruning" and n not in silent)
    return spec | {
        "prune": {"rule": prune["pruning"], "params": params},
        "calibration": calibration | {"seed": calibration.pop("draw")},
        "evaluation": evaluation | {"seed": evaluation.pop("subset")},
        "repairs": [old_repair(RepairSpec.from_columns(**repair)) for repair in spec["repairs"]],
        "states": [state | {"batches": state.pop("calib_batches")} for state in json.loads(json.dumps(spec["states"]))],
    }


def slugs(table: pd.DataFrame) -> list[str]:
    return [n.method if n.method in ("dense", "no_repair") else migration.slug(old_repair(n)) for n in networks(table)]


@pytest.fixture
def old(tmp_path):
    """(store with a shipped result, maps, repairability and dense network in the old spelling, the result as it is
    now)."""
    now = fake_result(Store(tmp_path / "now"), repairs=(BN_ONLY, ASR))
    found = migration.Old(old_spec(now.manifest["spec"]), now["setting"]["dense_id"])
    spec, store = found.spec, Store(tmp_path / "old")
    shipped = Store(store.shipped)
    tables = {name: now.table(name) for name in ("accuracy", "repairs", "layers", "alphas", "channels")}
    for name in ("accuracy", "repairs", "layers", "alphas"):
        names = slugs(tables[name])
        gone = COLUMNS if name != "accuracy" else ["params", "draw"]
        tables[name] = tables[name].drop(columns=gone).rename(columns={"b_new": "bias"}).assign(slug=names)
    setting = now["setting"] | {
        "prune": {"rule": "global_l1", **dict(spec["prune"]["params"])},
        "calibration": spec["calibration"],
        "evaluation": spec["evaluation"],
        "recalibrated_state": spec["states"][2],
    }
    recipe = key("dense", spec["data"], spec["model"], spec["dense"])
    shipped.put("dense", found.dense_id, {}, {"recipe": recipe, "dense_id": found.dense_id})
    files = {f"{name}.parquet": table for name, table in tables.items()}
    parts = [found.prune, spec["calibration"], spec["evaluation"], spec["repairs"], spec["states"]]
    shipped.put("result", key("result", *parts), files, {"setting": setting, "recipe": recipe}, spec)
    asr = migration.slug(old_repair(ASR))
    network = found.networks()[asr]
    facts = {"layer": "conv1", "images": 8, "target": asr}
    where = found.maps(network, "conv1", 8, spec["states"][2])
    shipped.put("maps", where, {"maps.npy": np.ones(2)}, facts)
    trials = list(allocations.SPARSITIES)
    where = key("repairability", found.dense, found.images, trials)
    shipped.put("repairability", where, {"layers.parquet": tables["layers"]}, {"sparsities": trials, "target": "dense"})
    return store, now


def test_a_result_is_found_by_its_experiment_with_the_tables_it_had(old):
    store, now = old
    spec = from_dict(now.manifest["spec"])
    assert results.find(spec, store) is None
    assert migration.migrate(store) == 4
    found = store.find("result", Keys(spec, now["setting"]["dense_id"]).result)
    assert found["setting"] == now["setting"] and found["recipe"] == recipe_key(spec)
    assert found.manifest["spec"] == now.manifest["spec"]
    for name in ("accuracy", "repairs", "layers", "alphas"):
        pd.testing.assert_frame_equal(found.table(name), now.table(name), check_like=True)
    assert results.dense_ids(store, spec) == [now["setting"]["dense_id"]]


def test_maps_and_repairability_are_found_and_say_of_which_network_they_are(old):
    store, now = old
    migration.migrate(store)
    spec, dense_id = from_dict(now.manifest["spec"]), now["setting"]["dense_id"]
    entry = store.find("maps", maps.key_of(Keys(spec, dense_id), ASR, WANTED))
    assert entry["network"] == ASR.columns and "target" not in entry.manifest["facts"]
    trial = store.find("repairability", allocations.task_of(spec, dense_id).key)
    assert trial["network"] == DENSE.columns


def test_a_migrated_store_is_sound_and_has_nothing_left_to_migrate(old):
    store, _ = old
    migration.migrate(store)
    assert Store(store.root).verify() == []
    asked = ["--cache-dir", str(store.root), "cache", "migrate"]
    assert CliRunner().invoke(main, asked, prog_name="python -m asr_core").output == "rewrote 0 entries.\n"


def test_a_migration_that_was_stopped_between_two_entries_goes_on(old, monkeypatch):
    store, now = old
    real = shutil.rmtree

    def stopped(folder, **options):
        if "result" in str(folder):
            raise KeyboardInterrupt
        real(folder, **options)

    with monkeypatch.context() as patch:
        patch.setattr(migration.shutil, "rmtree", stopped)
        with pytest.raises(KeyboardInterrupt):
            migration.migrate(store)
    assert migration.migrate(store) == 1
    assert len(list((store.shipped / "result").iterdir())) == 1
    assert results.find(from_dict(now.manifest["spec"]), store) is not None


def test_files_that_say_nothing_of_networks_stay_as_they_are(old):
    store, _ = old
    before = {digest_file(path) for path in store.shipped.rglob("*") if path.name in ("channels.parquet", "maps.npy")}
    migration.migrate(store)
    after = {digest_file(path) for path in store.shipped.rglob("*") if path.name in ("channels.parquet", "maps.npy")}
    assert before == after and len(before) == 2


def test_an_entry_that_belongs_to_no_stored_result_is_left_alone(old):
    store, _ = old
    facts = {"layer": "conv1", "images": 8, "target": "dense"}
    Store(store.shipped).put("maps", "0" * 24, {"maps.npy": np.ones(2)}, facts)
    migration.migrate(store)
    assert (store.shipped / "maps" / ("0" * 24) / MANIFEST).is_file()


def earlier(store: Store, channels: bool = True) -> dict:
    """Facts of a shipped result with the share of an earlier definition; returns the present ones."""
    now = fake_result(store)
    names = [Path(name) for name in now.manifest["files"] if channels or name != "channels.parquet"]
    files = {str(n): now.table(n.stem) if n.suffix == ".parquet" else now.arrays(n.stem) for n in names}
    setting = {n: v for n, v in now["setting"].items() if n not in ("damage", "within_share")}
    setting |= {"within_share": 0.5, "between_share": 0.5, "between_var": 1.0}
    facts = now.manifest["facts"] | {"setting": setting}
    Store(store.shipped).put("result", now.manifest["key"], files, facts, now.manifest["spec"])
    return now["setting"]


@pytest.mark.parametrize("channels", [True, False])
def test_a_share_of_an_earlier_definition_is_made_again_from_the_stored_tables(tmp_path, channels):
    store = Store(tmp_path)
    now = earlier(store, channels)
    assert migration.migrate(store) == 1
    (manifest,) = Store(store.shipped).manifests("result")
    found = manifest["facts"]["setting"]
    assert found.keys() == now.keys()
    assert found["within_share"] == pytest.approx(now["within_share"], rel=1e-6 if channels else 1e-3)
    assert found["damage"] == pytest.approx(now["damage"], rel=1e-6 if channels else 1e-3)
    assert found["live_share"] == pytest.approx(now["live_share"])


def test_a_share_is_made_again_once(tmp_path):
    store = Store(tmp_path)
    earlier(store)
    migration.migrate(store)
    assert migration.migrate(store) == 0
    assert Store(store.shipped).verify() == []
