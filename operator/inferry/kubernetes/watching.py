"""kopf's part: it watches ModelDeployments and says which one changed. Nothing else happens in its handlers.

No timer, daemon, index or handler of changes, so kopf writes nothing and keeps nothing: the storages are empty.
"""

import asyncio
import base64
import logging
from collections.abc import Awaitable, Callable, Collection
from typing import Any

import kopf

from inferry.api.model_deployment import GROUP, VERSION
from inferry.control.world import Key
from inferry.kubernetes.credentials import Credentials
from inferry.kubernetes.deployments import Deployments
from inferry.kubernetes.kinds import DEPLOYMENTS


class Stateless(kopf.ProgressStorage):
    """There is no progress to be stored: no handler of ours can be half done."""

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        return None

    def purge(self, **_: Any) -> None:
        return None

    def touch(self, **_: Any) -> None:
        return None

    def clear(self, *, essence: kopf.BodyEssence) -> kopf.BodyEssence:
        return essence


class NoDifference(kopf.DiffBaseStorage):
    """Objects are not compared with what they were: copying each one would be most of kopf's work."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        return kopf.BodyEssence()

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        return None


def registry(
    credentials: Credentials,
    deployments: Deployments,
    changed: Callable[[Collection[Key]], None],
    ending: Callable[[], Awaitable[None]],
) -> kopf.OperatorRegistry:
    """Its own, so that one process may hold several operators. `ending` is called when it was told to stop, before kopf
    waits for whatever tasks are left."""
    handlers = kopf.OperatorRegistry()

    @kopf.on.login(registry=handlers)
    def login(**_: Any) -> kopf.ConnectionInfo:
        return connection(credentials)

    @kopf.on.cleanup(registry=handlers)
    async def cleanup(**_: Any) -> None:
        await ending()

    @kopf.on.event(GROUP, VERSION, DEPLOYMENTS.plural, registry=handlers)
    async def seen(event: kopf.RawEvent, **_: Any) -> None:
        document = event["object"]
        if event["type"] == "DELETED":
            metadata = document["metadata"]
            changed(deployments.drop(Key(metadata["namespace"], metadata["name"]), metadata["uid"]))
        else:
            changed(deployments.put(dict(document)))

    return handlers


def connection(credentials: Credentials) -> kopf.ConnectionInfo:
    return kopf.ConnectionInfo(
        server=credentials.server,
        ca_data=_as_data(credentials.ca),
        insecure=credentials.insecure,
        token=credentials.current_token() or None,
        certificate_data=_as_data(credentials.certificate),
        private_key_data=_as_data(credentials.key),
    )


def settings() -> kopf.OperatorSettings:
    """Measured with five thousand objects; each differs from the default for a reason."""
    chosen = kopf.OperatorSettings()
    chosen.posting.enabled = False
    chosen.scanning.disabled = True
    chosen.peering.standalone = True
    chosen.watching.chunk_size = 500
    chosen.watching.connect_timeout = 5
    chosen.watching.inactivity_timeout = 70
    # 0.1 s, the default, hammers an API server that is ill.
    chosen.watching.reconnect_backoff = 0.5
    chosen.networking.connect_timeout = 5
    chosen.networking.request_timeout = 30
    # Rides out more than four minutes of 5xx; after that kopf ends the process.
    chosen.networking.error_backoffs = [0.5, 1, 2, 4, 8, 15, 30, 30, 60, 60, 60]
    # Workers that linger cost 200 MB while everything is listed; a limit on them starves retries.
    chosen.queueing.idle_timeout = 0.5
    # Below the pod's grace period of 30 s.
    chosen.process.ultimate_exiting_timeout = 25
    chosen.persistence.progress_storage = Stateless()
    chosen.persistence.diffbase_storage = NoDifference()
    # One line for every event otherwise.
    logging.getLogger("kopf.objects").setLevel(logging.WARNING)
    return chosen


async def watch(handlers: kopf.OperatorRegistry, namespace: str, stop: asyncio.Event) -> None:
    """Until a signal ends the process or `stop` is set. kopf handles SIGTERM and SIGINT in the main thread."""
    await kopf.operator(
        registry=handlers,
        settings=settings(),
        clusterwide=not namespace,
        namespaces=[namespace] if namespace else [],
        stop_flag=stop,
    )


def _as_data(pem: str) -> str | None:
    return base64.b64encode(pem.encode()).decode() if pem else None
