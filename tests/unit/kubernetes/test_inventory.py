"""Nodes as device plugins describe them -> what engines may be placed on."""

import pytest

from inferry.kubernetes.accelerators import Offer
from inferry.kubernetes.inventory import offered
from inferry.kubernetes.views import ForeignPodView, NodeView
from inferry.kubernetes.wire import Taint
from inferry_runtime.hardware import Vendor

GIB = 1024**3


def node(name: str = "node-a", *, taints: tuple[Taint, ...] = ()) -> NodeView:
    return NodeView(
        uid=name,
        name=name,
        system="linux",
        machine="amd64",
        allocatable={"cpu": "8", "memory": "32Gi"},
        labels={},
        taints=taints,
    )


def with_devices(resource: str, count: str, labels: dict[str, str]) -> NodeView:
    return NodeView(
        uid="gpu",
        name="gpu",
        system="linux",
        machine="arm64",
        allocatable={"cpu": "8", "memory": "32Gi", resource: count},
        labels=labels,
        taints=(),
    )


def test_a_node_without_devices_offers_its_processors_and_memory() -> None:
    (found,) = offered([node()], []).inventory.nodes
    assert (found.cpus, found.memory_bytes, found.machine, found.accelerators) == (8.0, 32 * GIB, "x86_64", ())


@pytest.mark.parametrize(
    ("resource", "labels", "expected"),
    [
        pytest.param(
            "nvidia.com/gpu",
            {
                "nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3",
                "nvidia.com/gpu.memory": "81559",
                "nvidia.com/gpu.compute.major": "9",
                "nvidia.com/gpu.compute.minor": "0",
            },
            (Vendor.NVIDIA, "NVIDIA-H100-80GB-HBM3", 81559 * 1024**2, "9.0"),
            id="NVIDIA with GPU feature discovery",
        ),
        pytest.param(
            "nvidia.com/gpu",
            {"cloud.google.com/gke-accelerator": "nvidia-l4"},
            (Vendor.NVIDIA, "nvidia-l4", 24 * GIB, "8.9"),
            id="NVIDIA on GKE, which says only the product",
        ),
        pytest.param(
            "nvidia.com/gpu",
            {"cloud.google.com/gke-accelerator": "nvidia-a100-80gb"},
            (Vendor.NVIDIA, "nvidia-a100-80gb", 80 * GIB, "8.0"),
            id="the larger of two devices whose names begin alike",
        ),
        pytest.param(
            "nvidia.com/mig-1g.10gb",
            {
                "nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3",
                "nvidia.com/mig-1g.10gb.product": "NVIDIA-H100-80GB-HBM3-MIG-1g.10gb",
                "nvidia.com/mig-1g.10gb.memory": "9856",
                "nvidia.com/gpu.compute.major": "9",
                "nvidia.com/gpu.compute.minor": "0",
            },
            (Vendor.NVIDIA, "NVIDIA-H100-80GB-HBM3-MIG-1g.10gb", 9856 * 1024**2, "9.0"),
            id="a slice of an NVIDIA device",
        ),
        pytest.param(
            "amd.com/gpu",
            {"amd.com/gpu.product-name": "AMD_Instinct_MI300X", "amd.com/gpu.vram": "192Gi"},
            (Vendor.AMD, "AMD_Instinct_MI300X", 192 * GIB, None),
            id="AMD",
        ),
        pytest.param("habana.ai/gaudi", {}, (Vendor.INTEL, "Gaudi", 32 * GIB, None), id="Gaudi without labels"),
        pytest.param(
            "huawei.com/Ascend910",
            {"node.kubernetes.io/npu.chip.name": "910B3"},
            (Vendor.ASCEND, "910B3", 64 * GIB, None),
            id="Ascend",
        ),
        pytest.param(
            "nvidia.com/gpu",
            {"nvidia.com/gpu.product": "NVIDIA-FUTURE", "nvidia.com/gpu.memory": "plenty"},
            (Vendor.NVIDIA, "NVIDIA-FUTURE", 0, None),
            id="a label that is no amount",
        ),
    ],
)
def test_devices(resource: str, labels: dict[str, str], expected: tuple[object, ...]) -> None:
    (found,) = offered([with_devices(resource, "4", labels)], []).inventory.nodes
    (device,) = found.accelerators
    assert (device.vendor, device.product, device.memory_bytes, device.compute_capability) == expected
    assert device.count == 4


def test_a_pod_asks_for_a_device_by_the_label_that_named_it() -> None:
    labels = {"nvidia.com/mig-1g.10gb.product": "H100-MIG-1g.10gb"}
    offers = offered([with_devices("nvidia.com/mig-1g.10gb", "7", labels)], []).offers
    expected = Offer(
        resource="nvidia.com/mig-1g.10gb", label="nvidia.com/mig-1g.10gb.product", value="H100-MIG-1g.10gb"
    )
    assert offers == {("nvidia", "H100-MIG-1g.10gb"): expected}


def test_what_comes_with_a_node_is_taken_from_it() -> None:
    daemon = ForeignPodView(uid="d", node="node-a", requests={"cpu": 0.5, "memory": float(2 * GIB)})
    (found,) = offered([node()], [daemon]).inventory.nodes
    assert (found.cpus, found.memory_bytes) == (7.5, 30 * GIB)


@pytest.mark.parametrize(
    ("taint", "counts"),
    [
        pytest.param(Taint(key="dedicated", effect="NoSchedule"), False, id="a node for others"),
        pytest.param(Taint(key="node.kubernetes.io/unschedulable", effect="NoSchedule"), True, id="a cordoned node"),
        pytest.param(Taint(key="nvidia.com/gpu", effect="NoSchedule"), True, id="a node for devices"),
        pytest.param(Taint(key="dedicated", effect="PreferNoSchedule"), True, id="a node better left alone"),
    ],
)
def test_taints(taint: Taint, counts: bool) -> None:
    assert bool(offered([node(taints=(taint,))], []).inventory.nodes) is counts


def test_the_order_of_nodes_makes_no_difference() -> None:
    nodes = [node("b"), node("a"), node("c")]
    assert offered(nodes, []) == offered(reversed(nodes), [])
