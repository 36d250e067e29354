"""An own network: MobileNetV1 of width 0.25 (Howard et al. 2017, table 1), named as the public checkpoint names it.

python -m asr_core run --architecture docs/examples/mobilenet_v1.py:quarter --weights mobilenetv1x025.pth.tar \
    --class-map imagenette --dataset folder:PATH --image-size 224 --normalization imagenet --sparsity 0.5
"""

from torch import Tensor, nn

# (output channels, stride) of each depthwise separable convolution, by stage
STAGES = (
    ((16, 1), (32, 2), (32, 1), (64, 2), (64, 1)),
    ((128, 2), (128, 1), (128, 1), (128, 1), (128, 1), (128, 1)),
    ((256, 2), (256, 1)),
)


class MobileNetV1(nn.Module):
    """(N, 3, H, W) -> (N, classes)."""

    def __init__(self, classes: int):
        super().__init__()
        stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        width, stages = 8, []
        for blocks in STAGES:
            made = []
            for channels, stride in blocks:
                made.append(separable(width, channels, stride))
                width = channels
            stages.append(nn.Sequential(*([] if stages else [stem]), *made))
        self.stage1, self.stage2, self.stage3 = stages
        self.fc = nn.Linear(width, classes)

    def forward(self, images: Tensor) -> Tensor:
        features = self.stage3(self.stage2(self.stage1(images)))
        return self.fc(features.mean((2, 3)))


def separable(width: int, channels: int, stride: int) -> nn.Sequential:
    """A depthwise 3x3 convolution and a pointwise one, each with BatchNorm and a rectifier."""
    return nn.Sequential(
        nn.Conv2d(width, width, 3, stride, 1, groups=width, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.Conv2d(width, channels, 1, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
    )


def quarter(classes: int = 1000) -> MobileNetV1:
    """MobileNetV1 of width 0.25: 470,000 parameters."""
    return MobileNetV1(classes)
