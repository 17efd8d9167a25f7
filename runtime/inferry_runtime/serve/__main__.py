"""`python -m inferry_runtime.serve`. Status 0: asked to stop. 2: wrong command line. Else see `failures.EXIT_*`."""

import asyncio
import logging
import os
import sys
from collections.abc import Sequence

from inferry_runtime.order import OrderError, ServeOrder, decode
from inferry_runtime.report import ServeReport, Stage
from inferry_runtime.serve import last_words
from inferry_runtime.serve.failures import failure
from inferry_runtime.serve.logs import write_json_lines
from inferry_runtime.serve.options import Options, parse
from inferry_runtime.serve.supervisor import supervise


def main(arguments: Sequence[str]) -> int:
    options = parse(arguments)
    write_json_lines()
    last = _run(options)
    if options.termination_log is not None:
        last_words.write(last, options.termination_log)
    return last_words.exit_status(last)


def _run(options: Options) -> ServeReport:
    order = _order_of(options)
    return order if isinstance(order, ServeReport) else asyncio.run(supervise(options, order))


def _order_of(options: Options) -> ServeOrder | ServeReport:
    try:
        return decode(options.order.read_bytes())
    except (OSError, OrderError) as error:
        return ServeReport(stage=Stage.ENDED, message=str(error), failure=failure("InvalidOrder", str(error)))


if __name__ == "__main__":
    status = main(sys.argv[1:])
    logging.shutdown()
    # A fetch that was given up may still wait for its hub; cutting it off loses nothing that the store has.
    os._exit(status)
