"""Endpoints at work: requests in flight, suspicion, idle connections. They outlive the snapshots that name them."""

from collections.abc import Container, Iterator
from typing import TYPE_CHECKING

from inferry.api.snapshot import Endpoint
from inferry.gateway.health import HEALTHY, Health

if TYPE_CHECKING:
    from inferry.gateway.upstream import UpstreamConnection

IDLE_CONNECTIONS = 256
"""Kept per endpoint; more than any engine answers at a time."""


class Backend:
    """One process behind one address. Requests hold the object itself, so a count can never go to the wrong one."""

    __slots__ = ("authority", "health", "host", "id", "idle", "in_flight", "port", "retired")

    def __init__(self, endpoint: Endpoint) -> None:
        self.id = endpoint.id
        self.host = endpoint.host
        self.port = endpoint.port
        host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
        self.authority = f"{host}:{endpoint.port}".encode("ascii")
        self.in_flight = 0
        self.health: Health = HEALTHY
        # Last in, first out: the connection that was used last is the least likely to have been closed meanwhile.
        self.idle: list[UpstreamConnection] = []
        self.retired = False

    def admits(self, now: float) -> bool:
        return self.health.admits(now)

    def take_idle(self) -> "UpstreamConnection | None":
        while self.idle:
            connection = self.idle.pop()
            if connection.usable:
                return connection
        return None

    def park(self, connection: "UpstreamConnection") -> bool:
        """False: not wanted, close it."""
        if self.retired or len(self.idle) >= IDLE_CONNECTIONS:
            return False
        self.idle.append(connection)
        return True

    def retire(self) -> None:
        """No snapshot names it any more: running answers go on, nothing is kept for later."""
        self.retired = True
        idle, self.idle = self.idle, []
        for connection in idle:
            connection.close()


class Backends:
    """Every backend that a snapshot names or that still has requests."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, int], Backend] = {}

    def __iter__(self) -> Iterator[Backend]:
        return iter(self._known.values())

    def of(self, endpoint: Endpoint) -> Backend:
        """The same object for the same process at the same address, made when it is new."""
        key = (endpoint.id, endpoint.host, endpoint.port)
        backend = self._known.get(key)
        if backend is None:
            backend = self._known[key] = Backend(endpoint)
        backend.retired = False
        return backend

    def keep_only(self, named: Container[Backend]) -> None:
        """Retire the rest; those without requests are forgotten."""
        for key, backend in list(self._known.items()):
            if backend in named:
                continue
            backend.retire()
            if not backend.in_flight:
                del self._known[key]

    def in_flight(self) -> dict[str, int]:
        """Endpoint id -> requests in flight."""
        counts: dict[str, int] = {}
        for backend in self._known.values():
            counts[backend.id] = counts.get(backend.id, 0) + backend.in_flight
        return counts
