"""A namespace in which an operator works, as a test sees it."""

from collections.abc import Callable, Mapping
from typing import Any

from cluster.api import Api
from support.engine_env import PARROT
from support.kubernetes_operator import OperatorProcess


def a_deployment(name: str = "parrot", **spec: Any) -> dict[str, Any]:
    spec.setdefault("model", {"source": f"file://{PARROT}", "format": "gguf"})
    return {
        "apiVersion": "inferry.dev/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"name": name},
        "spec": spec,
    }


class Place:
    """A namespace in which an operator works."""

    def __init__(self, api: Api, namespace: str, operator: OperatorProcess) -> None:
        self.api, self.namespace, self.operator = api, namespace, operator

    def apply(self, document: Mapping[str, Any]) -> None:
        self.api.apply(document, namespace=self.namespace)

    def path(self, plural: str, name: str = "", group: str = "") -> str:
        root = f"/apis/{group}" if group else "/api/v1"
        return f"{root}/namespaces/{self.namespace}/{plural}" + (f"/{name}" if name else "")

    def deployment(self, name: str = "parrot") -> Mapping[str, Any]:
        return self.api.get(self.path("modeldeployments", name, "inferry.dev/v1alpha1"))

    def delete(self, name: str = "parrot") -> None:
        self.api.delete(self.path("modeldeployments", name, "inferry.dev/v1alpha1"))

    def condition(self, type_: str, name: str = "parrot") -> Mapping[str, Any]:
        conditions = self.deployment(name).get("status", {}).get("conditions", ())
        return next((one for one in conditions if one["type"] == type_), {"status": "", "reason": "", "message": ""})

    def pods(self) -> tuple[Mapping[str, Any], ...]:
        return self.api.items(self.path("pods"))

    def living(self) -> tuple[Mapping[str, Any], ...]:
        return tuple(pod for pod in self.pods() if "deletionTimestamp" not in pod["metadata"])

    def sets(self) -> tuple[Mapping[str, Any], ...]:
        return self.api.items(self.path("replicasets", group="apps/v1"))

    def owned(self) -> dict[str, tuple[Mapping[str, Any], ...]]:
        """Everything that was made for deployments, by its plural."""
        kinds = {
            "replicasets": "apps/v1",
            "services": "",
            "configmaps": "",
            "serviceaccounts": "",
            "poddisruptionbudgets": "policy/v1",
            "networkpolicies": "networking.k8s.io/v1",
        }
        label = "app.kubernetes.io/managed-by=inferry"
        return {
            plural: self.api.items(self.path(plural, group=group), labelSelector=label)
            for plural, group in kinds.items()
        }

    def until(self, true: Callable[[], bool]) -> None:
        self.api.until(true, self.story)

    def until_ready(self, name: str = "parrot") -> None:
        self.until(lambda: self.condition("Ready", name)["status"] == "True")

    def story(self) -> str:
        deployments = self.api.items(self.path("modeldeployments", group="inferry.dev/v1alpha1"))
        statuses = [one.get("status", {}).get("conditions") for one in deployments]
        return f"{statuses}\n{self.sets()}\n{self.operator.log()[-6000:]}"
