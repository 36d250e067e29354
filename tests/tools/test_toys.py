"""A toy of each kind arrives by its one file: in the command line, the sidebar, the address, labels, tables, keys and
contracts. Each trial is a process of its own, for registries load once."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from asr_core.store.entries import PROJECT

TESTS = Path(__file__).parents[1]
CONTRACTS = TESTS / "tools" / "test_registry.py"
ROOMS = {
    "asr_core.repairs.methods": "methods",
    "asr_core.pruning.rules": "rules",
    "asr_core.images.sources": "images",
    "asr_core.networks.sources": "networks",
    "asr_core.figures": "figures",
}
# Before anything else is imported: options are made when the command line's modules are.
ARRIVE = """
import importlib
for package, folder in {rooms!r}.items():
    importlib.import_module(package).__path__.append({there!r} + "/" + folder)
"""
TOYS = {
    "dataset": "toy_images",
    "architecture": "toy_net",
    "toy_width": "6",
    "image_size": "8",
    "epochs": "1",
    "pruning": "toy_rule",
    "toy_times": "3",
    "toy_end": "last",
    "sparsity": "0.5",
    "stat_images": "16",
    "calib_batch_size": "16",
    "methods": "bn_only,toy_bn",
    "toy_side": "shrunken",
}
LABELS = {
    "toy_width": "Toy's width",
    "toy_times": "Toy's multiple",
    "toy_end": "Toy's favourite",
    "toy_part": "Part of the way",
    "toy_side": "Toy's channels",
}
HELPS = ("Channels of each conv of the toy network", "How many times as dense the favourite is")
HELPS += ("Which layer keeps more of its weights", "How far toward eq. 4 the toy goes", "Whether only channels that")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A temporary folder with the toys in it, and a cache."""
    found = tmp_path_factory.mktemp("toys")
    shutil.copytree(TESTS / "toys", found / "toys", ignore=shutil.ignore_patterns("__pycache__"))
    (found / "arrive.py").write_text(ARRIVE.format(rooms=ROOMS, there=str(found / "toys")))
    return found


def process(folder: Path, program: str, cwd: Path = PROJECT):
    """What a program prints last as JSON, in a process in which the toys have arrived."""
    path = os.pathsep.join(map(str, (folder, cwd, PROJECT, TESTS)))
    env = os.environ | {"PYTHONPATH": path, "ASR_CACHE_DIR": str(folder / "cache")}
    command = [sys.executable, "-c", f"import json\nimport arrive\n{program}"]
    found = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr[-4000:] + found.stdout[-4000:]
    return json.loads(found.stdout.splitlines()[-1])


RUN = """
from click.testing import CliRunner
from asr_core.cli.main import main
def asr(*arguments):
    found = CliRunner().invoke(main, arguments)
    assert found.exit_code == 0, (found.output, found.exception)
    return found
told = {"help": asr("run", "--help").output, "runs": []}
for more in ("0.25", ""), ("0.75", ""), ("0.25", "4"):
    given = TOYS | {"toy_part": more[0]} | ({"toy_times": more[1]} if more[1] else {})
    words = [word for name, value in given.items() for word in ("--" + name.replace("_", "-"), value)]
    words += ["--orders", "simultaneous", "--biases", "off", "--budgets", "1,20", "--device", "cpu"]
    found = json.loads(asr("run", *words, "--json").stdout)
    told["runs"].append({"setting": found["setting"], "rows": found["accuracy"], "text": asr("run", *words).output})
from asr_core.store import Store, catalogue
told["keys"] = [item.key for item in catalogue.stored(Store())]
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def told(folder) -> dict:
    """What the command line says: its help, and three runs that differ in a parameter of a toy."""
    return process(folder, f"TOYS = {TOYS!r}\n{RUN}")


def test_help_shows_each_option_of_a_toy_with_its_help(told):
    words = " ".join(told["help"].split())
    assert not [name for name in LABELS if f"--{name.replace('_', '-')} " not in words]
    assert not [text for text in HELPS if text not in words]


def test_json_names_the_toys_and_their_parameters(told):
    setting, rows = told["runs"][0]["setting"], told["runs"][0]["rows"]
    assert setting["data"]["dataset"] == "toy_images"
    model = {name: value for name, value in setting["model"].items() if value}  # neither of nothing nor off
    assert model == {"architecture": "toy_net", "toy_width": 6}
    assert setting["prune"].items() >= {"pruning": "toy_rule", "toy_times": 3, "toy_end": "last"}.items()
    params = {row["params"] for row in rows if row["method"] == "toy_bn"}
    assert params == {'{"toy_part":0.25,"toy_side":"shrunken"}'}


def test_the_table_names_the_toys(told):
    text = told["runs"][0]["text"]
    assert not [word for word in ("toy_net", "toy shades", "toy rule", "toy") if word not in text]
    assert "part of the way 0.25" in text
    assert "toy's multiple 3" in text and "toy's multiple 4" in told["runs"][2]["text"]


def test_two_values_of_a_toys_own_parameter_are_two_stored_results(told):
    assert len(set(told["keys"])) == 3


SEE = """
from pathlib import Path
import drawn
from streamlit.testing.v1 import AppTest
def opened(**address):
    app = AppTest.from_file(MAIN, default_timeout=300)
    app.query_params.update(address)
    for part in ("_open_dense", "_open_parameters", "_open_images"):
        app.session_state[part] = True
    app.run().switch_page("../overview.py").run()  # the front page has no sidebar
    assert not app.exception and not app.error and not app.warning, [*app.exception, *app.error, *app.warning]
    return app
def seen(app):
    controls = {item.key: item for kind in (app.number_input, app.selectbox) for item in kind}
    return {
        "labels": {name: controls[name].label for name in LABELS},
        "values": {name: app.session_state[name] for name in LABELS},
        "named": controls["_images"].value,
        "pills": [item.options for item in app.button_group if item.key == "methods"][0],
        "address": dict(app.query_params),
        "crumb": app.button(key="_crumb_network").label,
        "folded": [item.label for item in app.expander],
        "alts": [item["alt"] for item in drawn.drawn(app)],
        "figures": json.dumps(drawn.charts(app), ensure_ascii=False),
    }
"""
PAGE = """
views = {part: seen(opened(**TOYS, toy_part=part)) for part in ("0.25", "0.75", "0.6")}
views["times"] = seen(opened(**TOYS | {"toy_times": "4"}, toy_part="0.25"))
print(json.dumps(views))
"""


@pytest.fixture(scope="module")
def views(folder, told) -> dict:
    """What the dashboard shows at addresses of the toys."""
    head = f"TOYS, LABELS, MAIN = {TOYS!r}, {LABELS!r}, {str(PROJECT / 'pages/_frame/main.py')!r}"
    return process(folder, f"{head}\n{SEE}{PAGE}")


def test_the_sidebar_has_a_control_for_each_parameter_by_its_label(views):
    assert views["0.25"]["labels"] == LABELS
    assert "toy" in views["0.25"]["pills"]


def test_an_address_with_a_toys_parameters_is_read_back(views):
    wanted = {"toy_width": 6, "toy_times": 3, "toy_end": "last", "toy_part": 0.25, "toy_side": "shrunken"}
    assert views["0.25"]["values"] == wanted
    assert views["0.25"]["address"].items() >= (TOYS | {"toy_part": "0.25"}).items()
    assert views["0.25"]["named"] == "toy_images"


def test_the_page_shows_two_values_of_a_toys_parameter_apart(views):
    one, other = views["0.25"], views["0.75"]
    assert "part of the way 0.25" in one["figures"] and "part of the way 0.75" in other["figures"]
    assert "part of the way 0.75" not in one["figures"]
    assert one["alts"] != other["alts"] or one["figures"] != other["figures"]
    assert "toy's multiple 3" in one["crumb"] and "toy's multiple 4" in views["times"]["crumb"]


def test_a_value_that_is_not_stored_is_named_as_missing(views):
    assert not [label for label in views["0.25"]["folded"] if label.startswith("Not stored")]
    assert [label for label in views["0.6"]["folded"] if label.startswith("Not stored") and "way 0.6" in label]


def test_a_toy_figure_is_drawn_by_a_page_with_one_line_more(folder, told):
    shutil.copytree(PROJECT / "pages", folder / "pages", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(folder / "toys/pages/toy.py", folder / "pages")
    main = folder / "pages/_frame/main.py"
    head, found, rest = main.read_text().partition("PAGES = {\n")
    assert found
    line = '    "Toys": (("toy", "Toy page", ":material/toys:", "A figure."),),\n'
    main.write_text(head + found + line + rest)
    head = f"TOYS, LABELS, MAIN = {TOYS!r}, {LABELS!r}, {str(main)!r}"
    shown = """
app = opened(**TOYS, toy_part="0.25").switch_page("../toy.py").run()
assert not app.exception, app.exception
print(json.dumps({"title": app.title[0].value, "alts": [item["alt"] for item in drawn.drawn(app)]}))
"""
    seen = process(folder, f"{head}\n{SEE}{shown}", folder)
    assert seen["title"] == "Toy page"
    assert [alt for alt in seen["alts"] if "The toy has 2 layers." in alt]


def test_a_toy_meets_the_contracts_of_its_kind(folder):
    """Those that every registered thing meets, chosen by the toys' names."""
    program = (
        f"import pytest\ncode = pytest.main([{str(CONTRACTS)!r}, '-k', 'toy', '-p', 'no:cacheprovider'"
        ", '-q', '--durations=0'])\nprint()\nprint(json.dumps(int(code)))"
    )
    assert process(folder, program) == 0
