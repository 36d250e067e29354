"""A setting as one file: small, without any address to fetch, inert, and only of what is stored."""

import base64
import gzip
import json
import re
from dataclasses import replace

import pytest
from click.testing import CliRunner
from hostile import IMAGE, TAG, hostile_store
from made_results import store_result

from asr_core.cli.main import main
from asr_core.figures import onefile, variance
from asr_core.spec.repairs import BN_ONLY
from asr_core.store import Store, catalogue, results
from asr_core.studies import taught

REPAIRS = (BN_ONLY, *taught.REPAIRS)


@pytest.fixture(scope="module")
def document(tmp_path_factory):
    """(the document of a made-up result, the result)"""
    result = store_result(Store(tmp_path_factory.mktemp("report")), sparsity=0.9)
    return onefile.html(result, REPAIRS, address="http://here/overview?sparsity=0.9"), result


def part(text: str, name: str):
    """What a script element of the document holds."""
    found = re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', text, re.DOTALL)[1]
    return json.loads(found)


def figure(packed: str) -> dict:
    return json.loads(gzip.decompress(base64.b64decode(packed)))


def test_it_is_small_and_says_the_setting_the_protocol_and_the_terms(document):
    text, result = document
    assert len(text.encode()) < onefile.MOST
    assert "global L1 90%" in text and result.entry.manifest["key"] in text and "sparsity=0.9" in text
    assert "order of collection" in text and "<dt>shrinkage</dt>" in text
    assert not re.search(r"<!--[A-Z]+-->", text)


def test_every_layer_has_its_channels_and_every_sentence_is_the_figure_s(document):
    text, result = document
    layers = list(result.convs["layer"])
    sentences = part(text, "sentences")
    assert list(sentences) == layers and re.findall(r'<option value="(.*?)"', text) == layers
    table = variance.SCATTER.table(result, layer=layers[2], repairs=REPAIRS)
    assert sentences[layers[2]] == variance.SCATTER.sentence(table)
    drawn = figure(part(text, "figures")[f"layer:{layers[2]}"])
    assert {trace["name"] for trace in drawn["data"] if trace.get("name")} >= {"LW (eq. 1)", "ASR"}


def test_it_forbids_the_browser_to_fetch_anything(document):
    text, _ = document
    assert "default-src 'none'" in text
    assert not re.search(r'(?:src|href)="(?!#)', text)


def test_names_that_others_chose_make_no_tag(tmp_path):
    store = hostile_store(tmp_path)
    item = catalogue.stored(store)[0]
    text = onefile.html(results.open_results(store, (item.key,)), REPAIRS)
    outside = re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
    assert "<a " not in outside and "<img" not in outside and IMAGE in outside
    assert TAG not in json.dumps([figure(packed) for packed in part(text, "figures").values()])


def test_layers_that_do_not_fit_are_left_out_the_least_damaged_first_and_counted(document, monkeypatch):
    text, result = document
    packed = sum(len(one) for name, one in part(text, "figures").items() if name.startswith("layer:"))
    monkeypatch.setattr(onefile, "MOST", len(text.encode()) + onefile.SPARE - packed // 2)
    small = onefile.html(result, REPAIRS)
    kept = list(part(small, "sentences"))
    assert 0 < len(kept) < len(result.convs) and f"{len(result.convs) - len(kept)} less damaged layers" in small
    severity = result.layers.drop_duplicates("layer").set_index("layer")["severity"]
    assert severity[kept].min() >= severity.drop(kept).max()


def test_a_setting_that_is_stored_without_its_channels_says_so(tmp_path):
    full = store_result(Store(tmp_path), sparsity=0.9)
    text = onefile.html(replace(full, channels=None), REPAIRS)
    assert "stored without its channels" in text
    assert "No channel statistics are stored" in text


def run(store, *arguments: str):
    return CliRunner().invoke(main, ["--cache-dir", str(store.root), "report", *arguments])


def test_the_command_writes_what_is_stored_and_names_what_is_not(tmp_path):
    store = Store(tmp_path / "cache")
    store_result(store, sparsity=0.9, repairs=REPAIRS[:3])
    done = run(store, "--sparsity", "0.9", "--output", str(tmp_path / "r.html"))
    assert done.exit_code == 0, done.output
    assert "not stored and so not in it: ASR" in done.output
    assert (tmp_path / "r.html").read_text().startswith("<!doctype html>")


def test_the_command_computes_nothing_and_says_what_to_do(tmp_path):
    store = Store(tmp_path / "cache")
    store_result(store, sparsity=0.9)
    done = run(store, "--sparsity", "0.93", "--output", str(tmp_path / "r.html"))
    assert done.exit_code == 2 and not (tmp_path / "r.html").exists()
    assert "nothing is stored" in done.output and "sparsity 93 % → 90 %" in done.output
    assert "python -m asr_core run" in done.output


@pytest.mark.parametrize("form", ["pdf", "svg"])
def test_the_command_makes_pictures_that_fetch_nothing(tmp_path, chromium, form):
    store = Store(tmp_path / "cache")
    store_result(store, sparsity=0.9, repairs=REPAIRS)
    done = run(store, "--sparsity", "0.9", "--output", str(tmp_path / "r"), "--format", form)
    assert done.exit_code == 0, done.output
    names = sorted(path.name for path in (tmp_path / "r").iterdir())
    assert names[0] == f"1-accuracy.{form}"
    assert f"{len(names)} pictures" in done.output
    start = {"pdf": b"%PDF", "svg": b"<svg"}[form]
    assert all((tmp_path / "r" / name).read_bytes().startswith(start) for name in names)


def test_pictures_go_to_a_folder_and_the_document_to_a_file(tmp_path):
    store = Store(tmp_path / "cache")
    store_result(store, sparsity=0.9)
    done = run(store, "--sparsity", "0.9", "--output", str(tmp_path))
    assert done.exit_code == 2 and "is a folder" in done.output
    (tmp_path / "r.html").touch()
    done = run(store, "--sparsity", "0.9", "--output", str(tmp_path / "r.html"), "--format", "pdf")
    assert done.exit_code == 2 and "is a file" in done.output
