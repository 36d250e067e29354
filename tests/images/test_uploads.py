"""Uploads: what is kept, and everything that is refused before it can do harm."""

import io
import pickle
import stat
import struct
import subprocess
import sys
import zipfile

import pytest
import torch
from made_uploads import MODEL, TREE, picture, saved, state_of, tried_here, zipped
from safetensors.torch import save

from asr_core.errors import DataError, WeightsError
from asr_core.images import archives, data, folders, uploads
from asr_core.networks import known_weights
from asr_core.networks import uploads as network_uploads
from asr_core.pipeline.lab import Lab, Report, train_dense
from asr_core.runtime import Runtime
from asr_core.spec.dense import DenseSpec
from asr_core.spec.experiment import ExperimentSpec
from asr_core.spec.parts import PruneSpec
from asr_core.store import Store, disk, received
from asr_core.store.entries import PROJECT


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "cache")


ZIPPED = zipped().getvalue()


def refusal(store: Store, archive: io.BytesIO) -> str:
    """Why an archive is refused; nothing of it may stay."""
    with pytest.raises(DataError) as caught:
        uploads.keep_images(store, archive)
    assert not store.uploads.exists() and not list((store.root / ".tmp").glob("*"))
    assert "\n" not in str(caught.value) and str(store.root) not in str(caught.value)
    return str(caught.value)


def test_a_zip_of_a_tree_becomes_a_folder_known_by_its_content(store, tmp_path):
    found = uploads.keep_images(store, zipped())
    with zipfile.ZipFile(zipped()) as archive:
        archive.extractall(tmp_path / "same")
    assert found["digest"] == folders.identify(tmp_path / "same", store)["digest"]
    assert found["classes"] == 2 and found["images"] == {"train": 4, "test": 4} and found["label"].startswith("upload-")
    loaded = data.load(data.DataSpec(dataset="folder", digest=found["digest"], classes=2, image_size=8), store)
    assert loaded.class_names == ("cat", "dog") and len(loaded.train_images) == 4


def test_the_same_zip_twice_is_kept_once(store):
    first = uploads.keep_images(store, zipped())
    assert uploads.keep_images(store, zipped()) == first and len(list(store.uploads.iterdir())) == 1


def test_a_folder_around_the_tree_and_what_is_no_image_are_left_out(store):
    noise = [
        ("flowers/labels.csv", b"x"),
        ("flowers/run.sh", b"x"),
        ("__MACOSX/flowers/._0.png", b"x"),
        ("flowers/train/.DS_Store", b"x"),
    ]
    found = uploads.keep_images(store, zipped([f"flowers/{name}" for name in TREE], noise))
    kept = {name.split("/", 2)[2] for name in kept_in(store)}
    assert found["classes"] == 2 and kept == set(TREE)


@pytest.mark.parametrize("before", ["./", "././", "./flowers/", "flowers/./", "flowers//"])
def test_names_with_parts_that_lead_nowhere_are_those_of_a_tree(store, before):
    found = uploads.keep_images(store, zipped([before + name for name in TREE]))
    kept = [path.relative_to(store.uploads).parts[2:] for path in store.uploads.rglob("*.png")]
    assert found["images"] == {"train": 4, "test": 4}
    assert sorted("/".join(parts) for parts in kept) == sorted(TREE)


@pytest.mark.parametrize("name", ["/etc/x.png", "train/../../x.png", "../x.png", "C:/x.png", "train\\cat\\x.png"])
def test_names_that_lead_out_of_the_archive_are_refused(store, name):
    assert "leads out of it" in refusal(store, zipped(more=[(name, picture())]))


def test_links_and_devices_are_refused(store):
    def link(info):
        if info.filename.endswith("test/dog/1.png"):
            info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16

    assert "a link or no plain file" in refusal(store, zipped(change=link))


def test_an_archive_that_would_unpack_to_too_much_is_refused_by_its_listing(store, monkeypatch):
    monkeypatch.setattr(archives, "UNPACKED", 10_000)
    assert "unpacks to" in refusal(store, zipped(more=[("train/cat/big.png", bytes(10**6))]))


def test_a_listing_that_lies_about_a_size_unpacks_no_more_than_it_says(store):
    bomb = zipped(more=[("train/cat/big.png", bytes(10**6))])
    with zipfile.ZipFile(bomb) as archive:
        packed = archive.getinfo("train/cat/big.png").compress_size
    content = bomb.getvalue().replace(struct.pack("<LL", packed, 10**6), struct.pack("<LL", packed, 100))
    assert content != bomb.getvalue() and "cannot be read" in refusal(store, io.BytesIO(content))


def test_too_many_images_are_refused(store, monkeypatch):
    monkeypatch.setattr(archives, "FILES", 7)
    assert "holds 8 images; at most 7" in refusal(store, zipped())


def test_a_huge_listing_is_refused_before_it_is_read(store, monkeypatch):
    monkeypatch.setattr(archives, "LISTING", 100)
    monkeypatch.setattr(zipfile, "ZipFile", None)
    assert "lists too many files" in refusal(store, io.BytesIO(ZIPPED))


def test_an_upload_over_the_bound_is_refused(store, monkeypatch):
    monkeypatch.setattr(received, "LARGEST", 0)
    assert "at most 0 MB" in refusal(store, zipped()) and "name a folder" in refusal(store, zipped())


@pytest.mark.parametrize("content", [b"", b"no zip at all", ZIPPED[:-30]])
def test_what_is_no_sound_zip_is_refused(store, content):
    message = refusal(store, io.BytesIO(content))
    assert "cannot be read" in message or "must hold something" in message or "lists too many" in message


def test_damaged_contents_are_refused(store):
    with zipfile.ZipFile(io.BytesIO(ZIPPED)) as archive:
        start = archive.infolist()[0].header_offset + 30 + len(TREE[0])
    assert "cannot be read" in refusal(store, io.BytesIO(ZIPPED[: start + 5] + b"\0\0\0\0" + ZIPPED[start + 9 :]))


def test_encrypted_archives_are_refused(store):
    changed = bytearray(ZIPPED)
    for at in (i for i in range(len(changed)) if changed[i : i + 4] == b"PK\1\2"):
        changed[at + 8] |= 1
    assert "encrypted" in refusal(store, io.BytesIO(bytes(changed)))


def test_a_name_that_comes_twice_and_one_that_is_too_long_are_refused(store):
    with pytest.warns(UserWarning, match="Duplicate name"):
        twice = zipped([*TREE, TREE[0]])
    assert "same name" in refusal(store, twice)
    assert "same name" in refusal(store, zipped([*TREE, f"./{TREE[0]}"]))
    assert "more than 255 bytes" in refusal(store, zipped(more=[(f"train/cat/{'x' * 300}.png", b"")]))
    assert "a file and a folder at once" in refusal(store, zipped(["train/a.png", "train/a.png/b.png"]))


def test_what_is_no_image_folder_says_what_it_lacks(store):
    assert "the archive has no folder test/; an image folder needs train/CLASS/" in refusal(store, zipped(TREE[:4]))
    assert "test has not" in refusal(store, zipped([*TREE, "train/fox/1.png"]))


@pytest.fixture
def here(monkeypatch):
    """The trial of a file runs in this process: one test below starts the real one, which imports torch for seconds."""
    monkeypatch.setattr(network_uploads.subprocess, "run", tried_here)


def keep(store, name, file) -> str:
    return network_uploads.keep_weights(store, name, file, MODEL, 10, 32).digest


def kept_in(store) -> list[str]:
    """Files of uploads, but for their sums."""
    files = [path for path in store.uploads.rglob("*") if path.is_file() and path.name != received.SUMS]
    return [path.relative_to(store.uploads).as_posix() for path in files]


def plain(state: dict) -> bytes:
    """The state_dict as safetensors."""
    return save({name: tensor.contiguous() for name, tensor in state.items()})


def spec_of(digest: str) -> ExperimentSpec:
    return ExperimentSpec(
        model=MODEL,
        dense=DenseSpec(source="file", weights_digest=digest),
        prune=PruneSpec.of("global_l1", sparsity=0.5),
    )


def why_not(store, name, file) -> str:
    """Why weights are refused; nothing of them may stay."""
    with pytest.raises(WeightsError) as caught:
        keep(store, name, file)
    assert not store.uploads.exists() and not list((store.root / ".tmp").glob("*"))
    assert "\n" not in str(caught.value) and str(store.root) not in str(caught.value)
    return str(caught.value)


def test_kept_weights_are_found_by_their_digest_and_become_the_dense_network(here, store):
    state = state_of()
    digest = keep(store, "../../etc/Mine.SAFETENSORS", io.BytesIO(plain(state)))
    assert kept_in(store) == [f"{digest}/weights.safetensors"]
    spec = spec_of(digest)
    network, _ = train_dense(Lab(spec, store, Report(), Runtime()))
    assert all(torch.equal(tensor, state[name]) for name, tensor in network.state_dict().items())


def test_weights_of_torch_save_are_kept(here, store):
    digest = keep(store, "w.pt", saved({"state_dict": state_of()}, "new"))
    assert known_weights.weights_file(store, digest).name == "weights.safetensors"


class Evil:
    def __reduce__(self):
        return (open, ("executed", "w"))


@pytest.mark.parametrize("kind", ["zip", "legacy", "pickle"])
def test_a_pickle_with_code_is_refused_and_never_run(here, store, kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = io.BytesIO(pickle.dumps(Evil())) if kind == "pickle" else saved({"weight": Evil()}, kind)
    assert "cannot be read" in why_not(store, "w.pth", file)
    assert not list(tmp_path.rglob("executed"))


def test_weights_of_another_shape_are_named(here, store):
    message = why_not(store, "w.pt", saved(state_of(classes=3), "new"))
    assert (
        "weights.pt does not fit ShuffleNetV2: 2 mis-shaped: fc.weight (3, 1024) where (10, 1024) is needed" in message
    )
    assert "Its head has 3 classes, the images 10" in message


def test_a_compressed_archive_is_refused_as_weights(here, store):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(10**6))
    assert "compressed archive" in why_not(store, "w.pt", packed)


def test_other_suffixes_broken_headers_and_oversized_files_are_refused_without_a_process(store, monkeypatch):
    monkeypatch.setattr(subprocess, "run", None)
    assert "must end in .safetensors, .pt, .pth" in why_not(store, "w.onnx", saved({}, "new"))
    assert "no sound .safetensors" in why_not(store, "w.safetensors", io.BytesIO(b"\xff" * 100))
    assert "holds no tensor" in why_not(store, "w.safetensors", io.BytesIO(struct.pack("<Q", 2) + b"{}"))
    monkeypatch.setattr(received, "LARGEST", 0)
    assert "python -m asr_core run --weights FILE" in why_not(store, "w.pt", saved({}, "new"))


def test_a_file_is_tried_in_a_process_of_its_own_with_the_reason_as_its_last_word(store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "cannot be read" in why_not(store, "w.pt", saved({"weight": Evil()}, "new"))
    assert not list(tmp_path.rglob("executed"))


def test_a_file_that_takes_too_long_is_given_up(store, monkeypatch):
    monkeypatch.setattr(network_uploads, "PATIENCE", 0.01)
    assert "within 0.01 s" in why_not(store, "w.pt", saved({}, "new"))


@pytest.mark.parametrize("digest", ["0" * 24, "../../etc/passwd", "*", ""])
def test_a_digest_that_is_not_kept_becomes_no_path(store, digest):
    (store.root / "uploads" / "x").mkdir(parents=True)
    (store.root / "uploads" / "x" / "weights.safetensors").write_bytes(b"x")
    with pytest.raises(WeightsError, match="are not on this machine"):
        known_weights.weights_file(store, digest)


@pytest.mark.parametrize(
    ("content", "why"), [(b"other", "cannot be read"), (plain(state_of(seed=1)), "not [0-9a-f]{16} that were asked")]
)
def test_kept_weights_that_changed_are_not_used(here, store, content, why):
    digest = keep(store, "w.pt", saved(state_of(), "new"))
    known_weights.weights_file(store, digest).write_bytes(content)
    with pytest.raises(WeightsError, match=why):
        train_dense(Lab(spec_of(digest), store, Report(), Runtime()))


def test_one_network_in_two_containers_is_kept_once(here, store):
    first = keep(store, "w.pth.tar", saved({"model": {f"module.{n}": t for n, t in state_of().items()}}, "legacy"))
    assert keep(store, "w.safetensors", io.BytesIO(plain(state_of()))) == first
    assert kept_in(store) == [f"{first}/weights.safetensors"]


def test_the_same_file_again_starts_no_process(here, store, monkeypatch):
    first = keep(store, "w.pt", saved(state_of()))
    monkeypatch.setattr(subprocess, "run", None)
    assert keep(store, "other.ckpt", saved(state_of())) == first


def test_what_was_chosen_in_a_file_is_said_again_each_time(here, store):
    content = saved({"model": state_of(seed=1), "model_ema": state_of()})
    said = [network_uploads.keep_weights(store, "w.pt", content, MODEL, 10, 32).notes for _ in range(2)]
    assert said == [("the averaged weights under model_ema are taken",)] * 2


def test_uploads_are_no_stage_of_the_store(store):
    uploads.keep_images(store, zipped())
    assert "uploads" not in store.stages() and store.verify() == []


def test_checking_uploads_does_not_import_torch():
    code = (
        "import sys, io, asr_core.images.uploads, asr_core.networks.uploads, asr_core.store.received as r;"
        "r.digest_of(io.BytesIO(b'x')); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=True)


def test_the_servers_bound_is_the_one_that_messages_name():
    text = (PROJECT / ".streamlit" / "config.toml").read_text()
    assert f"maxUploadSize = {received.LARGEST} " in text


def test_an_image_of_600_MB_is_refused_by_its_size_before_anything_is_unpacked(store, monkeypatch):
    monkeypatch.setattr(archives, "IMAGE", 10**5)
    message = refusal(store, zipped(more=[("train/cat/big.png", bytes(6 * 10**5))]))
    assert "'train/cat/big.png' in the archive has 1 MB" in message


def test_zeros_named_as_an_image_are_refused_before_they_are_kept(store):
    message = refusal(store, zipped(more=[("train/cat/2.png", bytes(10**6))]))
    assert message == "'train/cat/2.png' in the archive is no image; leave it out, or make it again."


def test_of_an_archive_with_an_image_that_breaks_off_nothing_is_kept(store):
    with pytest.raises(DataError, match=r"2\.png"):
        uploads.keep_images(store, zipped(more=[("train/cat/2.png", picture(3)[:-30])]))
    assert list(store.uploads.iterdir()) == []


def test_uploads_are_bounded_in_total(store, monkeypatch):
    uploads.keep_images(store, zipped())
    monkeypatch.setattr(received, "TOTAL", disk.size(store.uploads) + 100)
    with pytest.raises(DataError, match=r"uploads take .* `python -m asr_core cache clear uploads`"):
        uploads.keep_images(store, zipped(more=[("train/cat/2.png", picture(3))]))
    assert len(list(store.uploads.iterdir())) == 1
    assert uploads.keep_images(store, zipped())["classes"] == 2  # what is kept already


def test_weights_count_as_uploads_too(store, monkeypatch):
    monkeypatch.setattr(network_uploads.subprocess, "run", tried_here)
    monkeypatch.setattr(received, "TOTAL", 100)
    with pytest.raises(WeightsError, match="uploads take"):
        network_uploads.keep_weights(store, "w.pt", saved(state_of()), MODEL, 10, 32)
