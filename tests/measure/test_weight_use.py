"""Networks whose convs do not simply hold their weights: refused in one line, or got right, never wrong without a
word."""

import copy

import numpy as np
import pandas as pd
import pytest
import torch
from tiny_networks import CLASSES, TinyVGG, Twice, noise, seeded
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, parametrize
from torch.nn.utils import prune as torch_prune

from asr_core import activation_maps, channel_stats, evaluate, prune, recalibrate, repair, repairability
from asr_core.errors import ModelError
from asr_core.measure import guards
from asr_core.spec.repairs import ORDERS

IMAGES, LABELS = noise(), np.arange(16) % CLASSES


def one_line(error) -> bool:
    return "\n" not in str(error.value)


def changed_by(change, layer: int = 3) -> nn.Module:
    """A tiny network one of whose convs went through `change`."""
    model = seeded(TinyVGG)
    change(model[layer])
    return model


def prune_it(model):
    return prune(model, "global_l1", sparsity=0.9)


def repair_it(model):
    return repair(seeded(TinyVGG), model, IMAGES, "raw_bn")


def measure_it(model):
    return repairability(model, IMAGES, (0.5,))


WRITERS = {"prune": prune_it, "repair": repair_it, "repairability": measure_it}


@pytest.fixture(params=WRITERS)
def writer(request):
    """A function that puts other numbers into weights."""
    return WRITERS[request.param]


class Halved(nn.Module):
    def forward(self, weight):
        return weight / 2


COMPUTED = {
    "masks": (
        lambda m: torch_prune.l1_unstructured(m, "weight", 0.3),
        r"torch.nn.utils.prune.remove\(layer, 'weight'\)",
    ),
    "random masks": (lambda m: torch_prune.random_unstructured(m, "weight", 0.3), "torch.nn.utils.prune.remove"),
    "old weight_norm": (nn.utils.weight_norm, "torch.nn.utils.remove_weight_norm"),
    "weight_norm": (parametrizations.weight_norm, r"parametrize.remove_parametrizations\(layer, 'weight'\)"),
    "old spectral_norm": (nn.utils.spectral_norm, "torch.nn.utils.remove_spectral_norm"),
    "spectral_norm": (parametrizations.spectral_norm, "parametrize.remove_parametrizations"),
    "orthogonal": (parametrizations.orthogonal, "parametrize.remove_parametrizations"),
    "a parametrisation": (
        lambda m: parametrize.register_parametrization(m, "weight", Halved()),
        "parametrize.remove_parametrizations",
    ),
}


@pytest.mark.filterwarnings("ignore:.*is deprecated:FutureWarning")
@pytest.mark.parametrize("kind", COMPUTED)
def test_a_computed_weight_is_refused_with_the_call_that_makes_it_permanent(writer, kind):
    change, remedy = COMPUTED[kind]
    model = changed_by(change)
    model.register_forward_hook(lambda *_: pytest.fail("ran"))
    with pytest.raises(ModelError, match=f"the weight of 3 is computed at each pass.*{remedy}") as error:
        writer(model)
    assert one_line(error)


@pytest.mark.filterwarnings("ignore:.*is deprecated:FutureWarning")
@pytest.mark.parametrize("kind", COMPUTED)
def test_what_only_watches_takes_computed_weights(kind):
    """Also after a pass with gradients, after which torch cannot copy some of them."""
    model = changed_by(COMPUTED[kind][0])
    model(IMAGES)
    with torch.no_grad():
        expected = model(IMAGES).argmax(1)
    assert evaluate(model, IMAGES, LABELS).predictions.tolist() == expected.tolist()
    assert len(channel_stats(model, IMAGES)) == 36
    assert activation_maps(model, IMAGES, "3").shape[0] == 16
    assert recalibrate(model, IMAGES.split(8), (2,), averaging="cumulative")[2](IMAGES).isfinite().all()


def test_a_weight_made_permanent_is_pruned():
    model = changed_by(lambda m: torch_prune.remove(torch_prune.l1_unstructured(m, "weight", 0.3), "weight"))
    pruned, table = prune_it(model)
    assert sum(int((pruned[i].weight != 0).sum()) for i in (0, 3, 7)) == table["kept"].sum()


def test_a_computed_bias_is_refused_by_repair_which_replaces_it_and_taken_by_prune():
    model = changed_by(lambda m: torch_prune.l1_unstructured(m, "bias", 0.3))
    with pytest.raises(ModelError, match=r"the bias of 3 is computed.*prune.remove\(layer, 'bias'\)"):
        repair_it(model)
    assert prune_it(copy.deepcopy(seeded(TinyVGG)))[1]["kept"].sum() == 281


def test_a_computed_weight_of_a_linear_layer_matters_only_where_linear_layers_are_pruned():
    model = changed_by(parametrizations.weight_norm, -1)
    prune_it(model)
    with pytest.raises(ModelError, match="the weight of 12 is computed"):
        prune(model, "global_l1", sparsity=0.9, include_linear=True)
    with pytest.raises(ModelError, match="the weight of 12 is computed"):
        repairability(model, IMAGES, (0.5,), include_linear=True)


# --- weights that several layers share ---


def tied() -> nn.Module:
    """Two convs with one weight."""
    model = nn.Sequential(*(nn.Conv2d(3, 3, 3, padding=1, bias=False) for _ in range(3))).eval()
    model[2].weight = model[1].weight
    return model


def test_convs_that_share_a_weight_are_refused_by_name(writer):
    with pytest.raises(ModelError, match=r"1.weight and 2.weight are one tensor, .*a copy of its own") as error:
        repair(tied(), tied(), IMAGES, "raw_bn") if writer is repair_it else writer(tied())
    assert one_line(error)


def test_a_conv_weight_that_another_module_holds_is_refused_too():
    class Codes(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.codes = nn.Conv2d(3, 4, 1), nn.Module()
            self.codes.table = self.conv.weight

        def forward(self, x):
            return self.conv(x) * self.codes.table.sum()

    with pytest.raises(ModelError, match=r"conv.weight and codes.table are one tensor"):
        prune(Codes(), "n_m")


def test_linear_layers_that_share_a_weight_matter_only_where_they_are_pruned():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 4), nn.Linear(4, 4))
    model[4].weight = model[3].weight
    assert len(prune_it(model)[1]) == 1
    with pytest.raises(ModelError, match=r"3.weight and 4.weight are one tensor"):
        prune(model, "global_l1", sparsity=0.5, include_linear=True)


def test_shared_weights_are_watched_all_the_same():
    assert len(channel_stats(tied(), IMAGES)) == 9


# --- convs that run twice ---


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("method", ["lw_bn", "raw_bn"])
def test_a_conv_that_runs_twice_keeps_factor_1_where_nothing_was_pruned(method, order):
    dense = seeded(Twice)
    pruned, _ = prune(dense, "global_l1", sparsity=0.0)
    gamma = repair(dense, pruned, IMAGES, method, order)[1]["gamma"]
    np.testing.assert_allclose(gamma, 1, atol=1e-3)


def test_a_conv_that_runs_twice_is_repaired_from_all_its_runs():
    """In sequential order its factor is that of the variance over both runs in the network repaired so far."""
    dense = seeded(Twice).double()
    pruned, _ = prune(dense, "uniform", sparsity=0.5)
    images = IMAGES.double()
    table = repair(dense, pruned, images, "lw_bn", "sequential", eps=0)[1]
    mean = [channel_stats(m, images).groupby("layer")["variance"].mean()["shared"] for m in (dense, pruned)]
    assert table.query("layer == 'shared'")["gamma"].iloc[0] == pytest.approx((mean[0] / mean[1]) ** 0.5, rel=1e-9)


def test_a_conv_module_that_stands_in_two_places_is_pruned_and_counted_once():
    conv = nn.Conv2d(3, 3, 3, padding=1)
    model = nn.Sequential(conv, nn.ReLU(), conv).eval()
    pruned, table = prune(model, "global_l1", sparsity=0.5)
    assert table["layer"].tolist() == ["0"]
    assert int((pruned[2].weight == 0).sum()) == 81 - table["kept"].item()


# --- layers with a forward of their own ---


class Standardised(nn.Conv2d):
    """As in BiT and NFNet: the weight is standardised at each pass."""

    def forward(self, x):
        w = self.weight
        w = (w - w.mean((1, 2, 3), keepdim=True)) / (w.std((1, 2, 3), keepdim=True) + 1e-5)
        return F.conv2d(x, w, self.bias, self.stride, self.padding, self.dilation, self.groups)


class Centred(nn.Conv2d):
    """Linear in its weight, but zeros in it are no zeros in what it computes."""

    def _conv_forward(self, x, weight, bias):
        return super()._conv_forward(x, weight - weight.mean(), bias)


class Activated(nn.Conv2d):
    def forward(self, x):
        return super().forward(x).relu()


class Adapted(nn.Conv2d):
    """A second conv beside the first, as low-rank adapters have."""

    def forward(self, x):
        return super().forward(x) + F.conv2d(x, self.weight.flip(0), padding=self.padding)


class Quantised(nn.Conv2d):
    def forward(self, x):
        return self._conv_forward(x, (self.weight * 16).round() / 16, self.bias)


class Same(nn.Conv2d):
    """Pads in its forward, as all networks converted from TensorFlow do."""

    def forward(self, x):
        return F.conv2d(F.pad(x, (1, 1, 1, 1)), self.weight, self.bias, self.stride)


def with_conv(kind, **options) -> nn.Module:
    """TinyVGG with its second conv of another kind, weights kept."""
    model = seeded(TinyVGG)
    conv = kind(8, 12, 3, **options)
    conv.load_state_dict(model[3].state_dict())
    model[3] = conv
    return model.eval()


@pytest.mark.parametrize("kind", [Standardised, Centred, Activated, Adapted, Quantised])
def test_a_conv_that_does_more_than_apply_its_weight_is_refused(writer, kind):
    with pytest.raises(
        ModelError, match=f"3 is a {kind.__name__} whose forward does more than apply its weight"
    ) as error:
        writer(with_conv(kind, padding=1))
    assert one_line(error)


def test_a_forward_put_over_one_conv_alone_is_noticed(writer):
    model = seeded(TinyVGG)
    model[3].forward = lambda x: F.conv2d(x, model[3].weight * 2, padding=1)
    with pytest.raises(ModelError, match="3 is a Conv2d whose forward does more than apply its weight"):
        writer(model)


def test_a_conv_that_pads_by_itself_is_measured_pruned_and_repaired_like_a_plain_one():
    plain, same = seeded(TinyVGG), with_conv(Same)
    pd.testing.assert_frame_equal(repairability(same, IMAGES, (0.5,))[0], repairability(plain, IMAGES, (0.5,))[0])
    found, expected = (prune(model, "rr", IMAGES, sparsity=0.5) for model in (same, plain))
    pd.testing.assert_frame_equal(found[1], expected[1])
    tables = [repair(a, b[0], IMAGES, "asr_bn", "sequential")[1] for a, b in ((same, found), (plain, expected))]
    pd.testing.assert_frame_equal(*tables)


def test_layers_with_a_forward_of_their_own_are_watched_all_the_same():
    model = with_conv(Standardised, padding=1)
    assert len(channel_stats(model, IMAGES)) == 36
    assert len(recalibrate(model, IMAGES.split(8), (2,), averaging="cumulative")) == 1


def test_an_outline_without_data_can_be_checked_for_the_same():
    with torch.device("meta"):
        fine, wrong = Same(8, 12, 3), Standardised(8, 12, 3)
    guards.own_weights(nn.Sequential(fine), finite=False)
    with pytest.raises(ModelError, match="0 is a Standardised"):
        guards.own_weights(nn.Sequential(wrong), finite=False)


@pytest.mark.parametrize("options", [{"groups": 4}, {"dilation": 3}, {"stride": 2}, {"padding_mode": "reflect"}])
def test_plain_convs_under_another_name_pass_in_every_layout(options):
    class Named(nn.Conv2d):
        def forward(self, x):
            return super().forward(x)

    guards.own_weights(nn.Sequential(Named(8, 8, 3, padding=1, **options), nn.Conv2d(8, 8, (1, 5))))


def over_a_lambda(model):
    model.forward = lambda x: model[0](x)


def over_the_old_forward(model):
    old = model.forward
    model.forward = lambda x: old(x) * 2


def over_a_default(model):
    def forward(x, inner=model[0]):
        return inner(x)

    model[0].forward, model.forward = nn.Conv2d.forward.__get__(model[0]), forward


@pytest.mark.parametrize("put", [over_a_lambda, over_the_old_forward, over_a_default])
def test_a_forward_put_over_the_network_whose_copy_would_run_the_original_is_refused(put):
    model = seeded(TinyVGG)
    put(model)
    calls = (
        lambda: prune(model, "n_m"),
        lambda: repair(seeded(TinyVGG), model, IMAGES, "bn_only"),
        lambda: recalibrate(model, IMAGES.split(8), (0,)),
    )
    for call in calls:
        with pytest.raises(ModelError, match="the forward of the network calls the network's own layers"):
            call()
    assert len(channel_stats(model, IMAGES)) >= 8


def test_a_forward_put_over_the_network_that_is_copied_with_it_is_taken():
    def doubled(self, x):
        return TinyVGG.forward(self, x) * 2

    model = seeded(TinyVGG)
    model.forward = doubled.__get__(model)
    pruned, _ = prune(model, "global_l1", sparsity=0.9)
    assert not torch.equal(pruned(IMAGES), model(IMAGES))


# --- compiled, wrapped, and what is no network of numbers ---


def compiled():
    return torch.compile(seeded(TinyVGG), backend="eager")


def compiled_in_place():
    model = seeded(TinyVGG)
    model.compile(backend="eager")
    return model


WRAPPED = {"compile": compiled, "in place": compiled_in_place, "DataParallel": lambda: nn.DataParallel(seeded(TinyVGG))}


@pytest.mark.parametrize("wrapped", WRAPPED)
def test_a_wrapped_network_gives_what_the_network_within_gives(wrapped):
    model, plain = WRAPPED[wrapped](), seeded(TinyVGG)
    pd.testing.assert_frame_equal(channel_stats(model, IMAGES), channel_stats(plain, IMAGES))
    (pruned, table), (expected, wanted) = prune_it(model), prune_it(plain)
    pd.testing.assert_frame_equal(table, wanted)
    assert type(pruned) is TinyVGG and torch.equal(pruned(IMAGES), expected(IMAGES))
    found = repair(model, pruned, IMAGES, "raw_bn", "sequential")[1]
    pd.testing.assert_frame_equal(found, repair(plain, expected, IMAGES, "raw_bn", "sequential")[1])
    again = recalibrate(model, IMAGES.split(8), (2,), averaging="cumulative")[2]
    assert torch.equal(again(IMAGES), recalibrate(plain, IMAGES.split(8), (2,), averaging="cumulative")[2](IMAGES))
    assert evaluate(model, IMAGES, LABELS).top1 == evaluate(plain, IMAGES, LABELS).top1


def test_a_network_compiled_in_place_stays_compiled():
    model = compiled_in_place()
    prune_it(model)
    channel_stats(model.train(), IMAGES)
    assert model._compiled_call_impl is not None and model.training


def test_a_part_that_was_compiled_on_its_own_is_refused_by_name():
    model = nn.Sequential(nn.Conv2d(3, 3, 1), torch.compile(seeded(TinyVGG), backend="eager"))
    for call in (prune_it, lambda m: channel_stats(m, IMAGES), lambda m: recalibrate(m, [IMAGES], (1,))):
        with pytest.raises(ModelError, match=r"1 was compiled on its own.*compile afterwards"):
            call(model)


@pytest.mark.filterwarnings("ignore:.*is deprecated:FutureWarning")
def test_torchscript_is_refused():
    model = torch.jit.trace(seeded(TinyVGG), IMAGES)
    with pytest.raises(ModelError, match=r"is TorchScript.*give the Python network"):
        prune_it(model)


@pytest.mark.parametrize("given", [None, "resnet18", {"state": 1}, seeded(TinyVGG).state_dict()])
def test_what_is_no_network_is_refused(given):
    for call in (prune_it, lambda m: channel_stats(m, IMAGES), lambda m: evaluate(m, IMAGES, LABELS)):
        with pytest.raises(ModelError, match=r"the network is a \w+; give a torch.nn.Module"):
            call(given)


def test_a_network_without_data_or_shape_is_refused(writer):
    with pytest.raises(ModelError, match=r"0.weight is on the meta device and holds no numbers"):
        writer(seeded(TinyVGG).to("meta"))
    with pytest.raises(ModelError, match=r"0.weight has no shape yet; run the network once"):
        writer(nn.Sequential(nn.LazyConv2d(3, 3)))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused_and_counted(writer, value):
    model = seeded(TinyVGG)
    with torch.no_grad():
        model[3].weight[0, 0, 0] = value
    with pytest.raises(ModelError, match="3 of 864 weights of 3 are NaN or infinite") as error:
        writer(model)
    assert one_line(error)


def test_complex_weights_are_refused():
    with pytest.raises(ModelError, match="the weights of 0 are complex64"):
        prune_it(nn.Sequential(nn.Conv2d(3, 3, 1, dtype=torch.complex64)))


@pytest.mark.parametrize(("scale", "harm"), [(3e4, 100.0), (1e-7, 1e-3)])
def test_factors_that_half_precision_cannot_hold_are_refused(scale, harm):
    """Weights that became infinite, or zero outside the mask, would be another network."""
    dense = nn.Sequential(nn.Conv2d(3, 3, 1, bias=False), nn.Conv2d(3, 3, 1, bias=False)).half().eval()
    nn.init.constant_(dense[0].weight, 1e-2)
    nn.init.constant_(dense[1].weight, scale)
    pruned = copy.deepcopy(dense)
    with torch.no_grad():
        pruned[0].weight.mul_(1 / harm)
    with pytest.raises(ModelError, match=r"float16 cannot hold the weights of 1 times factors.*network.float\(\)"):
        repair(dense, pruned, IMAGES / 10, "raw_bn", bias=False, eps=0, floor=1e-30)
