"""A report that counts what an experiment does."""

from asr_core.pipeline.lab import Report


class Counter(Report):
    """Counts image passes by stage; `listed` is what was planned."""

    def __init__(self):
        self.images, self.stage, self.listed = {}, "images", None

    def planned(self, missing):
        self.listed = missing

    def started(self, task):
        self.stage = task.stage

    def advance(self, images):
        self.images[self.stage] = self.images.get(self.stage, 0) + images
