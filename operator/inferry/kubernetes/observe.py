"""What the plan sees of a deployment's pods. Pure: ReplicaSets, pods and what pods said -> Observed."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final, Never

from inferry.kubernetes.failures import of_pod, of_set
from inferry.kubernetes.views import PodView, ReplicaSetView
from inferry.plan.types import Failure, Observed, Phase, Progress, Replica
from inferry_runtime.report import ServeReport, Stage

ENGINE_PORT: Final = 8000
"""`ServeOrder.port`: in a pod nobody else wants it."""

NOBODY: Final[Mapping[str, Never]] = MappingProxyType({})

ENDED: Final = frozenset({"Succeeded", "Failed"})
"""Phases of pods that never run again; their ReplicaSet has made others."""

_STAGES: Final = {
    Stage.FETCHING: (Phase.DOWNLOADING, "Downloading the model"),
    Stage.VERIFYING: (Phase.DOWNLOADING, "Verifying the model"),
    Stage.LOADING: (Phase.LOADING, "Loading the model"),
    Stage.PROBING: (Phase.LOADING, "Asking the first question"),
}


def observed(
    uid: str,
    sets: Iterable[ReplicaSetView],
    pods: Iterable[PodView],
    reports: Mapping[str, ServeReport] = NOBODY,
    in_flight: Mapping[str, int | None] = NOBODY,
) -> Observed:
    """`uid` of the ModelDeployment: replicas of an earlier one with the same name are not its own. "" when it is gone:
    then those whose ReplicaSet still has an owner, because they are on their way out.

    `reports` are by pod uid, `in_flight` by pod name."""
    sets = tuple(sets)
    strangers = {one.uid for one in sets if (one.owner_uid != uid if uid else not one.owner_uid)}
    mine = [pod for pod in pods if pod.owner_uid not in strangers and pod.phase not in ENDED]
    replicas = [_replica(pod, reports.get(pod.uid), in_flight.get(pod.name)) for pod in mine]
    missing = [_missing(one, mine) for one in sets if one.uid not in strangers]
    return Observed(replicas=tuple(sorted([*replicas, *filter(None, missing)], key=lambda replica: replica.name)))


def _replica(pod: PodView, told: ServeReport | None, in_flight: int | None) -> Replica:
    failure = None if pod.ready else of_pod(pod)
    phase = _phase(pod, failure, told)
    return Replica(
        name=pod.name,
        revision=pod.revision,
        phase=phase,
        ready=pod.ready and not pod.terminating,
        created_at=pod.created_at,
        host=pod.address,
        port=ENGINE_PORT if pod.address else 0,
        draining_since=pod.draining_since,
        in_flight=in_flight,
        progress=_progress(told) if phase in (Phase.DOWNLOADING, Phase.LOADING) else None,
        note=told.note if told is not None else "",
        failure=failure,
    )


def _phase(pod: PodView, failure: Failure | None, told: ServeReport | None) -> Phase:
    if pod.terminating:
        return Phase.STOPPING
    if pod.ready:
        return Phase.READY
    state = pod.container.state if pod.container is not None else None
    if state is None or (state.running is None and pod.container is not None and not pod.container.restart_count):
        return Phase.BACKING_OFF if state is not None and state.terminated is not None else Phase.PENDING
    if state.running is None:
        return Phase.BACKING_OFF if failure is not None else Phase.PENDING
    return _STAGES.get(told.stage, (Phase.LOADING, ""))[0] if told is not None else Phase.LOADING


def _progress(told: ServeReport | None) -> Progress | None:
    if told is None or told.stage not in _STAGES:
        return None
    return Progress(
        message=told.message or _STAGES[told.stage][1],
        done=told.done_bytes,
        total=told.total_bytes,
        eta_seconds=told.eta_seconds,
    )


def _missing(revision: ReplicaSetView, pods: Iterable[PodView]) -> Replica | None:
    """Stands for the pods that a quota or an admission rule keeps from being made, to say so."""
    failure = of_set(revision)
    living = sum(pod.owner_uid == revision.uid and not pod.terminating for pod in pods)
    if failure is None or living >= revision.wanted:
        return None
    return Replica(
        name=f"{revision.name}-missing",
        revision=revision.revision,
        phase=Phase.PENDING,
        ready=False,
        created_at=revision.created_at,
        failure=failure,
    )
