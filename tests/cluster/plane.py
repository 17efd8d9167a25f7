"""A control plane on loopback: etcd, API server, controller manager and scheduler; no node, no container.

Nobody but its own clients can use it: every request needs a certificate of its authority.
"""

import base64
import json
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from signal import SIGCONT, SIGSTOP
from typing import TypeAlias

import httpx2

from cluster import audit
from cluster.build import Programs
from cluster.certificates import Authority, Pair
from cluster.processes import Processes, free_ports

PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
LOOPBACK = "127.0.0.1"
# What Services get addresses from; nothing routes them here.
SERVICE_ADDRESSES = "10.96.0.0/16"
SERVICE_ADDRESS_OF_THE_API = "10.96.0.1"
# The servers' own limits are made for shared clusters and would be the first thing that tests of speed measure.
CLIENT_LIMITS = ("--kube-api-qps=2000", "--kube-api-burst=4000")
SERVER_LIMITS = (
    "--max-requests-inflight=4000",
    "--max-mutating-requests-inflight=2000",
    "--delete-collection-workers=16",
)
SYNCS = (
    "--concurrent-replicaset-syncs=50",
    "--concurrent-gc-syncs=50",
    "--concurrent-service-endpoint-syncs=20",
    "--concurrent-namespace-syncs=20",
)
ADMINISTRATORS = "system:masters"
REQUEST_SECONDS = 30.0

Words: TypeAlias = Sequence[str | Path]


class Plane:
    """Up when `start` returns. Everything of it lies in the folder."""

    def __init__(self, folder: Path, programs: Programs) -> None:
        self.folder, self.programs = folder, programs
        self.processes = Processes(folder)
        self.authority = Authority(folder / "certificates")
        ports = free_ports(5)
        self._etcd_port, self._etcd_peer_port, self.port, self._manager_port, self._scheduler_port = ports
        self.url = f"https://{LOOPBACK}:{self.port}"
        self._administrator = self.authority.client("administrator", ADMINISTRATORS)
        self.kubeconfig = self._kubeconfig("administrator", self._administrator, self.url)
        self.audit_log = folder / "audit.log"
        self._words = self._command_lines()
        self._probe = self.client()

    def start(self) -> None:
        """Raises ProcessError."""
        self._start("etcd")
        self._start("kube-apiserver")
        controllers = ("kube-controller-manager", "kube-scheduler")
        for name in controllers:
            self.processes.start(name, self._words[name])
        for name in controllers:
            self._wait_for(name)

    def stop(self) -> None:
        """Whatever state it is in; leaves no process."""
        self._probe.close()
        self.processes.kill_all()

    def client(self) -> httpx2.Client:
        """For administrators."""
        return httpx2.Client(base_url=self.url, verify=self.trust(), timeout=REQUEST_SECONDS)

    def trust(self, pair: Pair | None = None) -> ssl.SSLContext:
        """Knows the servers, and is known to them; as an administrator unless told otherwise."""
        context = ssl.create_default_context(cafile=self.authority.certificate)
        pair = pair or self._administrator
        context.load_cert_chain(pair.certificate, pair.key)
        return context

    def kubeconfig_for(self, user: str, *groups: str, url: str = "") -> Path:
        """For somebody else, who may do only what is granted."""
        return self._kubeconfig(user, self.authority.client(user, *groups), url or self.url)

    @contextmanager
    def outage(self, name: str) -> Iterator[None]:
        """A process is killed, and starts again at the end, on the same port, with the same data."""
        self.processes.kill(name)
        try:
            yield
        finally:
            self._start(name)

    @contextmanager
    def frozen(self, name: str) -> Iterator[None]:
        """A process takes connections, as the system does that for it, and never answers, until the end."""
        self.processes.signal(name, SIGSTOP)
        try:
            yield
        finally:
            self.processes.signal(name, SIGCONT)

    def _start(self, name: str) -> None:
        self.processes.start(name, self._words[name])
        self._wait_for(name)

    def _wait_for(self, name: str) -> None:
        self.processes.wait_until(name, lambda: self._answers(name))

    def _answers(self, name: str) -> bool:
        address = {
            "etcd": f"http://{LOOPBACK}:{self._etcd_port}/health",
            "kube-apiserver": "/readyz",
            "kube-controller-manager": f"https://{LOOPBACK}:{self._manager_port}/healthz",
            "kube-scheduler": f"https://{LOOPBACK}:{self._scheduler_port}/readyz",
        }[name]
        try:
            return self._probe.get(address).status_code == 200
        except httpx2.TransportError:
            return False

    def _command_lines(self) -> Mapping[str, Words]:
        serving = self.authority.server(
            "kubernetes",
            addresses=(LOOPBACK, SERVICE_ADDRESS_OF_THE_API),
            names=("localhost", "kubernetes.default.svc"),
        )
        accounts = self.authority.account_keys()
        lines = {
            "etcd": self._etcd(),
            "kube-apiserver": (*self._api_server(accounts), *_serving(serving, self.port)),
            "kube-controller-manager": (*self._manager(accounts), *_serving(serving, self._manager_port)),
            "kube-scheduler": (*self._scheduler(), *_serving(serving, self._scheduler_port)),
        }
        return {name: (self.programs[name], *words) for name, words in lines.items()}

    def _etcd(self) -> Words:
        clients, peers = (f"http://{LOOPBACK}:{port}" for port in (self._etcd_port, self._etcd_peer_port))
        return (
            f"--data-dir={self.folder}/etcd",
            f"--listen-client-urls={clients}",
            f"--advertise-client-urls={clients}",
            f"--listen-peer-urls={peers}",
            f"--initial-advertise-peer-urls={peers}",
            f"--initial-cluster=default={peers}",
            # A crash of the machine may lose everything here: nobody will want it back.
            "--unsafe-no-fsync",
            "--quota-backend-bytes=8589934592",
            "--log-level=warn",
        )

    def _api_server(self, accounts: Pair) -> Words:
        policy = self.folder / "audit-policy.json"
        audit.write_policy(policy)
        return (
            f"--etcd-servers=http://{LOOPBACK}:{self._etcd_port}",
            f"--client-ca-file={self.authority.certificate}",
            f"--service-account-key-file={accounts.certificate}",
            f"--service-account-signing-key-file={accounts.key}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-cluster-ip-range={SERVICE_ADDRESSES}",
            "--authorization-mode=Node,RBAC",
            "--allow-privileged",
            # The Service `kubernetes` cannot lead to loopback.
            "--endpoint-reconciler-type=none",
            f"--audit-policy-file={policy}",
            f"--audit-log-path={self.audit_log}",
            *SERVER_LIMITS,
        )

    def _manager(self, accounts: Pair) -> Words:
        return (
            f"--kubeconfig={self._own_kubeconfig('system:kube-controller-manager')}",
            f"--service-account-private-key-file={accounts.key}",
            f"--root-ca-file={self.authority.certificate}",
            "--use-service-account-credentials",
            "--leader-elect=false",
            *CLIENT_LIMITS,
            *SYNCS,
        )

    def _scheduler(self) -> Words:
        mine = self._own_kubeconfig("system:kube-scheduler")
        return (f"--kubeconfig={mine}", "--leader-elect=false", *CLIENT_LIMITS)

    def _own_kubeconfig(self, user: str) -> Path:
        return self._kubeconfig(user, self.authority.client(user), self.url)

    def _kubeconfig(self, user: str, pair: Pair, url: str) -> Path:
        """Everything in one file, so that it can be copied."""
        cluster = {"server": url, "certificate-authority-data": _base64(self.authority.certificate)}
        secret = {"client-certificate-data": _base64(pair.certificate), "client-key-data": _base64(pair.key)}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "inferry", "cluster": cluster}],
            "users": [{"name": user, "user": secret}],
            "contexts": [{"name": "inferry", "context": {"cluster": "inferry", "user": user}}],
            "current-context": "inferry",
        }
        path = self.folder / "kubeconfigs" / f"{pair.certificate.stem}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(json.dumps(document))
        return path


def _serving(pair: Pair, port: int) -> Words:
    return (
        f"--bind-address={LOOPBACK}",
        f"--secure-port={port}",
        f"--tls-cert-file={pair.certificate}",
        f"--tls-private-key-file={pair.key}",
    )


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
