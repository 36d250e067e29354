"""Jobs in every state without a worker, and jobs that cannot end while a test looks at them."""

import json
import os
import time
from contextlib import contextmanager
from dataclasses import asdict

from small import SMALL

from asr_core.jobs import jobs
from asr_core.jobs.jobs import Wanted
from asr_core.runtime import Runtime
from asr_core.spec.repairs import BN_ONLY
from asr_core.store import Store
from asr_core.store.entries import write_json
from asr_core.store.owners import born

LONG = 300  # seconds that anything may take on a busy machine
LINE = {
    "time": 1.0,
    "stage": "evaluation",
    "network": BN_ONLY.columns,
    "images": 1200,
    "of_images": 5000,
    "view": 0,
    "tasks": 7,
    "of_tasks": 30,
    "seconds_left": 42.0,
    "share": 0.25,
    "slowdown": 1.0,
}


def make_job(
    store: Store, state, reason=None, line=None, log="", wanted=None, before=0, pid=None, owners=("",), **more
) -> str:
    """The ID of a made-up job that computes `wanted` (or SMALL): a folder, submitted a minute and `before` seconds ago.

    pid: of its worker; this process's if it is not given. owners: the browsers that asked. more: of its status.
    """
    wanted, pid = wanted or Wanted(SMALL), pid or os.getpid()
    folder = store.jobs / wanted.id
    folder.mkdir(parents=True)
    write_json(folder / "spec.json", {"wanted": wanted.as_dict(), "runtime": asdict(Runtime())})
    status = {
        "state": state,
        "submitted": time.time() - 60 - before,
        "pid": pid,
        "born": born(pid),
        "host": jobs.HOST,
        "reason": reason,
        "owners": list(owners),
    }
    ended = {"finished": time.time()} if state in ("finished", "failed", "cancelled") else {}
    taken = jobs.WAITING if state == "queued" else {"started": time.time() - 50}
    write_json(folder / "status.json", status | ended | taken | more)
    (folder / "log.txt").write_text(log)
    if line:
        (folder / "progress.jsonl").write_text(json.dumps(line) + "\n")
    return wanted.id


@contextmanager
def held(wanted: Wanted, store: Store):
    """Whoever computes `wanted` meanwhile comes to its last stage and waits there, as if another process computed
    that."""
    last = wanted.tasks(store)[-1]
    with store.lock(last.stage, last.key):
        yield
