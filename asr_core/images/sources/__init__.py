"""Where images come from, one file each: a bundled set, torchvision's downloaders, or a folder.

To add a source, add a file with a class derived from ImageSource and decorated with `@register("image source")`.
Nothing is decoded here: `open` returns class names and, for each split, labels, names and a function that opens image
i.
"""

from pathlib import Path

from asr_core.images.splits import Opened
from asr_core.registry import Configurable
from asr_core.spec.parts import DataSpec
from asr_core.store import Store


class ImageSource(Configurable):
    """Images by name. classes and sizes (training, test images) are None where only the content tells; class_names, in
    the order of the labels, are () where they are not written down here."""

    classes: int | None = None
    class_names: tuple[str, ...] = ()
    sizes: tuple[int, int] | None = None

    @classmethod
    def open(cls, data: DataSpec, store: Store, directory: Path) -> Opened:
        """The images of `data`; downloads go to `directory`. Raises DataError."""
        raise NotImplementedError

    @classmethod
    def to_download(cls, data: DataSpec, store: Store, directory: Path) -> int:
        """Megabytes that `open` would fetch into `directory` first; 0 where the images are at hand."""
        return 0

    @classmethod
    def label_of(cls, data: DataSpec, store: Store) -> str:
        """Human name of the images."""
        return cls.label

    @classmethod
    def sizes_of(cls, data: DataSpec, store: Store) -> tuple[int, int]:
        """Training and test images, nothing decoded; raises DataError for a folder never seen here."""
        assert cls.sizes is not None, f"{cls.__name__} declares no sizes, so it needs a sizes_of of its own"
        return cls.sizes

    @classmethod
    def class_folders_of(cls, data: DataSpec, store: Store, directory: Path) -> tuple[str, ...]:
        """Name of each class, or of its folder, in the order of the labels; raises DataError."""
        return cls.open(data, store, directory).class_names
