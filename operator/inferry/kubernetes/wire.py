"""API objects as the API server writes them: the few fields that are read, everything else is skipped."""

import msgspec


class Owner(msgspec.Struct, frozen=True, rename="camel"):
    kind: str
    name: str
    uid: str
    controller: bool = False


class Ownership(msgspec.Struct, frozen=True, rename="camel"):
    """Who wrote which fields. `fields` is only ever compared."""

    manager: str = ""
    operation: str = ""
    subresource: str = ""
    fields: msgspec.Raw = msgspec.field(default_factory=lambda: msgspec.Raw(b""), name="fieldsV1")


class Meta(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    uid: str = ""
    namespace: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: str = ""
    deletion_timestamp: str = ""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    owner_references: tuple[Owner, ...] = ()
    managed_fields: tuple[Ownership, ...] = ()


class Condition(msgspec.Struct, frozen=True, rename="camel"):
    type: str
    status: str
    reason: str = ""
    message: str = ""


class Waiting(msgspec.Struct, frozen=True, rename="camel"):
    reason: str = ""
    message: str = ""


class Terminated(msgspec.Struct, frozen=True, rename="camel"):
    exit_code: int = 0
    signal: int = 0
    reason: str = ""
    message: str = ""
    finished_at: str = ""


class Running(msgspec.Struct, frozen=True, rename="camel"):
    started_at: str = ""


class ContainerState(msgspec.Struct, frozen=True, rename="camel"):
    waiting: Waiting | None = None
    running: Running | None = None
    terminated: Terminated | None = None


class ContainerStatus(msgspec.Struct, frozen=True, rename="camel"):
    name: str = ""
    restart_count: int = 0
    state: ContainerState = ContainerState()
    last_state: ContainerState = ContainerState()


class Taint(msgspec.Struct, frozen=True, rename="camel"):
    key: str
    effect: str
    value: str = ""


class Resources(msgspec.Struct, frozen=True, rename="camel"):
    requests: dict[str, str] = {}


class Container(msgspec.Struct, frozen=True, rename="camel"):
    name: str = ""
    resources: Resources = Resources()


class PodSpec(msgspec.Struct, frozen=True, rename="camel"):
    node_name: str = ""
    containers: tuple[Container, ...] = ()


class PodStatus(msgspec.Struct, frozen=True, rename="camel"):
    phase: str = ""
    pod_ip: str = msgspec.field(default="", name="podIP")
    conditions: tuple[Condition, ...] = ()
    container_statuses: tuple[ContainerStatus, ...] = ()


class Pod(msgspec.Struct, frozen=True, rename="camel"):
    metadata: Meta
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()


class ReplicaSetSpec(msgspec.Struct, frozen=True, rename="camel"):
    replicas: int = 1


class ReplicaSetStatus(msgspec.Struct, frozen=True, rename="camel"):
    replicas: int = 0
    observed_generation: int = 0
    conditions: tuple[Condition, ...] = ()


class ReplicaSet(msgspec.Struct, frozen=True, rename="camel"):
    metadata: Meta
    spec: ReplicaSetSpec = ReplicaSetSpec()
    status: ReplicaSetStatus = ReplicaSetStatus()


class AnyObject(msgspec.Struct, frozen=True, rename="camel"):
    metadata: Meta


class NodeInfo(msgspec.Struct, frozen=True, rename="camel"):
    operating_system: str = ""
    architecture: str = ""


class NodeSpec(msgspec.Struct, frozen=True, rename="camel"):
    taints: tuple[Taint, ...] = ()


class NodeStatus(msgspec.Struct, frozen=True, rename="camel"):
    allocatable: dict[str, str] = {}
    node_info: NodeInfo = NodeInfo()


class Node(msgspec.Struct, frozen=True, rename="camel"):
    metadata: Meta
    spec: NodeSpec = NodeSpec()
    status: NodeStatus = NodeStatus()
