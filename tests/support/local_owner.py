"""`inferry local` with short restart delays, as a process that tests may kill. Arguments: home, port, host."""

import asyncio
import logging
import sys
from pathlib import Path

from inferry.local.errors import LocalError
from inferry.local.restarts import RestartPolicy
from inferry.local.system import LocalOptions, run_local

QUICK = RestartPolicy(first_delay_seconds=0.05, longest_delay_seconds=0.5, stable_seconds=0.2)


def main(home: str, port: str, host: str = "127.0.0.1") -> int:
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
