"""Pure: when a replica that failed is started again. As kubelet does, but quick after a long good run."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartPolicy:
    """All in seconds. The defaults are kubelet's: 10 s, doubled up to 5 minutes."""

    first_delay_seconds: float = 10.0
    longest_delay_seconds: float = 300.0
    stable_seconds: float = 10.0
    """A replica that answered at least this long has shown that it works: its crash is the first one again, and it is
    started at once."""


def failures_in_a_row(before: int, answered_seconds: float, policy: RestartPolicy) -> int:
    """How many crashes the latest one makes without a good run in between; a crash after a good run makes none."""
    return 0 if answered_seconds >= policy.stable_seconds else before + 1


def delay_seconds(failures: int, policy: RestartPolicy) -> float:
    """How long to wait before the next start after so many failures in a row."""
    if failures == 0:
        return 0.0
    # Capped before it is raised: 2 ** 1100 is no float.
    doublings = min(failures - 1, 30)
    return min(policy.first_delay_seconds * 2.0**doublings, policy.longest_delay_seconds)
