"""What a deployment is made of in a cluster. Pure: a revision, its owner and the installation's choices -> documents.

Names follow from names (`inferry.api.names`), so that making everything twice makes it once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from inferry.api.labels import deployment_labels, replica_labels
from inferry.api.model_deployment import API_VERSION, KIND
from inferry.api.names import child_name, revision_name
from inferry.kubernetes.annotations import FULL_NAME
from inferry.kubernetes.pods import ORDER_FILE, STATUS_PORT_NAME, Document, PodChoices, Wanted, pod_spec
from inferry_runtime.order import ServeOrder, encode

GATEWAY_LABELS: Final = {"app.kubernetes.io/part-of": "inferry", "app.kubernetes.io/component": "gateway"}
OPERATOR_LABELS: Final = {"app.kubernetes.io/part-of": "inferry", "app.kubernetes.io/component": "operator"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """The ModelDeployment everything belongs to: it goes when its owner goes."""

    namespace: str
    name: str
    uid: str


def replica_set(owner: Owner, wanted: Wanted, choices: PodChoices) -> Document:
    """One revision, without its number of replicas."""
    revision = wanted.target.revision
    labels = replica_labels(owner.name, revision)
    template: Document = {
        "metadata": {"labels": labels, "annotations": {FULL_NAME: owner.name}},
        "spec": pod_spec(
            wanted,
            choices,
            order=revision_name(owner.name, revision),
            service_account=account_name(owner.name),
            labels=labels,
        ),
    }
    spec: Document = {"selector": {"matchLabels": labels}, "template": template}
    name = revision_name(owner.name, revision)
    return _document("apps/v1", "ReplicaSet", owner, name, labels, spec=spec)


def config_map(owner: Owner, revision: str, order: ServeOrder) -> Document:
    """The order of one revision. It never changes: another order is another revision."""
    name, labels = revision_name(owner.name, revision), replica_labels(owner.name, revision)
    data = {ORDER_FILE: encode(order).decode()}
    return _document("v1", "ConfigMap", owner, name, labels, data=data, immutable=True)


def account_name(owner: str) -> str:
    return child_name(owner, "service-account")


def service_account(owner: Owner) -> Document:
    """An identity without rights and without a token."""
    labels = deployment_labels(owner.name)
    name = account_name(owner.name)
    return _document("v1", "ServiceAccount", owner, name, labels, automountServiceAccountToken=False)


def service(owner: Owner, order: ServeOrder) -> Document:
    """Headless: the gateway chooses replicas itself, and a person can reach them by a name."""
    labels = deployment_labels(owner.name)
    ports = [
        {"name": "http", "port": order.port, "targetPort": order.port, "protocol": "TCP"},
        {"name": STATUS_PORT_NAME, "port": order.status_port, "targetPort": order.status_port, "protocol": "TCP"},
    ]
    spec: Document = {"clusterIP": "None", "selector": labels, "ports": ports}
    return _document("v1", "Service", owner, child_name(owner.name, "service"), labels, spec=spec)


def disruption_budget(owner: Owner) -> Document:
    """Nodes are drained one replica at a time; replicas that do not answer hold nobody up."""
    labels = deployment_labels(owner.name)
    spec: Document = {
        "maxUnavailable": 1,
        "selector": {"matchLabels": labels},
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
    }
    name = child_name(owner.name, "disruption-budget")
    return _document("policy/v1", "PodDisruptionBudget", owner, name, labels, spec=spec)


def network_policy(owner: Owner, order: ServeOrder, installed_in: str) -> Document:
    """Requests come from the gateway alone; the operator reads the status port. kubelet's probes always pass."""
    labels = deployment_labels(owner.name)
    ingress = [
        {"from": [_pods(GATEWAY_LABELS, installed_in)], "ports": _ports(order.port, order.status_port)},
        {"from": [_pods(OPERATOR_LABELS, installed_in)], "ports": _ports(order.status_port)},
    ]
    spec: Document = {"podSelector": {"matchLabels": labels}, "policyTypes": ["Ingress"], "ingress": ingress}
    name = child_name(owner.name, "network-policy")
    return _document("networking.k8s.io/v1", "NetworkPolicy", owner, name, labels, spec=spec)


def _pods(labels: Mapping[str, str], namespace: str) -> Document:
    """By the label every namespace has of itself."""
    return {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        "podSelector": {"matchLabels": dict(labels)},
    }


def _ports(*ports: int) -> list[Document]:
    return [{"port": port, "protocol": "TCP"} for port in ports]


def _document(
    api_version: str, kind: str, owner: Owner, name: str, labels: Mapping[str, str], **rest: object
) -> Document:
    metadata = {
        "name": name,
        "namespace": owner.namespace,
        "labels": dict(labels),
        "annotations": {FULL_NAME: owner.name},
        "ownerReferences": [_reference(owner)],
    }
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **rest}


def _reference(owner: Owner) -> Document:
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "name": owner.name,
        "uid": owner.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }
