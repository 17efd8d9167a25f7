"""The operator on a real API server: what becomes of a ModelDeployment, and of whatever is done to it meanwhile."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster import behaviours
from cluster.api import Api
from cluster.kwok import Simulation
from support.engine_env import PARROT
from support.kubernetes_operator import running
from support.kubernetes_place import Place, a_deployment

LONGEST_NAME = "a" * 253


@pytest.fixture
def place(api: Api, kwok: Simulation, namespace: str, tmp_path: Path) -> Iterator[Place]:
    """One large node without accelerators."""
    kwok.node("node-a")
    with running(api, namespace, tmp_path / "operator.log") as operator:
        yield Place(api, namespace, operator)


def test_a_deployment_becomes_ready_with_everything_it_is_made_of(place: Place) -> None:
    place.apply(a_deployment())
    place.until_ready()
    owned = place.owned()
    assert {plural: len(found) for plural, found in owned.items()} == dict.fromkeys(owned, 1)
    uid = place.deployment()["metadata"]["uid"]
    assert {one["metadata"]["ownerReferences"][0]["uid"] for found in owned.values() for one in found} == {uid}
    status = place.deployment()["status"]
    assert status["readyReplicas"] == 1
    assert status["resolved"]["engine"]["name"] == "llamacpp"
    assert status["observedGeneration"] == place.deployment()["metadata"]["generation"]


def test_a_change_rolls_to_a_new_revision_and_leaves_nothing_of_the_old_one(place: Place) -> None:
    place.apply(a_deployment())
    place.until_ready()
    before = place.sets()[0]["metadata"]["name"]
    place.apply(a_deployment(engine={"contextLength": 64}))
    place.until(lambda: [one["metadata"]["name"] != before for one in place.sets()] == [True])
    place.until_ready()
    assert len(place.living()) == 1
    assert len(place.owned()["configmaps"]) == 1


def test_scaling_by_the_scale_subresource_keeps_the_revision(place: Place) -> None:
    place.apply(a_deployment())
    place.until_ready()
    revision = place.deployment()["status"]["resolved"]["revision"]
    place.api.kubectl("scale", "mdep/parrot", "--replicas=3", "-n", place.namespace)
    place.until(lambda: place.deployment()["status"]["readyReplicas"] == 3)
    place.api.kubectl("scale", "mdep/parrot", "--replicas=0", "-n", place.namespace)
    place.until(lambda: place.pods() == () and place.condition("Ready")["reason"] == "ScaledToZero")
    place.api.kubectl("scale", "mdep/parrot", "--replicas=1", "-n", place.namespace)
    place.until(lambda: place.deployment()["status"]["readyReplicas"] == 1)
    assert place.deployment()["status"]["resolved"]["revision"] == revision


def test_a_suspended_deployment_has_no_pods_and_says_so(place: Place) -> None:
    place.apply(a_deployment(replicas=2, suspend=True))
    place.until(lambda: place.condition("Ready")["reason"] == "Suspended")
    assert place.pods() == ()


def test_everything_goes_with_a_deleted_deployment(place: Place) -> None:
    place.apply(a_deployment(replicas=2))
    place.until_ready()
    place.delete()
    place.until(lambda: not any(place.owned().values()) and place.pods() == ())


def test_a_deployment_created_again_under_its_name_gets_pods_of_its_own(place: Place) -> None:
    place.apply(a_deployment())
    place.until_ready()
    old = {pod["metadata"]["uid"] for pod in place.pods()}
    place.delete()
    place.apply(a_deployment())
    place.until_ready()
    place.until(lambda: len(place.pods()) == 1)
    assert not {pod["metadata"]["uid"] for pod in place.pods()} & old


def test_what_somebody_removes_or_changes_is_put_back(place: Place) -> None:
    place.apply(a_deployment())
    place.until_ready()
    (service,) = place.owned()["services"]
    (replica_set,) = place.sets()
    name, path = service["metadata"]["name"], place.path("services", service["metadata"]["name"])
    place.api.delete(path)
    place.until(lambda: place.api.find(path) is not None)
    place.api.patch(path, {"spec": {"selector": {"inferry.dev/deployment": "another"}}})
    place.until(lambda: place.api.get(path)["spec"]["selector"]["inferry.dev/deployment"] == "parrot")
    set_path = place.path("replicasets", replica_set["metadata"]["name"], "apps/v1")
    place.api.patch(set_path, {"spec": {"replicas": 4}})
    place.until(lambda: place.api.get(set_path)["spec"]["replicas"] == 1 and len(place.living()) == 1)
    place.api.patch(set_path, {"spec": {"template": {"spec": {"enableServiceLinks": True}}}})
    place.until(lambda: place.api.get(set_path)["spec"]["template"]["spec"]["enableServiceLinks"] is False)
    assert name == service["metadata"]["name"]


def test_a_field_that_somebody_else_adds_is_left_alone(place: Place) -> None:
    place.apply(a_deployment())
    place.until_ready()
    (service,) = place.owned()["services"]
    path = place.path("services", service["metadata"]["name"])
    place.api.patch(path, {"spec": {"publishNotReadyAddresses": True}, "metadata": {"labels": {"team": "birds"}}})
    place.api.kubectl("scale", "mdep/parrot", "--replicas=2", "-n", place.namespace)
    place.until(lambda: place.deployment()["status"]["readyReplicas"] == 2)
    found = place.api.get(path)
    assert found["spec"]["publishNotReadyAddresses"] is True
    assert found["metadata"]["labels"]["team"] == "birds"


def test_a_name_of_253_characters_works_like_any_other(place: Place) -> None:
    place.apply(a_deployment(LONGEST_NAME))
    place.until_ready(LONGEST_NAME)
    place.apply(a_deployment(LONGEST_NAME[:-1] + "b"))
    place.until_ready(LONGEST_NAME[:-1] + "b")
    selector = place.deployment(LONGEST_NAME)["status"]["selector"]
    assert len(place.api.items(place.path("pods"), labelSelector=selector)) == 1
    place.delete(LONGEST_NAME)
    place.until(lambda: len(place.pods()) == 1)


def test_an_operator_killed_in_a_rollout_is_gone_on_with(place: Place, kwok: Simulation) -> None:
    place.apply(a_deployment(replicas=2))
    place.until(lambda: place.deployment().get("status", {}).get("readyReplicas") == 2)
    old = place.sets()[0]["metadata"]["name"]
    kwok.behave(behaviours.slow(2), place.namespace)
    place.apply(a_deployment(replicas=2, engine={"contextLength": 64}))
    place.until(lambda: len(place.sets()) == 2)
    place.operator.kill()
    place.operator.start()
    place.until(lambda: old not in [one["metadata"]["name"] for one in place.sets()])
    place.until(lambda: place.deployment()["status"]["readyReplicas"] == 2 and len(place.living()) == 2)


def test_an_api_server_that_was_away_is_caught_up_with(place: Place) -> None:
    place.apply(a_deployment())
    place.until_ready()
    with place.api.outage():
        pass
    place.apply(a_deployment(replicas=2))
    place.until(lambda: place.deployment()["status"]["readyReplicas"] == 2)


def test_a_served_name_belongs_to_the_oldest(place: Place) -> None:
    place.apply(a_deployment("first", servedNames=["bird"]))
    place.until_ready("first")
    place.apply(a_deployment("second", servedNames=["bird"]))
    place.until(lambda: place.condition("Accepted", "second")["reason"] == "NameConflict")
    assert f"{place.namespace}/first" in place.condition("Accepted", "second")["message"]
    place.delete("first")
    place.until_ready("second")


@pytest.mark.parametrize(
    ("behaviour", "type_", "reason", "words"),
    [
        pytest.param(
            behaviours.image_pull("manifest for x/y:1 not found"),
            "Scheduled",
            "ImagePullFailed",
            "manifest for x/y:1 not found",
            id="an image that is not there",
        ),
        pytest.param(
            behaviours.crash_loop("boom", reason="OOMKilled", exit_code=137),
            "Available",
            "HostOutOfMemory",
            "memory",
            id="a container that was killed for memory",
        ),
        pytest.param(
            behaviours.crash_loop(
                '{"stage": "Ended", "failure": {"reason": "WeightsDoNotFit", "message": "24 GiB do not fit."}}'
            ),
            "Available",
            "WeightsDoNotFit",
            "24 GiB do not fit.",
            id="a replica that says itself what is wrong",
        ),
    ],
)
def test_a_failure_reaches_the_conditions(
    place: Place, kwok: Simulation, *, behaviour: behaviours.Behaviour, type_: str, reason: str, words: str
) -> None:
    kwok.behave(behaviour, place.namespace)
    place.apply(a_deployment())
    place.until(lambda: place.condition(type_)["reason"] == reason)
    assert words in place.condition(type_)["message"]
    assert place.condition("Ready")["status"] == "False"


def test_a_pod_that_no_node_has_room_for_says_what_is_missing(place: Place) -> None:
    place.apply(a_deployment(resources={"requests": {"cpu": "1000"}}))
    place.until(lambda: place.condition("Scheduled")["reason"] == "Unschedulable")
    assert "Insufficient cpu" in place.condition("Scheduled")["message"]


def test_a_quota_that_leaves_no_room_is_named(place: Place) -> None:
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few"}, "spec": {"hard": {"pods": "1"}}}
    place.apply(quota)
    place.until(lambda: "hard" in place.api.get(place.path("resourcequotas", "few")).get("status", {}))
    place.apply(a_deployment(replicas=2))
    place.until(lambda: place.condition("Scheduled")["reason"] == "QuotaExceeded")
    assert "few" in place.condition("Scheduled")["message"]


def test_no_node_at_all_is_said_and_healed_by_one(api: Api, kwok: Simulation, namespace: str, tmp_path: Path) -> None:
    with running(api, namespace, tmp_path / "operator.log") as operator:
        place = Place(api, namespace, operator)
        place.apply(a_deployment())
        place.until(lambda: place.condition("EngineSelected")["reason"] == "NoMatchingNodes")
        kwok.node("node-late")
        place.until_ready()


def test_a_second_operator_stands_by_and_takes_over(place: Place, tmp_path: Path) -> None:
    place.apply(a_deployment())
    place.until_ready()
    with running(place.api, place.namespace, tmp_path / "second.log") as second:
        place.until(lambda: "leading" in place.operator.log())
        assert "leading" not in second.log()
        assert place.operator.stop() == 0
        place.until(lambda: "leading" in second.log())
        place.apply(a_deployment(replicas=2))
        place.until(lambda: place.deployment()["status"]["readyReplicas"] == 2)


def test_a_restart_of_a_settled_operator_writes_nothing(place: Place) -> None:
    place.apply(a_deployment(replicas=2))
    place.until(lambda: place.condition("Progressing")["reason"] == "Complete")
    before = versions(place)
    place.operator.stop()
    place.operator.start()
    place.until(lambda: place.operator.log().count('"leading"') == 2)
    place.apply(a_deployment("another"))
    place.until_ready("another")
    assert {key: value for key, value in versions(place).items() if key in before} == before


def versions(place: Place) -> dict[str, str]:
    """Of everything that belongs to the parrot: a write that changes anything changes one."""
    owned = place.owned()
    found = {f"{plural} {one['metadata']['uid']}": one for plural, documents in owned.items() for one in documents}
    found["itself"] = place.deployment()
    return {name: one["metadata"]["resourceVersion"] for name, one in found.items()}


GPU_LABELS = {
    "nvidia.com/gpu.product": "NVIDIA-L4",
    "nvidia.com/gpu.memory": "23034",
    "nvidia.com/gpu.compute.major": "8",
    "nvidia.com/gpu.compute.minor": "9",
}


def test_an_accelerator_that_no_node_has_is_said(place: Place, kwok: Simulation) -> None:
    kwok.node("node-gpu", resources={"nvidia.com/gpu": 2}, labels=GPU_LABELS)
    place.apply(a_deployment(resources={"accelerators": [{"product": "H100"}]}))
    place.until(lambda: place.condition("EngineSelected")["reason"] == "NoMatchingNodes")
    assert "2 x NVIDIA-L4" in place.condition("EngineSelected")["message"]


def test_an_operator_that_may_not_read_secrets_needs_none(place: Place) -> None:
    place.apply(a_deployment(model={"source": f"file://{PARROT}", "format": "gguf", "secretRef": {"name": "missing"}}))
    place.until_ready()


def test_a_pod_that_is_deleted_comes_back(place: Place) -> None:
    place.apply(a_deployment())
    place.until_ready()
    (pod,) = place.pods()
    place.api.delete(place.path("pods", pod["metadata"]["name"]))
    place.until(lambda: [one["metadata"]["uid"] != pod["metadata"]["uid"] for one in place.living()] == [True])
    place.until_ready()


def test_fifty_deployments_at_once_all_become_ready(place: Place) -> None:
    place.api.apply(*(a_deployment(f"parrot-{number}") for number in range(50)), namespace=place.namespace)

    def all_ready() -> bool:
        found = place.api.items(place.path("modeldeployments", group="inferry.dev/v1alpha1"))
        return [one.get("status", {}).get("readyReplicas") for one in found] == [1] * 50

    place.until(all_ready)
    assert len(place.sets()) == len(place.living()) == 50
