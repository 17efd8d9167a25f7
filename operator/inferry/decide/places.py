"""Where a replica could run: every node cut down to what one replica would get of it, in the order of preference."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from inferry.api.model_deployment import AcceleratorRequest
from inferry_runtime.hardware import Accelerator, Hardware, Inventory

NO_ACCELERATOR = "cpu"
"""The vendor that asks for none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    hardware: Hardware
    """The node with the accelerators of this place only: one kind, or none."""
    count: int
    """Devices a replica gets; 0 is CPU only."""
    alternative: int
    """Position among the ordered alternatives; lower is preferred whatever the engine."""
    offload: bool = False
    """What does not fit on the devices stays in host memory."""

    @property
    def accelerator(self) -> Accelerator | None:
        return self.hardware.accelerators[0] if self.count else None

    def describe(self) -> str:
        """ "2 x L4 of gpu-1", "the CPUs of node-a"."""
        if self.accelerator is None:
            return f"the CPUs of {self.hardware.name}"
        return f"{self.count} x {self.accelerator.product} of {self.hardware.name}"


def places(inventory: Inventory, requests: Sequence[AcceleratorRequest]) -> tuple[Place, ...]:
    """All places in the order of preference. Nodes that differ in nothing but their name are one place."""
    nodes = _distinct(inventory.nodes)
    if not requests:
        accelerated = _chosen_counts(nodes)
        return (*accelerated, *_without(nodes, alternative=1 if accelerated else 0))
    return tuple(place for index, request in enumerate(requests) for place in _asked_for(nodes, request, index))


def describe_request(request: AcceleratorRequest) -> str:
    """ "2 x nvidia L4", "no accelerator"."""
    if _wants_none(request):
        return "no accelerator"
    return f"{request.count} x {' '.join(word for word in (request.vendor, request.product) if word) or 'any'}"


def describe_nodes(nodes: Iterable[Hardware]) -> str:
    """What accelerators there are at all, "none" when there are none."""
    kinds = {f"{a.count} x {a.product}" for node in nodes for a in node.accelerators}
    return ", ".join(sorted(kinds)) or "none"


def _distinct(nodes: Iterable[Hardware]) -> list[Hardware]:
    """Of nodes that are alike the one whose name sorts first."""
    shapes: dict[tuple[object, ...], Hardware] = {}
    for node in nodes:
        shape = (node.system, node.machine, node.cpus, node.memory_bytes, node.accelerators)
        known = shapes.get(shape)
        if known is None or node.name < known.name:
            shapes[shape] = node
    return sorted(shapes.values(), key=lambda node: node.name)


def _asked_for(nodes: Sequence[Hardware], request: AcceleratorRequest, index: int) -> list[Place]:
    if _wants_none(request):
        return _without(nodes, alternative=index)
    found = [
        _with(node, accelerator, request.count, index)
        for node in nodes
        for accelerator in node.accelerators
        if accelerator.count >= request.count and _matches(accelerator, request)
    ]
    return _cheapest_first(found) + [replace(place, offload=True) for place in _cheapest_first(found)]


def _chosen_counts(nodes: Sequence[Hardware]) -> list[Place]:
    """Powers of two: what tensor parallelism divides heads by. The largest again with offload, as the last resort."""
    kinds = [(node, accelerator) for node in nodes for accelerator in node.accelerators]
    whole = [_with(node, kind, count, 0) for node, kind in kinds for count in _powers(kind.count)]
    offloaded = [replace(_with(node, kind, _powers(kind.count)[-1], 0), offload=True) for node, kind in kinds]
    return _cheapest_first(whole) + _cheapest_first(offloaded)


def _powers(limit: int) -> list[int]:
    return [2**exponent for exponent in range(limit.bit_length())] if limit > 0 else [0]


def _without(nodes: Sequence[Hardware], *, alternative: int) -> list[Place]:
    """Nodes without accelerators first: the others are wanted by models that need them."""
    ordered = sorted(nodes, key=lambda node: (bool(node.accelerators), node.name))
    return [Place(hardware=replace(node, accelerators=()), count=0, alternative=alternative) for node in ordered]


def _with(node: Hardware, accelerator: Accelerator, count: int, alternative: int) -> Place:
    given = replace(accelerator, count=count)
    return Place(hardware=replace(node, accelerators=(given,)), count=count, alternative=alternative)


def _cheapest_first(found: Iterable[Place]) -> list[Place]:
    return sorted(
        found,
        key=lambda place: (place.count, place.hardware.accelerator_memory_bytes(), place.hardware.name),
    )


def _wants_none(request: AcceleratorRequest) -> bool:
    return request.count == 0 or (request.vendor or "").lower() == NO_ACCELERATOR


def _matches(accelerator: Accelerator, request: AcceleratorRequest) -> bool:
    vendor_fits = not request.vendor or request.vendor.lower() == accelerator.vendor
    return vendor_fits and (request.product or "").lower() in accelerator.product.lower()
