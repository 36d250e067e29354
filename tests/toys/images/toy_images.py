"""Images made up on the spot."""

import numpy as np

from asr_core.images.sources import ImageSource
from asr_core.images.splits import Opened, Split
from asr_core.registry import register


@register("image source")
class Toy(ImageSource):
    """96 training and 48 test images of three shades of grey."""

    name, label, classes, sizes = "toy_images", "toy shades", 3, (96, 48)

    @classmethod
    def open(cls, data, store, directory):
        from PIL import Image

        def part(count):
            labels, shade = np.arange(count) % 3, [40, 120, 220]
            return Split(labels, [f"toy[{i}]" for i in labels], lambda i: Image.new("RGB", (8, 8), (shade[i % 3],) * 3))

        return Opened(("dark", "grey", "bright"), *map(part, cls.sizes))
