"""The stage `signal`: each network beside the dense one, whose outputs are made once where they fit into memory."""

import copy
from collections.abc import Iterator
from typing import Any

import torch

from asr_core.measure import errorparts, signal
from asr_core.pipeline.plan import Task, signal_tests
from asr_core.spec.repairs import DENSE
from asr_core.store.tables import halved

KEPT_BYTES = 512 << 20  # of the dense network's outputs on all images


class References:
    """The dense network's outputs on the statistics images and on the test images; kept if they take at most
    KEPT_BYTES, else made anew for each network from a copy of the dense one."""

    def __init__(self, lab: Any):
        self.images = {"calibration": lab.stat_batch, "test": _test_batch(lab)}
        self.dense = copy.deepcopy(lab.network(DENSE))
        self.kept: Any = {}
        for name in self.images:
            self._keep(name)
        self.passes = 0 if self.kept is None else sum(map(len, self.images.values()))
        if self.kept is not None:
            del self.dense

    def _keep(self, name: str) -> None:
        """Keep the outputs on images `name`, unless all take too much."""
        count = sum(map(len, self.images.values()))
        for batch, outputs in self._made(name) if self.kept is not None else ():
            size = sum(part.rows.nbytes for runs in outputs.values() for part in runs)
            if size / len(batch) * count > KEPT_BYTES:
                self.kept = None
                return
            self.kept.setdefault(name, []).append((batch, outputs))

    def _made(self, name: str) -> Iterator[tuple[torch.Tensor, signal.Outputs]]:
        return signal.reference(self.dense, self.images[name])

    def of(self, name: str) -> Any:
        """(batch, outputs), batch by batch."""
        return self._made(name) if self.kept is None else self.kept[name]


def _test_batch(lab: Any) -> torch.Tensor:
    return lab.data.test_batch(lab.eval_indices[: signal_tests(lab.spec, len(lab.data.test_labels))])


def compute_signal(lab: Any, task: Task) -> tuple[dict[str, Any], dict[str, Any]]:
    """Files and facts of one network's entry; lab: a `pipeline.lab.Lab`."""
    if lab.references is None:
        lab.references = References(lab)
        lab.report.advance(lab.references.passes)
    network, files, facts = lab.in_state(task), {}, {}
    for name, images in lab.references.images.items():
        table = signal.signal_table(signal.compare(lab.references.of(name), network))
        lab.report.advance(len(images))
        files[f"{name}.parquet"] = halved(table)
        facts[name] = errorparts.counts(table) | {"images": len(images)}
    return files, facts
