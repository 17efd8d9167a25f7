"""Simulated nodes: the scheduler takes them for real, and their pods become Ready, or whatever a test wants of them.

One kwok process serves a cluster; what a test adds to it is taken away by `Simulation.close`.
"""

import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from cluster import definitions
from cluster.api import NAMESPACES, Api
from cluster.behaviours import Behaviour, stage
from cluster.plane import LOOPBACK

PROGRAMS = ("kwok",)
STAGES = Path(__file__).parent / "stages"
STAGES_PATH = "/apis/kwok.x-k8s.io/v1alpha1/stages"
NODES_PATH = "/api/v1/nodes"
NOT_READY = "node.kubernetes.io/not-ready"
# Longer than any garbage collector of a test waits, shorter than people do.
LEASE_SECONDS = 40
NOTHING: Mapping[str, str] = {}


def start(api: Api) -> None:
    """It runs with the control plane and ends with it."""
    _install(api)
    api.plane.processes.start(
        "kwok",
        (
            api.plane.programs["kwok"],
            f"--kubeconfig={api.kubeconfig}",
            "--manage-all-nodes",
            "--enable-crds=Stage",
            f"--node-lease-duration-seconds={LEASE_SECONDS}",
            f"--node-ip={LOOPBACK}",
            # It would answer for kubelets on all addresses of the machine.
            "--node-port=0",
        ),
    )


class Simulation:
    """The nodes and behaviours of one test."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._nodes: list[str] = []
        self._stages: list[str] = []

    def node(
        self,
        name: str,
        *,
        cpu: str = "64",
        memory: str = "256Gi",
        pods: int = 110,
        resources: Mapping[str, int | str] = {},
        labels: Mapping[str, str] = NOTHING,
        taints: tuple[Mapping[str, str], ...] = (),
    ) -> str:
        """Its name, if there was none of it before. The scheduler takes it when this returns."""
        amounts = {
            "cpu": cpu,
            "memory": memory,
            "pods": str(pods),
            **{key: str(value) for key, value in resources.items()},
        }
        own = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
        document = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": name, "labels": {**own, **labels}},
            "spec": {"taints": [dict(taint) for taint in taints]},
            "status": {"capacity": amounts, "allocatable": amounts},
        }
        self._api.post(NODES_PATH, document)
        self._nodes.append(name)
        self._api.until(lambda: _takes_pods(self._api.get(f"{NODES_PATH}/{name}")), lambda: f"{name} is not Ready")
        return name

    def remove_node(self, name: str) -> None:
        """As when a machine is lost: its pods stay until somebody deletes them."""
        self._api.delete(f"{NODES_PATH}/{name}")
        self._nodes.remove(name)

    def behave(self, behaviour: Behaviour, namespace: str, labels: Mapping[str, str] = NOTHING) -> None:
        """From now on, for pods of this namespace with these labels; pods it already happened to stay as they are."""
        name = f"behaviour-{uuid.uuid4().hex[:8]}"
        self._api.post(STAGES_PATH, stage(name, behaviour, namespace, labels))
        self._stages.append(name)

    def recover(self, namespace: str) -> None:
        """No more behaviours; pods in the namespace that are not Ready start anew, as after a kubelet's next try."""
        self._forget_stages()
        for pod in self._api.items(f"{NAMESPACES}/{namespace}/pods"):
            if not _is_ready(pod) and pod["status"].get("containerStatuses"):
                fresh = {"phase": "Pending", "containerStatuses": None, "conditions": None}
                self.pod_status(namespace, pod["metadata"]["name"], fresh)

    def pod_status(self, namespace: str, name: str, status: Mapping[str, Any]) -> None:
        """Report something about a pod, merged into what is reported; it stays so."""
        self._api.patch(f"{NAMESPACES}/{namespace}/pods/{name}/status", {"status": status})

    def close(self) -> None:
        """Pods go before their nodes, so that nobody waits for a kubelet that is gone."""
        self._forget_stages()
        for node in self._nodes:
            self._api.patch(f"{NODES_PATH}/{node}", {"spec": {"unschedulable": True}})
        for node in self._nodes:
            self._delete_pods(node)
            self._api.delete(f"{NODES_PATH}/{node}")
        self._nodes.clear()

    def _delete_pods(self, node: str) -> None:
        there = {"fieldSelector": f"spec.nodeName={node}"}
        namespaces = {pod["metadata"]["namespace"] for pod in self._api.items("/api/v1/pods", **there)}
        for namespace in namespaces:
            self._api.delete(f"{NAMESPACES}/{namespace}/pods", gracePeriodSeconds="0", **there)

    def _forget_stages(self) -> None:
        for name in self._stages:
            self._api.delete(f"{STAGES_PATH}/{name}")
        self._stages.clear()


def _install(api: Api) -> None:
    definitions.define(api, yaml.safe_load((STAGES / "stage-crd.yaml").read_text()))
    for document in yaml.safe_load_all((STAGES / "normal.yaml").read_text()):
        api.create_or_replace(f"{STAGES_PATH}/{document['metadata']['name']}", document)


def _takes_pods(node: Mapping[str, Any]) -> bool:
    """A new node is tainted, and is still so for a moment after it is Ready."""
    taints = node["spec"].get("taints", ())
    return _is_ready(node) and not any(taint["key"] == NOT_READY for taint in taints)


def _is_ready(document: Mapping[str, Any]) -> bool:
    said = document.get("status", {}).get("conditions") or ()
    return any(one["type"] == "Ready" and one["status"] == "True" for one in said)
