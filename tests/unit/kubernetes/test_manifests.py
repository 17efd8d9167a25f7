"""What a revision is made of in a cluster."""

from dataclasses import replace
from typing import Any

import pytest

from inferry.api.model_deployment import Resources
from inferry.decide.decision import Placement
from inferry.kubernetes import manifests
from inferry.kubernetes.accelerators import Offer
from inferry.kubernetes.manifests import Owner
from inferry.kubernetes.pods import PodChoices, Wanted
from inferry.plan.order import serve_order
from inferry.plan.types import RevisionTarget
from inferry_runtime.order import decode
from worlds.samples import a_decision, a_deployment, an_inspection

OWNER = Owner(namespace="birds", name="qwen", uid="u1")
L4 = Offer(resource="nvidia.com/gpu", label="nvidia.com/gpu.product", value="NVIDIA-L4")


def a_target(source: str = "hf://org/model", **decision: Any) -> RevisionTarget:
    chosen = a_decision(**decision)
    order = serve_order(a_deployment(), chosen, replace(an_inspection(), source=source))
    return RevisionTarget(revision="0123456789", order=order, decision=chosen, replicas=1)


def a_wanted(
    target: RevisionTarget | None = None, *, offer: Offer | None = None, secret: str = "", **resources: Any
) -> Wanted:
    return Wanted(
        target=target or a_target(), resources=Resources.model_validate(resources), secret=secret, offer=offer
    )


def pod(wanted: Wanted, **choices: Any) -> Any:
    document: Any = manifests.replica_set(OWNER, wanted, PodChoices(**choices))
    return document["spec"]["template"]["spec"]


def container(wanted: Wanted, **choices: Any) -> Any:
    return pod(wanted, **choices)["containers"][0]


def on_devices(count: int) -> Wanted:
    placement = Placement(node="gpu-1", accelerator="NVIDIA-L4", vendor="nvidia", count=count)
    return a_wanted(a_target(placement=placement), offer=L4)


def everything() -> list[Any]:
    target = a_target()
    return [
        manifests.replica_set(OWNER, a_wanted(target), PodChoices()),
        manifests.config_map(OWNER, target.revision, target.order),
        manifests.service_account(OWNER),
        manifests.service(OWNER, target.order),
        manifests.disruption_budget(OWNER),
        manifests.network_policy(OWNER, target.order, "inferry"),
    ]


@pytest.mark.parametrize("document", everything(), ids=lambda document: document["kind"])
def test_everything_belongs_to_the_deployment_and_says_so(document: Any) -> None:
    (reference,) = document["metadata"]["ownerReferences"]
    assert (reference["kind"], reference["name"], reference["uid"]) == ("ModelDeployment", "qwen", "u1")
    assert reference["controller"] is True
    assert document["metadata"]["namespace"] == "birds"
    assert document["metadata"]["labels"]["inferry.dev/deployment"] == "qwen"


def test_making_it_twice_makes_the_same() -> None:
    assert everything() == everything()


def test_no_two_objects_of_a_kind_share_a_name() -> None:
    names = [(document["kind"], document["metadata"]["name"]) for document in everything()]
    assert len(set(names)) == len(names)


def test_the_order_is_mounted_from_the_config_map_of_its_revision() -> None:
    target = a_target()
    config: Any = manifests.config_map(OWNER, target.revision, target.order)
    volumes = {volume["name"]: volume for volume in pod(a_wanted(target))["volumes"]}
    assert volumes["order"]["configMap"]["name"] == config["metadata"]["name"]
    assert decode(config["data"]["order.json"].encode()) == target.order
    assert "--order /etc/inferry/order.json" in " ".join(container(a_wanted(target))["command"])


def test_the_pod_has_no_rights_and_fits_the_restricted_standard() -> None:
    spec, inner = pod(a_wanted()), container(a_wanted())["securityContext"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert inner["allowPrivilegeEscalation"] is False
    assert inner["capabilities"] == {"drop": ["ALL"]}
    assert not any("hostPath" in volume for volume in spec["volumes"])


def test_the_grace_period_is_longer_than_the_drain() -> None:
    target = a_target()
    assert pod(a_wanted(target))["terminationGracePeriodSeconds"] > target.order.drain_seconds + 10


def test_a_replica_on_the_cpu_asks_for_the_estimated_memory_and_no_device() -> None:
    resources = container(a_wanted())["resources"]
    assert resources == {"requests": {"cpu": "500m", "memory": "640Mi"}}


def test_what_the_user_asks_for_wins() -> None:
    wanted = a_wanted(requests={"cpu": "2", "memory": "3Gi"}, limits={"memory": "4Gi"})
    expected = {"requests": {"cpu": "2", "memory": "3Gi"}, "limits": {"memory": "4Gi"}}
    assert container(wanted)["resources"] == expected


def test_a_limit_alone_is_also_the_request() -> None:
    assert container(a_wanted(limits={"memory": "4Gi"}))["resources"]["requests"]["memory"] == "4Gi"


def test_devices_come_with_their_node_their_taint_and_shared_memory() -> None:
    spec = pod(on_devices(2))
    assert spec["containers"][0]["resources"]["limits"] == {"nvidia.com/gpu": "2"}
    required = spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    (expression,) = required["nodeSelectorTerms"][0]["matchExpressions"]
    assert expression == {"key": "nvidia.com/gpu.product", "operator": "In", "values": ["NVIDIA-L4"]}
    assert spec["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists"}]
    mounts = {mount["mountPath"] for mount in spec["containers"][0]["volumeMounts"]}
    assert "/dev/shm" in mounts


def test_the_memory_of_devices_is_not_asked_of_the_host() -> None:
    assert container(on_devices(1))["resources"]["requests"]["memory"] == "80Mi"


@pytest.mark.parametrize(
    ("image", "expected"),
    [("", "inferry/runtime-llamacpp:1.0-cpu"), ("registry.example/engine:2", "registry.example/engine:2")],
    ids=["by the installation's pattern", "as the catalog or the deployment names it"],
)
def test_the_image(image: str, expected: str) -> None:
    assert container(a_wanted(a_target(image=image)))["image"] == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        pytest.param("hf://org/model", [("HF_TOKEN", "token"), ("HF_TOKEN", "HF_TOKEN")], id="a hub's token"),
        pytest.param("file:///models", [], id="a path needs none"),
    ],
)
def test_of_a_secret_a_pod_gets_what_opens_its_source(source: str, expected: list[tuple[str, str]]) -> None:
    variables = container(a_wanted(a_target(source), secret="mine"))["env"]
    references = [one for one in variables if "valueFrom" in one]
    found = [(one["name"], one["valueFrom"]["secretKeyRef"]["key"]) for one in references]
    assert found == expected


def test_an_object_store_gets_the_whole_secret() -> None:
    found = container(a_wanted(a_target("s3://bucket/model"), secret="mine"))
    assert found["envFrom"] == [{"secretRef": {"name": "mine"}}]


def test_without_a_secret_no_pod_names_one() -> None:
    assert "secretKeyRef" not in str(pod(a_wanted()))


def test_requests_are_let_in_from_the_gateway_alone() -> None:
    policy: Any = manifests.network_policy(OWNER, a_target().order, "inferry")
    allowed = {
        port["port"]: rule["from"][0]["podSelector"]["matchLabels"]["app.kubernetes.io/component"]
        for rule in policy["spec"]["ingress"]
        for port in rule["ports"]
        if port["port"] == 8000
    }
    assert allowed == {8000: "gateway"}
