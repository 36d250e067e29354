"""What a network of somebody else's code says of itself: `python -m asr_core.networks.identify NAME CLASSES SIDE`, in
a process of its own, since it needs torch and runs that code. The last line is `own.identity` as JSON, or with exit
status 1 why there is none.
"""

import json
import sys

from asr_core.errors import AsrError


def main(name: str, classes: str, image_size: str) -> int:
    """Exit status."""
    from asr_core.networks import own

    try:
        print(json.dumps(own.identity(name, int(classes), int(image_size))))
    except AsrError as error:
        print(error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
