"""The operator behind a bad line, beside other writers, and with no more rights than it needs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster.api import Api
from cluster.kwok import Simulation
from support.kubernetes_operator import running
from support.kubernetes_place import Place, a_deployment

READ = ["get", "list", "watch"]
WRITE = [*READ, "create", "patch", "delete"]
RULES = [
    {"apiGroups": ["inferry.dev"], "resources": ["modeldeployments"], "verbs": READ},
    {"apiGroups": ["inferry.dev"], "resources": ["modeldeployments/status"], "verbs": ["patch"]},
    # Owners may be blocked from going only by those who may change their finalizers.
    {"apiGroups": ["inferry.dev"], "resources": ["modeldeployments/finalizers"], "verbs": ["update"]},
    {"apiGroups": [""], "resources": ["nodes"], "verbs": READ},
    {"apiGroups": [""], "resources": ["pods"], "verbs": [*READ, "patch", "delete"]},
    {"apiGroups": [""], "resources": ["services", "configmaps", "serviceaccounts"], "verbs": WRITE},
    {"apiGroups": ["apps"], "resources": ["replicasets"], "verbs": WRITE},
    {"apiGroups": ["policy"], "resources": ["poddisruptionbudgets"], "verbs": WRITE},
    {"apiGroups": ["networking.k8s.io"], "resources": ["networkpolicies"], "verbs": WRITE},
    {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "create", "update"]},
]
RBAC = "rbac.authorization.k8s.io/v1"


@pytest.fixture
def user(api: Api, namespace: str) -> Iterator[str]:
    """Somebody who may do what an operator needs, and nothing else."""
    name = f"operator-{namespace}"
    role: dict[str, Any] = {"apiVersion": RBAC, "kind": "ClusterRole", "metadata": {"name": name}, "rules": RULES}
    subject = {"kind": "User", "name": name, "apiGroup": "rbac.authorization.k8s.io"}
    reference = {"kind": "ClusterRole", "name": name, "apiGroup": "rbac.authorization.k8s.io"}
    binding = {"apiVersion": RBAC, "kind": "ClusterRoleBinding", "metadata": {"name": name}}
    api.apply(role, {**binding, "subjects": [subject], "roleRef": reference})
    yield name
    for plural in ("clusterrolebindings", "clusterroles"):
        api.delete(f"/apis/{RBAC}/{plural}/{name}")


def test_few_rights_are_enough_and_secrets_are_none_of_them(
    api: Api, kwok: Simulation, namespace: str, user: str, tmp_path: Path
) -> None:
    kwok.node("node-a")
    with running(api, namespace, tmp_path / "operator.log", kubeconfig=api.kubeconfig_for(user)) as operator:
        place = Place(api, namespace, operator)
        place.apply(a_deployment(replicas=2))
        place.until(lambda: place.deployment().get("status", {}).get("readyReplicas") == 2)
        place.apply(a_deployment(replicas=1, engine={"contextLength": 64}))
        place.until(
            lambda: len(place.sets()) == len(place.living()) == 1 and place.condition("Ready")["status"] == "True"
        )
        assert "forbidden" not in operator.log()


def test_a_line_that_is_cut_again_and_again_loses_nothing(
    api: Api, kwok: Simulation, namespace: str, tmp_path: Path
) -> None:
    kwok.node("node-a")
    with api.relay() as relay:
        config = api.kubeconfig_for("operator", "system:masters", url=relay.url)
        with running(api, namespace, tmp_path / "operator.log", kubeconfig=config) as operator:
            place = Place(api, namespace, operator)
            place.apply(a_deployment())
            for replicas in (1, 3, 2):
                relay.cut()
                place.apply(a_deployment(replicas=replicas))
                place.until(
                    lambda wanted=replicas: (  # type: ignore[misc]
                        place.deployment().get("status", {}).get("readyReplicas") == wanted
                        and len(place.living()) == wanted
                    )
                )


def test_what_happens_while_nobody_gets_in_is_caught_up_with(
    api: Api, kwok: Simulation, namespace: str, tmp_path: Path
) -> None:
    kwok.node("node-a")
    with api.relay() as relay:
        config = api.kubeconfig_for("operator", "system:masters", url=relay.url)
        with running(api, namespace, tmp_path / "operator.log", kubeconfig=config) as operator:
            place = Place(api, namespace, operator)
            place.apply(a_deployment("stays"))
            place.apply(a_deployment("goes"))
            place.until_ready("stays")
            place.until_ready("goes")
            with relay.down():
                place.delete("goes")
                place.apply(a_deployment("stays", replicas=2))
                place.apply(a_deployment("comes"))
            place.until_ready("comes")
            place.until(lambda: place.deployment("stays")["status"]["readyReplicas"] == 2)
            place.until(lambda: len(place.sets()) == 2 and len(place.pods()) == 3)


def test_a_throttled_operator_waits_as_it_is_told(
    api: Api, kwok: Simulation, namespace: str, user: str, tmp_path: Path
) -> None:
    kwok.node("node-a")
    with running(api, namespace, tmp_path / "operator.log", kubeconfig=api.kubeconfig_for(user)) as operator:
        place = Place(api, namespace, operator)
        place.apply(a_deployment())
        place.until_ready()
        with api.throttled(user):
            place.apply(a_deployment(replicas=2))
        place.until(lambda: place.deployment()["status"]["readyReplicas"] == 2)
