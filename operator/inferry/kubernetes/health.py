"""`/healthz`, `/readyz` and `/metrics`: small, and alive as long as the event loop is."""

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web

from inferry.control.loop import ControlStatistics
from inferry.kubernetes.client import ApiClient
from inferry.kubernetes.reflector import Watching
from inferry.kubernetes.state import ClusterState

SILENT_SECONDS: Final = 180.0
"""Two missed bookmarks and a reconnect: a watch that says nothing for longer will not say anything any more."""

_PREFIX: Final = "inferry_operator_"


class Health:
    def __init__(
        self,
        *,
        client: ApiClient,
        state: ClusterState,
        watches: Sequence[Watching],
        statistics: Callable[[], ControlStatistics],
        leading: Callable[[], bool],
    ) -> None:
        self._client = client
        self._state = state
        self._watches = watches
        self._statistics = statistics
        self._leading = leading

    def healthy(self) -> bool:
        now = time.monotonic()
        return all(now - watch.heard_at < SILENT_SECONDS for watch in self._watches)

    def ready(self) -> bool:
        """As the leader, or as one who could be it at once."""
        return all(watch.synced.is_set() for watch in self._watches)

    def metrics(self) -> str:
        counted = self._statistics()
        lines = [
            *(
                f'{_PREFIX}reconcile_total{{result="{result}"}} {getattr(counted, result)}'
                for result in ("done", "again", "retried", "given_up", "gone")
            ),
            f"{_PREFIX}reconcile_seconds_total {counted.seconds:.6f}",
            f"{_PREFIX}reconcile_slowest_seconds {counted.slowest_seconds:.6f}",
            f"{_PREFIX}queue_depth {counted.waiting}",
            f"{_PREFIX}queue_delayed {counted.delayed}",
            f"{_PREFIX}leading {int(self._leading())}",
            *self._objects(),
            *self._watch_lines(),
            *(
                f'{_PREFIX}api_requests_total{{verb="{verb}",code="{code}"}} {count}'
                for (verb, code), count in sorted(self._client.requests.items())
            ),
        ]
        return "\n".join([*lines, ""])

    def _objects(self) -> list[str]:
        counts = {
            "modeldeployments": len(self._state.deployments),
            "pods": len(self._state.pods),
            "replicasets": len(self._state.sets),
            "nodes": len(self._state.nodes.items),
            **{kind.plural: len(cache) for kind, cache in self._state.owned.items()},
        }
        return [f'{_PREFIX}cached_objects{{resource="{name}"}} {count}' for name, count in counts.items()]

    def _watch_lines(self) -> list[str]:
        return [
            f'{_PREFIX}watch_restarts_total{{path="{watch.path}",reason="{reason}"}} {count}'
            for watch in self._watches
            for reason, count in sorted(watch.restarts.items())
        ]


@asynccontextmanager
async def served(health: Health, host: str, port: int) -> AsyncIterator[int]:
    """Yields the port it listens on. Raises OSError when it cannot."""

    async def healthz(_: web.Request) -> web.Response:
        return _word(health.healthy(), "ok", "a watch is silent")

    async def readyz(_: web.Request) -> web.Response:
        return _word(health.ready(), "ready", "not everything has been listed yet")

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(text=health.metrics())

    app = web.Application()
    app.add_routes([web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", metrics)])
    runner = web.AppRunner(app, access_log=None, keepalive_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def _word(good: bool, yes: str, no: str) -> web.Response:
    return web.Response(text=f"{yes if good else no}\n", status=200 if good else 503)
