"""The operator as a process of its own, as in a pod. `python -m support.kubernetes_operator` takes its options.

Nobody sends requests to simulated replicas, and no gateway says so; this one knows that they are idle.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from cluster.api import Api
from inferry.kubernetes.__main__ import options_of, parse
from inferry.kubernetes.client import ApiClient
from inferry.kubernetes.operator import Operator
from inferry_runtime.serve.logs import write_json_lines

ROOT = Path(__file__).parents[2]
END_SECONDS = 10.0


class OperatorProcess:
    """Looks after one namespace; `log` is what it wrote."""

    def __init__(self, api: Api, namespace: str, log: Path, *options: str, kubeconfig: Path | None = None) -> None:
        self._log = log
        self._words = [
            sys.executable,
            "-m",
            "support.kubernetes_operator",
            f"--kubeconfig={kubeconfig or api.kubeconfig}",
            f"--namespace={namespace}",
            f"--installed-in={namespace}",
            "--health-host=127.0.0.1",
            "--health-port=0",
            "--local-sources",
            "--no-progress",
            *options,
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "tests")}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._words, stderr=log, stdout=log, env=environment)

    def kill(self) -> None:
        """As a machine that fails does."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """Asks it to end; its status."""
        return self._end(signal.SIGTERM)

    def log(self) -> str:
        return self._log.read_text() if self._log.exists() else ""

    def _end(self, number: signal.Signals) -> int:
        process, self._process = self._process, None
        if process is None:
            return 0
        process.send_signal(number)
        try:
            return process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()


@contextlib.contextmanager
def running(
    api: Api, namespace: str, log: Path, *options: str, kubeconfig: Path | None = None
) -> Iterator[OperatorProcess]:
    operator = OperatorProcess(api, namespace, log, *options, kubeconfig=kubeconfig)
    operator.start()
    try:
        yield operator
    finally:
        operator.stop()


def main() -> None:
    write_json_lines()
    options = options_of(parse(sys.argv[1:]))

    async def run() -> None:
        async with ApiClient(options.credentials) as client:
            await Operator(options, client, in_flight=lambda pod: 0).run()

    asyncio.run(run())


if __name__ == "__main__":
    main()
