"""CIFAR-10 whatever it comes in: torchvision's archive, or a folder of the same pixels."""

from asr_core.images import folders
from asr_core.images.sources import ImageSource
from asr_core.images.torchvision_cifar import at_hand, opened
from asr_core.registry import register


@register("image source")
class CIFAR10(ImageSource):
    """60,000 photographs of 32x32 pixels in 10 classes; torchvision downloads them and checks each file's md5."""

    name = "cifar10"
    label = "CIFAR-10"
    classes = 10
    class_names = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    sizes = (50_000, 10_000)

    @classmethod
    def to_download(cls, data, store, directory):
        return 0 if at_hand(cls.name.upper(), folders.CIFAR10, store, directory) else 170

    @classmethod
    def open(cls, data, store, directory):
        with store.lock("download", cls.name):
            return opened(cls.name.upper(), cls.label, folders.CIFAR10, store, directory)
