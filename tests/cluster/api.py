"""What tests ask of a cluster: kubectl as people use it, and plain requests where that is too slow or too polite."""

import json
import os
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx2

from cluster import audit, throttle
from cluster.plane import LOOPBACK, REQUEST_SECONDS, Plane
from cluster.relay import Relay

LOOK_SECONDS = 0.02
PATIENCE_SECONDS = 60.0
FIELD_MANAGER = "tests"
KUBECTL_SECONDS = 60.0
NAMESPACES = "/api/v1/namespaces"
TOO_MANY_REQUESTS = 429

# What Kubernetes says is JSON; the tests look at parts of it.
Json = Mapping[str, Any]


class KubectlError(Exception):
    """kubectl ended with an error; its words."""


class ApiError(Exception):
    """The API server refused; status and body."""

    def __init__(self, status: int, body: str) -> None:
        super().__init__(f"{status} {body}")
        self.status = status


class Api:
    """A running cluster, as an administrator."""

    def __init__(self, plane: Plane) -> None:
        self.plane = plane
        self.url, self.kubeconfig = plane.url, plane.kubeconfig
        self._http = plane.client()

    def close(self) -> None:
        self._http.close()

    def kubectl(self, *words: str | Path, stdin: str = "", kubeconfig: Path | None = None) -> str:
        """What it printed. Raises KubectlError."""
        # Its cache of what the server can do would else lie in the home of whoever runs tests.
        mine = {"KUBECONFIG": str(kubeconfig or self.kubeconfig), "KUBECACHEDIR": str(self.plane.folder / "kubectl")}
        answer = subprocess.run(
            [str(self.plane.programs["kubectl"]), *map(str, words)],
            input=stdin,
            capture_output=True,
            text=True,
            env={**os.environ, **mine},
            timeout=KUBECTL_SECONDS,
            check=False,
        )
        if answer.returncode:
            raise KubectlError(answer.stderr.strip())
        return answer.stdout

    def apply(self, *documents: Json, namespace: str = "default") -> None:
        """With kubectl, server-side. Raises KubectlError."""
        # JSON documents one after the other are a stream that kubectl reads.
        text = "\n".join(map(json.dumps, documents))
        self.kubectl(
            "apply", "--server-side", f"--field-manager={FIELD_MANAGER}", "-n", namespace, "-f", "-", stdin=text
        )

    def client(self, *, user: str = "", groups: tuple[str, ...] = (), url: str = "") -> httpx2.AsyncClient:
        """For tests that wait for several things at once; close it with `async with`."""
        pair = self.plane.authority.client(user, *groups) if user else None
        return httpx2.AsyncClient(base_url=url or self.url, verify=self.plane.trust(pair), timeout=REQUEST_SECONDS)

    def get(self, path: str, **query: str) -> Json:
        return self.request("GET", path, query=query)

    def find(self, path: str) -> Json | None:
        """None when there is none."""
        try:
            return self.get(path)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def items(self, path: str, **query: str) -> tuple[Json, ...]:
        return tuple(self.get(path, **query)["items"])

    def post(self, path: str, document: Json) -> Json:
        return self.request("POST", path, document=document)

    def patch(self, path: str, document: Json, kind: str = "merge-patch") -> Json:
        """Kinds: merge-patch, strategic-merge-patch, json-patch."""
        return self.request("PATCH", path, document=document, content_type=f"application/{kind}+json")

    def create_or_replace(self, path: str, document: Json) -> None:
        """Server-side apply, without kubectl."""
        query = {"fieldManager": FIELD_MANAGER, "force": "true"}
        self.request("PATCH", path, document=document, query=query, content_type="application/apply-patch+yaml")

    def delete(self, path: str, **query: str) -> None:
        """Also when there is none."""
        try:
            self.request("DELETE", path, query=query)
        except ApiError as error:
            if error.status != 404:
                raise

    def request(
        self,
        method: str,
        path: str,
        *,
        document: Json | None = None,
        query: Mapping[str, str] | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> Json:
        """Raises ApiError, and httpx2.TransportError while there is no API server."""
        content = None if document is None else json.dumps(document)
        headers = {"content-type": content_type, "accept": accept}
        answer = self._http.request(method, path, params=query or {}, content=content, headers=headers)
        if answer.is_error:
            raise ApiError(answer.status_code, answer.text)
        found: Json = answer.json()
        return found

    def create_namespace(self, name: str, labels: Mapping[str, str]) -> None:
        """Usable when it returns: pods are refused until the service account is there."""
        metadata = {"name": name, "labels": dict(labels)}
        self.post(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        self.until(lambda: self.find(f"{NAMESPACES}/{name}/serviceaccounts/default") is not None)

    def until(self, true: Callable[[], bool], story: Callable[[], str] = lambda: "") -> None:
        """Look until it is so. Raises TimeoutError with the story."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not true():
            if time.monotonic() > deadline:
                raise TimeoutError(story())
            time.sleep(LOOK_SECONDS)

    def kubeconfig_for(self, user: str, *groups: str, url: str = "") -> Path:
        """For somebody who may do only what is granted; by way of a relay, when its address is given."""
        return self.plane.kubeconfig_for(user, *groups, url=url)

    @contextmanager
    def relay(self) -> Iterator[Relay]:
        """Another way to the API server, which can be made a bad one."""
        relay = Relay(self.plane.port)
        try:
            yield relay
        finally:
            relay.close()

    @contextmanager
    def throttled(self, user: str) -> Iterator[None]:
        """Every request of a user, who may be no administrator, is answered with 429; for a minute at most."""
        name, trust = f"throttled-{uuid.uuid4().hex[:8]}", self.plane.trust(self.plane.authority.client(user))
        self.post(f"{throttle.GROUP}/prioritylevelconfigurations", throttle.level(name))
        self.post(f"{throttle.GROUP}/flowschemas", throttle.schema(name, user))
        with ExitStack() as seats, httpx2.Client(base_url=self.url, verify=trust) as http:

            def is_refused() -> bool:
                return http.get(NAMESPACES).status_code == TOO_MANY_REQUESTS

            def is_full() -> bool:
                seats.enter_context(throttle.take_seat(LOOPBACK, self.plane.port, trust))
                return is_refused()

            self.until(is_full)
            try:
                yield
            finally:
                seats.close()
                self.delete(f"{throttle.GROUP}/flowschemas/{name}")
                self.delete(f"{throttle.GROUP}/prioritylevelconfigurations/{name}")
                self.until(lambda: not is_refused())

    def requests_of(self, user: str) -> tuple[audit.Request, ...]:
        """Everything somebody asked so far, oldest first; administrators are not recorded."""
        return tuple(one for one in audit.requests(self.plane.audit_log) if one.user == user)

    @contextmanager
    def outage(self, name: str = "kube-apiserver") -> Iterator[None]:
        """Killed until the end, then as it was."""
        with self.plane.outage(name):
            yield

    @contextmanager
    def frozen(self, name: str = "kube-apiserver") -> Iterator[None]:
        """Silent until the end: connections are taken, nothing is answered."""
        with self.plane.frozen(name):
            yield
