"""Data: names become specs, folders become digests, images become arrays in a fixed order."""

import errno
import os
import pickle
import shutil
import socket
import subprocess
import sys
import tarfile
import urllib.error
from dataclasses import replace
from hashlib import md5, sha256
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torchvision.datasets import ImageFolder

from asr_core.errors import DataError, SpecError, StoreError, UnknownName
from asr_core.images import data, decode, folders, pixels, trees
from asr_core.images.sources import imagenette
from asr_core.spec.parts import DataSpec
from asr_core.store import Store
from asr_core.store.entries import PROJECT


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "cache")


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("digits"))
    return data.load(data.resolve("digits", store), store)


def noise(seed, width=8, height=8):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def make_tree(root, classes=("cat", "dog"), train=3, test=2, size=(8, 8)):
    """PNG images (lossless), each different; returns root."""
    seed = 0
    for split, count in (("train", train), ("test", test)):
        for name in classes:
            (root / split / name).mkdir(parents=True, exist_ok=True)
            for i in range(count):
                Image.fromarray(noise(seed, *size)).save(root / split / name / f"{i}.png")
                seed += 1
    return root


@pytest.fixture
def tree(tmp_path):
    return make_tree(tmp_path / "pets")


def resolve(tree, store, size=8):
    return data.resolve(f"folder:{tree}", store, image_size=size)


# --- names ---


@pytest.mark.parametrize("name, classes", [("digits", 10), ("cifar10", 10), ("cifar100", 100), ("imagenette", 10)])
def test_a_named_set_resolves_without_touching_the_disk(name, classes, tmp_path):
    spec = data.resolve(name, Store(tmp_path / "nowhere"), image_size=64)
    assert spec == DataSpec(dataset=name, image_size=64, classes=classes)
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("name, near", [("cifar", "cifar10"), ("folder", "folder:PATH"), ("folder:", "folder:PATH")])
def test_an_unknown_name_lists_the_choices_and_the_nearest(name, near, store):
    with pytest.raises(UnknownName, match=f"Did you mean '{near}'.*cifar10, cifar100, digits, folder:PATH, imagenette"):
        data.resolve(name, store)


def test_a_bad_image_size_is_refused_before_the_folder_is_read(tree, store, monkeypatch):
    monkeypatch.setattr(folders, "read_tree", lambda *a: pytest.fail("read"))
    with pytest.raises(SpecError, match="image_size is 4"):
        resolve(tree, store, 4)


def test_a_hand_made_spec_with_the_wrong_number_of_classes_is_refused(store):
    with pytest.raises(SpecError, match=r"cifar100 has 100 classes, not 10; leave classes out"):
        data.load(DataSpec(dataset="cifar100", classes=10), store)


# --- folders: refusals ---


def test_a_folder_that_is_not_there_is_refused(tmp_path, store):
    with pytest.raises(DataError, match=f"there is no folder {tmp_path}/none; .*train/CLASS/... and test/CLASS/"):
        resolve(tmp_path / "none", store)


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_folder_without_train_or_test_is_refused(split, tree, store):
    shutil.rmtree(tree / split)
    with pytest.raises(DataError, match=f"{tree} has no folder {split}/; an image folder needs"):
        resolve(tree, store)


def test_val_stands_in_for_test_and_that_is_said(tree, store):
    first = resolve(tree, store)
    (tree / "test").rename(tree / "val")
    with pytest.warns(UserWarning, match="pets: val/ stands in for test/"):
        assert resolve(tree, store) == first


def test_a_val_beside_test_is_left_out_and_that_is_said(tree, store):
    first = resolve(tree, store)
    shutil.copytree(tree / "train", tree / "val")
    with pytest.warns(UserWarning, match="val/ is left out, for test/ is there"):
        assert resolve(tree, store) == first


def test_what_is_skipped_is_counted_and_said_each_time(tree, store):
    (tree / "train" / "cat" / "notes.txt").write_text("cats")
    (tree / "train" / "list.csv").write_text("cat")
    (tree / "test" / "dog" / "._0.png").write_bytes(b"")
    (tree / "test" / ".DS_Store").write_bytes(b"")
    said = "skipped: 2 files hidden, 1 file without an image suffix, 1 file beside the class folders"
    for _ in range(2):
        with pytest.warns(UserWarning, match=said):
            resolve(tree, store)


@pytest.mark.parametrize("classes, text", [((), "holds 0 class folders"), (("cat",), "holds 1 class folder;")])
def test_fewer_than_two_classes_are_refused(classes, text, tmp_path, store):
    for split in ("train", "test"):
        (tmp_path / "few" / split).mkdir(parents=True)
    with pytest.raises(DataError, match=f"{tmp_path}/few/train {text}.*at least 2 are needed"):
        resolve(make_tree(tmp_path / "few", classes), store)


@pytest.mark.parametrize("split, other", [("train", "test"), ("test", "train")])
def test_a_class_in_only_one_split_is_refused(split, other, tree, store):
    shutil.copytree(tree / split / "cat", tree / split / "fox")
    with pytest.raises(DataError, match=f"{tree}/{split} has the class 'fox', {tree}/{other} has not"):
        resolve(tree, store)


def test_a_class_without_images_is_refused_even_if_it_holds_other_files(tree, store):
    for file in (tree / "test" / "dog").iterdir():
        file.rename(file.with_suffix(".txt"))
    (tree / "test" / "dog" / ".hidden.png").write_bytes(b"")
    with pytest.raises(DataError, match=f"{tree}/test/dog holds no image .*.png.*add images, or remove the class"):
        resolve(tree, store)


def test_a_dangling_link_is_refused_by_name(tree, store):
    (tree / "train" / "cat" / "gone.png").symlink_to(tree / "nothing.png")
    with pytest.raises(DataError, match=r"train/cat/gone.png is a link to nothing; mend or remove it"):
        resolve(tree, store)


def test_a_link_to_a_folder_that_is_gone_is_refused_by_name(tree, store):
    (tree / "train" / "cat" / "more").symlink_to(tree / "nothing")
    with pytest.raises(DataError, match=r"train/cat/more is a link to nothing"):
        resolve(tree, store)


def test_a_linked_folder_within_a_class_is_followed(tree, tmp_path, store):
    shutil.copytree(tree / "train" / "cat", tmp_path / "more" / "deep")
    (tree / "test" / "cat" / "more").symlink_to(tmp_path / "more")
    assert "test/cat/more/deep/0.png" in trees.read_tree(tree).files["test"]
    assert len(trees.read_tree(tree).files["test"]) == 4 + 3


def test_a_linked_class_and_a_copied_one_are_the_same_images(tree, tmp_path, store):
    first = resolve(tree, store)
    (tree / "test" / "dog").rename(tmp_path / "dog")
    (tree / "test" / "dog").symlink_to(tmp_path / "dog")
    assert resolve(tree, store) == first


@pytest.mark.parametrize("target", [".", "..", "../.."])
def test_a_link_back_up_is_refused_by_name(target, tree, store):
    (tree / "train" / "cat" / "deep").mkdir()
    (tree / "train" / "cat" / "deep" / "up").symlink_to(target, target_is_directory=True)
    with pytest.raises(DataError, match="is a link to a folder that it lies in; remove it"):
        resolve(tree, store)


def test_a_linked_folder_named_like_an_image_is_followed_as_torchvision_does(tree, store):
    (tree / "train" / "cat" / "album.png").symlink_to(tree / "train" / "dog")
    there = ImageFolder(tree / "train").samples
    assert [f"{tree}/{name}" for name in trees.read_tree(tree).files["train"]] == sorted(path for path, _ in there)


def test_what_is_named_like_an_image_but_is_no_file_is_refused(tree, store):
    os.mkfifo(tree / "train" / "cat" / "pipe.png")
    with pytest.raises(DataError, match=r"train/cat/pipe.png is named like an image but is not a file"):
        resolve(tree, store)


# --- folders: identity ---


def test_the_digest_depends_on_pixels_and_classes_but_not_on_names_place_time_and_format(tree, tmp_path, store):
    first = resolve(tree, store)
    assert (first.classes, len(first.digest)) == (2, 16)
    moved = tmp_path / "elsewhere" / "copy"
    shutil.copytree(tree, moved, copy_function=shutil.copyfile)
    os.utime(moved / "train" / "cat" / "0.png", (1, 1))
    (moved / "train" / "cat" / "0.png").rename(moved / "train" / "cat" / "zero.png")
    Image.open(moved / "test" / "dog" / "1.png").save(moved / "test" / "dog" / "1.bmp")
    (moved / "test" / "dog" / "1.png").unlink()
    assert resolve(moved, store) == first
    (moved / "train" / "cat" / "zero.png").rename(moved / "train" / "dog" / "zero.png")
    assert resolve(moved, store) != first


@pytest.mark.parametrize("change", ["a pixel", "the shape", "the split", "a copy"])
def test_the_digest_changes_with(change, tree, store):
    first = resolve(tree, store)
    file, values = tree / "test" / "dog" / "1.png", noise(9)
    values[0, 0, 0] ^= 1
    if change == "the split":
        file.rename(tree / "train" / "dog" / "9.png")
    elif change == "a copy":
        shutil.copy(file, file.with_name("2.png"))
    else:
        Image.fromarray(values if change == "a pixel" else noise(9).reshape(4, 16, 3)).save(file)
    assert resolve(tree, store) != first


def test_the_digest_of_a_known_tree_is_pinned(tree, store):
    """If this moves, every stored result on a folder is lost, and CIFAR-10 is not known in folders."""
    assert resolve(tree, store).digest == "313f6bf310cae8d1"
    assert folders.KNOWN == {"76f23f8afa109a8c": "cifar10", "18e6c68d35ca3214": "cifar100"}


def test_two_orders_of_the_same_images_are_one_canonical_order():
    labels, images = [1, 0, 1, 0], [b"d", b"b", b"a", b"b"]
    other = [2, 3, 0, 1]
    there = pixels.digest((np.array(labels), images))
    assert pixels.digest((np.array([labels[i] for i in other]), [images[i] for i in other])) == there


def test_an_unchanged_folder_is_not_read_again(tree, store, monkeypatch):
    first = resolve(tree, store)
    monkeypatch.setattr(trees, "_image", lambda path: pytest.fail(f"read {path}"))
    assert resolve(tree, Store(store.root)) == first
    assert resolve(os.path.relpath(tree), store) == first


def test_a_touched_folder_is_read_again(tree, store, monkeypatch):
    resolve(tree, store)
    read, image = [], trees._image
    monkeypatch.setattr(trees, "_image", lambda path: read.append(path) or image(path))
    os.utime(tree / "train" / "cat" / "0.png", (1, 1))
    resolve(tree, store)
    assert len(read) == 10


@pytest.mark.parametrize("text", ["{half", "[]", '{"%s": {"fingerprint": "0", "digest": "1"}}'])
def test_a_damaged_memory_of_folders_is_only_forgotten(tree, store, text):
    first = resolve(tree, store)
    (store.root / "sources.json").write_text(text.replace("%s", str(tree)))
    assert resolve(tree, store) == first


def test_the_label_is_the_folders_name_or_a_known_one(tree, store, monkeypatch):
    spec = resolve(tree, store)
    assert data.label(spec, store) == "pets"
    assert data.label(spec, Store(store.root / "other")) == f"folder {spec.digest}"
    assert data.label(replace(spec, digest=folders.IMAGENETTE_224), store) == "Imagenette (224 px copy)"
    assert data.label(DataSpec(), store) == "scikit-learn digits"


# --- folders: images ---


def canonical(images):
    """Images of one class in their order: by the sha256 of size and pixels."""
    return sorted(images, key=lambda image: sha256(b"%d %d\n" % image.shape[1::-1] + image.tobytes()).digest())


TRAIN = canonical(map(noise, range(3))) + canonical(map(noise, range(3, 6)))
TEST = canonical(map(noise, (6, 7))) + canonical(map(noise, (8, 9)))


def test_a_folder_is_decoded_in_the_order_of_its_classes_and_pixels(tree, store):
    images = data.load(resolve(tree, store), store)
    assert images.class_names == ("cat", "dog") and images.classes == 2 and images.label == "pets"
    assert sorted(images.test_files()) == ["test/cat/0.png", "test/cat/1.png", "test/dog/0.png", "test/dog/1.png"]
    assert images.test_labels.tolist() == [0, 0, 1, 1] and images.test_labels.dtype == np.int64
    assert np.array_equal(images.train_images, TRAIN)
    assert np.array_equal(images.test_images, TEST)
    assert all(
        np.array_equal(image, Image.open(tree / name))
        for name, image in zip(images.test_files(), images.test_images, strict=True)
    )
    assert not images.train_images.flags.writeable


def test_mean_and_std_are_those_of_the_training_split(tree, store):
    images = data.load(resolve(tree, store), store)
    values = np.array(images.train_images) / 255
    np.testing.assert_allclose(images.mean, values.mean(axis=(0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(images.std, values.std(axis=(0, 1, 2)), rtol=1e-12)


def test_images_in_nested_folders_count_and_labels_follow_the_class_not_the_sort_order(tmp_path, store):
    tree = make_tree(tmp_path / "t", ("cat", "cat-2"))
    (tree / "test" / "cat" / "more").mkdir()
    Image.fromarray(noise(99)).save(tree / "test" / "cat" / "more" / "extra.PNG")
    images = data.load(resolve(tree, store), store)
    found = dict(zip(images.test_files(), images.test_labels.tolist(), strict=True))
    assert found == {
        "test/cat-2/0.png": 1,
        "test/cat-2/1.png": 1,
        "test/cat/0.png": 0,
        "test/cat/1.png": 0,
        "test/cat/more/extra.PNG": 0,
    }


def of_file(images, name):
    """The decoded test image of a file."""
    return images.test_images[images.test_files().index(name)]


def test_grey_and_palette_images_become_rgb(tree, store):
    Image.fromarray(noise(0)[..., 0]).save(tree / "test" / "cat" / "0.png")
    Image.new("P", (8, 8)).save(tree / "test" / "cat" / "1.png")
    images = data.load(resolve(tree, store), store)
    assert np.array_equal(of_file(images, "test/cat/0.png"), np.stack([noise(0)[..., 0]] * 3, axis=-1))
    assert of_file(images, "test/cat/1.png").shape == (8, 8, 3)


def palette(colour, transparency):
    image = Image.new("P", (8, 8))
    image.putpalette([*colour, 0, 0, 0])
    image.info["transparency"] = transparency
    return image


@pytest.mark.parametrize(
    ("image", "colour"),
    [
        (Image.new("RGBA", (8, 8), (10, 20, 30, 0)), (255, 255, 255)),
        (Image.new("RGBA", (8, 8), (10, 20, 30, 51)), (206, 208, 210)),
        (Image.new("LA", (8, 8), (10, 0)), (255, 255, 255)),
        (palette((10, 20, 30), 0), (255, 255, 255)),
    ],
    ids=["clear", "a fifth opaque", "grey", "palette"],
)
def test_a_transparent_image_is_put_on_white_and_that_is_said(image, colour, tree, store):
    image.save(tree / "test" / "cat" / "0.png")
    with pytest.warns(UserWarning, match="pets: 1 transparent image is put on white"):
        spec = resolve(tree, store)
    assert (of_file(data.load(spec, store), "test/cat/0.png") == colour).all()


def test_an_opaque_image_with_an_alpha_channel_is_the_image_without_it(tree, store):
    first = resolve(tree, store)
    Image.fromarray(noise(6)).convert("RGBA").save(tree / "test" / "cat" / "0.png")
    assert resolve(tree, store) == first


RAMP = np.tile(np.arange(256, dtype=np.uint16), (256, 1))


@pytest.mark.parametrize("name", ["ramp.png", "ramp.tif", "ramp.pgm", "big.tif"])
def test_grey_images_of_16_bits_keep_their_shades(name, tree, store):
    ramp = Image.fromarray(RAMP * 257)
    if name == "big.tif":
        ramp = Image.frombytes("I;16B", ramp.size, (RAMP * 257).astype(">u2").tobytes())
    ramp.save(tree / "test" / "cat" / name, "PPM" if name.endswith("pgm") else None)
    loaded = data.load(resolve(tree, store, 256), store)
    assert (of_file(loaded, f"test/cat/{name}") == RAMP[:, :, None]).all()


@pytest.mark.parametrize(("values", "kind"), [(RAMP / np.float32(255), "floats"), (RAMP.astype(np.int32), "32-bit")])
def test_images_without_a_known_white_are_refused_by_name(values, kind, tree, store):
    Image.fromarray(values).save(tree / "train" / "cat" / "odd.tif")
    with pytest.raises(DataError, match=rf"train/cat/odd\.tif cannot be read: its pixels are {kind}.*8 or 16 bits"):
        resolve(tree, store)


def test_another_size_means_resizing_the_shorter_side_and_cropping_the_centre(tmp_path, store):
    tree = make_tree(tmp_path / "t", size=(40, 20))
    tall = Image.fromarray(noise(99, 30, 50))
    tall.save(tree / "train" / "cat" / "1.png")
    loaded = data.load(resolve(tree, store, 10), store)
    images = loaded.train_images
    wide = Image.fromarray(noise(0, 40, 20)).resize((20, 10), Image.Resampling.BILINEAR).crop((5, 0, 15, 10))
    assert np.array_equal(images[0], wide)
    assert images.shape == (6, 10, 10, 3)
    assert np.array_equal(images[1], tall.resize((10, 10), Image.Resampling.BILINEAR, box=(0, 10, 30, 40)))


@pytest.mark.parametrize("chunk, threads_from", [(1, 1), (2**24, 1), (8 * 8 * 3 * 4, 999)])
def test_chunks_and_threads_do_not_change_the_images(chunk, threads_from, tree, store, monkeypatch):
    monkeypatch.setattr(decode, "CHUNK_BYTES", chunk)
    monkeypatch.setattr(decode, "THREADS_FROM", threads_from)
    told = []
    images = data.load(resolve(tree, store), store, lambda *args: told.append(args))
    assert np.array_equal(images.train_images, TRAIN)
    np.testing.assert_allclose(images.mean, np.array(images.train_images).mean(axis=(0, 1, 2)) / 255)
    assert {stage for stage, _ in told} == {"images"} and sum(count for _, count in told) == 10


def test_batches_by_index_hold_just_these_images_whether_mapped_or_in_memory(tree, store):
    images = data.load(resolve(tree, store), store)
    held = replace(images, train_images=np.array(images.train_images), test_images=np.array(images.test_images))
    for indices in ([3, 0, 3], np.array([5])):
        expected = images.batch(np.array(images.train_images)[indices])
        assert torch.equal(images.train_batch(indices), expected) and torch.equal(held.train_batch(indices), expected)
    assert torch.equal(images.test_batch([2, 1]), images.batch(np.array(images.test_images)[[2, 1]]))


def test_images_are_decoded_once_for_both_normalisations(tree, store, monkeypatch):
    spec = resolve(tree, store)
    own = data.load(spec, store)
    monkeypatch.setattr(data, "decode", lambda *a: pytest.fail("decoded again"))
    shutil.rmtree(tree)
    again = data.load(spec, Store(store.root))
    assert np.array_equal(own.train_images, again.train_images) and again.mean == own.mean
    other = data.load(replace(spec, normalization="imagenet"), store)
    assert other.mean == (0.485, 0.456, 0.406) and other.std == (0.229, 0.224, 0.225)


def test_each_image_size_is_decoded_from_the_remembered_folder(tree, store):
    spec = resolve(tree, store)
    assert data.load(spec, store).test_images.shape == (4, 8, 8, 3)
    assert data.load(replace(spec, image_size=12), store).test_images.shape == (4, 12, 12, 3)


def stored_debris(store):
    return [path for name in ("images", ".tmp") for path in (store.root / name).glob("*")]


@pytest.mark.parametrize(
    "content, reason",
    [
        (b"", "no image format that Pillow knows"),
        (b"hello", "no image format that Pillow knows"),
        (None, "cannot be read: .*truncated|broken|incomplete"),
    ],
)
def test_an_unreadable_image_is_named_and_nothing_is_stored(content, reason, tree, store):
    file = tree / "test" / "dog" / "1.png"
    file.write_bytes(file.read_bytes()[:-60] if content is None else content)
    with pytest.raises(DataError, match=f"image {file} cannot be read: .*Mend or remove") as caught:
        resolve(tree, store)
    assert caught.match(reason) and "\n" not in str(caught.value)
    assert stored_debris(store) == []


def test_an_interrupt_leaves_nothing_behind(tree, store):
    def interrupt(stage, images):
        raise KeyboardInterrupt

    spec = resolve(tree, store)
    with pytest.raises(KeyboardInterrupt):
        data.load(spec, store, interrupt)
    assert stored_debris(store) == []
    assert len(data.load(spec, store).train_images) == 6


def test_too_little_room_on_the_disk_is_said_before_decoding(tree, store, monkeypatch):
    spec = resolve(tree, store, 1000)
    monkeypatch.setattr(decode.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(9, 8, 2_000_000))
    monkeypatch.setattr(decode, "_write_images", lambda *a: pytest.fail("decoded"))
    with pytest.raises(StoreError, match=r"need 30 MB, 2 MB are free.*--cache-dir"):
        data.load(spec, store)
    assert stored_debris(store) == []


def test_a_disk_that_fills_up_while_decoding_is_an_error_of_the_store(tree, store, monkeypatch):
    def full(file, header):
        raise OSError(errno.ENOSPC, "No space left on device")

    spec = resolve(tree, store)
    monkeypatch.setattr(decode.np.lib.format, "write_array_header_1_0", full)
    with pytest.raises(StoreError, match=r"cannot write to .*No space left on device"):
        data.load(spec, store)
    assert stored_debris(store) == []


@pytest.mark.parametrize("change", ["touched", "removed", "broken"])
def test_a_spec_whose_folder_has_changed_or_gone_says_where_it_was(change, tree, store):
    spec = resolve(tree, store)
    if change == "touched":
        os.utime(tree / "train" / "cat" / "0.png", (1, 1))
    else:
        shutil.rmtree(tree if change == "removed" else tree / "test")
    with pytest.raises(DataError, match=f"folder {spec.digest} .*they were at {tree}, .*--dataset folder:PATH"):
        data.load(spec, store)


def test_a_moved_folder_is_found_once_it_is_named_again(tree, tmp_path, store):
    spec = resolve(tree, store)
    tree.rename(tmp_path / "moved")
    assert resolve(tmp_path / "moved", store) == spec
    assert len(data.load(spec, store).train_images) == 6


def test_a_folder_nobody_resolved_here_is_refused(store):
    with pytest.raises(DataError, match=r"folder 01234567 are not on this machine. Name their folder"):
        data.load(DataSpec(dataset="folder", digest="01234567", classes=2), store)


# --- digits ---


def test_digits_are_a_fixed_stratified_split_of_real_scans(digits):
    assert (len(digits.train_images), len(digits.test_images)) == (1437, 360)
    assert digits.train_images.shape[1:] == (32, 32, 3) and digits.label == "scikit-learn digits"
    assert digits.class_names == tuple("0123456789")
    counts = np.bincount(digits.test_labels)
    assert counts.min() >= 34 and counts.max() <= 37
    assert digits.test_files()[:3] == ["digits[21]", "digits[24]", "digits[28]"]
    assert len(set(digits.test_files())) == 360


def test_digits_are_scaled_to_255_resized_and_grey(digits):
    from sklearn.datasets import load_digits

    index = int(digits.test_files()[5][7:-1])
    scan = load_digits().images[index]
    expected = Image.fromarray((scan * 255 / 16).round().astype(np.uint8)).resize((32, 32), Image.Resampling.BILINEAR)
    assert (digits.test_images[5] == np.asarray(expected)[..., None]).all()
    assert digits.test_labels[5] == load_digits().target[index]


# --- torchvision's sets, in their real formats, tiny ---


def md5_of(path):
    return md5(path.read_bytes()).hexdigest()


def make_cifar(directory, kind, monkeypatch, classes, label_key, labels=None):
    """Pickled batches of 4 images each, or of `labels`, with torchvision's md5 sums set to theirs."""
    labels = labels or [0, 1, classes - 1, 2]
    folder = directory / kind.base_folder
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    batches, lists = {}, {}
    for part in ("train_list", "test_list"):
        lists[part] = []
        for name, _ in getattr(kind, part):
            batches[name] = rng.integers(0, 256, (len(labels), 3072), dtype=np.uint8)
            (folder / name).write_bytes(pickle.dumps({"data": batches[name], label_key: labels}))
            lists[part].append([name, md5_of(folder / name)])
        monkeypatch.setattr(kind, part, lists[part])
    meta = folder / kind.meta["filename"]
    meta.write_bytes(pickle.dumps({kind.meta["key"]: [f"class {i}" for i in range(classes)]}))
    monkeypatch.setattr(kind, "meta", kind.meta | {"md5": md5_of(meta)})
    return batches


@pytest.fixture
def offline(monkeypatch):
    """Every attempt to connect fails at once, and is counted."""
    attempts = []

    def refuse(*args, **kwargs):
        attempts.append(args)
        raise urllib.error.URLError("Network is unreachable")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    return attempts


@pytest.mark.parametrize(
    "name, classes, label_key, train",
    [
        ("cifar10", 10, "labels", 20),
        ("cifar100", 100, "fine_labels", 4),
    ],
)
def test_cifar_is_read_from_the_files_torchvision_keeps(
    name, classes, label_key, train, tmp_path, store, monkeypatch, offline
):
    from torchvision import datasets

    kind = {"cifar10": datasets.CIFAR10, "cifar100": datasets.CIFAR100}[name]
    batches = make_cifar(tmp_path / "data", kind, monkeypatch, classes, label_key)
    monkeypatch.setenv("ASR_DATA_DIR", str(tmp_path / "data"))
    images = data.load(data.resolve(name, store), store)
    assert offline == [] and images.classes == classes and images.label == {10: "CIFAR-10", 100: "CIFAR-100"}[classes]
    assert images.train_images.shape == (train, 32, 32, 3)
    first = batches[kind.test_list[0][0]].reshape(4, 3, 32, 32).transpose(0, 2, 3, 1)
    assert np.array_equal(images.test_images, first[[0, 1, 3, 2]])
    assert images.test_labels.tolist() == [0, 1, 2, classes - 1] and images.class_names[1] == "class 1"
    assert images.test_files()[1] == "test[1]"


def written_as_pngs(root, batches, kind, labels):
    """The images of torchvision's batches as an ImageFolder tree, under names of another order; returns root."""
    for split, files in (("train", kind.train_list), ("test", kind.test_list)):
        for file in (name for name, _ in files):
            for i, image in enumerate(batches[file].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)):
                folder = root / split / f"class {labels[i]}"
                folder.mkdir(parents=True, exist_ok=True)
                Image.fromarray(image).save(folder / f"{99 - i}-{file}.png")
    return root


@pytest.fixture
def cifar(tmp_path, monkeypatch):
    """CIFAR-10 in small, its pixels known as CIFAR-10's: (torchvision's directory, an ImageFolder tree)."""
    from torchvision.datasets import CIFAR10

    labels = [*range(10), 3, 3, 5]
    batches = make_cifar(tmp_path / "data", CIFAR10, monkeypatch, 10, "labels", labels)
    tree = written_as_pngs(tmp_path / "pngs", batches, CIFAR10, labels)
    digest = folders.identify(tree, Store(tmp_path / "first"))["digest"]
    monkeypatch.setattr(folders, "KNOWN", {digest: "cifar10"})
    monkeypatch.setattr(folders, "CIFAR10", digest)
    return tmp_path / "data", tree


def same(first, second):
    """Whether two data sets are the same images under the same names, in the same order."""
    return (
        np.array_equal(first.train_images, second.train_images)
        and np.array_equal(first.test_images, second.test_images)
        and np.array_equal(first.train_labels, second.train_labels)
        and first.test_files() == second.test_files()
        and (first.class_names, first.label, first.mean) == (second.class_names, second.label, second.mean)
    )


def test_a_png_tree_and_torchvisions_archive_of_the_same_images_are_one_data_set(cifar, tmp_path, offline):
    directory, tree = cifar
    folder, archive = Store(tmp_path / "folder"), Store(tmp_path / "archive")
    spec = data.resolve(f"folder:{tree}", folder)
    assert spec == data.resolve("cifar10", archive) == DataSpec(dataset="cifar10")
    assert same(data.load(spec, folder), data.load(spec, archive, data_dir=directory))
    assert data.label(spec, Store(tmp_path / "nowhere")) == "CIFAR-10"


def test_the_set_by_its_name_takes_a_folder_that_was_named_before_and_downloads_nothing(cifar, tmp_path, offline):
    _, tree = cifar
    folder = Store(tmp_path / "folder")
    data.resolve(f"folder:{tree}", folder)
    assert len(data.load(data.resolve("cifar10", folder), folder, data_dir=tmp_path / "none").test_images) == 13
    assert offline == []


def test_a_folder_that_was_named_and_has_gone_leaves_the_download(cifar, tmp_path, offline):
    directory, tree = cifar
    folder = Store(tmp_path / "folder")
    spec = data.resolve(f"folder:{tree}", folder)
    shutil.rmtree(tree)
    assert len(data.load(spec, folder, data_dir=directory).test_images) == 13


def test_an_archive_fetched_by_hand_is_unpacked(tmp_path, store, monkeypatch, offline):
    from torchvision.datasets import CIFAR10

    make_cifar(tmp_path / "made", CIFAR10, monkeypatch, 10, "labels")
    (tmp_path / "data").mkdir()
    archive = tmp_path / "data" / CIFAR10.filename
    with tarfile.open(archive, "w:gz") as file:
        file.add(tmp_path / "made" / CIFAR10.base_folder, CIFAR10.base_folder)
    monkeypatch.setattr(CIFAR10, "tgz_md5", md5_of(archive))
    assert len(data.load(data.resolve("cifar10", store), store, data_dir=tmp_path / "data").test_images) == 4


@pytest.mark.parametrize(
    "name, archive, page",
    [
        ("cifar10", "cifar-10-python.tar.gz", "cs.toronto.edu"),
        ("cifar100", "cifar-100-python.tar.gz", "cs.toronto.edu"),
        ("imagenette", "imagenette2-160.tgz", "github.com/fastai/imagenette"),
    ],
)
def test_without_a_network_the_way_out_is_named(name, archive, page, tmp_path, store, offline):
    with pytest.raises(DataError) as caught:
        data.load(data.resolve(name, store), store, data_dir=tmp_path / "data")
    text = str(caught.value)
    assert "Network is unreachable" in text and f"Download {archive} from https://" in text and page in text
    assert f"into {tmp_path / 'data'}" in text and "--dataset folder:PATH" in text and "\n" not in text
    assert offline and stored_debris(store) == [] and socket.getdefaulttimeout() is None


def test_a_damaged_download_is_not_decoded(tmp_path, store, monkeypatch):
    from torchvision.datasets import utils

    monkeypatch.setattr(utils, "_get_redirect_url", lambda url, **options: url)
    monkeypatch.setattr(utils, "_urlretrieve", lambda url, path, *rest: Path(path).touch())
    with pytest.raises(DataError, match=r"cannot get CIFAR-10: File not found or corrupted. Download"):
        data.load(data.resolve("cifar10", store), store, data_dir=tmp_path / "data")


@pytest.mark.parametrize("size, variant", [(160, "160px"), (161, "320px"), (320, "320px"), (321, "full")])
def test_imagenettes_variant_is_the_smallest_that_is_large_enough(size, variant):
    assert imagenette.variant_of(size) == variant


def make_imagenette(root, train=2, val=1):
    from torchvision.datasets import Imagenette

    for split, count in (("train", train), ("val", val)):
        for wnid in Imagenette._WNID_TO_CLASS:
            (root / split / wnid).mkdir(parents=True)
            for i in range(count):
                Image.fromarray(noise(i, 20, 16)).save(root / split / wnid / f"{wnid}_{i}.JPEG", "jpeg")


def test_imagenette_is_read_from_its_own_layout(tmp_path, store, monkeypatch, offline):
    make_imagenette(tmp_path / "imagenette2-160")
    monkeypatch.setattr(imagenette, "COUNTS", {"train": 20, "val": 10})
    images = data.load(data.resolve("imagenette", store, image_size=16), store, data_dir=tmp_path)
    assert images.train_images.shape == (20, 16, 16, 3) and images.test_images.shape == (10, 16, 16, 3)
    assert images.class_names[:2] == ("tench", "English springer") and images.label == "Imagenette"
    assert images.test_files()[0] == "val/n01440764/n01440764_0.JPEG" and offline == []


@pytest.mark.parametrize("left", ["some images", "no val"])
def test_a_half_unpacked_imagenette_is_refused(left, tmp_path, store, offline):
    make_imagenette(tmp_path / "imagenette2-160")
    if left == "no val":
        shutil.rmtree(tmp_path / "imagenette2-160" / "val")
    with pytest.raises(DataError, match=r"imagenette2-160 is not complete.*9,469.*3,925.*Remove the folder"):
        data.load(data.resolve("imagenette", store), store, data_dir=tmp_path)


# --- batches ---


def plain(images, mean, std):
    x = torch.tensor(np.array(images), dtype=torch.float64).permute(0, 3, 1, 2) / 255
    return (x - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)


def test_a_batch_is_the_plain_arithmetic_in_channels_last(tree, store):
    images = data.load(resolve(tree, store, 12), store)
    batch = images.batch(images.train_images[:5])
    assert batch.shape == (5, 3, 12, 12) and batch.dtype == torch.float32
    assert batch.is_contiguous(memory_format=torch.channels_last)
    expected = plain(images.train_images[:5], images.mean, images.std)
    torch.testing.assert_close(batch.double(), expected, rtol=0, atol=2e-6)


def test_a_batch_takes_flipped_views_and_leaves_the_stored_bytes_alone(tree, store):
    images = data.load(resolve(tree, store), store)
    before = np.array(images.train_images)
    flipped = images.batch(images.train_images[:, :, ::-1])
    torch.testing.assert_close(flipped, images.batch(images.train_images).flip(3))
    assert np.array_equal(images.train_images, before)


def test_a_channel_that_never_changes_gives_zeros(tmp_path, store):
    tree = make_tree(tmp_path / "flat")
    for file in tree.glob("train/*/*.png"):
        Image.new("RGB", (8, 8), (7, 7, 7)).save(file)
    images = data.load(resolve(tree, store), store)
    assert images.std == (0, 0, 0)
    torch.testing.assert_close(images.batch(images.train_images), torch.zeros(6, 3, 8, 8), atol=1e-6, rtol=0)


# --- choices ---


@given(count=st.integers(0, 5000), shorter=st.integers(0, 5000), seed=st.integers(0, 2**31))
def test_the_calibration_walk_is_a_prefix_of_itself_and_shows_each_image_once_per_shuffle(digits, count, shorter, seed):
    walk, n = digits.calibration_indices(count, seed), 1437
    assert len(walk) == count and walk.dtype == np.int64
    assert np.array_equal(digits.calibration_indices(min(shorter, count), seed), walk[: min(shorter, count)])
    for start in range(0, count, n):
        part = walk[start : start + n]
        assert len(np.unique(part)) == len(part) and (len(part) < n or part.sum() == n * (n - 1) // 2)
    assert len(np.unique(walk)) == min(count, len(digits.train_labels))


def test_shuffles_and_seeds_differ(digits):
    walk = digits.calibration_indices(2 * 1437, 0)
    assert not np.array_equal(walk[:1437], walk[1437:])
    assert not np.array_equal(walk[:64], digits.calibration_indices(64, 1))


def test_the_choices_of_seed_0_are_pinned(digits):
    """If these move, stored statistics and accuracies no longer belong to the images they name."""
    assert digits.calibration_indices(4, 0).tolist() == [1046, 613, 640, 1193]
    assert digits.eval_indices(4, 0).tolist() == [165, 184, 269, 351]


def test_statistics_images_begin_the_calibration_walk(digits):
    statistics = digits.stat_batch(8, seed=3)
    batches = list(digits.calibration_batches(3, 600, seed=3))
    assert [len(batch) for batch in batches] == [600, 600, 600]
    assert torch.equal(batches[0][:8], statistics)
    last = digits.calibration_indices(1800, 3)[1200:]
    assert torch.equal(batches[2], digits.batch(digits.train_images[last]))


def test_an_evaluation_subset_is_fixed_sorted_and_without_repetition(digits):
    subset = digits.eval_indices(100, seed=1)
    assert np.array_equal(subset, digits.eval_indices(100, seed=1)) and (np.diff(subset) > 0).all()
    assert not np.array_equal(subset, digits.eval_indices(100, seed=2))
    assert np.array_equal(digits.eval_indices(None, 5), np.arange(360))
    assert np.array_equal(digits.eval_indices(360, 5), np.arange(360))


def test_asking_for_more_images_than_exist_is_refused(digits):
    with pytest.raises(DataError, match="1438 statistics images asked, scikit-learn digits has 1437"):
        digits.stat_batch(1438, 0)
    with pytest.raises(DataError, match="361 test images asked, scikit-learn digits has 360"):
        digits.eval_indices(361, 0)


def test_resolving_loading_and_naming_do_not_import_torch(tree, store):
    code = (
        "import sys; from asr_core.images import data; from asr_core.store import Store; "
        f"store = Store({str(store.root)!r}); spec = data.resolve('folder:{tree}', store, image_size=8); "
        "data.load(spec, store).test_files(); data.label(spec, store); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PROJECT)
    assert done.stdout == "False\n"
