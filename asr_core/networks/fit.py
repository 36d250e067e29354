"""Whether a weights file fits a network: `python -m asr_core.networks.fit FILE SPEC`, in a process of its own, since it
needs torch.

If it fits: exits with 0, and writes the weights as the network takes them, as KEPT beside the file; the last line is
JSON with their `digest` and `notes`. Else: exits with 1 and the reason as the last line.
"""

import json
import sys
from pathlib import Path

from asr_core.errors import AsrError
from asr_core.networks.known_weights import KEPT
from asr_core.spec.model import ModelSpec


def main(path: str, spec: str) -> int:
    """Exit status; spec: JSON with `model` (of a ModelSpec), `classes` and `image_size` in pixels."""
    from asr_core.networks import models, weights
    from asr_core.store import entries

    asked = json.loads(spec)
    try:
        network = models.outline(ModelSpec.of(**asked["model"]), asked["classes"], asked["image_size"])
        found = weights.fitted(network, path)
    except AsrError as error:
        print(error)
        return 1
    entries.write(Path(path).with_name(KEPT), {name: tensor.clone() for name, tensor in found.entries.items()})
    print(json.dumps({"digest": found.identity, "notes": found.notes}))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
