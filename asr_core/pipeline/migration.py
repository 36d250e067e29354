"""Stored entries in the spelling of before: tables with a slug, prunings called rules. Rewritten, they are found again.

What was measured stays as it is, byte for byte where a file says nothing of networks; names and keys change, and
numbers whose definition changed are computed again from stored tables. Run by `python -m asr_core cache migrate`.
Imports no torch.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from asr_core import registry
from asr_core.pipeline import allocations, damage, maps
from asr_core.spec.digests import key
from asr_core.spec.experiment import ExperimentSpec, from_dict
from asr_core.spec.keys import Keys, recipe_key
from asr_core.spec.recalibration import BatchNormState
from asr_core.spec.repairs import DENSE, KIND, NO_REPAIR, RepairSpec
from asr_core.store import Store
from asr_core.store.entries import MANIFEST, Entry, digest_file, read_manifest, write, write_json
from asr_core.store.results import ROW_FIELDS
from asr_core.store.tables import typed

STAGES = ("maps", "prune", "repairability", "dense", "result")  # results last: from them the others are understood
Facts = dict[str, Any]


@dataclass(frozen=True)
class Old:
    """A result's manifest in the old spelling, and the keys that were made from it."""

    spec: Facts
    dense_id: str

    @property
    def images(self) -> Facts:
        """Which statistics images, as keys had them."""
        return {name: self.spec["calibration"][name] for name in ("stat_images", "seed")}

    @property
    def batches(self) -> Facts:
        """Which recalibration batches, as keys had them."""
        return {name: self.spec["calibration"][name] for name in ("calib_batch_size", "seed")}

    @property
    def dense(self) -> str:
        """Of the dense network on its images."""
        return key("dense", self.dense_id, self.spec["model"], self.spec["data"])

    @property
    def prune(self) -> str:
        """Of the masks."""
        prune = self.spec["prune"]
        looks = registry.get("pruning rule", prune["rule"]).measures
        return key("prune", self.dense, prune, *([self.images] if looks else []))

    def networks(self) -> dict[str, str]:
        """Slug -> key of each network before recalibration."""
        prune = self.prune
        found = {"dense": self.dense, "no_repair": prune}
        for each in self.spec["repairs"]:
            found[slug(each)] = key("repair", prune, self.images, each) if each["order"] else prune
        return found

    def maps(self, network: str, layer: str, images: int, state: Facts) -> str:
        """Of the maps of a network (its key)."""
        which = [self.spec["evaluation"], images]
        return key("maps", network, layer, which, state, *([self.batches] if state["batches"] else []))

    def repairs(self) -> dict[str, RepairSpec]:
        """Slug -> network."""
        return {"dense": DENSE, "no_repair": NO_REPAIR} | {slug(r): repair_of(r) for r in self.spec["repairs"]}


def slug(found: Facts) -> str:
    """The text by which tables named a repair."""
    usual = registry.get(KIND, found["method"]).defaults()
    named = [found["method"], found["order"], {True: "bias", False: "nobias"}.get(found["bias"]), found["prior"]]
    return ".".join([part for part in named if part] + [f"{n}={v}" for n, v in found["params"] if v != usual[n]])


def repair_of(found: Facts) -> RepairSpec:
    """The repair of a manifest in the old spelling."""
    given = {name: found[name] for name in ("order", "prior") if found[name] is not None}
    return RepairSpec.of(found["method"], bias=found["bias"], **given, **dict(found["params"]))


def spec_of(found: Facts) -> ExperimentSpec:
    """The experiment of a manifest in the old spelling."""
    prune, calibration, evaluation = found["prune"], dict(found["calibration"]), dict(found["evaluation"])
    return from_dict(
        {name: found[name] for name in ("data", "model", "dense")}
        | {
            "prune": {"pruning": prune["rule"], **dict(prune["params"])},
            "calibration": calibration | {"draw": calibration.pop("seed")},
            "evaluation": evaluation | {"subset": evaluation.pop("seed")},
            "repairs": [repair_of(repair).columns for repair in found["repairs"]],
            "states": [_state(state) for state in found["states"]],
        }
    )


def _state(found: Facts | None) -> Facts | Any:
    """A state with its budget by its new name; what did not apply is left to the default."""
    if found is None:
        return None
    rest = {name: value for name, value in found.items() if name != "batches" and value is not None}
    return rest | {"calib_batches": found["batches"]}


def migrate(store: Store) -> int:
    """Rewrite all shipped entries of `store` that are in the old spelling; returns how many. Stopped, it can be run
    again."""
    shipped = Store(store.shipped)
    known = [
        (Old(manifest["spec"], manifest["facts"]["setting"]["dense_id"]), spec_of(manifest["spec"]))
        for manifest in shipped.manifests("result")
        if "rule" in manifest["spec"]["prune"]
    ]
    todo = {stage: MIGRATE[stage](shipped, known) for stage in STAGES}
    for stage, changes in todo.items():
        for name, change in changes.items():
            _rewrite(shipped, stage, name, *change)
    return sum(map(len, todo.values())) + damage.migrate(shipped)


# Each gives key of an entry -> (new key, changes of the manifest, slug -> network where its tables have slugs).
Known = list[tuple[Old, ExperimentSpec]]
Changes = dict[str, tuple[str, Facts, dict[str, RepairSpec]]]


def _unread(store: Store, stage: str) -> dict[str, Facts]:
    """Facts of the entries that name their network by a slug."""
    return {m["key"]: m["facts"] for m in store.manifests(stage) if "target" in m["facts"]}


def _named(facts: Facts, network: RepairSpec) -> Facts:
    """Manifest changes: the network as columns in place of its slug."""
    return {"facts": {n: v for n, v in facts.items() if n != "target"} | {"network": network.columns}}


def _maps(store: Store, known: Known) -> Changes:
    there = _unread(store, "maps")
    found: Changes = {}
    for old, spec in known if there else ():
        keys, repairs = Keys(spec, old.dense_id), old.repairs()
        for layer, images in {(facts["layer"], facts["images"]) for facts in there.values()}:
            for name, network in old.networks().items():
                for state in old.spec["states"]:
                    before = old.maps(network, layer, images, state)
                    if before in there and there[before]["target"] == name:
                        wanted = maps.MapSpec(layer=layer, images=images, state=BatchNormState.of(**_state(state)))
                        after = maps.key_of(keys, repairs[name], wanted)
                        found[before] = after, _named(there[before], repairs[name]), {}
    return found


def _prunings(store: Store, known: Known) -> Changes:
    there = _unread(store, "prune")
    keys = {old.prune: Keys(spec, old.dense_id).prune for old, spec in known} if there else {}
    return {name: (keys[name], _named(facts, NO_REPAIR), {}) for name, facts in there.items() if name in keys}


def _repairability(store: Store, known: Known) -> Changes:
    there = _unread(store, "repairability")
    found: Changes = {}
    for name, facts in there.items():
        for old, spec in known:
            if name == key("repairability", old.dense, old.images, facts["sparsities"]):
                after = allocations.task_of(spec, old.dense_id, facts["sparsities"]).key
                found[name] = after, _named(facts, DENSE), {}
    return found


def _dense(store: Store, known: Known) -> Changes:
    recipes = {key("dense", *(old.spec[n] for n in ("data", "model", "dense"))): recipe_key(s) for old, s in known}
    facts = {m["key"]: m["facts"] for m in store.manifests("dense") if m["facts"]["recipe"] in recipes}
    return {name: (name, {"facts": f | {"recipe": recipes[f["recipe"]]}}, {}) for name, f in facts.items()}


def _results(store: Store, known: Known) -> Changes:
    found, after = {}, iter(known)
    for manifest in store.manifests("result"):
        if "rule" not in manifest["spec"]["prune"]:
            continue
        old, spec = next(after)
        setting = manifest["facts"]["setting"]
        setting |= spec.facts() | {"recalibrated_state": _state(setting["recalibrated_state"])}
        facts = manifest["facts"] | {"setting": setting, "recipe": recipe_key(spec)}
        change = {"spec": spec.as_dict(), "facts": facts}
        found[manifest["key"]] = Keys(spec, old.dense_id).result, change, old.repairs()
    return found


MIGRATE = {"maps": _maps, "prune": _prunings, "repairability": _repairability, "dense": _dense, "result": _results}


def _rewrite(store: Store, stage: str, before: str, after: str, changes: Facts, repairs: dict[str, RepairSpec]) -> None:
    """Put the changed entry beside the old one, whole, then remove the old one."""
    entry = Entry(store.root / stage / before)
    with store.workspace() as part:
        shutil.copytree(entry.folder, part, dirs_exist_ok=True)
        manifest = entry.manifest | {"key": after} | changes
        draw = manifest["spec"]["calibration"]["draw"] if repairs else 0
        for name in (name for name in manifest["files"] if repairs and name.endswith(".parquet")):
            _rename(part / name, repairs, draw, manifest["files"][name])
        write_json(part / MANIFEST, manifest)
        target = store.root / stage / after
        if target == entry.folder:
            write_json(target / MANIFEST, manifest)
            return
        if not read_manifest(target):  # else an earlier run was stopped after this
            part.rename(target)
    shutil.rmtree(entry.folder)


def _rename(path: Path, repairs: dict[str, RepairSpec], draw: int, listing: Facts) -> None:
    """Columns of a network in place of its slug; other tables are left alone."""
    table = pd.read_parquet(path)
    if "slug" not in table:
        return
    write(path, renamed(table, repairs, draw))
    listing |= {"sha256": digest_file(path), "bytes": path.stat().st_size}


def renamed(table: pd.DataFrame, repairs: dict[str, RepairSpec], draw: int) -> pd.DataFrame:
    """A table with the columns of a network in front in place of `slug`; the new bias of a channel is `b_new`."""
    columns = {text: network.columns for text, network in repairs.items()}
    head = pd.DataFrame({name: [columns[text][name] for text in table["slug"]] for name in DENSE.columns})
    if "top1" in table:
        none = pd.Series(pd.NA, table.index, dtype="Int64")
        rest = table.assign(draw=draw, pseudo_count=none).drop(columns=["slug", *(n for n in head if n in table)])
        return typed(head.join(rest))[[*ROW_FIELDS, "logit_gap"]]
    return typed(head.join(table.drop(columns="slug").rename(columns={"bias": "b_new"})))
