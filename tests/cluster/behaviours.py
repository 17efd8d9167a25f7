"""What becomes of simulated pods instead of Ready, as kubelets report it; each becomes a stage of kwok."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

STAGE_KIND = {"apiVersion": "kwok.x-k8s.io/v1alpha1", "kind": "Stage"}
# Stands for the time at which it happens.
NOW = "(now)"
# Preferred to the stages of normal life, which have no weight.
WEIGHT = 1


@dataclass(frozen=True, kw_only=True)
class Behaviour:
    """What the status of a pod says of its containers, once this has happened."""

    phase: str
    state: Mapping[str, Any]
    last_state: Mapping[str, Any]
    ready: bool = False
    restarts: int = 0
    after_seconds: float = 0.0
    """Since the pod was bound to its node, or since it was Ready."""
    once_ready: bool = False
    """It happens to pods that are Ready, instead of to new ones."""


def image_pull(message: str = "not found", reason: str = "ImagePullBackOff") -> Behaviour:
    """Also for other reasons to wait for: ErrImagePull, CreateContainerConfigError, ..."""
    return Behaviour(phase="Pending", state={"waiting": {"reason": reason, "message": message}}, last_state={})


def crash_loop(
    message: str, *, exit_code: int = 1, reason: str = "Error", restarts: int = 3, after_ready: float | None = None
) -> Behaviour:
    """The message is what the process left as its termination message; reason OOMKilled goes with exit code 137."""
    waiting = {"reason": "CrashLoopBackOff", "message": "back-off 40s restarting failed container"}
    return Behaviour(
        phase="Running",
        state={"waiting": waiting},
        last_state={"terminated": _ended(exit_code, reason, message)},
        restarts=restarts,
        after_seconds=after_ready or 0.0,
        once_ready=after_ready is not None,
    )


def never_ready(after_ready: float | None = None) -> Behaviour:
    """It runs, and its probe says no."""
    return Behaviour(
        phase="Running",
        state={"running": {"startedAt": NOW}},
        last_state={},
        after_seconds=after_ready or 0.0,
        once_ready=after_ready is not None,
    )


def slow(seconds: float) -> Behaviour:
    """Ready, but later."""
    running = {"running": {"startedAt": NOW}}
    return Behaviour(phase="Running", state=running, last_state={}, ready=True, after_seconds=seconds)


def completed(message: str = "", *, exit_code: int = 0) -> Behaviour:
    """It has done its work, or failed to, and is not started again."""
    reason = "Error" if exit_code else "Completed"
    ended = {"terminated": _ended(exit_code, reason, message)}
    return Behaviour(phase="Failed" if exit_code else "Succeeded", state=ended, last_state={})


def stage(name: str, behaviour: Behaviour, namespace: str, labels: Mapping[str, str]) -> dict[str, Any]:
    """For pods of a namespace that have these labels."""
    happened = [{"key": ".metadata.namespace", "operator": "In", "values": [namespace]}, *_before(behaviour)]
    spec = {
        "resourceRef": {"apiGroup": "v1", "kind": "Pod"},
        "selector": {"matchLabels": dict(labels), "matchExpressions": happened},
        "weight": WEIGHT,
        "delay": {"durationMilliseconds": int(behaviour.after_seconds * 1000)},
        "next": {"statusTemplate": _template(behaviour)},
    }
    return {**STAGE_KIND, "metadata": {"name": name}, "spec": spec}


def _before(behaviour: Behaviour) -> list[dict[str, Any]]:
    """What distinguishes pods to which it has not happened yet."""
    living = {"key": ".metadata.deletionTimestamp", "operator": "DoesNotExist"}
    if behaviour.once_ready:
        ready = '.status.conditions[]? | select(.type == "Ready") | .status'
        return [living, {"key": ready, "operator": "In", "values": ["True"]}]
    new = {"key": ".status.containerStatuses", "operator": "DoesNotExist"}
    return [living, {"key": ".status.phase", "operator": "In", "values": ["Pending"]}, new]


def _template(behaviour: Behaviour) -> str:
    """JSON but for the loop over containers, so that no message can break it."""
    ready = behaviour.ready
    conditions = {"Initialized": True, "PodReadyToStartContainers": True, "ContainersReady": ready, "Ready": ready}
    container = {
        "ready": ready,
        "started": "running" in behaviour.state,
        "restartCount": behaviour.restarts,
        "state": behaviour.state,
        "lastState": behaviour.last_state,
    }
    lines = [
        f"phase: {behaviour.phase}",
        f"startTime: {_json(NOW)}",
        "hostIP: {{ NodeIPWith .spec.nodeName | Quote }}",
        'podIP: {{ PodIPWith .spec.nodeName false (or .metadata.uid "") .metadata.name .metadata.namespace | Quote }}',
        f"conditions: {_json([_condition(kind, true) for kind, true in conditions.items()])}",
        "containerStatuses:",
        "{{ range .spec.containers }}",
        "- name: {{ .name | Quote }}",
        "  image: {{ .image | Quote }}",
        '  imageID: ""',
        *(f"  {key}: {_json(value)}" for key, value in container.items()),
        "{{ end }}",
    ]
    return "\n".join(lines)


def _condition(kind: str, true: bool) -> dict[str, str]:
    return {"type": kind, "status": str(true), "lastTransitionTime": NOW}


def _ended(exit_code: int, reason: str, message: str) -> dict[str, Any]:
    return {"exitCode": exit_code, "reason": reason, "message": message, "startedAt": NOW, "finishedAt": NOW}


def _json(value: object) -> str:
    """Braces within words become their numbers, so that no message is taken for a template."""
    return json.dumps(value).replace("{{", "\\u007b\\u007b").replace(f'"{NOW}"', '"{{ Now }}"')
