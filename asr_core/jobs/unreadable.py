"""What of a store beside its entries is not as it was written: jobs, speeds, stopped trainings, uploads."""

import re

from asr_core.jobs import estimate, jobs
from asr_core.jobs.schema import Speeds
from asr_core.networks import resume
from asr_core.store import Store, received
from asr_core.store.entries import read_json


def lines(store: Store) -> list[str]:
    """What is wrong with each: a job is left where it is and fails when its turn comes, speeds are measured again, a
    training begins anew, an upload is to be sent again."""
    found = []
    for folder in sorted(path for path in store.jobs.glob("*") if re.fullmatch("[0-9a-f]{24}", path.name)):
        try:
            jobs.status(folder).asked()
        except (OSError, ValueError) as error:
            found.append(f"job {folder.name}: {error}")
    try:
        read_json(store.root / estimate.FILE, Speeds)
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:
        found.append(f"{estimate.FILE}: {error}; speeds are measured again")
    return [*found, *resume.damaged(store), *received.damaged(store)]
