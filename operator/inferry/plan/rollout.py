"""Which replicas shall be, drain and go: one step at a time, from what is there now.

The rules, held by property tests in which replicas become ready and fail at random:

1. Never more standing replicas than wanted plus one while revisions change.
2. A ready replica is drained only when enough others are ready without it.
3. A ready replica is drained first and removed when it is idle or the deadline has passed.
4. While the new revision fails, nothing of the old one is touched.
5. An old replica that is not ready makes room at once: it holds memory the new one may need.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from inferry.plan.order import DRAIN_SECONDS
from inferry.plan.types import Observed, Phase, Replica

MAX_SURGE: Final = 1

_PICKABLE: Final = (Phase.ANSWERED, Phase.READY)
"""In these a gateway may be sending it requests, whatever is known of them."""

SETTLE_SECONDS: Final = 0.5
"""After a replica is marked as draining a gateway may still be sending it one more request; an idle reading counts
only after this long. Gateways get a new snapshot within a tenth of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moves:
    wanted: int
    """Standing replicas the target revision shall have."""
    drain: tuple[str, ...]
    remove: tuple[str, ...]
    again_after: float | None
    """Seconds until a deadline changes something; None when none is running."""


@dataclass(frozen=True, slots=True)
class _Standing:
    """Replicas that are neither draining nor stopping."""

    new: tuple[Replica, ...]
    old: tuple[Replica, ...]


def next_moves(observed: Observed, target: str | None, desired: int, now: float) -> Moves:
    """`target` is None while nobody knows what shall run: then everything stays, unless nothing is wanted at all."""
    standing = _standing(observed, target)
    wanted, going = _choose(standing, target, desired)
    leaving = [replica for replica in observed.replicas if _drains(replica)]
    drain = [replica for replica in going if not _quiet(replica)]
    gone = [replica for replica in leaving if _drained(replica, now)]
    remove = [*gone, *(replica for replica in going if _quiet(replica))]
    return Moves(
        wanted=wanted,
        drain=_names(drain),
        remove=_names(remove),
        again_after=_again_after([replica for replica in leaving if replica not in gone], drain, now),
    )


def _choose(standing: _Standing, target: str | None, desired: int) -> tuple[int, list[Replica]]:
    if desired == 0:
        return 0, [*standing.new, *standing.old]
    if target is None:
        return 0, []
    old_going = _old_going(standing, desired)
    wanted = _wanted(standing, len(standing.old) - len(old_going), desired)
    surplus = max(0, len(standing.new) - wanted)
    return wanted, [*old_going, *_victims(standing.new)[:surplus]]


def _old_going(standing: _Standing, desired: int) -> list[Replica]:
    ready = [replica for replica in standing.old if replica.ready]
    spare = max(0, _ready(standing.new) + len(ready) - desired)
    unready = [] if _fails(standing.new) else [replica for replica in standing.old if not replica.ready]
    return [*unready, *_victims(ready)[:spare]]


def _wanted(standing: _Standing, old_left: int, desired: int) -> int:
    if old_left == 0:
        return desired
    room = max(0, desired + MAX_SURGE - old_left)
    return min(desired, max(room, _ready(standing.new)))


def _standing(observed: Observed, target: str | None) -> _Standing:
    standing = [replica for replica in observed.replicas if stands(replica)]
    return _Standing(
        new=tuple(replica for replica in standing if replica.revision == target),
        old=tuple(replica for replica in standing if replica.revision != target),
    )


def stands(replica: Replica) -> bool:
    """Neither draining nor stopping: it counts towards what is wanted."""
    return replica.draining_since is None and replica.phase is not Phase.STOPPING


def _drains(replica: Replica) -> bool:
    return replica.draining_since is not None and replica.phase is not Phase.STOPPING


def _victims(replicas: Iterable[Replica]) -> list[Replica]:
    """Who goes first: not ready, then the fewest requests running, then the youngest. Unknown counts as busy."""
    return sorted(
        replicas,
        key=lambda replica: (replica.ready, _running(replica), -replica.created_at, replica.name),
    )


def _running(replica: Replica) -> float:
    return float("inf") if replica.in_flight is None else replica.in_flight


def _quiet(replica: Replica) -> bool:
    """It has not come up, or is down: no gateway sends it anything. A draining one may be unready and still answer."""
    return not replica.ready and replica.phase not in _PICKABLE and not replica.in_flight


def _drained(replica: Replica, now: float) -> bool:
    since = replica.draining_since or 0.0
    idle = _quiet(replica) or (replica.in_flight == 0 and now >= since + SETTLE_SECONDS)
    return idle or now >= since + DRAIN_SECONDS


def _again_after(leaving: Sequence[Replica], draining: Sequence[Replica], now: float) -> float | None:
    moments = [now + SETTLE_SECONDS for _ in draining]
    for replica in leaving:
        settled = (replica.draining_since or 0.0) + SETTLE_SECONDS
        moments.append(settled if settled > now else (replica.draining_since or 0.0) + DRAIN_SECONDS)
    return min(moments) - now if moments else None


def _fails(replicas: Iterable[Replica]) -> bool:
    return any(replica.failure is not None and not replica.ready for replica in replicas)


def _ready(replicas: Iterable[Replica]) -> int:
    return sum(replica.ready for replica in replicas)


def _names(replicas: Iterable[Replica]) -> tuple[str, ...]:
    return tuple(sorted(replica.name for replica in replicas))
