"""scikit-learn's digits: bundled, no download."""

from asr_core.images.sources import ImageSource
from asr_core.images.splits import Opened, Split
from asr_core.registry import register

TEST = 360  # of 1,797


@register("image source")
class Digits(ImageSource):
    """1,437 training and 360 test scans of 8x8 pixels; a stratified split that no seed moves."""

    name = "digits"
    label = "scikit-learn digits"
    classes = 10
    class_names = tuple("0123456789")
    sizes = (1437, TEST)

    @classmethod
    def open(cls, data, store, directory):
        import numpy as np
        from PIL import Image
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split

        digits = load_digits()
        scans = np.rint(digits.images * (255 / 16)).astype(np.uint8)
        split = train_test_split(np.arange(len(scans)), test_size=TEST, random_state=0, stratify=digits.target)

        def part(indices):
            names = [f"digits[{i}]" for i in indices]
            return Split(digits.target[indices].astype(np.int64), names, lambda i: Image.fromarray(scans[indices[i]]))

        return Opened(tuple(str(name) for name in digits.target_names), *(part(np.sort(indices)) for indices in split))
