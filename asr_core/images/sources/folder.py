"""Images of one's own: an ImageFolder tree."""

from asr_core.images import folders
from asr_core.images.sources import ImageSource
from asr_core.registry import register


@register("image source")
class Folder(ImageSource):
    """A tree with train/CLASS/... and test/CLASS/... (or val/), the same classes in both. Known by its pixels, not by
    its path."""

    name = "folder"
    label = "images of a folder"

    @classmethod
    def open(cls, data, store, directory):
        return folders.opened(data.digest, store)

    @classmethod
    def label_of(cls, data, store):
        return folders.label(data.digest, store)

    @classmethod
    def sizes_of(cls, data, store):
        return folders.counts(data.digest, store)

    @classmethod
    def class_folders_of(cls, data, store, directory):
        return folders.locate(data.digest, store).class_names
