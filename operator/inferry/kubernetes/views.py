"""What is kept of cluster objects: a tenth of their size, and nothing that nobody reads.

Objects are decoded straight into these few fields. Strings that repeat (namespaces, owners, reasons) are interned.
"""

import sys
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Final

import msgspec

from inferry.api.labels import DEPLOYMENT, DRAINING, FIELD_MANAGER, REVISION
from inferry.api.model_deployment import KIND
from inferry.api.quantity import parse_quantity
from inferry.control.world import Key
from inferry.kubernetes.annotations import APPLIED, CONTAINER, FULL_NAME
from inferry.kubernetes.wire import AnyObject, ContainerStatus, Meta, Node, Pod, ReplicaSet, Taint


class PodView(msgspec.Struct, frozen=True, kw_only=True):
    """A replica."""

    key: Key
    uid: str
    name: str
    revision: str
    owner_uid: str
    """Of the ReplicaSet; "" for a pod that nobody controls."""
    created_at: float
    """Unix seconds."""
    terminating: bool
    draining_since: float | None
    phase: str
    ready: bool
    node: str
    address: str
    unscheduled: str
    """Why no node takes it, in the scheduler's words; "" while nobody has said so."""
    container: ContainerStatus | None


class ReplicaSetView(msgspec.Struct, frozen=True, kw_only=True):
    """A revision."""

    key: Key
    uid: str
    name: str
    revision: str
    owner_uid: str
    """Of the ModelDeployment."""
    applied: str
    """Digest of the manifest that was last applied; see `applied.digest`."""
    owned: int
    foreign: bool
    terminating: bool
    wanted: int
    existing: int
    settled: bool
    """The ReplicaSet controller has seen the current spec."""
    failure: str
    """Why pods cannot be made; "" when they can."""
    created_at: float


class OwnedView(msgspec.Struct, frozen=True, kw_only=True):
    """Any other object that was made for a deployment."""

    key: Key
    uid: str
    name: str
    owner_uid: str
    applied: str
    owned: int
    """Hash of the set of fields that are ours: it differs when somebody took one of them."""
    foreign: bool
    """Somebody else has written fields of its spec or data."""
    terminating: bool


class NodeView(msgspec.Struct, frozen=True, kw_only=True):
    uid: str
    name: str
    system: str
    machine: str
    allocatable: Mapping[str, str]
    labels: Mapping[str, str]
    taints: tuple[Taint, ...]


class ForeignPodView(msgspec.Struct, frozen=True, kw_only=True):
    """A pod that comes with the node, such as a DaemonSet's: what it asks for is never there for replicas."""

    uid: str
    node: str
    requests: Mapping[str, float]


_POD: Final = msgspec.json.Decoder(Pod)
_SET: Final = msgspec.json.Decoder(ReplicaSet)
_ANY: Final = msgspec.json.Decoder(AnyObject)
_NODE: Final = msgspec.json.Decoder(Node)


def pod_view(document: bytes | msgspec.Raw) -> PodView | None:
    """None for a pod that was not made for a deployment."""
    pod = _POD.decode(document)
    key = _key(pod.metadata)
    if key is None:
        return None
    conditions = {condition.type: condition for condition in pod.status.conditions}
    placed, ready = conditions.get("PodScheduled"), conditions.get("Ready")
    return PodView(
        key=key,
        uid=pod.metadata.uid,
        name=pod.metadata.name,
        revision=sys.intern(pod.metadata.labels.get(REVISION, "")),
        owner_uid=sys.intern(_controller(pod.metadata, "ReplicaSet")),
        created_at=unix_seconds(pod.metadata.creation_timestamp),
        terminating=bool(pod.metadata.deletion_timestamp),
        draining_since=_moment(pod.metadata.labels.get(DRAINING, "")),
        phase=sys.intern(pod.status.phase),
        ready=ready is not None and ready.status == "True",
        node=sys.intern(pod.spec.node_name),
        address=pod.status.pod_ip,
        unscheduled=placed.message if placed is not None and placed.reason == "Unschedulable" else "",
        container=next((one for one in pod.status.container_statuses if one.name == CONTAINER), None),
    )


def replica_set_view(document: bytes | msgspec.Raw) -> ReplicaSetView | None:
    found = _SET.decode(document)
    key = _key(found.metadata)
    if key is None:
        return None
    meta, status = found.metadata, found.status
    failures = [one.message for one in status.conditions if one.type == "ReplicaFailure" and one.status == "True"]
    owned, foreign = _ownership(meta)
    return ReplicaSetView(
        key=key,
        uid=meta.uid,
        name=meta.name,
        revision=meta.labels.get(REVISION, ""),
        owner_uid=_controller(meta, KIND),
        applied=meta.annotations.get(APPLIED, ""),
        owned=owned,
        foreign=foreign,
        terminating=bool(meta.deletion_timestamp),
        wanted=found.spec.replicas,
        existing=status.replicas,
        settled=status.observed_generation >= meta.generation,
        failure=failures[0] if failures else "",
        created_at=unix_seconds(meta.creation_timestamp),
    )


def owned_view(document: bytes | msgspec.Raw) -> OwnedView | None:
    meta = _ANY.decode(document).metadata
    key = _key(meta)
    if key is None:
        return None
    owned, foreign = _ownership(meta)
    return OwnedView(
        key=key,
        uid=meta.uid,
        name=meta.name,
        owner_uid=_controller(meta, KIND),
        applied=meta.annotations.get(APPLIED, ""),
        owned=owned,
        foreign=foreign,
        terminating=bool(meta.deletion_timestamp),
    )


def node_view(document: bytes | msgspec.Raw) -> NodeView | None:
    node = _NODE.decode(document)
    info = node.status.node_info
    labels = node.metadata.labels
    return NodeView(
        uid=node.metadata.uid,
        name=node.metadata.name,
        system=info.operating_system or labels.get("kubernetes.io/os", ""),
        machine=info.architecture or labels.get("kubernetes.io/arch", ""),
        allocatable=node.status.allocatable,
        labels=labels,
        taints=node.spec.taints,
    )


def foreign_pod_view(document: bytes | msgspec.Raw) -> ForeignPodView | None:
    """None for pods that come and go: a decision must not depend on them."""
    pod = _POD.decode(document)
    stays = any(owner.kind in ("DaemonSet", "Node") for owner in pod.metadata.owner_references)
    if not stays or not pod.spec.node_name or pod.status.phase in ("Succeeded", "Failed"):
        return None
    requests: Counter[str] = Counter()
    for container in pod.spec.containers:
        requests.update({name: parse_quantity(amount) for name, amount in container.resources.requests.items()})
    return ForeignPodView(uid=pod.metadata.uid, node=sys.intern(pod.spec.node_name), requests=requests)


def unix_seconds(timestamp: str) -> float:
    """0 for none."""
    return datetime.fromisoformat(timestamp).timestamp() if timestamp else 0.0


def _key(meta: Meta) -> Key | None:
    name = meta.annotations.get(FULL_NAME) or meta.labels.get(DEPLOYMENT)
    return Key(sys.intern(meta.namespace), sys.intern(name)) if name else None


def _controller(meta: Meta, kind: str) -> str:
    return next((one.uid for one in meta.owner_references if one.controller and one.kind == kind), "")


def _moment(text: str) -> float | None:
    """A label that somebody else wrote may hold anything; whatever it is, the replica is marked."""
    if not text:
        return None
    try:
        return float(text)
    except ValueError:
        return 0.0


def _ownership(meta: Meta) -> tuple[int, bool]:
    ours = 0
    foreign = False
    for entry in meta.managed_fields:
        if entry.manager == FIELD_MANAGER and entry.operation == "Apply":
            ours = hash(bytes(entry.fields))
        elif not entry.subresource:
            foreign = foreign or any(part in bytes(entry.fields) for part in (b'"f:spec"', b'"f:data"'))
    return ours, foreign
