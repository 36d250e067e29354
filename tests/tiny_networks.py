"""Networks small enough for a test, one per family: made for 3x8x8 images and 5 classes, in eval mode."""

import copy

import torch
from torch import nn

CLASSES = 5


class TinyResNet(nn.Module):
    """Convs without bias; a residual block with a 1x1 downsample conv."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.conv2, self.bn2 = nn.Conv2d(8, 12, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(12)
        self.conv3, self.bn3 = nn.Conv2d(12, 12, 3, padding=1, bias=False), nn.BatchNorm2d(12)
        self.down, self.down_bn = nn.Conv2d(8, 12, 1, stride=2, bias=False), nn.BatchNorm2d(12)
        self.fc = nn.Linear(12, CLASSES)

    def forward(self, x):
        x = self.bn1(self.conv1(x)).relu()
        y = self.bn3(self.conv3(self.bn2(self.conv2(x)).relu()))
        x = (y + self.down_bn(self.down(x))).relu()
        return self.fc(x.mean((2, 3)))


class TinyVGG(nn.Sequential):
    """Convs with a bias, and a pool."""

    def __init__(self):
        super().__init__(
            *(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace=True)),
            *(nn.Conv2d(8, 12, 3, padding=1), nn.BatchNorm2d(12), nn.ReLU(inplace=True), nn.MaxPool2d(2)),
            *(nn.Conv2d(12, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(inplace=True)),
            *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, CLASSES)),
        )


class TinyDenseNet(nn.Module):
    """BatchNorm before each conv, and concatenation: each conv feeds several BatchNorms."""

    def __init__(self):
        super().__init__()
        self.conv0, self.bn0 = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.conv1, self.bn1 = nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(16)
        self.conv2, self.bn2 = nn.Conv2d(16, 8, 1, bias=False), nn.BatchNorm2d(24)
        self.fc = nn.Linear(24, CLASSES)

    def forward(self, x):
        x = self.conv0(x)
        x = torch.cat([x, self.conv1(self.bn0(x).relu())], 1)
        x = torch.cat([x, self.conv2(self.bn1(x).relu())], 1)
        return self.fc(self.bn2(x).relu().mean((2, 3)))


class PreActivation(nn.Module):
    """A BatchNorm after an addition: it cannot absorb a scale of one of the addends."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.conv2, self.bn2 = nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.fc = nn.Linear(8, CLASSES)

    def forward(self, x):
        x = self.conv1(x)
        x = x + self.conv2(self.bn1(x).relu())
        return self.fc(self.bn2(x).relu().mean((2, 3)))


class Twice(nn.Module):
    """Calls one conv twice, and registers its convs in another order than it runs them."""

    def __init__(self):
        super().__init__()
        self.last, self.bn_last = nn.Conv2d(8, 8, 1, bias=False), nn.BatchNorm2d(8)
        self.shared, self.bn_shared = nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.fc = nn.Linear(8, CLASSES)

    def forward(self, x):
        x = self.first(x)
        x = self.shared(self.bn_shared(self.shared(x)).relu())
        return self.fc(self.bn_last(self.last(x)).relu().mean((2, 3)))


FAMILIES = {"resnet": TinyResNet, "vgg": TinyVGG, "densenet": TinyDenseNet}


def seeded(cls=TinyResNet, seed: int = 0) -> nn.Module:
    """A network with seeded weights and BatchNorm layers that are far from the identity."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = cls().eval()
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.normal_(module.bias, 0, 0.3)
                nn.init.normal_(module.running_mean, 0, 0.3)
                nn.init.uniform_(module.running_var, 0.3, 1.5)
    return model


def noise(count: int = 16, seed: int = 0, size: int = 8) -> torch.Tensor:
    """Seeded random images (count, 3, size, size)."""
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(seed))


def convs(model: nn.Module) -> dict[str, nn.Conv2d]:
    return {name: module for name, module in model.named_modules() if isinstance(module, nn.Conv2d)}


def zeros(model: nn.Module) -> dict[str, torch.Tensor]:
    """Where each conv's weights are exactly zero."""
    return {name: conv.weight == 0 for name, conv in convs(model).items()}


def outputs(model: nn.Module, images: torch.Tensor) -> dict[str, torch.Tensor]:
    """Each conv's output (its last call), kept whole: the slow and certain way."""
    found, model = {}, copy.deepcopy(model).eval()
    for name, conv in convs(model).items():
        conv.register_forward_hook(lambda _, __, output, name=name: found.update({name: output.detach().clone()}))
    with torch.no_grad():
        model(images)
    return found


def fingerprint(model: nn.Module) -> dict:
    """Everything about a network that an innocent function leaves as it was, bit for bit."""
    tensors = {name: tensor.detach().numpy().tobytes() for name, tensor in model.state_dict().items()}
    modules = {
        name: (m.training, getattr(m, "momentum", None), len(m._forward_hooks), len(m._forward_pre_hooks))
        for name, m in model.named_modules()
    }
    gradients = {name: (p.requires_grad, p.grad) for name, p in model.named_parameters()}
    return {"tensors": tensors, "modules": modules, "gradients": gradients, "mode": model.training}


def convnext() -> nn.Module:
    """Two stages of torchvision's ConvNeXt: depthwise convs, LayerNorm, and linear layers on (N, H, W, C)."""
    from torchvision.models.convnext import CNBlockConfig, ConvNeXt

    blocks = [CNBlockConfig(8, 12, 1), CNBlockConfig(12, None, 1)]
    return ConvNeXt(blocks, stochastic_depth_prob=0.0, num_classes=CLASSES)


def vit() -> nn.Module:
    """Two blocks of torchvision's ViT: linear layers on (N, tokens, C), and attentions."""
    from torchvision.models.vision_transformer import VisionTransformer

    return VisionTransformer(8, 4, num_layers=2, num_heads=2, hidden_dim=8, mlp_dim=16, num_classes=CLASSES)


def vgg_without_batchnorm() -> nn.Module:
    """Convs with a bias, followed by nothing but ReLU."""
    return nn.Sequential(
        *(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 12, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(12, 12, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, CLASSES)),
    )


WITHOUT_BATCHNORM = {"convnext": convnext, "vit": vit, "vgg": vgg_without_batchnorm}
