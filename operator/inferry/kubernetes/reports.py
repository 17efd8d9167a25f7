"""What replicas say of their own progress while they are not ready: the operator asks, as nobody else would tell."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

import aiohttp
import msgspec

from inferry.control.world import Key
from inferry.kubernetes.cache import ByDeployment
from inferry.kubernetes.views import PodView
from inferry_runtime import report
from inferry_runtime.report import ServeReport

log = logging.getLogger(__name__)

STATUS_PORT: Final = 8001
"""`ServeOrder.status_port`: in a pod nobody else wants it."""
PAUSE_SECONDS: Final = 2.0
"""A person looks at a percentage about as often; every new one is a write of the status."""
ANSWER_SECONDS: Final = 1.0
PARALLEL: Final = 32


class Reports:
    """`said` is the last word of every replica that runs and is not ready, by pod uid."""

    def __init__(self, pods: ByDeployment[PodView], changed: Callable[[Key], None]) -> None:
        self.said: dict[str, ServeReport] = {}
        self._pods = pods
        self._changed = changed

    async def run(self) -> None:
        """Until cancelled."""
        timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
        connector = aiohttp.TCPConnector(limit=PARALLEL, force_close=True)
        async with aiohttp.ClientSession(timeout=timeout, connector=connector, trust_env=False) as http:
            while True:
                await self._ask_all(http)
                await asyncio.sleep(PAUSE_SECONDS)

    async def _ask_all(self, http: aiohttp.ClientSession) -> None:
        asked = [pod for key in tuple(self._pods.keys()) for pod in self._pods.of(key) if _runs(pod)]
        answers = await asyncio.gather(*(self._ask(http, pod) for pod in asked))
        for uid in self.said.keys() - {pod.uid for pod in asked}:
            del self.said[uid]
        for pod, answer in zip(asked, answers, strict=True):
            if answer is not None and answer != self.said.get(pod.uid):
                self.said[pod.uid] = answer
                self._changed(pod.key)

    async def _ask(self, http: aiohttp.ClientSession, pod: PodView) -> ServeReport | None:
        host = f"[{pod.address}]" if ":" in pod.address else pod.address
        try:
            async with http.get(f"http://{host}:{STATUS_PORT}/progress") as answer:
                return report.decode(await answer.read())
        except (aiohttp.ClientError, TimeoutError, OSError, msgspec.DecodeError) as error:
            log.debug("replica says nothing", extra={"pod": pod.name, "error": repr(error)})
            return None


def _runs(pod: PodView) -> bool:
    container = pod.container
    running = container is not None and container.state.running is not None
    return running and bool(pod.address) and not pod.ready and not pod.terminating
