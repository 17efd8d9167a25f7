"""The ground other tests stand on: simulated pods do what a test asks for, and servers fail when they are told to."""

from collections.abc import Callable, Mapping
from typing import Any

import httpx2
import pytest

from cluster import behaviours
from cluster.api import Api, KubectlError
from cluster.behaviours import Behaviour
from cluster.kwok import Simulation

AWKWARD = 'said "no", {{ .spec }}, {"a": {"b": 1}}, \\n and\nstopped: why?'


def pod(name: str, **resources: object) -> dict[str, Any]:
    container = {"name": "engine", "image": "registry.example/engine:1", "resources": {"limits": resources}}
    metadata = {"name": name, "labels": {"app": name}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container]}}


def replica_set(name: str, replicas: int) -> dict[str, Any]:
    template = {key: value for key, value in pod(name).items() if key in ("metadata", "spec")}
    template["metadata"] = {"labels": {"app": name}}
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": name}, "spec": spec}


class Pods:
    """Of one namespace."""

    def __init__(self, api: Api, namespace: str) -> None:
        self.api, self.namespace = api, namespace
        self.path = f"/api/v1/namespaces/{namespace}/pods"

    def create(self, document: Mapping[str, Any]) -> None:
        self.api.post(self.path, document)

    def status(self, name: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.api.get(f"{self.path}/{name}")["status"]
        return found

    def ready(self) -> list[str]:
        return [one["metadata"]["name"] for one in self.api.items(self.path) if is_true(one["status"], "Ready")]

    def container(self, name: str) -> Mapping[str, Any]:
        """Once something is known of it."""
        self.api.until(lambda: "containerStatuses" in self.status(name), lambda: str(self.status(name)))
        (found,) = self.status(name)["containerStatuses"]
        return found


@pytest.fixture
def pods(api: Api, namespace: str) -> Pods:
    return Pods(api, namespace)


def is_true(status: Mapping[str, Any], condition: str) -> bool:
    return any(one["type"] == condition and one["status"] == "True" for one in status.get("conditions", ()))


def test_a_pod_is_scheduled_and_becomes_ready_with_an_address(kwok: Simulation, pods: Pods):
    kwok.node("one")
    pods.create(pod("parrot"))
    pods.api.until(lambda: pods.ready() == ["parrot"], lambda: str(pods.status("parrot")))
    assert pods.status("parrot")["podIP"]


def test_a_replica_set_gets_all_its_pods(api: Api, kwok: Simulation, namespace: str, pods: Pods):
    kwok.node("one")
    kwok.node("two")
    api.apply(replica_set("parrots", 20), namespace=namespace)
    api.until(lambda: len(pods.ready()) == 20)
    assert {one["spec"]["nodeName"] for one in api.items(pods.path)} == {"one", "two"}


def test_accelerators_are_counted_by_the_scheduler(kwok: Simulation, pods: Pods):
    kwok.node("plain")
    kwok.node("accelerated", resources={"nvidia.com/gpu": 2}, labels={"nvidia.com/gpu.product": "NVIDIA-L4"})
    for name in ("a", "b", "c"):
        pods.create(pod(name, **{"nvidia.com/gpu": "1"}))
    pods.api.until(lambda: len(pods.ready()) == 2)
    waiting = ({"a", "b", "c"} - set(pods.ready())).pop()
    pods.api.until(lambda: bool(pods.status(waiting).get("conditions")))
    (why,) = pods.status(waiting)["conditions"]
    assert "Insufficient nvidia.com/gpu" in why["message"]


def test_a_tainted_node_takes_nothing_that_does_not_tolerate_it(kwok: Simulation, pods: Pods):
    kwok.node("reserved", taints=({"key": "reserved", "value": "yes", "effect": "NoSchedule"},))
    pods.create(pod("parrot"))
    pods.api.until(lambda: bool(pods.status("parrot").get("conditions")))
    assert "untolerated taint" in pods.status("parrot")["conditions"][0]["message"]


@pytest.mark.parametrize(
    ("behaviour", "phase", "expected"),
    [
        pytest.param(
            behaviours.image_pull("no such image"),
            "Pending",
            {"state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}},
            id="an image that is not there",
        ),
        pytest.param(
            behaviours.crash_loop(AWKWARD, exit_code=3, restarts=5),
            "Running",
            {"restartCount": 5, "ready": False, "lastState": {"exitCode": 3, "reason": "Error", "message": AWKWARD}},
            id="a process that ends again and again",
        ),
        pytest.param(
            behaviours.crash_loop("", exit_code=137, reason="OOMKilled"),
            "Running",
            {"lastState": {"exitCode": 137, "reason": "OOMKilled"}},
            id="too little memory",
        ),
        pytest.param(behaviours.never_ready(), "Running", {"ready": False, "started": True}, id="a probe that says no"),
        pytest.param(
            behaviours.completed(AWKWARD), "Succeeded", {"state": {"exitCode": 0, "message": AWKWARD}}, id="work done"
        ),
        pytest.param(
            behaviours.completed("no access", exit_code=2),
            "Failed",
            {"state": {"exitCode": 2, "message": "no access"}},
            id="work that failed",
        ),
    ],
)
def test_pods_behave_as_they_are_told(
    kwok: Simulation, pods: Pods, behaviour: Behaviour, phase: str, expected: Mapping[str, Any]
):
    kwok.node("one")
    kwok.behave(behaviour, pods.namespace)
    pods.create(pod("parrot"))
    found = pods.container("parrot")
    assert pods.status("parrot")["phase"] == phase
    assert not is_true(pods.status("parrot"), "Ready")
    for key, wanted in expected.items():
        said = found[key].get("terminated", found[key]) if isinstance(found[key], dict) else found[key]
        assert {name: said[name] for name in wanted} == wanted if isinstance(wanted, dict) else said == wanted


def test_only_pods_with_the_labels_behave_so(kwok: Simulation, pods: Pods):
    kwok.node("one")
    kwok.behave(behaviours.never_ready(), pods.namespace, {"app": "sick"})
    pods.create(pod("sick"))
    pods.create(pod("well"))
    pods.api.until(lambda: pods.ready() == ["well"])
    assert not pods.container("sick")["ready"]


def test_a_slow_pod_becomes_ready(kwok: Simulation, pods: Pods):
    kwok.node("one")
    kwok.behave(behaviours.slow(0.5), pods.namespace)
    pods.create(pod("parrot"))
    pods.api.until(lambda: pods.ready() == ["parrot"])


def test_a_ready_pod_can_start_to_crash(kwok: Simulation, pods: Pods):
    kwok.node("one")
    kwok.behave(behaviours.crash_loop("out of luck", after_ready=0.2), pods.namespace)
    pods.create(pod("parrot"))
    pods.api.until(lambda: "waiting" in pods.container("parrot")["state"])
    assert pods.container("parrot")["lastState"]["terminated"]["message"] == "out of luck"
    assert pods.ready() == []


def test_pods_recover_when_the_fault_is_gone(kwok: Simulation, pods: Pods):
    kwok.node("one")
    kwok.behave(behaviours.image_pull(), pods.namespace)
    pods.create(pod("parrot"))
    assert not pods.container("parrot")["ready"]
    kwok.recover(pods.namespace)
    pods.api.until(lambda: pods.ready() == ["parrot"], lambda: str(pods.status("parrot")))


def test_a_reported_status_stays(kwok: Simulation, pods: Pods):
    kwok.node("one")
    pods.create(pod("parrot"))
    pods.api.until(lambda: pods.ready() == ["parrot"])
    kwok.pod_status(pods.namespace, "parrot", {"conditions": [{"type": "Ready", "status": "False"}]})
    pods.create(pod("another"))
    pods.api.until(lambda: pods.ready() == ["another"])


def test_nothing_of_a_test_is_left_for_the_next(api: Api, kwok: Simulation):
    assert api.items("/api/v1/nodes") == ()
    assert {one["metadata"]["name"] for one in api.items("/apis/kwok.x-k8s.io/v1alpha1/stages")} == {
        "node-ready",
        "pod-gone",
        "pod-ready",
    }


def test_two_namespaces_of_a_test_are_different(namespaces: Callable[[], str]):
    assert namespaces() != namespaces()


def test_what_was_written_outlives_an_outage(api: Api, namespace: str):
    api.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kept"}}, namespace=namespace)
    with api.outage(), pytest.raises(httpx2.TransportError):
        api.get("/version")
    assert api.get(f"/api/v1/namespaces/{namespace}/configmaps/kept")


async def test_a_frozen_server_answers_when_it_thaws(api: Api):
    async with api.client() as http:
        with api.frozen(), pytest.raises(httpx2.TimeoutException):
            await http.get("/version", timeout=0.3)
        assert (await http.get("/version")).json()["minor"] == "36"


def test_another_identity_is_known_by_its_name_and_groups(api: Api):
    someone = api.kubeconfig_for("someone", "readers")
    said = api.kubectl("auth", "whoami", kubeconfig=someone)
    assert "someone" in said
    assert "readers" in said


async def test_requests_of_a_client_are_on_record(api: Api, namespace: str):
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    async with api.client(user="clerk", groups=("system:masters",)) as http:
        await http.get(path)
        await http.post(path, json={"metadata": {"name": "note"}})
        async with http.stream("GET", path, params={"watch": "true", "timeoutSeconds": "1"}) as watch:
            assert watch.status_code == 200
        await http.delete(f"{path}/none")
    found = [(one.verb, one.resource, one.name, one.code, one.writes) for one in api.requests_of("clerk")]
    assert found == [
        ("list", "configmaps", "", 200, False),
        ("create", "configmaps", "note", 201, True),
        ("watch", "configmaps", "", 200, False),
        ("delete", "configmaps", "none", 404, True),
    ]


def test_a_client_without_a_role_is_refused_on_record(api: Api, namespace: str):
    somebody = api.kubeconfig_for("somebody")
    with pytest.raises(KubectlError, match="cannot list"):
        api.kubectl("get", "pods", "-n", namespace, kubeconfig=somebody)
    assert {(one.resource, one.code) for one in api.requests_of("somebody") if one.resource} == {("pods", 403)}


async def test_a_throttled_client_is_refused_and_others_are_not(api: Api):
    async with api.client() as administrator, api.client(user="hasty") as hasty:
        with api.throttled("hasty"):
            refused = await hasty.get("/api/v1/pods")
            assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
            assert (await administrator.get("/api/v1/pods")).status_code == 200
        assert (await hasty.get("/api/v1/pods")).status_code == 403


def test_an_identity_is_kept_over_a_relay(api: Api):
    with api.relay() as relay:
        somebody = api.kubeconfig_for("somebody", url=relay.url)
        assert "somebody" in api.kubectl("auth", "whoami", kubeconfig=somebody)


async def test_a_cut_ends_a_watch_and_the_next_one_works(api: Api, namespace: str):
    watch = {"watch": "true", "timeoutSeconds": "60"}
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    with api.relay() as relay:
        async with api.client(url=relay.url) as http:
            async with http.stream("GET", path, params=watch) as answer:
                lines = answer.aiter_lines()
                assert "default" in await anext(lines)
                relay.cut()
                with pytest.raises(httpx2.TransportError):
                    await anext(lines)
            assert (await http.get("/version")).status_code == 200


async def test_a_line_that_is_down_takes_nobody_until_it_is_up(api: Api):
    with api.relay() as relay:
        async with api.client(url=relay.url) as http:
            with relay.down(), pytest.raises(httpx2.TransportError):
                await http.get("/version")
            assert (await http.get("/version")).status_code == 200


async def test_a_slow_line_is_slow_and_loses_nothing(api: Api):
    with api.relay() as relay:
        async with api.client(url=relay.url) as http:
            await http.get("/version")
            with relay.slow(0.5), pytest.raises(httpx2.ReadTimeout):
                await http.get("/version", timeout=0.2)
            assert (await http.get("/openapi/v2")).json()["swagger"] == "2.0"
