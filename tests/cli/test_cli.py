"""The command line: one clear line and exit code 2 for bad input, JSON on stdout, a stored result without torch."""

import json
import re
import subprocess
import sys

import pytest
from click.testing import CliRunner

from asr_core import registry
from asr_core.cli.main import COMMANDS, main
from asr_core.spec.experiment import setting_fields
from asr_core.spec.model import ModelSpec
from asr_core.store.results import ROW_FIELDS

QUICK = ["--epochs", "1", "--eval-images", "40", "--methods", "bn_only,asr_bn", "--orders", "sequential"]
QUICK += ["--biases", "on", "--budgets", "1,2", "--calib-batch-size", "32", "--stat-images", "32"]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return str(tmp_path_factory.mktemp("cache"))


def asr(cache, *arguments):
    return CliRunner().invoke(main, ["--cache-dir", cache, *arguments], prog_name="python -m asr_core")


def process(cache, *arguments):
    command = [sys.executable, *arguments[:-1], "-m", "asr_core", "--cache-dir", cache, *arguments[-1]]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture(scope="module")
def first(cache):
    """The first run, in a process of its own, with --json."""
    return process(cache, ["run", *QUICK, "--json"])


def test_json_goes_to_stdout_as_one_object_and_progress_to_stderr(first):
    found = json.loads(first.stdout)
    assert first.returncode == 0 and "img" in first.stderr
    assert [row["method"] for row in found["accuracy"][:8]] == ["dense"] * 7 + ["no_repair"]  # dense in each state
    assert all(list(row) == list(ROW_FIELDS) for row in found["accuracy"])
    assert len(found["accuracy"]) == 8 + 2 * 7  # none; three ways to recalibrate at two budgets
    assert found["setting"]["sparsity_asked"] == 0.95
    assert {"alpha_ratio", "alpha_slope"} <= found["networks"][0].keys()


def test_the_second_run_prints_the_same_without_importing_torch(first, cache):
    again = process(cache, "-X", "importtime", ["run", *QUICK, "--json"])
    assert again.stdout == first.stdout
    imported = {line.rpartition("|")[2].strip() for line in again.stderr.splitlines()}
    assert "pandas" in imported and not {"torch", "torchvision", "sklearn", "streamlit"} & imported


def test_the_table_names_network_data_sparsity_order_and_recalibration(first, cache):
    text = asr(cache, "run", *QUICK).output
    network = ModelSpec().architecture
    for word in (network, "scikit-learn digits", "global L1 95%", "sequential", "ema 0.1 from reset", "cumulative"):
        assert word in text
    assert "[" in text and "alpha_ratio" in text and "severity" in text and "achieved" in text


def test_the_list_of_commands_imports_none_of_them(cache):
    listed = process(cache, "-X", "importtime", ["--help"])
    assert all(f"\n  {name} " in listed.stdout for name in COMMANDS)
    imported = {line.rpartition("|")[2].strip() for line in listed.stderr.splitlines()}
    assert "click" in imported and not {"pandas", "torch", "asr_core.cli.run"} & imported


def test_every_command_that_is_listed_is_there_and_another_name_is_refused(cache):
    assert [main.get_command(None, name).name for name in COMMANDS] == list(COMMANDS)
    assert all(asr(cache, name, "--help").exit_code == 0 for name in COMMANDS)
    assert "No such command 'prune'" in asr(cache, "prune").output


def test_help_explains_every_option(cache):
    shown = asr(cache, "run", "--help").output
    known = {**setting_fields(), **registry.parameters("repair method")}
    options = [name for name, field in known.items() if not field.derived]
    for name in [*options, "weights", "methods", "orders", "biases", "budgets", "momentum"]:
        assert f"--{name.replace('_', '-')}" in shown
    run = main.get_command(None, "run")
    assert all(option.help for option in run.params)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--sparsity", "90"], "sparsity is 90.0; .*For 90 % write 0.9"),
        (["--sparsity", "1.0"], "sparsity is 1.0"),
        (["--sparsity", "nan"], "sparsity is nan"),
        (["--pruning", "n_m", "--keep-n", "4"], "N must be below M"),
        (["--pruning", "n_m", "--sparsity", "0.5"], "unknown parameter of n_m 'sparsity'"),
        (["--pruning", "global-l1"], "Did you mean 'global_l1'.*n_m.*uniform"),
        (["--architecture", "resnet8"], "Did you mean 'resnet18'"),
        (["--dataset", "digit"], "Did you mean 'digits'"),
        (["--methods", "asr"], "unknown repair method 'asr'"),
        (["--orders", "parallel"], "unknown order 'parallel'"),
        (["--biases", "maybe"], "Choices: off, on"),
        (["--budgets", "ten"], "give whole numbers of batches"),
        (["--momentum", "0"], "momentum is 0.0"),
        (["--stat-images", "5000"], "5000 statistics images asked"),
        (["--eval-images", "5000"], "5000 test images asked"),
        (["--dataset", "folder:/nowhere"], "there is no folder /nowhere"),
        (["--weights", "/nowhere.pt"], "cannot read weights file /nowhere.pt"),
        (["--device", "tpu"], "unknown device 'tpu'"),
        (["--architecture", "vgg16_bn", "--stem", "half"], "cannot run on 32x32 images"),
    ],
)
def test_bad_input_gets_one_clear_line_and_exit_code_2(tmp_path, arguments, message):
    found = asr(str(tmp_path), "run", *arguments)
    errors = [line for line in found.output.splitlines() if line.startswith("error: ")]
    assert found.exit_code == 2 and "Traceback" not in found.output, found.output
    assert len(errors) == 1 and re.search(message, errors[0]), found.output


def test_a_cache_that_cannot_be_written_is_refused_before_training(tmp_path):
    (tmp_path / "file").write_text("in the way")
    found = asr(str(tmp_path / "file"), "run")
    assert found.exit_code == 2 and "cannot write to the cache directory" in found.output


def test_cache_ls_verify_and_clear(first, cache):
    assert ModelSpec().architecture in asr(cache, "cache", "ls").output
    assert asr(cache, "cache", "verify").output == "all entries are sound.\n"
    assert asr(cache, "cache", "clear").exit_code == 2
    assert "unknown stage 'evaluations'" in asr(cache, "cache", "clear", "evaluations").output
    assert "removed" in asr(cache, "cache", "clear", "evaluation").output
    assert asr(cache, "run", *QUICK).exit_code == 0  # the result itself is still stored
