"""A tiny world of replicas, as a pure function: what a plan asks for is done, then chance has its turn."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from inferry.plan.types import Failure, Observed, Phase, Plan, Replica

STEP_SECONDS = 1.0

_NEXT = {Phase.PENDING: Phase.DOWNLOADING, Phase.DOWNLOADING: Phase.LOADING, Phase.LOADING: Phase.READY}


@dataclass(frozen=True, slots=True)
class Chance:
    """What may happen to one replica in one step, if it is that replica's turn."""

    which: int
    event: str
    """"advance", "fail", "busy", "idle" or "nothing"."""


def carry_out(replicas: Sequence[Replica], plan: Plan, now: float, serial: int) -> tuple[tuple[Replica, ...], int]:
    """What every world does with a plan: mark, stop, create what is missing. `serial` makes names unique."""
    kept = [
        replace(replica, draining_since=now) if replica.name in plan.drain else replica
        for replica in replicas
        if replica.name not in plan.remove
    ]
    for target in plan.revisions:
        standing = sum(one.revision == target.revision and one.draining_since is None for one in kept)
        for _ in range(target.replicas - standing):
            serial += 1
            kept.append(
                Replica(
                    name=f"r{serial:05}",
                    revision=target.revision,
                    phase=Phase.PENDING,
                    ready=False,
                    created_at=now,
                )
            )
    return tuple(kept), serial


def happen(replicas: Sequence[Replica], chance: Chance) -> tuple[Replica, ...]:
    """One thing to one replica. Failing is a crash: it comes back by itself, as kubelet and supervisors see to."""
    if not replicas:
        return ()
    position = chance.which % len(replicas)
    return tuple(_changed(one, chance.event) if at == position else one for at, one in enumerate(replicas))


def _changed(replica: Replica, event: str) -> Replica:
    if event == "advance":
        return advanced(replica)
    if event == "fail":
        restarts = replica.failure.restarts + 1 if replica.failure else 1
        failure = Failure(reason="EngineCrashed", message="It crashed.", hint="", restarts=restarts, retry_at=None)
        return replace(replica, phase=Phase.BACKING_OFF, ready=False, in_flight=None, failure=failure)
    if event in ("busy", "idle") and replica.ready:
        return replace(replica, in_flight=1 if event == "busy" else 0)
    return replica


def advanced(replica: Replica) -> Replica:
    """One phase nearer to ready."""
    if replica.phase is Phase.BACKING_OFF:
        return replace(replica, phase=Phase.LOADING)
    phase = _NEXT.get(replica.phase, replica.phase)
    ready = phase is Phase.READY
    return replace(
        replica, phase=phase, ready=ready, in_flight=replica.in_flight if not ready else replica.in_flight or 0
    )


def as_observed(replicas: Sequence[Replica]) -> Observed:
    return Observed(replicas=tuple(sorted(replicas, key=lambda replica: replica.name)))
