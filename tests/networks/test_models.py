"""Networks by name: what builds, what is refused, stems, heads, and where convs and BatchNorms are."""

import time

import pytest
import torch
import torchvision
from torch import nn
from torchvision.models.regnet import BlockParams

from asr_core.errors import ModelError
from asr_core.networks import models, named, surgery
from asr_core.networks.sources import cifar, small_convnext
from asr_core.networks.sources import torchvision as sources
from asr_core.spec.model import ModelSpec, architectures


def network(architecture="resnet18", size=32, classes=10, **options) -> nn.Module:
    return models.build(ModelSpec.of(architecture, **options), classes, size)


def run(model: nn.Module, size: int) -> torch.Tensor:
    with torch.no_grad():
        return model(torch.randn(2, 3, size, size))


def first_conv(model: nn.Module) -> nn.Conv2d:
    return next(iter(models.conv_layers(model).values()))


def max_pools(model: nn.Module) -> int:
    return sum(isinstance(module, nn.MaxPool2d) for module in model.modules())


def test_the_list_of_architectures_is_torchvisions_own_list_of_classifiers_with_batchnorm(monkeypatch):
    on_meta = BlockParams.from_init_params

    def on_cpu(*args, **kwargs):  # RegNet reads numbers from tensors while it is built
        with torch.device("cpu"):
            return on_meta(*args, **kwargs)

    monkeypatch.setattr(BlockParams, "from_init_params", on_cpu)
    found = set()
    for name in torchvision.models.list_models(module=torchvision.models):
        with torch.device("meta"):
            model = torchvision.models.get_model(name, weights=None, **surgery._ARGUMENTS.get(name, {}))
        if any(isinstance(module, nn.BatchNorm2d) for module in model.modules()):
            found.add(name)
    assert found == set(sources.ARCHITECTURES)
    own = {*named.listed()}  # networks of somebody's own, which other tests may have brought
    here = {*cifar.CifarResNets.names(), *small_convnext.SmallConvNeXts.names()}
    assert here == {*architectures()} - found - {*sources.WITHOUT_BATCHNORM} - own


@pytest.mark.parametrize("architecture", ["resnet34", "mobilenet_v2", "mobilenet_v3_small", "densenet121", "googlenet"])
def test_a_network_runs_on_small_images_and_returns_one_logit_a_class(architecture):
    model = network(architecture, 32, classes=7)
    assert run(model, 32).shape == (2, 7)
    assert not any(module.training for module in model.modules())


@pytest.mark.parametrize(("architecture", "size"), [("inception_v3", 96), ("maxvit_t", 224)])
def test_the_networks_that_need_arguments_of_their_own_build_without_a_warning(architecture, size):
    assert models.conv_layers(network(architecture, size))


def test_the_same_seed_gives_the_same_weights_and_another_seed_others():
    def state(seed):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return network("resnet18", stem="half").state_dict()

    one, same, other = state(3), state(3), state(4)
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["conv1.weight"], other["conv1.weight"])


def test_the_check_of_the_image_size_is_cheap_and_disturbs_nothing():
    model, spec = network(), ModelSpec()
    before, state = torch.random.get_rng_state(), {k: v.clone() for k, v in model.state_dict().items()}
    start = time.process_time()
    models._check_size(model, spec, 10, 32)
    assert time.process_time() - start < 0.5  # measured: 0.02 s
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(torch.equal(state[name], value) for name, value in model.state_dict().items())


@pytest.mark.parametrize(
    ("architecture", "size", "stem"), [("vgg16_bn", 16, "imagenet"), ("inception_v3", 32, "imagenet")]
)
def test_a_network_that_cannot_run_at_a_size_is_refused_with_size_name_stem_and_remedy(architecture, size, stem):
    with pytest.raises(
        ModelError, match=f"{architecture} with stem '{stem}', head 'linear' cannot run on {size}x{size}.*larger"
    ):
        network(architecture, size, stem=stem, head="linear")


def test_maxvit_names_the_sizes_it_takes():
    with pytest.raises(ModelError, match=r"maxvit_t .*32x32.*multiple of 224"):
        network("maxvit_t", 32)


@pytest.mark.parametrize(("stem", "side"), [("imagenet", 8), ("half", 16), ("small", 32), ("small-pool", 16)])
def test_a_resnet_stem_keeps_as_much_of_a_32_pixel_image_as_its_name_says(stem, side):
    model = network(stem=stem)
    sides = []
    model.layer1.register_forward_pre_hook(lambda _, inputs: sides.append(inputs[0].shape[-1]))
    run(model, 32)
    assert sides == [side]
    assert first_conv(model).kernel_size == ((7, 7) if stem == "imagenet" else (3, 3))


@pytest.mark.parametrize("architecture", ["densenet121", "shufflenet_v2_x0_5", "googlenet"])
def test_the_max_pool_of_a_strided_stem_goes_wherever_it_lies(architecture):
    plain, small = network(architecture), network(architecture, stem="small")
    assert max_pools(small) == max_pools(plain) - 1
    old, new = first_conv(plain), first_conv(small)
    assert (new.out_channels, new.bias is None) == (old.out_channels, old.bias is None)
    assert (new.kernel_size, new.stride, new.padding) == ((3, 3), (1, 1), (1, 1))


def test_the_small_stem_that_keeps_its_max_pool_is_torchvisions_network_with_another_first_conv():
    """As published CIFAR-10 ResNets have it: with their weights the outputs are theirs, with no other stem."""
    theirs = torchvision.models.resnet18(num_classes=10)
    theirs.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
    theirs.eval()
    images, off = torch.randn(4, 3, 32, 32), {}
    for stem in ("half", "small", "small-pool"):
        ours = network(stem=stem)
        ours.load_state_dict(theirs.state_dict())
        with torch.no_grad():
            off[stem] = float((ours(images) - theirs(images)).abs().max())
    assert off["small-pool"] < 1e-4
    assert min(off["half"], off["small"]) > 0.1


def test_a_small_stem_keeps_the_max_pool_wherever_it_lies_and_is_the_small_one_without():
    for architecture in ("shufflenet_v2_x0_5", "mobilenet_v3_small"):
        plain, kept = network(architecture), network(architecture, stem="small-pool")
        assert max_pools(kept) == max_pools(plain)
        assert first_conv(kept).stride == (1, 1)


def test_vggs_max_pools_are_stages_and_stay():
    assert max_pools(network("vgg11_bn", stem="small", head="linear")) == 5


def test_a_linear_head_is_one_layer_after_global_pooling():
    vgg, mobile = network("vgg11_bn", head="linear"), network("mobilenet_v3_small", head="linear")
    for model, features in ((vgg, 512), (mobile, 576)):
        (head,) = [module for module in model.modules() if isinstance(module, nn.Linear)][-1:]
        assert (head.in_features, head.out_features) == (features, 10)
        assert run(model, 32).shape == (2, 10)
    assert sum(p.numel() for p in vgg.parameters()) < 10e6


def test_a_linear_head_changes_nothing_where_there_is_one_already():
    shapes = [{k: v.shape for k, v in network(head=head).state_dict().items()} for head in ("torchvision", "linear")]
    assert shapes[0] == shapes[1]


def test_weights_lie_in_channels_last():
    assert network().layer1[0].conv1.weight.is_contiguous(memory_format=torch.channels_last)


def test_convs_and_batchnorms_are_listed_by_name():
    model = network()
    assert list(models.conv_layers(model))[:2] == ["conv1", "layer1.0.conv1"]
    assert len(models.conv_layers(model)) == len(models.batchnorms(model)) == 20


def test_a_batchnorm_without_running_statistics_does_not_count():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4, track_running_stats=False))
    assert models.batchnorms(model) == {}
    with pytest.raises(ModelError, match="no BatchNorm layer that keeps running statistics"):
        models.check_network(model)
    models.check_network(model, batchnorm=False)


def test_a_network_without_convs_is_refused():
    with pytest.raises(ModelError, match="Sequential has no Conv2d layer"):
        models.check_network(nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3)))
