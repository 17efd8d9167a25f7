"""The gateway's own counters, and their Prometheus text. Plain integers: one process writes them."""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from itertools import accumulate

PREFIX = "inferry_gateway_"
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
OVERHEAD_SECONDS = (0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 1)

Labels = tuple[tuple[str, str], ...]


class Histogram:
    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


class Route:
    """Counters of one model on one route."""

    __slots__ = ("duration", "first_byte", "overhead", "requests")

    def __init__(self) -> None:
        self.requests: Counter[tuple[int, str]] = Counter()
        """(status, reason); the reason is "" for an answer that was relayed whole."""
        self.duration = Histogram(SECONDS)
        self.first_byte = Histogram(SECONDS)
        self.overhead = Histogram(OVERHEAD_SECONDS)

    def answered(self, status: int, duration: float, first_byte: float, overhead: float) -> None:
        """A whole answer was relayed; times in seconds since the request was there."""
        self.requests[status, ""] += 1
        self.duration.observe(duration)
        self.first_byte.observe(first_byte)
        self.overhead.observe(overhead)


class Metrics:
    """Labels are names from the snapshot or constants of the code, never what a client sent."""

    def __init__(self) -> None:
        self.routes: dict[tuple[str, str], Route] = defaultdict(Route)
        self.retries: Counter[tuple[str, str]] = Counter()
        self.disconnects: Counter[str] = Counter()
        self.refusals: Counter[tuple[int, str]] = Counter()
        self.errors = 0
        """Failures of the gateway's own code."""
        self.lag = Histogram(SECONDS)

    def successes(self, model: str) -> int:
        """Answers relayed whole, on all routes."""
        routes = [route for (name, _), route in self.routes.items() if name == model]
        return sum(sum(route.duration.counts) for route in routes)

    def forget_except(self, models: Collection[str]) -> None:
        """Models come and go; their series must not pile up."""
        for key in [key for key in self.routes if key[0] not in models]:
            del self.routes[key]
        for retried in [retried for retried in self.retries if retried[0] not in models]:
            del self.retries[retried]


def render(metrics: Metrics, gauges: Iterable[tuple[str, Labels, float]]) -> str:
    """Prometheus text format 0.0.4."""
    lines: list[str] = []
    _counters(lines, metrics)
    for name, histogram in (("duration", "duration"), ("ttft", "first_byte"), ("overhead", "overhead")):
        lines.append(f"# TYPE {PREFIX}{name}_seconds histogram")
        for (model, path), route in metrics.routes.items():
            _histogram(lines, f"{name}_seconds", (("model", model), ("route", path)), getattr(route, histogram))
    lines.append(f"# TYPE {PREFIX}loop_lag_seconds histogram")
    _histogram(lines, "loop_lag_seconds", (), metrics.lag)
    typed: set[str] = set()
    for name, labels, value in gauges:
        if name not in typed:
            typed.add(name)
            lines.append(f"# TYPE {PREFIX}{name} gauge")
        lines.append(_sample(name, labels, value))
    return "\n".join(lines) + "\n"


def _counters(lines: list[str], metrics: Metrics) -> None:
    lines.append(f"# TYPE {PREFIX}requests_total counter")
    for (model, path), route in metrics.routes.items():
        for (status, reason), count in route.requests.items():
            labels = (("model", model), ("route", path), ("code", str(status)), ("reason", reason))
            lines.append(_sample("requests_total", labels, count))
    lines.append(f"# TYPE {PREFIX}retries_total counter")
    for (model, reason), count in metrics.retries.items():
        lines.append(_sample("retries_total", (("model", model), ("reason", reason)), count))
    lines.append(f"# TYPE {PREFIX}client_disconnects_total counter")
    for phase, count in metrics.disconnects.items():
        lines.append(_sample("client_disconnects_total", (("phase", phase),), count))
    lines.append(f"# TYPE {PREFIX}rejected_total counter")
    for (status, reason), count in metrics.refusals.items():
        lines.append(_sample("rejected_total", (("code", str(status)), ("reason", reason)), count))
    lines.append(f"# TYPE {PREFIX}internal_errors_total counter")
    lines.append(_sample("internal_errors_total", (), metrics.errors))


def _histogram(lines: list[str], name: str, labels: Labels, histogram: Histogram) -> None:
    bounds = [*(f"{bound:g}" for bound in histogram.bounds), "+Inf"]
    totals = list(accumulate(histogram.counts))
    for bound, total in zip(bounds, totals, strict=True):
        lines.append(_sample(f"{name}_bucket", (*labels, ("le", bound)), total))
    lines.append(_sample(f"{name}_sum", labels, histogram.total))
    lines.append(_sample(f"{name}_count", labels, totals[-1]))


def _sample(name: str, labels: Labels, value: float) -> str:
    inside = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels)
    return f"{PREFIX}{name}{'{' + inside + '}' if inside else ''} {value:.12g}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
