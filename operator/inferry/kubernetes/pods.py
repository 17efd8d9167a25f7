"""The pod of one replica. Pure. It fits the `restricted` pod security standard and has no rights in the cluster."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from inferry.api.model_deployment import Amounts, Resources
from inferry.kubernetes.accelerators import Offer
from inferry.kubernetes.annotations import CONTAINER
from inferry.plan.types import RevisionTarget
from inferry_runtime.model.credentials import ANY_TOKEN, CLOUDS, TOKENS

Document = dict[str, object]

ORDER_FILE: Final = "order.json"
ORDER_FOLDER: Final = "/etc/inferry"
STORE: Final = "/models"
TERMINATION_LOG: Final = "/dev/termination-log"
STATUS_PORT_NAME: Final = "status"

USER: Final = 65532
"""The `nonroot` user of distroless images; any number but 0 would do."""

BEFORE_STOP_SECONDS: Final = 1
"""A pod that somebody deletes is told to end at the same moment as gateways learn of it; they get a head start."""
AFTER_DRAIN_SECONDS: Final = 15
"""From the last answer to the end of all processes; an engine that hangs is killed within 10."""

CPU_REQUEST: Final = "500m"
"""What a replica weighs when shares are dealt; it may use every core that is idle."""
SHARED_MEMORY_PER_DEVICE: Final = 2
"""GiB of /dev/shm for each device: NCCL's buffers between ranks and the engines' own queues stay below one."""
_MIB: Final = 1024**2

LIVENESS_FAILURES: Final = 6
START_SECONDS: Final = 120
"""Until the status port answers; loading the model comes later. Slow disks take a minute to read the image's Python."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodChoices:
    """What an installation decides for all pods."""

    image: str = "inferry/runtime-{engine}:{version}-{variant}"
    """Used when neither the deployment nor the catalog names one."""
    image_pull_policy: str = "IfNotPresent"
    image_pull_secrets: tuple[str, ...] = ()
    python: str = "python"
    """Interpreter of the engine in its image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What one deployment asks for in a pod."""

    target: RevisionTarget
    resources: Resources
    secret: str
    """Name of the Secret that opens the source; "" for none."""
    offer: Offer | None
    """None for a replica without devices, and for one whose devices no node has any more."""

    @property
    def devices(self) -> int:
        return self.target.decision.placement.count if self.offer is not None else 0


def pod_spec(
    wanted: Wanted, choices: PodChoices, *, order: str, service_account: str, labels: Mapping[str, str]
) -> Document:
    """`order` names the ConfigMap that holds it."""
    spec: Document = {
        "serviceAccountName": service_account,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": grace_seconds(wanted.target.order.drain_seconds),
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(wanted, choices)],
        "volumes": _volumes(order, wanted.devices),
        "topologySpreadConstraints": _spread(labels),
    }
    if choices.image_pull_secrets:
        spec["imagePullSecrets"] = [{"name": name} for name in choices.image_pull_secrets]
    if wanted.offer is not None:
        spec["tolerations"] = [{"key": wanted.offer.resource, "operator": "Exists"}]
        spec |= _affinity(wanted.offer)
    return spec


def grace_seconds(drain_seconds: float) -> int:
    """Longer than everything that happens after the pod was told to end."""
    return BEFORE_STOP_SECONDS + math.ceil(drain_seconds) + AFTER_DRAIN_SECONDS


def _container(wanted: Wanted, choices: PodChoices) -> Document:
    order = wanted.target.order
    return {
        "name": CONTAINER,
        "image": _image(wanted.target, choices),
        "imagePullPolicy": choices.image_pull_policy,
        "command": _command(choices.python),
        **_environment(order.model.source, wanted.secret),
        "ports": [
            {"name": "http", "containerPort": order.port, "protocol": "TCP"},
            {"name": STATUS_PORT_NAME, "containerPort": order.status_port, "protocol": "TCP"},
        ],
        "startupProbe": _probe("/healthz", order.status_port, period=1, failures=START_SECONDS),
        "livenessProbe": _probe("/healthz", order.status_port, period=10, failures=LIVENESS_FAILURES),
        "readinessProbe": _probe("/readyz", order.status_port, period=1, failures=3),
        "lifecycle": {"preStop": {"sleep": {"seconds": BEFORE_STOP_SECONDS}}},
        "resources": _resources(wanted),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "terminationMessagePath": TERMINATION_LOG,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": _mounts(wanted.devices),
    }


def _image(target: RevisionTarget, choices: PodChoices) -> str:
    decision = target.decision
    return decision.image or choices.image.format(
        engine=decision.engine, version=decision.version, variant=decision.variant
    )


def _command(python: str) -> list[str]:
    options = {
        "--order": f"{ORDER_FOLDER}/{ORDER_FILE}",
        "--store": STORE,
        "--python": python,
        "--host": "0.0.0.0",
        "--termination-log": TERMINATION_LOG,
    }
    return ["python", "-m", "inferry_runtime.serve", *(word for pair in options.items() for word in pair)]


def _environment(source: str, secret: str) -> Document:
    """The root file system is read-only: whatever wants to keep something finds a home in /tmp. Of a secret only what
    opens the source is given to the pod; the operator itself never reads one."""
    variables: list[Document] = [{"name": "HOME", "value": "/tmp"}, {"name": "XDG_CACHE_HOME", "value": "/tmp/cache"}]
    scheme = source.partition("://")[0].lower() if "://" in source else ""
    if secret and scheme in CLOUDS:
        # Names of cloud variables are many, and one cannot ask for those with a prefix only.
        return {"env": variables, "envFrom": [{"secretRef": {"name": secret}}]}
    if secret and scheme in TOKENS:
        # Of two variables with one name the later wins, and an optional key that is missing is no variable.
        variables += [_from_secret(TOKENS[scheme], secret, key) for key in (ANY_TOKEN, TOKENS[scheme])]
    return {"env": variables}


def _from_secret(variable: str, secret: str, key: str) -> Document:
    return {"name": variable, "valueFrom": {"secretKeyRef": {"name": secret, "key": key, "optional": True}}}


def _probe(path: str, port: int, *, period: int, failures: int) -> Document:
    return {
        "httpGet": {"path": path, "port": port, "scheme": "HTTP"},
        "periodSeconds": period,
        "timeoutSeconds": 5 if period > 1 else 1,
        "failureThreshold": failures,
    }


def _resources(wanted: Wanted) -> Document:
    asked = wanted.resources
    requests = {"cpu": CPU_REQUEST, **_amounts(asked.limits), **_amounts(asked.requests)}
    requests.setdefault("memory", f"{_host_memory_mib(wanted.target)}Mi")
    limits = _amounts(asked.limits)
    if wanted.offer is not None:
        limits[wanted.offer.resource] = str(wanted.devices)
    return {"requests": requests, "limits": limits} if limits else {"requests": requests}


def _host_memory_mib(target: RevisionTarget) -> int:
    """On the CPU everything the estimate holds; on devices what the engine itself takes beside them."""
    estimate = target.decision.estimate
    size = estimate.overhead_bytes if target.decision.placement.count else estimate.total_bytes
    return max(1, math.ceil(size / _MIB))


def _amounts(amounts: Amounts) -> dict[str, str]:
    named = {"cpu": amounts.cpu, "memory": amounts.memory}
    return {name: amount for name, amount in named.items() if amount is not None}


def _volumes(order: str, devices: int) -> list[Document]:
    volumes: list[Document] = [
        {"name": "order", "configMap": {"name": order}},
        {"name": "models", "emptyDir": {}},
        {"name": "tmp", "emptyDir": {}},
    ]
    if devices:
        size = f"{SHARED_MEMORY_PER_DEVICE * devices}Gi"
        volumes.append({"name": "shared-memory", "emptyDir": {"medium": "Memory", "sizeLimit": size}})
    return volumes


def _mounts(devices: int) -> list[Document]:
    mounts: list[Document] = [
        {"name": "order", "mountPath": ORDER_FOLDER, "readOnly": True},
        {"name": "models", "mountPath": STORE},
        {"name": "tmp", "mountPath": "/tmp"},
    ]
    if devices:
        mounts.append({"name": "shared-memory", "mountPath": "/dev/shm"})
    return mounts


def _spread(labels: Mapping[str, str]) -> list[Document]:
    """Replicas share a node or a zone only when there is no other."""
    return [
        {
            "maxSkew": 1,
            "topologyKey": key,
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": dict(labels)},
        }
        for key in ("kubernetes.io/hostname", "topology.kubernetes.io/zone")
    ]


def _affinity(offer: Offer) -> Document:
    """On nodes with the product that was decided for; another one may have less memory."""
    if not offer.label:
        return {}
    terms = [{"matchExpressions": [{"key": offer.label, "operator": "In", "values": [offer.value]}]}]
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    return {"affinity": {"nodeAffinity": required}}
