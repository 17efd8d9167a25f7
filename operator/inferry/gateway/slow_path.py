"""Everything that is not inference, as one ASGI application behind uvicorn's own cycle.

FastAPI is imported in a thread after the gateway listens; probes and metrics do not wait for it.
"""

import asyncio
import gc
from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from typing import Any

from inferry.gateway.probes import PROBES
from inferry.gateway.worker import Worker

# The ASGI specification's own types: its messages are open dictionaries.
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]


class SlowPath:
    """`load` builds the FastAPI part; requests for it wait until it is there."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._application: asyncio.Future[Application] = asyncio.get_running_loop().create_future()

    async def load(self) -> None:
        self._application.set_result(await asyncio.to_thread(_build, self._worker))
        # What exists now stays for good; the collector need not look at it ever again.
        gc.collect()
        gc.freeze()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        send = partial(_send_with_id, send, scope["state"]["request_id"])
        probe = PROBES.get(scope["path"]) if scope["method"] == "GET" else None
        if probe is None:
            application = await asyncio.shield(self._application)
            await application(scope, receive, send)
        else:
            await _send_whole(send, *probe(self._worker))


def _build(worker: Worker) -> Application:
    from inferry.gateway.app import build_application

    return build_application(worker)


async def _send_with_id(send: Send, request_id: bytes, message: Message) -> None:
    if message["type"] == "http.response.start":
        message["headers"] = [*message["headers"], (b"x-request-id", request_id)]
    await send(message)


async def _send_whole(send: Send, status: int, content_type: str, body: bytes) -> None:
    headers = [(b"content-type", content_type.encode()), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
