"""torchvision's classifiers that contain BatchNorm2d, and some of those that contain none."""

from asr_core.fields import choice
from asr_core.networks.sources import NetworkSource
from asr_core.registry import register

STEM = choice(
    "imagenet",
    "Stem",
    "imagenet: as torchvision. half: 3x3, stride 2, no max-pool. small: 3x3, stride 1, no max-pool. "
    "small-pool: small, with torchvision's max-pool.",
    ("imagenet", "half", "small", "small-pool"),
    words="{} stem",
)
SMALL = ("small", "small-pool")  # stems whose first conv has stride 1
HEAD = choice(
    "torchvision",
    "Head",
    "torchvision: as it comes. linear: one linear layer after global pooling.",
    ("torchvision", "linear"),
    words="{} head",
)

# A test compares this list with torchvision's own.
ARCHITECTURES = (
    "densenet121",
    "densenet161",
    "densenet169",
    "densenet201",
    "efficientnet_b0",
    "efficientnet_b1",
    "efficientnet_b2",
    "efficientnet_b3",
    "efficientnet_b4",
    "efficientnet_b5",
    "efficientnet_b6",
    "efficientnet_b7",
    "efficientnet_v2_l",
    "efficientnet_v2_m",
    "efficientnet_v2_s",
    "googlenet",
    "inception_v3",
    "maxvit_t",
    "mnasnet0_5",
    "mnasnet0_75",
    "mnasnet1_0",
    "mnasnet1_3",
    "mobilenet_v2",
    "mobilenet_v3_large",
    "mobilenet_v3_small",
    "regnet_x_16gf",
    "regnet_x_1_6gf",
    "regnet_x_32gf",
    "regnet_x_3_2gf",
    "regnet_x_400mf",
    "regnet_x_800mf",
    "regnet_x_8gf",
    "regnet_y_128gf",
    "regnet_y_16gf",
    "regnet_y_1_6gf",
    "regnet_y_32gf",
    "regnet_y_3_2gf",
    "regnet_y_400mf",
    "regnet_y_800mf",
    "regnet_y_8gf",
    "resnet101",
    "resnet152",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnext101_32x8d",
    "resnext101_64x4d",
    "resnext50_32x4d",
    "shufflenet_v2_x0_5",
    "shufflenet_v2_x1_0",
    "shufflenet_v2_x1_5",
    "shufflenet_v2_x2_0",
    "vgg11_bn",
    "vgg13_bn",
    "vgg16_bn",
    "vgg19_bn",
    "wide_resnet101_2",
    "wide_resnet50_2",
)


# Convs followed by nothing or by LayerNorm, and the linear layers of transformers.
WITHOUT_BATCHNORM = (
    "convnext_base",
    "convnext_large",
    "convnext_small",
    "convnext_tiny",
    "vgg11",
    "vgg13",
    "vgg16",
    "vgg19",
    "vit_b_16",
    "vit_b_32",
    "vit_h_14",
    "vit_l_16",
    "vit_l_32",
)


def patch_of(architecture: str) -> int:
    """Side in pixels of the patches that a ViT cuts images into: the number at the end of its name."""
    return int(architecture.rpartition("_")[2])


@register("network source")
class TorchvisionNetworks(NetworkSource):
    """Classifiers of torchvision by their names there."""

    name = "torchvision"
    label = "torchvision"
    parameters = {"stem": STEM, "head": HEAD}

    @classmethod
    def names(cls):
        return ARCHITECTURES + WITHOUT_BATCHNORM

    @classmethod
    def batchnorm(cls, architecture):
        return architecture not in WITHOUT_BATCHNORM

    @classmethod
    def build(cls, architecture, params, classes, image_size):
        from asr_core.networks.surgery import torchvision_network

        vit = architecture.startswith("vit_")
        if vit and (params["stem"] != "imagenet" or image_size % patch_of(architecture)):
            raise ValueError("its patches are its stem, and must tile the image")
        return torchvision_network(architecture, params, classes, image_size)

    @classmethod
    def remedy(cls, architecture, params):
        if architecture == "maxvit_t":
            return "a multiple of 112" if params["stem"] in SMALL else "a multiple of 224"
        if architecture.startswith("vit_"):
            return f"stem 'imagenet' and a multiple of {patch_of(architecture)}"
        return "a larger image size" if params["stem"] in SMALL else "a larger image size or stem 'small'"
