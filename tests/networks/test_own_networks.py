"""Networks of somebody's own: found by name, built, identified, shaped to logits; what they raise is said."""

import importlib.util
import json
import os
import subprocess
import sys

import pytest
import torch
from made_networks import CODE, line_of
from torch import nn

from asr_core.errors import ModelError, SpecError, UnknownName
from asr_core.images import class_maps
from asr_core.measure import guards
from asr_core.networks import models, named, own
from asr_core.pipeline import asked
from asr_core.pipeline import run as pipeline
from asr_core.pipeline.lab import Lab, Report
from asr_core.runtime import Runtime
from asr_core.spec.experiment import ExperimentSpec, from_dict
from asr_core.spec.model import ModelSpec, source_of
from asr_core.store import Store
from asr_core.store.entries import PROJECT

TIMM = pytest.mark.skipif(importlib.util.find_spec("timm") is None, reason="timm is not installed (pip install timm)")

pytestmark = pytest.mark.usefixtures("nobody_named_any")


def of(file, function, **values):
    """The model of a function of the file, as the command line takes it."""
    return asked.setting(Store(file.parent / "cache"), architecture=f"{file}:{function}", **values).model


def built(model, classes=10):
    return models.build(model, classes, 32)


TRAPS = """
import sys
from torch import nn

def exits(): sys.exit(3)

def lazy(): return nn.Sequential(nn.LazyConv2d(8, 3), nn.BatchNorm2d(8))

def prints():
    print("building")
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10))

def half(): return prints().half()
"""


@pytest.fixture
def traps(tmp_path):
    """A file of functions that do more or less than to return a network."""
    path = tmp_path / "traps.py"
    path.write_text(TRAPS)
    return path


@pytest.mark.parametrize(
    ("function", "why"), [("exits", r"raised SystemExit: 3 \(traps.py"), ("lazy", "without a shape")]
)
def test_what_is_no_network_with_weights_is_refused(function, why, traps):
    with pytest.raises(ModelError, match=why):
        of(traps, function)


def test_what_a_function_prints_is_not_among_results(traps, capsys):
    of(traps, "prints")
    assert capsys.readouterr() == ("", "building\n")


def test_a_network_of_half_precision_is_tried_on_images_of_its_own(traps):
    assert built(of(traps, "half"))[0].weight.dtype == torch.float16


# --- names ---


@pytest.mark.parametrize("name", ["nets.py:small", "my.nets:make", "my-nets.py:make", "notebook:mine"])
def test_a_name_with_a_colon_is_of_ones_own(name):
    assert source_of(name).name == "own"


@pytest.mark.parametrize("name", ["/tmp/nets.py:small", "nets:", ":small", "nets.py:1", "a b:c", "nets.py:f()"])
def test_what_is_no_name_is_unknown(name):
    with pytest.raises(UnknownName):
        ModelSpec.of(name)


def test_the_folder_of_a_file_is_no_part_of_its_name(file):
    assert of(file, "small").architecture == "nets.py:small"


@pytest.mark.parametrize(
    ("reference", "why"),
    [
        ("/nowhere/nets.py:small", "there is no file /nowhere/nets.py"),
        ("nets.py:", r"'nets.py:' is no package.module:function or file.py:function"),
        ("my nets:make", "letters, digits"),
    ],
)
def test_a_reference_that_cannot_be_is_refused(reference, why):
    with pytest.raises(SpecError, match=why):
        named.admit(reference)


def test_two_files_of_one_name_are_refused(file, tmp_path):
    other = tmp_path / "other" / "nets.py"
    other.parent.mkdir()
    other.write_text(CODE)
    named.admit(f"{file}:small")
    with pytest.raises(SpecError, match=r"two networks are called nets.py:small: .*rename one"):
        named.admit(f"{other}:small")


# --- who may import what ---


@pytest.mark.parametrize("name", ["nets.py:small", "os:system", "subprocess:run"])
def test_nothing_is_imported_that_nobody_named_and_the_servers_setting_is_said(name):
    model = ModelSpec.of(name)
    with pytest.raises(ModelError, match=rf"{name} is not among those that this server may import.*ASR_NETWORKS=") as e:
        built(model)
    assert "streamlit run app.py -- --networks" in str(e.value)


def test_a_server_may_import_what_its_environment_names(file, monkeypatch):
    monkeypatch.setenv(named.ENVIRONMENT, f" {file}:small, {file}:strided")
    assert len(models.conv_layers(built(ModelSpec.of("nets.py:small")))) == 2
    assert named.listed() == ("nets.py:small", "nets.py:strided")


@pytest.mark.parametrize("form", ["{option} {file}:small", "{option}={file}:small"])
def test_a_server_may_import_what_its_call_names_and_its_processes_too(form, file, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["app.py", *form.format(option=named.OPTION, file=file).split()])
    named.admit_server()
    assert named.listed() == ("nets.py:small",) and os.environ[named.ENVIRONMENT] == f"{file}:small"


def test_a_notebooks_network_cannot_be_built_elsewhere():
    with pytest.raises(ModelError, match=r"notebook:mine came from a notebook.*call asr_core.study in that notebook"):
        built(ModelSpec.of("notebook:mine"))


def test_naming_networks_imports_no_torch():
    code = (
        "import sys; from asr_core.networks import named; from asr_core.spec.model import ModelSpec, architectures; "
        "ModelSpec.of('timm:resnet18'); ModelSpec.of('a.b:c'); architectures(); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PROJECT)
    assert done.stdout == "False\n"


# --- identity ---


def test_the_digest_says_what_a_network_does_not_what_it_is_called(file):
    copy = file.with_name("copy.py")
    copy.write_text(CODE.replace("class Net", "# the same\nclass Net"))
    assert of(file, "small").network_digest == of(copy, "small").network_digest
    assert of(file, "small").network_digest != of(file, "strided").network_digest


def test_a_network_that_cannot_be_traced_is_identified_by_its_source(file):
    before = of(file, "branching").network_digest
    copy = file.with_name("copy.py")
    copy.write_text(CODE.replace("1e30", "1e31"))
    assert before != of(copy, "branching").network_digest
    assert before == of(file, "branching").network_digest


@pytest.mark.parametrize(
    "change",
    [
        lambda: nn.Sequential(nn.Conv2d(3, 8, 3, dilation=2), nn.ReLU()),
        lambda: nn.Sequential(nn.Conv2d(3, 8, 3), nn.LeakyReLU()),
        lambda: nn.Sequential(nn.ReLU(), nn.Conv2d(3, 8, 3)),
    ],
    ids=["dilation", "activation", "order"],
)
def test_the_digest_changes_with(change):
    assert own.network_digest(change()) != own.network_digest(nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU()))


def test_the_digest_does_not_change_with_the_weights():
    first, second = (nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU()) for _ in range(2))
    assert own.network_digest(first) == own.network_digest(second)


def test_a_network_whose_code_has_changed_since_is_refused(file, store):
    spec = asked.experiment(store, architecture=f"{file}:small")
    file.write_text(CODE.replace("nn.Conv2d(8, 8, 3,", "nn.Conv2d(8, 8, 5,"))
    with pytest.raises(ModelError, match=rf"nets.py:small is now [0-9a-f]{{16}}, not {spec.model.network_digest}"):
        pipeline.check(Lab(spec, store, Report(), Runtime()))


def test_the_experiment_of_an_own_network_survives_json(file, store):
    spec = asked.experiment(store, architecture=f"{file}:named", logits="out")
    assert from_dict(json.loads(json.dumps(spec.as_dict()))) == spec
    assert spec.model.words == "nets.py:named, logits out"


def test_keys_of_other_networks_stay_as_they_were():
    assert ModelSpec().canonical().keys() == {"architecture", "params"}


# --- what it raises ---


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("raising", rf"raised KeyError: 'weights.pt is not here' \(nets.py, line {line_of('raise KeyError')}\)"),
        ("nothing", r"returned a int; return a torch.nn.Module"),
        ("absent", r"nets.py has no function absent; it has .*Net"),
    ],
)
def test_a_function_that_gives_no_network_is_refused_in_its_own_words(function, said, file):
    with pytest.raises(ModelError, match=said):
        of(file, function)


def test_a_forward_that_raises_gives_its_message_file_and_line(file):
    line = line_of('LookupError("no such stage")')
    with pytest.raises(ModelError, match=rf"LookupError: no such stage \(nets.py, line {line}\)"):
        built(of(file, "failing"))


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import nowhere_at_all", r"No module named 'nowhere_at_all' \(nets.py, line 1\).*PYTHONPATH"),
        ("def f(:", r"cannot be imported: SyntaxError: .*nets.py, line 1"),
    ],
)
def test_a_file_that_cannot_be_imported_is_refused_in_its_own_words(code, said, file):
    file.write_text(code)
    with pytest.raises(ModelError, match=said):
        of(file, "small")


# --- outputs ---


@pytest.mark.parametrize(("function", "logits"), [("named", "out"), ("pair", "1"), ("pair", "-1")])
def test_the_logits_of_a_dict_or_tuple_are_named(function, logits, file):
    network = built(of(file, function, logits=logits))
    assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


def test_a_dict_without_a_name_for_its_logits_is_refused(file):
    with pytest.raises(ModelError, match=r"returns a mapping of 'features', 'out'; name its logits: --logits"):
        built(of(file, "named"))


@pytest.mark.parametrize(("function", "logits"), [("named", "logits"), ("pair", "2"), ("small", "0")])
def test_logits_that_are_not_there_are_refused(function, logits, file):
    with pytest.raises(ModelError, match=rf"logits is '{logits}', but the network returns a"):
        built(of(file, function, logits=logits))


@pytest.mark.parametrize("text", ["", "a.b", "__import__('os')", "1.5"])
def test_logits_that_are_no_name_or_index_are_refused(text):
    with pytest.raises(SpecError, match=r"the key .a word. or the index"):
        ModelSpec(logits=text)


def test_a_wide_head_gives_the_mapped_outputs_in_the_order_of_the_classes(file):
    model = ModelSpec.of(named.admit(f"{file}:wide"), outputs=1000, class_map="7,3,999")
    network, x = models.build(model, 3, 32), torch.randn(4, 3, 32, 32)
    whole = network.head(network.features(x).mean((2, 3)))
    assert torch.equal(network(x), whole[:, [7, 3, 999]])


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"class_map": "0,1"}, "needs both: class_map, and outputs"),
        ({"outputs": 5}, "needs both: class_map, and outputs"),
        ({"class_map": "0,5", "outputs": 5}, "class_map names output 5; outputs is 5"),
        ({"class_map": "0,0", "outputs": 5}, "gives two classes one output"),
        ({"class_map": "a,b", "outputs": 5}, "give one output for each class"),
    ],
)
def test_a_class_map_that_cannot_be_is_refused(values, said):
    with pytest.raises(SpecError, match=said):
        ModelSpec(**values)


def test_a_class_map_of_other_images_is_refused():
    with pytest.raises(SpecError, match="the class map has 2 classes, the images 10"):
        models.build(ModelSpec(architecture="cifar_resnet20", outputs=20, class_map="0,5"), 10, 32)


MAPS = {
    "json": '{"9": 3, "0": 12, "dog": 1}',
    "spaces": "# classes\n9 3\n0 12\ngerman dog 1\n",
    "tabs": "9\t3\n0\t12\n",
    "commas": "9,3\n0, 12\n",
}


@pytest.mark.parametrize("form", MAPS)
def test_a_class_map_is_read_from_json_or_two_columns(form, tmp_path):
    path = tmp_path / "map"
    path.write_text(MAPS[form])
    assert class_maps.outputs_of(str(path), ("0", "9")) == "12,3"


def test_the_ten_of_imagenette_are_built_in_for_its_own_folders(store):
    model = asked.setting(store, dataset="imagenette", image_size=224, class_map="imagenette").model
    assert (model.class_map, model.outputs) == ("0,217,482,491,497,566,569,571,574,701", 1000)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{]", "is none .*give JSON"),
        ("cat dog", "'dog' stands where an output is needed"),
        ('{"0": 1.5}', "1.5 is no whole number"),
        ('{"0": 1}', "has no class '1' .9 of 10 are missing."),
    ],
)
def test_a_class_map_that_is_none_is_refused(text, said, tmp_path, store):
    path = tmp_path / "map.json"
    path.write_text(text)
    with pytest.raises(SpecError, match=said):
        asked.setting(store, class_map=str(path))


def test_a_class_map_that_is_not_there_is_refused(store):
    with pytest.raises(SpecError, match=r"class map /nowhere cannot be read \(No such file.*imagenette, or a file"):
        asked.setting(store, class_map="/nowhere")


# --- timm ---


def test_timm_that_is_not_installed_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ModelError, match=r"timm:resnet18 needs timm .*pip install timm"):
        built(ModelSpec.of("timm:resnet18"))


@TIMM
def test_a_network_of_timm_that_there_is_not_is_refused_with_its_nearest():
    with pytest.raises(ModelError, match=r"has no network 'resnet1'; it has .*resnet"):
        built(ModelSpec.of("timm:resnet1"))


SOURCES = [
    "resnet18",
    "cifar_resnet20",
    pytest.param("timm:resnet10t", marks=TIMM),
    pytest.param("timm:mobilenetv3_small_050", marks=TIMM),
    "file.py:small",
    "package.module:small",
    "notebook:small",
]


@pytest.fixture
def model(request, file, monkeypatch):
    """A model of one of SOURCES."""
    if request.param == "file.py:small":
        return ModelSpec.of(named.admit(f"{file}:small"))
    if request.param == "package.module:small":
        (file.parent / "own_package").mkdir(exist_ok=True)
        (file.parent / "own_package" / "module.py").write_text(CODE)
        monkeypatch.syspath_prepend(str(file.parent))
        return ModelSpec.of(named.admit("own_package.module:small"))
    if request.param == "notebook:small":
        return ModelSpec.of(named.hold("small", built(of(file, "small"))))
    return ModelSpec.of(request.param)


@pytest.mark.parametrize("model", SOURCES, indirect=True)
def test_networks_of_every_source_are_built_alike_and_run(model):
    torch.manual_seed(0)
    network = models.build(model, 10, 32)
    torch.manual_seed(0)
    again = models.with_weights(model, 10, 32, network.state_dict())
    x = torch.randn(2, 3, 32, 32)
    assert not network.training and network(x).shape == (2, 10)
    assert torch.equal(network(x), again(x))
    guards.own_weights(network, True, biases=True)
    assert [name for name, _ in models.outline(model, 10, 32).named_parameters()] == [
        name for name, _ in network.named_parameters()
    ]
    assert len(own.network_digest(network)) == 16 and own.network_digest(network) == own.network_digest(again)
    assert isinstance(ExperimentSpec(model=model).as_dict()["model"]["architecture"], str)


def test_the_example_is_the_network_of_the_public_checkpoint():
    example = PROJECT / "docs" / "examples" / "mobilenet_v1.py"
    network = built(of(example, "quarter"), classes=1000)
    assert sum(parameter.numel() for parameter in network.parameters()) == 470_072
    depthwise = network.stage1[1][0].weight
    assert depthwise.shape == (8, 1, 3, 3) and network.fc.weight.shape == (1000, 256)
