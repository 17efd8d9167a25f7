"""What Kubernetes and Prometheus ask. Answered without any framework."""

from collections.abc import Callable, Iterable, Mapping

from inferry.gateway.metrics import Labels, render
from inferry.gateway.worker import Worker

Answer = tuple[int, str, bytes]
"""Status, content type, body."""


def healthz(worker: Worker) -> Answer:
    """The process is alive: always 200."""
    return 200, "text/plain", b"ok\n"


def readyz(worker: Worker) -> Answer:
    """200 while it takes requests: a snapshot is loaded and it is not shutting down.

    Never about engines, or the outage of an engine would take the gateway out with it.
    """
    if worker.draining:
        return 503, "text/plain", b"draining\n"
    if worker.table is None:
        return 503, "text/plain", b"no snapshot yet\n"
    return 200, "text/plain", b"ok\n"


def metrics(worker: Worker) -> Answer:
    """Prometheus text."""
    return 200, "text/plain; version=0.0.4", render(worker.metrics, gauges(worker)).encode()


PROBES: Mapping[str, Callable[[Worker], Answer]] = {"/healthz": healthz, "/readyz": readyz, "/metrics": metrics}


def gauges(worker: Worker) -> Iterable[tuple[str, Labels, float]]:
    """(name, labels, value), equal names one after the other."""
    yield "buffered_bytes", (), worker.buffered_bytes
    yield "draining", (), worker.draining
    yield "snapshot_rejected", (), bool(worker.snapshot_error)
    if worker.table is None:
        return
    yield "snapshot_version", (), worker.table.version
    for name, count in worker.backends.in_flight().items():
        yield "inflight", (("endpoint", name),), count
    for backend in worker.backends:
        yield "endpoint_ejected", (("endpoint", backend.id),), backend.health.ejected
