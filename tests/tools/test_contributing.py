"""The examples of docs/contributing.md work as they stand: each is one file, known and run as soon as it lies there."""

import json
import os
import re
import subprocess
import sys

import pytest

from asr_core import registry
from asr_core.store.entries import PROJECT

TEXT = (PROJECT / "docs" / "contributing.md").read_text()
EXAMPLES = {
    kind: block
    for block in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    for kind in re.findall(r'@register\("(.*?)"\)', block)
}
NAMES = {
    "repair method": "half_bn",
    "pruning rule": "plain",
    "image source": "shades",
    "network source": "two_convs",
}
RUN = """
import importlib, json, sys
from asr_core import registry

folder, names = sys.argv[1], json.loads(sys.argv[2])
for kind, package in registry.PACKAGES.items():
    importlib.import_module(package).__path__.append(f"{folder}/{kind.replace(' ', '_')}")

from asr_core import prune, repair
from asr_core.pipeline import run
from asr_core.repairs.repairing import repair_factors
from asr_core.spec.experiment import ExperimentSpec, Setting
from asr_core.spec.recalibration import NO_STATE
from asr_core.spec.repairs import BN_ONLY, DENSE, NO_REPAIR, RepairSpec
from asr_core.store import Store

half = repair_factors("half_bn", [16.0], [1.0], eps=0, power=0.5)
chosen = dict(pruning="plain", sparsity=0.5, dataset="shades", architecture="two_convs", channels=4, image_size=8)
setting = Setting.of(**chosen, epochs=1, stat_images=8, calib_batch_size=8)
repairs = DENSE, NO_REPAIR, BN_ONLY, RepairSpec.of("half_bn")
result = run.run(ExperimentSpec.of_setting(setting, repairs, (NO_STATE,)), Store(folder + "/cache"))
print(json.dumps({"half": float(half), "methods": sorted(set(result.accuracy["method"])), "convs": len(result.convs)}))
"""


@pytest.mark.parametrize("kind", registry.PACKAGES)
def test_each_registered_kind_has_an_example_of_one_short_file(kind):
    lines = [line for line in EXAMPLES[kind].splitlines() if line.strip()]
    assert len(lines) < 25


def test_the_examples_run_from_a_folder_beside_the_registered_ones(tmp_path):
    for kind, block in EXAMPLES.items():
        (tmp_path / kind.replace(" ", "_")).mkdir()
        (tmp_path / kind.replace(" ", "_") / f"{NAMES[kind]}.py").write_text(block)
    told = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", RUN, str(tmp_path), json.dumps(NAMES)],
        capture_output=True,
        text=True,
        cwd=PROJECT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert told.returncode == 0, told.stderr[-2000:]
    found = json.loads(told.stdout.splitlines()[-1])
    assert found["half"] == 2.0
    assert found["methods"] == ["bn_only", "dense", "half_bn", "no_repair"]
    assert found["convs"] == 2
