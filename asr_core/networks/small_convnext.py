"""A small ConvNeXt (Liu et al. 2022, arXiv 2201.03545) for 32x32 images: LayerNorm in place of BatchNorm. Imports
nothing of this library."""

import torch
from torch import nn
from torch.nn import functional as F

WIDTHS = (64, 128)  # channels of the stages; each but the first begins with half the side of the one before
PATCH, BLOCKS = 4, 2  # side in pixels of what becomes one position; blocks of each stage
KERNEL, WIDER = 5, 4  # side of the depthwise convs; how many times wider the inside of a block is


class Block(nn.Module):
    """x + contract(gelu(expand(norm(conv(x))))): a depthwise conv, then two linear layers on each pixel.

    x: (N, width, H, W), and so is the result.
    """

    def __init__(self, width: int):
        super().__init__()
        self.conv = nn.Conv2d(width, width, KERNEL, padding=KERNEL // 2, groups=width)
        self.norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, WIDER * width)
        self.contract = nn.Linear(WIDER * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm(self.conv(x).permute(0, 2, 3, 1))
        return x + self.contract(F.gelu(self.expand(y))).permute(0, 3, 1, 2)


class Half(nn.Module):
    """A LayerNorm over the channels of each pixel, and a 2x2 conv of stride 2."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.norm = nn.LayerNorm(inputs)
        self.conv = nn.Conv2d(inputs, outputs, 2, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2))


class SmallConvNeXt(nn.Module):
    """A 4x4 conv of stride 4, two stages of blocks, the mean over all pixels, a LayerNorm, one linear layer.

    Takes (N, 3, H, W), returns logits (N, classes). Without layer scale and stochastic depth, which deep ones need.

    >>> sum(p.numel() for p in SmallConvNeXt(10).parameters())
    378058
    """

    def __init__(self, classes: int):
        super().__init__()
        self.stem = nn.Conv2d(3, WIDTHS[0], PATCH, PATCH)
        self.stages = nn.Sequential(*(_stage(WIDTHS[max(i - 1, 0)], width) for i, width in enumerate(WIDTHS)))
        self.norm = nn.LayerNorm(WIDTHS[-1])
        self.head = nn.Linear(WIDTHS[-1], classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.norm(self.stages(self.stem(x)).mean((2, 3))))


def _stage(inputs: int, width: int) -> nn.Sequential:
    half = [Half(inputs, width)] if inputs != width else []
    return nn.Sequential(*half, *(Block(width) for _ in range(BLOCKS)))
