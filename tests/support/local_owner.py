"""`inferry local` with short restart delays, as a process that tests may kill. Arguments: home, port, host, pid of
whoever starts it.

It ends, and all it started with it, when whoever started it is gone: a killed test run leaves nothing.
"""

import asyncio
import ctypes
import logging
import os
import signal
import sys
from pathlib import Path

from inferry.local.errors import LocalError
from inferry.local.restarts import RestartPolicy
from inferry.local.system import LocalOptions, run_local

# <linux/prctl.h>
PR_SET_PDEATHSIG = 1
QUICK = RestartPolicy(first_delay_seconds=0.05, longest_delay_seconds=0.5, stable_seconds=0.2)


def end_with(parent: int) -> None:
    """Linux tells us; elsewhere the lease ends what is left after two minutes."""
    if sys.platform != "linux":
        return
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM)) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
    # It may have died while this one started.
    if os.getppid() != parent:
        sys.exit(1)


def main(home: str, port: str, host: str, parent: str) -> int:
    end_with(int(parent))
    logging.basicConfig(level=logging.INFO, format="%(relativeCreated)d %(name)s %(message)s", stream=sys.stderr)
    options = LocalOptions(home=Path(home), host=host, port=int(port), restarts=QUICK)
    try:
        asyncio.run(run_local(options, lambda address: print("READY", address, flush=True)))
    except LocalError as error:
        print(type(error).__name__, error.message, error.hint, flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
