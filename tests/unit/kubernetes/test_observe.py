"""Pods and ReplicaSets as the plan sees them."""

import json
from typing import Any

import pytest

from inferry.kubernetes.observe import observed
from inferry.kubernetes.views import pod_view, replica_set_view
from inferry.plan.types import Phase
from inferry_runtime.report import ServeReport, Stage

REPORT = {"stage": "Ended", "failure": {"reason": "WeightsDoNotFit", "message": "Too large.", "hint": "Buy more."}}
RUNNING = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}


def a_pod(container: dict[str, Any] | None = None, *, ready: bool = False, owner: str = "s1", **status: Any) -> Any:
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}, *status.pop("conditions", [])]
    statuses = [] if container is None else [{"name": "istio-proxy"}, {"name": "serve", **container}]
    return pod_view(
        json.dumps(
            {
                "metadata": {
                    "name": "qwen-x",
                    "namespace": "default",
                    "uid": "p1",
                    "creationTimestamp": "2026-01-01T00:00:00Z",
                    "labels": {"inferry.dev/deployment": "qwen", "inferry.dev/revision": "r1"},
                    "ownerReferences": [{"kind": "ReplicaSet", "name": "s", "uid": owner, "controller": True}],
                    **status.pop("metadata", {}),
                },
                "spec": {"nodeName": "node-a"},
                "status": {"phase": "Running", "conditions": conditions, "containerStatuses": statuses, **status},
            }
        ).encode()
    )


def a_set(owner: str = "d1", *, wanted: int = 1, failure: str = "") -> Any:
    conditions = [{"type": "ReplicaFailure", "status": "True", "message": failure}] if failure else []
    owners = [{"kind": "ModelDeployment", "name": "qwen", "uid": owner, "controller": True}] if owner else []
    metadata = {"name": "s", "namespace": "default", "uid": "s1", "labels": {"inferry.dev/deployment": "qwen"}}
    document = {
        "metadata": {**metadata, "ownerReferences": owners},
        "spec": {"replicas": wanted},
        "status": {"conditions": conditions},
    }
    return replica_set_view(json.dumps(document).encode())


def ended(**terminated: Any) -> dict[str, Any]:
    waiting = {"waiting": {"reason": "CrashLoopBackOff"}}
    return {"state": waiting, "lastState": {"terminated": terminated}, "restartCount": 2}


@pytest.mark.parametrize(
    ("pod", "phase", "reason", "words"),
    [
        pytest.param(a_pod(phase="Pending"), Phase.PENDING, "", "", id="a pod that waits for its node"),
        pytest.param(
            a_pod(
                phase="Pending",
                conditions=[
                    {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes."}
                ],
            ),
            Phase.PENDING,
            "Unschedulable",
            "0/3 nodes.",
            id="a pod that no node takes",
        ),
        pytest.param(
            a_pod({"state": {"waiting": {"reason": "ContainerCreating"}}}),
            Phase.PENDING,
            "",
            "",
            id="a container that is being made",
        ),
        pytest.param(
            a_pod({"state": {"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}}),
            Phase.PENDING,
            "ImagePullFailed",
            "not found",
            id="an image that cannot be pulled",
        ),
        pytest.param(
            a_pod({"state": {"waiting": {"reason": "CreateContainerConfigError", "message": 'secret "x"'}}}),
            Phase.PENDING,
            "ContainerNotStarted",
            'secret "x"',
            id="a secret that is missing",
        ),
        pytest.param(a_pod({"state": RUNNING}), Phase.LOADING, "", "", id="a container that runs"),
        pytest.param(a_pod({"state": RUNNING}, ready=True), Phase.READY, "", "", id="a replica that answers"),
        pytest.param(
            a_pod(ended(exitCode=11, message=json.dumps(REPORT))),
            Phase.BACKING_OFF,
            "WeightsDoNotFit",
            "Too large.",
            id="a replica that said why it ended",
        ),
        pytest.param(
            a_pod(ended(exitCode=137, reason="OOMKilled")),
            Phase.BACKING_OFF,
            "HostOutOfMemory",
            "memory",
            id="a replica that was killed for memory",
        ),
        pytest.param(
            a_pod(ended(exitCode=1, message="Traceback\nImportError: no torch")),
            Phase.BACKING_OFF,
            "EngineCrashed",
            "ImportError: no torch",
            id="a replica that ended without a report",
        ),
        pytest.param(
            a_pod({"state": RUNNING, "lastState": {"terminated": {"exitCode": 1}}, "restartCount": 1}, ready=True),
            Phase.READY,
            "",
            "",
            id="a replica that answers again",
        ),
        pytest.param(
            a_pod({"state": RUNNING}, ready=True, metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"}),
            Phase.STOPPING,
            "",
            "",
            id="a pod that ends",
        ),
    ],
)
def test_a_pod(pod: Any, phase: Phase, reason: str, words: str) -> None:
    (replica,) = observed("d1", [a_set()], [pod]).replicas
    assert replica.phase is phase
    assert (replica.failure.reason if replica.failure else "") == reason
    assert words in (replica.failure.message if replica.failure else "")
    assert replica.ready is (phase is Phase.READY)


def test_a_crash_says_how_often_and_when_it_is_tried_again() -> None:
    pod = a_pod(ended(exitCode=1, finishedAt="2026-01-01T00:00:00Z"))
    (replica,) = observed("d1", [a_set()], [pod]).replicas
    assert replica.failure is not None
    assert (replica.failure.restarts, replica.failure.retry_at) == (2, 1767225600.0 + 20.0)


def test_what_a_replica_says_of_its_progress_is_told() -> None:
    said = ServeReport(stage=Stage.FETCHING, done_bytes=1, total_bytes=4, eta_seconds=3.0)
    (replica,) = observed("d1", [a_set()], [a_pod({"state": RUNNING})], {"p1": said}).replicas
    assert replica.phase is Phase.DOWNLOADING
    assert replica.progress is not None
    assert (replica.progress.done, replica.progress.total, replica.progress.eta_seconds) == (1, 4, 3.0)


def test_replicas_of_an_earlier_deployment_of_the_same_name_are_not_its_own() -> None:
    pod = a_pod({"state": RUNNING}, ready=True)
    assert observed("d2", [a_set("d1")], [pod]).replicas == ()


def test_of_a_deleted_deployment_those_are_left_that_are_on_their_way_out() -> None:
    pod = a_pod({"state": RUNNING}, ready=True)
    assert len(observed("", [a_set("d1")], [pod]).replicas) == 1
    assert observed("", [a_set("")], [pod]).replicas == ()


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ('pods "x" is forbidden: exceeded quota: few', "QuotaExceeded"),
        ("violates PodSecurity restricted", "PodRejected"),
    ],
)
def test_pods_that_cannot_be_made_are_told_of(message: str, reason: str) -> None:
    (missing,) = observed("d1", [a_set(failure=message)], []).replicas
    assert missing.failure is not None
    assert (missing.phase, missing.failure.reason, missing.failure.message) == (Phase.PENDING, reason, message)


def test_a_pod_that_was_evicted_counts_for_nothing() -> None:
    assert observed("d1", [a_set()], [a_pod(phase="Failed")]).replicas == ()
