"""What nodes offer to replicas. Pure.

It is what could ever be had, not what is free now: a decision that followed every pod that comes and goes would move
running replicas about. Whether there is room now is the scheduler's word, which the status repeats.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from inferry.api.quantity import QuantityError, parse_quantity
from inferry.kubernetes.accelerators import Dialect, Offer, dialects
from inferry.kubernetes.views import ForeignPodView, NodeView
from inferry.kubernetes.wire import Taint
from inferry_runtime.hardware import Accelerator, Hardware, Inventory

_MACHINES: Final = {"amd64": "x86_64", "arm64": "aarch64"}
"""Go's names of processors -> Python's."""

_NODE_LIFE: Final = "node.kubernetes.io/"
"""Taints of nodes that are cordoned, not ready or under pressure: that passes, and is no reason to decide anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    inventory: Inventory
    offers: Mapping[tuple[str, str], Offer]
    """(vendor, product) -> how a pod asks for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    accelerator: Accelerator
    offer: Offer


def offered(nodes: Iterable[NodeView], staying: Iterable[ForeignPodView]) -> Offered:
    """Equal nodes give equal inventories, in whatever order they come. `staying` are the pods that come with nodes."""
    taken: dict[str, list[ForeignPodView]] = defaultdict(list)
    for pod in staying:
        taken[pod.node].append(pod)
    machines: list[Hardware] = []
    offers: dict[tuple[str, str], Offer] = {}
    for node in sorted(nodes, key=lambda node: node.name):
        if not _is_open(node.taints):
            continue
        found = list(_accelerators(node))
        for one in found:
            offers.setdefault((one.accelerator.vendor, one.accelerator.product), one.offer)
        machines.append(_hardware(node, found, taken[node.name]))
    return Offered(inventory=Inventory(nodes=tuple(machines)), offers=offers)


def _is_open(taints: Iterable[Taint]) -> bool:
    """Replicas tolerate the taints that device plugins put on their own nodes, and no others."""
    devices = {resource for dialect in dialects() for resource in dialect.resources}
    closing = (taint for taint in taints if taint.effect in ("NoSchedule", "NoExecute"))
    return all(taint.key in devices or taint.key.startswith(_NODE_LIFE) for taint in closing)


def _hardware(node: NodeView, found: Iterable[_Found], staying: Iterable[ForeignPodView]) -> Hardware:
    cpus, memory = _amount(node, "cpu"), _amount(node, "memory")
    for pod in staying:
        cpus -= pod.requests.get("cpu", 0.0)
        memory -= pod.requests.get("memory", 0.0)
    return Hardware(
        name=node.name,
        system=node.system,
        machine=_MACHINES.get(node.machine, node.machine),
        cpus=max(0.0, round(cpus, 3)),
        memory_bytes=max(0, int(memory)),
        accelerators=tuple(one.accelerator for one in found),
    )


def _accelerators(node: NodeView) -> Iterator[_Found]:
    for dialect in dialects():
        for resource in sorted(node.allocatable):
            count = int(_amount(node, resource)) if _speaks(dialect, resource) else 0
            if count > 0:
                yield _found(node, dialect, resource, count)


def _speaks(dialect: Dialect, resource: str) -> bool:
    return resource in dialect.resources or bool(dialect.slices and resource.startswith(dialect.slices))


def _found(node: NodeView, dialect: Dialect, resource: str, count: int) -> _Found:
    labels = _product_labels(dialect, resource)
    label = next((name for name in labels if node.labels.get(name)), "")
    product = node.labels.get(label, "") or dialect.name or resource.rpartition("/")[2]
    accelerator = Accelerator(
        vendor=dialect.vendor,
        product=product,
        count=count,
        memory_bytes=_memory_bytes(node, dialect, resource) or dialect.known_memory_bytes(product),
        compute_capability=_capability(node, dialect) or dialect.known_capability(product),
    )
    return _Found(accelerator=accelerator, offer=Offer(resource=resource, label=label, value=product if label else ""))


def _product_labels(dialect: Dialect, resource: str) -> tuple[str, ...]:
    if resource in dialect.resources:
        return dialect.product
    return (f"{resource}.product",)


def _memory_bytes(node: NodeView, dialect: Dialect, resource: str) -> int:
    names = dialect.memory if resource in dialect.resources else (f"{resource}.memory",)
    text = next((node.labels[name] for name in names if node.labels.get(name)), "")
    if not text:
        return 0
    try:
        # "192G" and "24576Mi" have their unit, "24576" has the dialect's.
        return int(parse_quantity(text + dialect.unit if text.isdecimal() else text))
    except QuantityError:
        return 0


def _capability(node: NodeView, dialect: Dialect) -> str | None:
    numbers = [node.labels.get(label, "") for label in dialect.compute]
    return ".".join(numbers) if numbers and all(numbers) else None


def _amount(node: NodeView, resource: str) -> float:
    return parse_quantity(node.allocatable.get(resource, "0"))
