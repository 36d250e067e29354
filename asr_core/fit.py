"""Whether a weights file fits a network: `python -m asr_core.fit FILE SPEC`, in a process of its own, since it needs torch.

Exits with 0 if it fits; else with 1 and the reason as the last line.
"""

import json
import sys
import warnings
import zipfile

from asr_core.errors import AsrError, WeightsError
from asr_core.spec import ModelSpec


def main(path: str, spec: str) -> int:
    """Exit status; spec: JSON with `model` (of a ModelSpec), `classes` and `image_size` in pixels."""
    from asr_core import models, weights

    asked = json.loads(spec)
    try:
        check_plain(path)
        network = models.outline(ModelSpec(**asked["model"]), asked["classes"], asked["image_size"])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the outline has no memory to copy into
            weights.load_weights(network, path)
    except AsrError as error:
        print(error)
        return 1
    return 0


def check_plain(path: str) -> None:
    """Refuse a compressed archive, which may unpack to any size; raises WeightsError."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            packed = any(info.compress_type != zipfile.ZIP_STORED for info in archive.infolist())
        if packed:
            raise WeightsError(
                f"{path} is a compressed archive, which torch.save never makes; give the file that torch.save wrote."
            )


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
