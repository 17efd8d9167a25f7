"""From a plan to the next writes. Pure: what is planned, which ReplicaSets and pods there are -> Steps.

A ReplicaSet is told how many pods to have, and ends pods itself: of equally ready ones those with the lowest deletion
cost. It prefers one that is not ready, whatever it costs; when that happened, the replica that was meant is still there
although the ReplicaSet is satisfied, and is deleted by name in the next round.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from inferry.kubernetes.observe import ENDED
from inferry.kubernetes.views import PodView, ReplicaSetView
from inferry.plan.types import Plan, RevisionTarget


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """To be done in this order."""

    drain: tuple[PodView, ...] = ()
    """To be marked."""
    cheapen: tuple[PodView, ...] = ()
    """To be the first to go."""
    scale: tuple[tuple[ReplicaSetView, int], ...] = ()
    """Sets that are not the target, and how many pods they keep."""
    delete_pods: tuple[PodView, ...] = ()
    delete_sets: tuple[ReplicaSetView, ...] = ()
    target: tuple[RevisionTarget, int] | None = None
    """The revision to have, and with how many pods, those that drain included."""


def steps(plan: Plan, sets: Sequence[ReplicaSetView], pods: Sequence[PodView]) -> Steps:
    """Doing them twice is doing them once."""
    removed = [pod for pod in pods if pod.name in plan.remove and not pod.terminating]
    living = [pod for pod in pods if not pod.terminating and pod.phase not in ENDED]
    staying = [pod for pod in living if pod.name not in plan.remove]
    target = plan.revisions[0] if plan.revisions else None
    others = [one for one in sets if target is None or one.revision != target.revision]
    planned = _target(target, staying)
    counts = {one.uid: _kept(one, removed, staying) for one in others}
    counts |= {one.uid: planned[1] for one in sets if planned is not None and one not in others}
    return Steps(
        drain=tuple(pod for pod in living if pod.name in plan.drain and pod.draining_since is None),
        cheapen=tuple(pod for pod in removed if pod.draining_since is None),
        scale=tuple((one, counts[one.uid]) for one in others if counts[one.uid] != one.wanted),
        delete_pods=(*_overlooked(sets, counts, removed), *_ended(pods)),
        delete_sets=_empty(others, pods) if target is not None else (),
        target=planned,
    )


def _target(target: RevisionTarget | None, staying: Iterable[PodView]) -> tuple[RevisionTarget, int] | None:
    if target is None:
        return None
    draining = sum(pod.revision == target.revision and pod.draining_since is not None for pod in staying)
    return target, target.replicas + draining


def _kept(one: ReplicaSetView, removed: Iterable[PodView], staying: Iterable[PodView]) -> int:
    """Counted from the pods that stay: subtracting from the number it has now would subtract twice from a late view."""
    if not any(pod.owner_uid == one.uid for pod in removed):
        return one.wanted
    return min(one.wanted, sum(pod.owner_uid == one.uid for pod in staying))


def _overlooked(
    sets: Iterable[ReplicaSetView], counts: dict[str, int], removed: Sequence[PodView]
) -> tuple[PodView, ...]:
    satisfied = {one.uid for one in sets if one.settled and one.wanted == counts[one.uid] == one.existing}
    return tuple(pod for pod in removed if pod.owner_uid in satisfied or not pod.owner_uid)


def _ended(pods: Iterable[PodView]) -> tuple[PodView, ...]:
    """Evicted pods are kept by nobody but the list of pods."""
    return tuple(pod for pod in pods if pod.phase in ENDED and not pod.terminating)


def _empty(others: Iterable[ReplicaSetView], pods: Iterable[PodView]) -> tuple[ReplicaSetView, ...]:
    used = {pod.owner_uid for pod in pods}
    return tuple(
        one
        for one in others
        if one.wanted == 0 and one.existing == 0 and one.settled and one.uid not in used and not one.terminating
    )
