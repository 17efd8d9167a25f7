"""Starting `inferry local` in the background, for verbs that need it and do not find it."""

import subprocess
import sys
import time

from inferry.cli.output import note
from inferry.cli.refusal import Refusal
from inferry.local import lock
from inferry.local.home import Home
from inferry.local.lock import Holder

START_TIMEOUT_SECONDS = 30.0
LOOK_EVERY_SECONDS = 0.02


def ensure_running(home: Home, port: int) -> Holder:
    """The inferry of this home, started if it was not there. Raises Refusal with its last words if it does not come."""
    holder = lock.holder(home.lock)
    if holder is not None:
        return holder
    note("starting inferry in the background (`inferry stop` ends it)")
    home.root.mkdir(parents=True, exist_ok=True, mode=0o700)
    with home.log.open("ab") as log:
        process = subprocess.Popen(
            (sys.executable, "-m", "inferry.cli", "local", "--port", str(port)),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    return _await_holder(home, process)


def _await_holder(home: Home, process: "subprocess.Popen[bytes]") -> Holder:
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        holder = lock.holder(home.lock)
        if holder is not None and holder.address:
            return holder
        if process.poll() is not None:
            break
        time.sleep(LOOK_EVERY_SECONDS)
    last = home.log.read_text(errors="replace").splitlines()[-5:]
    raise Refusal("\n".join(("inferry did not start:", *last)), hint=f"the whole log is {home.log}")
