"""A process that brings one model into a store and says how far it is, one JSON line at a time.

Its argument is a job in JSON: store, order, tuning, and the largest file it may write (0: any).
"""

import json
import resource
import signal
import sys
from dataclasses import asdict
from pathlib import Path

import msgspec

from inferry_runtime.model.errors import ModelError
from inferry_runtime.model.listing import Access
from inferry_runtime.model.store import FetchProgress, Store, Tuning
from inferry_runtime.order import ModelOrder


def say(progress: FetchProgress) -> None:
    tell(asdict(progress))


def tell(what: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def main(text: str) -> int:
    job = json.loads(text)
    if job["largest_file"]:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (job["largest_file"], job["largest_file"]))
    store = Store(Path(job["store"]), tuning=Tuning(**job["tuning"]))
    try:
        root = store.ensure(msgspec.json.decode(job["order"], type=ModelOrder), Access(), say)
    except ModelError as error:
        tell({"error": error.reason, "message": error.message})
        return 3
    tell({"root": str(root)})
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
