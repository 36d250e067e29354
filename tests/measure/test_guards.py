"""Images, labels and outputs: what the public functions take, and the one line for what they do not."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from tiny_networks import CLASSES, TinyVGG, noise, seeded
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from asr_core import activation_maps, channel_stats, evaluate, prune, recalibrate, repair, repair_factors, repairability
from asr_core.errors import AsrError, DataError, ModelError, SpecError

IMAGES, LABELS = noise(), torch.arange(16) % CLASSES


def recalibrated(model, images):
    """The running means of a network recalibrated on the images, in batches."""
    batches = images.split(8) if torch.is_tensor(images) else images
    found = recalibrate(model, batches, (2,), averaging="cumulative")[2]
    return torch.cat([found[i].running_mean for i in (1, 4, 8)]).float().numpy()


def repaired(model, images):
    return repair(model, prune(model, "uniform", sparsity=0.4)[0], images, "asr_bn", "sequential")[1]


CALLS = {
    "channel_stats": channel_stats,
    "repair": repaired,
    "recalibrate": recalibrated,
    "repairability": lambda model, images: repairability(model, images, (0.5,))[0],
    "activation_maps": lambda model, images: activation_maps(model, images, "3"),
    "evaluate": lambda model, images: evaluate(model, images, LABELS).predictions,
    "prune": lambda model, images: prune(model, "rr", images, sparsity=0.5)[1],
}


@pytest.fixture(params=CALLS)
def call(request):
    """A public function as a function of a network and images."""
    return CALLS[request.param]


def assert_same(found, expected):
    if isinstance(expected, pd.DataFrame):
        pd.testing.assert_frame_equal(found, expected, rtol=1e-5, atol=1e-6)
    else:
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


# --- images in any form ---

FORMS = {
    "a loader of images and labels": lambda: DataLoader(TensorDataset(IMAGES, LABELS), batch_size=8),
    "a loader of images": lambda: DataLoader(IMAGES, batch_size=8),
    "tuples of images and labels": lambda: [(IMAGES[:8], LABELS[:8]), (IMAGES[8:], LABELS[8:])],
    "a generator": lambda: (batch for batch in IMAGES.split(8)),
    "arrays": lambda: [IMAGES[:8].numpy(), IMAGES[8:].numpy()],
    "with empty batches": lambda: [IMAGES[:0], IMAGES[:8], IMAGES[:0], IMAGES[8:]],
    "float64": lambda: IMAGES.double().split(8),
    "images with a gradient": lambda: IMAGES.clone().requires_grad_().split(8),
    "channels last": lambda: IMAGES.to(memory_format=torch.channels_last).split(8),
}


@pytest.mark.parametrize("form", FORMS)
def test_images_come_in_any_form(call, form):
    assert_same(call(seeded(TinyVGG), FORMS[form]()), call(seeded(TinyVGG), IMAGES))


def test_one_array_is_taken_as_one_tensor():
    for array in (
        IMAGES.numpy(),
        IMAGES.double().numpy(),
        np.asfortranarray(IMAGES.numpy()),
        IMAGES.numpy().astype(">f4"),
    ):
        assert_same(channel_stats(seeded(TinyVGG), array), channel_stats(seeded(TinyVGG), IMAGES))


def test_an_array_that_cannot_be_written_is_taken_without_a_warning():
    array = IMAGES.numpy().copy()
    array.flags.writeable = False
    assert_same(channel_stats(seeded(TinyVGG), array), channel_stats(seeded(TinyVGG), IMAGES))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_images_follow_the_precision_of_the_network(call, dtype):
    """Of the same rounded images, float32 or already in the network's precision, the same comes out."""
    images = IMAGES.to(dtype)
    assert_same(call(seeded(TinyVGG).to(dtype), images.float()), call(seeded(TinyVGG).to(dtype), images))


def test_a_network_in_train_mode_gives_the_same_and_stays_in_it(call):
    model = seeded(TinyVGG).train()
    expected = call(seeded(TinyVGG), IMAGES)
    found = call(model, IMAGES)
    assert_same(found, expected)
    assert model.training


# --- images that are refused ---


class Picked(torch.utils.data.Dataset):
    """One image and its label at a time."""

    def __len__(self):
        return 16

    def __getitem__(self, i):
        if i >= 16:
            raise IndexError
        return IMAGES[i], LABELS[i]


def with_pixel(value) -> torch.Tensor:
    images = IMAGES.clone()
    images[9, 0, 2, 3] = value
    return images


REFUSED = {
    "bytes": (lambda: (IMAGES * 40).byte(), r"holds uint8 numbers; give floats, normalised.*images / 255"),
    "byte arrays": (lambda: np.zeros((16, 3, 8, 8), np.uint8), "holds uint8 numbers"),
    "whole numbers": (lambda: IMAGES.long(), "holds int64 numbers"),
    "bools": (lambda: IMAGES > 0, "holds bool numbers"),
    "complex numbers": (lambda: IMAGES.to(torch.complex64), "holds complex64 numbers"),
    "NaN": (lambda: with_pixel(math.nan), "1 of 16 images hold NaN or infinite pixels, the first is number 9"),
    "infinity": (lambda: with_pixel(-math.inf), "1 of 16 images hold NaN or infinite"),
    "one image": (lambda: IMAGES[0], r"has shape \(3, 8, 8\); .*images\[None\]"),
    "flat images": (lambda: IMAGES.flatten(1), r"has shape \(16, 192\); give a tensor \(N, C, H, W\)"),
    "five axes": (lambda: IMAGES[None], r"has shape \(1, 16, 3, 8, 8\)"),
    "gray images": (
        lambda: IMAGES[:, :1],
        r"TinyVGG cannot run on a batch of shape \(\d+, 1, 8, 8\) \(RuntimeError: .*3 channels",
    ),
    "channels at the end": (lambda: IMAGES.movedim(1, 3), r"cannot run on a batch of shape \(\d+, 8, 8, 3\)"),
    "empty images": (lambda: torch.zeros(16, 3, 0, 0), r"cannot run on a batch of shape \(\d+, 3, 0, 0\)"),
    "no images": (
        lambda: torch.zeros(0, 3, 8, 8),
        "no images were given|0 predictions for 16|0 were given|0 images but 16",
    ),
    "meta images": (lambda: torch.zeros(4, 3, 8, 8, device="meta"), "is on the meta device"),
}
ITERABLES = {
    "an empty loader": (lambda: [], "no images were given|0 predictions for 16|0 were given"),
    "nothing": (lambda: None, r"images is a NoneType; give a tensor \(N, C, H, W\)|images is None; rule rr"),
    "a path": (lambda: "images/", r"images is a str; give a tensor"),
    "a number": (lambda: 64, "images is a int"),
    "a mapping": (lambda: {"pixel_values": IMAGES}, "images is a dict"),
    "a loader of mappings": (
        lambda: [{"pixel_values": IMAGES, "label": LABELS}],
        "batch 0 is a mapping of pixel_values, label",
    ),
    "a data set": (Picked, r"batch 0 is a tuple of 2; give a tensor \(N, C, H, W\)"),
    "single images": (lambda: list(IMAGES), r"batch 0 has shape \(3, 8, 8\)"),
    "lists of numbers": (lambda: IMAGES.tolist(), r"batch 0 is a list of 3"),
    "pairs of images": (lambda: [(IMAGES, IMAGES)], "batch 0 is a tuple of 2"),
    "text": (lambda: ["a.png", "b.png"], "batch 0 is a str"),
    "NaN late": (lambda: with_pixel(math.nan).split(8), "batch 1: 1 of 8 images hold NaN"),
    "objects": (lambda: [np.array([None] * 4)], "batch 0 is a ndarray"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_images_that_no_network_takes_are_refused_in_one_line(call, kind):
    made, message = REFUSED[kind]
    images = made() if call is not recalibrated else [made()] * 2
    with pytest.raises(AsrError, match=message) as error:
        call(seeded(TinyVGG), images)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", ITERABLES)
def test_what_holds_no_batches_of_images_is_refused_in_one_line(call, kind):
    made, message = ITERABLES[kind]
    with pytest.raises(AsrError, match=message) as error:
        call(seeded(TinyVGG), made())
    assert "\n" not in str(error.value)


def test_a_pixel_in_the_last_image_of_a_tensor_is_found_before_any_pass(call):
    if call is recalibrated:
        pytest.skip("takes batches, not a tensor")
    model = seeded(TinyVGG)
    model.register_forward_hook(lambda *_: pytest.fail("ran"))
    images = torch.cat([noise(300), with_pixel(math.nan)])
    with pytest.raises(DataError, match=r"hold NaN|images but 16 labels"):
        call(model, images)


def test_images_of_two_sizes_are_refused_where_they_have_to_be_of_one():
    model, images = seeded(TinyVGG), [IMAGES, noise(2, size=12)]
    with pytest.raises(DataError, match=r"images are of 2 shapes, \(3, 8, 8\) and \(3, 12, 12\)"):
        repair(model, model, images, "asr_bn")
    with pytest.raises(DataError, match="the maps have 2 sizes"):
        activation_maps(model, images, "3")
    assert len(channel_stats(model, images)) == 36


def test_a_forward_of_other_arguments_is_refused():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 1)

        def forward(self, x, mask):
            return self.conv(x * mask)

    with pytest.raises(ModelError, match=r"Two cannot run on a batch .*TypeError.*give a network of one argument"):
        channel_stats(Two(), IMAGES)


def test_a_network_that_calls_none_of_its_convs_as_modules_is_refused_and_not_called_empty():
    class Functional(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 1)

        def forward(self, x):
            return nn.functional.conv2d(x, self.conv.weight)

    with pytest.raises(ModelError, match="no Conv2d of Functional runs as a module"):
        channel_stats(Functional(), IMAGES)
    with pytest.raises(ModelError, match="conv does not run as a module on these images"):
        activation_maps(Functional(), IMAGES, "conv")


@pytest.mark.parametrize("channels", [[1.5], ["a"], 3, [True], [12]])
def test_channels_are_whole_numbers_of_the_layer(channels):
    with pytest.raises(SpecError, match=r"channels is .* 12 output channels|channels is .*; give a list"):
        activation_maps(seeded(TinyVGG), IMAGES, "3", channels)


@pytest.mark.parametrize("layer", [3, None, ["3"]])
def test_a_layer_is_named_by_a_text(layer):
    with pytest.raises(SpecError, match="unknown layer"):
        activation_maps(seeded(TinyVGG), IMAGES, layer)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sparsities": 0.5}, "sparsities is 0.5; give a list of fractions"),
        ({"sparsities": ()}, r"sparsities is \(\); give a list of fractions"),
        ({"eps": -1}, "eps is -1; give a finite number of at least 0"),
        ({"floor": 0}, "floor is 0; give a finite number above 0"),
    ],
)
def test_numbers_of_repairability_are_checked(options, message):
    with pytest.raises(SpecError, match=message):
        repairability(seeded(TinyVGG), IMAGES, **options)


# --- labels ---


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([5] * 16, "a label is 5, but the network has 5 outputs, classes 0 to 4"),
        ([-1] + [0] * 15, "1 of 16 labels are no class index, the first is -1"),
        ([-100] * 2 + [0] * 14, "2 of 16 labels are no class index, the first is -100"),
        ([0.5] * 16, "16 of 16 labels are no class index, the first is 0.5"),
        ([math.nan] + [0] * 15, "1 of 16 labels are no class index, the first is nan"),
        ([math.inf] + [0] * 15, "the first is inf"),
        (nn.functional.one_hot(LABELS), r"labels have shape \(16, 5\).*argmax\(1\)"),
        (["cat"] * 16, "labels hold <U3 values; give class indices"),
        ([[0], [0, 1]], "labels are lists of different lengths"),
        ([None] * 16, "labels hold object values"),
        ([0] * 15, "16 images but 15 labels"),
        (None, "labels is None and the batches hold none"),
    ],
)
def test_impossible_labels_are_refused_in_one_line(labels, message):
    with pytest.raises(DataError, match=message) as error:
        evaluate(seeded(TinyVGG), IMAGES, labels)
    assert "\n" not in str(error.value)


def test_a_label_beyond_the_classes_is_found_after_one_batch():
    model, calls = seeded(TinyVGG), []
    model.register_forward_hook(lambda *_: calls.append(1))
    with pytest.raises(DataError, match="a label is 7"):
        evaluate(model, IMAGES, [0] * 15 + [7], batch_size=2)
    assert len(calls) == 1


@pytest.mark.parametrize("kind", [np.float64, np.uint8, np.int16, bool])
def test_labels_of_whole_numbers_come_in_any_type(kind):
    labels = LABELS.numpy() % 2
    assert evaluate(seeded(TinyVGG), IMAGES, labels.astype(kind)).top1 == evaluate(seeded(TinyVGG), IMAGES, labels).top1


def test_a_column_of_labels_is_taken():
    assert evaluate(seeded(TinyVGG), IMAGES, LABELS[:, None])[0] == evaluate(seeded(TinyVGG), IMAGES, LABELS)[0]


def test_a_loader_brings_its_own_labels_whatever_its_order():
    shuffled = DataLoader(TensorDataset(IMAGES, LABELS), 4, shuffle=True, generator=torch.Generator().manual_seed(1))
    assert evaluate(seeded(TinyVGG), shuffled).top1 == evaluate(seeded(TinyVGG), IMAGES, LABELS).top1


def test_labels_in_another_order_than_the_loaders_are_refused():
    shuffled = DataLoader(TensorDataset(IMAGES, LABELS), 4, shuffle=True, generator=torch.Generator().manual_seed(1))
    with pytest.raises(DataError, match=r"\d+ of 16 labels differ from the batches' own: does the loader shuffle\?"):
        evaluate(seeded(TinyVGG), shuffled, LABELS)


def test_a_batch_size_is_a_whole_number():
    for size in (0, -1, 2.5, None):
        with pytest.raises(SpecError, match="batch_size is"):
            evaluate(seeded(TinyVGG), IMAGES, LABELS, size)


# --- outputs ---


class Wrapped(nn.Module):
    """A network whose output is turned into something else."""

    def __init__(self, made):
        super().__init__()
        self.inner, self.made = seeded(TinyVGG), made

    def forward(self, x):
        return self.made(self.inner(x))


OUTPUTS = {
    "dict": (lambda y: {"out": y, "aux": y}, "returns a mapping of 'out', 'aux'; name its logits with output="),
    "tuple": (lambda y: (y, y), "returns a tuple of 2; name its logits with output="),
    "list": (lambda y: [y], "returns a list of 1"),
    "nothing": (lambda y: None, "returns a NoneType"),
    "array": (lambda y: y.numpy(), "returns a ndarray"),
    "one logit": (lambda y: y[:, :1], r"returns shape \(16, 1\) for 16 images; it must be \(images, classes\)"),
    "flat": (lambda y: y[:, 0], r"returns shape \(16,\) for 16 images.*one logit"),
    "classes": (lambda y: y.argmax(1), r"returns shape \(16,\) for 16 images"),
    "maps": (lambda y: y[:, :, None, None], r"returns shape \(16, 5, 1, 1\)"),
    "crops": (lambda y: y.repeat(10, 1), r"returns shape \(160, 5\) for 16 images"),
    "mean": (lambda y: y.mean(), r"returns shape \(\) for 16 images"),
}


@pytest.mark.parametrize("kind", OUTPUTS)
def test_evaluate_refuses_outputs_that_are_no_logits_in_one_line(kind):
    made, message = OUTPUTS[kind]
    with pytest.raises(ModelError, match=message) as error:
        evaluate(Wrapped(made).eval(), IMAGES, LABELS)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("made", "output"),
    [(lambda y: {"out": y, "aux": -y}, "out"), (lambda y: (-y, y), 1), (lambda y: [y, -y], 0), (lambda y: (-y, y), -1)],
)
def test_the_logits_among_several_outputs_can_be_named(made, output):
    expected = evaluate(seeded(TinyVGG), IMAGES, LABELS)
    assert evaluate(Wrapped(made).eval(), IMAGES, LABELS, output=output).top1 == expected.top1


@pytest.mark.parametrize("output", ["logits", 2, None.__class__])
def test_a_name_that_the_outputs_do_not_have_is_refused(output):
    with pytest.raises(SpecError, match=r"output is .*, but the network returns a mapping of 'out'"):
        evaluate(Wrapped(lambda y: {"out": y}).eval(), IMAGES, LABELS, output=output)


@pytest.mark.parametrize("kind", ["dict", "tuple", "list", "nothing", "one logit"])
def test_the_other_functions_do_not_look_at_outputs(kind):
    model, plain = Wrapped(OUTPUTS[kind][0]).eval(), seeded(TinyVGG)
    found, expected = channel_stats(model, IMAGES), channel_stats(plain, IMAGES)
    pd.testing.assert_frame_equal(found.drop(columns="layer"), expected.drop(columns="layer"))
    assert len(recalibrate(model, IMAGES.split(8), (2,), averaging="cumulative")) == 1


def test_a_network_without_parameters_is_evaluated():
    class Plain(nn.Module):
        def forward(self, x):
            return x.mean((2, 3))

    assert evaluate(Plain(), IMAGES, LABELS % 3).predictions.tolist() == IMAGES.mean((2, 3)).argmax(1).tolist()


# --- BatchNorm ---


class PartlyIdle(TinyVGG):
    """Runs its first layers only: whatever is added to it, or all but the last conv."""

    used = 12

    def forward(self, x):
        for layer in list(self)[: self.used]:
            x = layer(x)
        return x


def test_networks_saved_before_batches_were_counted_are_recalibrated():
    model = seeded(TinyVGG)
    expected = recalibrated(model, IMAGES)
    for bn in (model[1], model[4], model[8]):
        bn.num_batches_tracked = None
    assert_same(recalibrated(model, IMAGES), expected)
    assert model[1].num_batches_tracked is None


def test_a_batchnorm_that_never_runs_keeps_its_statistics():
    model = seeded(PartlyIdle)
    model.idle = nn.BatchNorm2d(4)
    model.idle.running_mean.fill_(3.0)
    with pytest.warns(UserWarning, match="no forward pass runs the BatchNorm idle"):
        found = recalibrate(model, IMAGES.split(8), (1, 2), averaging="cumulative")[2]
    assert found.idle.running_mean.tolist() == [3.0] * 4 and not torch.equal(
        found[1].running_mean, model[1].running_mean
    )


def test_a_batchnorm_that_runs_now_and_then_is_refused():
    class Sometimes(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.a, self.b = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.BatchNorm2d(3)

        def forward(self, x):
            return (self.a if len(x) > 2 else self.b)(self.conv(x))

    with pytest.raises(ModelError, match="the BatchNorm a ran in 1 of 2 batches"):
        recalibrate(Sometimes(), [IMAGES, IMAGES[:2]], (2,), averaging="cumulative")


def test_a_batchnorm_that_does_not_update_its_statistics_is_refused():
    model = seeded(TinyVGG)
    model[4].track_running_stats = False
    with pytest.raises(ModelError, match="the BatchNorm 4 holds running statistics but does not update them"):
        recalibrate(model, IMAGES.split(8), (2,), averaging="cumulative")


def test_batches_of_one_value_per_channel_are_refused():
    model = nn.Sequential(nn.Conv2d(3, 4, 8), nn.BatchNorm2d(4)).eval()
    with pytest.raises(ModelError, match=r"shape \(1, 3, 8, 8\) \(ValueError: Expected more than 1 value per channel"):
        recalibrate(model, IMAGES.split(1), (2,), averaging="cumulative")


def test_statistics_that_overflow_are_told():
    model = seeded(TinyVGG)
    nn.init.constant_(model[0].weight, 3e38)
    with pytest.warns(
        UserWarning, match=r"the batch statistics of 1.* are NaN or infinite, and so will the outputs be"
    ):
        recalibrate(model, IMAGES.split(8), (2,), averaging="cumulative")


# --- what is left of the start ---


def dense_of(deviation: float) -> nn.Module:
    """A network whose convs put out this standard deviation, mean 0, with just these running statistics."""
    model = nn.Sequential(nn.Conv2d(3, 8, 1, bias=False), nn.BatchNorm2d(8)).eval()
    weight = torch.randn(8, 3, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        model[0].weight.copy_((deviation * weight / weight.norm(dim=1, keepdim=True))[:, :, None, None])
    return recalibrate(model, [noise(64)] * 2, (2,), averaging="cumulative")[2]


def test_an_unpruned_network_that_a_left_over_variance_of_1_moves_is_told_with_numbers():
    """12 % of a variance of 1 beside one of 0.01: 0.88 + 0.122 / 0.01 = 13 times, outputs shrink by
    1 - 1 / sqrt(13)."""
    dense = dense_of(0.1)
    words = (
        r"20 batches at momentum 0.1 from reset: 12 % is left of the start, mean 0 and variance 1; the running "
        r"variances of 1 have a median of 0.01, so even unpruned they would become 13 times what they are, and "
        r"its outputs move by 0.72 standard deviations \(medians\); take averaging 'cumulative', start "
        r"'keep', or more batches \(80 would do\)"
    )
    with pytest.warns(UserWarning, match=words):
        after = recalibrate(dense, [noise(64)] * 20, (20,))[20]
    assert float((after[1].running_var / dense[1].running_var).median()) == pytest.approx(13, rel=0.05)


def test_a_late_narrow_layer_that_is_wiped_out_is_told_beside_a_wide_one_that_is_not():
    wide = nn.Sequential(nn.Conv2d(3, 64, 1), nn.BatchNorm2d(64), nn.ReLU(), nn.Conv2d(64, 4, 1), nn.BatchNorm2d(4))
    wide[4].running_var.fill_(1e-4)
    with pytest.warns(UserWarning, match="the running variances of 4 have a median of 0.0001"):
        recalibrate(wide.eval(), [noise(8)] * 20)


def test_variances_above_1_are_moved_too():
    with pytest.warns(UserWarning, match="would become 0.65 times what they are"):
        recalibrate(dense_of(30.0), [noise(8)] * 10, (10,))


def test_a_mean_that_is_left_behind_counts_too():
    dense = dense_of(1.0)
    dense[1].running_mean.fill_(5.0)
    with pytest.warns(UserWarning, match="20 batches at momentum 0.1 from reset"):
        recalibrate(dense, [noise(8)] * 20)


def test_several_budgets_are_told_in_one_line():
    with pytest.warns(UserWarning, match=r"5 batches \(likewise 10, 20\) at momentum 0.1") as heard:
        recalibrate(dense_of(0.1), [noise(8)] * 100, (100, 5, 10, 20))
    assert len(heard) == 1


@pytest.mark.parametrize(
    ("deviation", "budget", "options"),
    [
        (0.1, 20, {"averaging": "cumulative"}),
        (0.1, 20, {"start": "keep"}),
        (0.1, 20, {"momentum": 0.5}),
        (0.1, 80, {}),
        (0.1, 0, {}),
        (1.0, 20, {}),
        (1.2, 20, {}),
    ],
)
def test_what_moves_no_unpruned_network_is_not_warned_of(deviation, budget, options):
    recalibrate(dense_of(deviation), [noise(8)] * budget, (budget,), **options)


# --- repairs that leave something alone ---


def test_a_network_whose_only_conv_is_the_first_is_told_that_nothing_is_repaired():
    dense = nn.Sequential(nn.Conv2d(3, 8, 4, 4), nn.Flatten(2), nn.Linear(4, 4)).eval()
    pruned, _ = prune(dense, "global_l1", sparsity=0.5)
    with pytest.warns(UserWarning, match="asr_bn: only 0 runs, the first conv, which is skipped: nothing is repaired"):
        assert repair(dense, pruned, IMAGES, "asr_bn")[1].empty
    assert len(repair(dense, pruned, IMAGES, "asr_bn", skip_first=False)[1]) == 8


def test_pruned_convs_that_never_run_are_named():
    dense = seeded(PartlyIdle)
    dense.aux = nn.Conv2d(3, 4, 1)
    pruned, _ = prune(dense, "uniform", sparsity=0.4)
    with pytest.warns(UserWarning, match="lw_bn: aux never run, so they keep their pruned weights"):
        repair(dense, pruned, IMAGES, "lw_bn")


def test_statistics_that_are_not_finite_are_named():
    dense = seeded(TinyVGG)
    pruned, _ = prune(dense, "uniform", sparsity=0.4)
    nn.init.constant_(pruned[1].weight, 3e38)
    with pytest.warns(UserWarning, match="raw_bn: statistics that are not finite in 3, 7; these channels do not count"):
        repair(dense, pruned, IMAGES, "raw_bn")


@pytest.mark.parametrize("order", ["simultaneous", "sequential"])
def test_a_conv_that_the_pruned_network_does_not_run_is_refused(order):
    dense, pruned = seeded(TinyVGG), seeded(PartlyIdle)
    pruned.used = 7
    with pytest.raises(ModelError, match="conv 7 runs in the dense network but not in the pruned one"):
        repair(dense, pruned, IMAGES, "lw_bn", order)


def test_a_channel_that_is_dead_until_its_inputs_are_repaired_is_scaled_by_lw():
    """Its weights get the layer's factor; channel-wise methods have no factor for it."""
    dense = seeded(TinyVGG)
    pruned, _ = prune(dense, "uniform", sparsity=0.4)
    with torch.no_grad():
        pruned[3].weight[2, 1:] = 0
        pruned[0].weight[0] = 0  # its only input
    found, table = repair(dense, pruned, IMAGES, "lw_bn", bias=False)
    rows = table.query("layer == '3'")
    assert not rows["alive"].iloc[2] and rows["gamma"].nunique() == 1 and rows["gamma"].iloc[0] != 1
    torch.testing.assert_close(found[3].weight[2], pruned[3].weight[2] * rows["gamma"].iloc[0])
    assert repair(dense, pruned, IMAGES, "raw_bn")[1].query("layer == '3'")["gamma"].iloc[2] == 1


@pytest.mark.parametrize("given", ["many", [[1.0, 2.0]], [None], {"a": 1}, [[1.0], [1.0, 2.0]]])
def test_what_are_no_variances_of_one_layer_are_refused(given):
    with pytest.raises(ModelError, match=r"variances (are a|have shape).*one number per channel"):
        repair_factors("raw_bn", given, given)


# --- equal weights ---


def conv_of(*values) -> nn.Module:
    model = nn.Sequential(nn.Conv2d(len(values), 1, 1, bias=False))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor(values).view(1, -1, 1, 1))
    return model


def ties(model, rule, **params):
    return prune(model, rule, noise(), **params)[1][["tied", "tied_cut"]].to_numpy().tolist()


@pytest.mark.parametrize("rule", ["global_l1", "uniform", "erk", "lamp"])
def test_weights_of_equal_magnitude_of_which_only_some_go_are_counted(rule):
    """1 goes by its size; of the three of magnitude 2, one goes."""
    assert ties(conv_of(3.0, 2.0, -2.0, 1.0, 2.0), rule, sparsity=0.4) == [[3, 1]]


@pytest.mark.parametrize("sparsity", [0.0, 0.2, 0.8])
def test_where_no_choice_was_made_nothing_is_tied(sparsity):
    assert ties(conv_of(3.0, 2.0, -2.0, 1.0, 2.0), "global_l1", sparsity=sparsity) == [[0, 0]]


def test_zeros_are_no_ties():
    assert ties(conv_of(0.0, 0.0, 0.0, 1.0, 2.0), "global_l1", sparsity=0.4) == [[0, 0]]


def test_global_pruning_counts_ties_over_all_layers():
    model = nn.Sequential(*conv_of(1.0, 2.0, 2.0), *conv_of(2.0))
    assert prune(model, "global_l1", sparsity=0.5)[1][["tied", "tied_cut"]].to_numpy().tolist() == [[2, 1], [1, 0]]


def test_n_m_counts_ties_group_by_group():
    """In 3 2 2 1 one of two goes; in 5 4 3 3 both go, which is no choice; in four of 2 two of four go."""
    model = conv_of(3.0, 2.0, -2.0, 1.0, 5.0, 4.0, 3.0, 3.0, 2.0, 2.0, 2.0, 2.0)
    assert prune(model, "n_m")[1][["tied", "tied_cut"]].to_numpy().tolist() == [[6, 3]]


def test_weights_rounded_to_half_precision_have_ties_and_exactly_the_count_still_goes():
    model = seeded(TinyVGG)
    for conv in (model[0], model[3], model[7]):
        conv.weight.data = (conv.weight.data * 8).round() / 8
    _, table = prune(model, "global_l1", sparsity=0.9)
    assert table["kept"].sum() == 2808 - round(0.9 * 2808)
    assert 0 < table["tied_cut"].sum() < table["tied"].sum()
