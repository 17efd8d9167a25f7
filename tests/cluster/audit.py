"""What clients asked of the API server: it records what does not come from the cluster itself."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# These make thousands of requests that no test asks about.
OWN_USERS = (
    "administrator",
    "system:apiserver",
    "system:kube-controller-manager",
    "system:kube-scheduler",
    "system:anonymous",
)
OWN_GROUPS = ("system:serviceaccounts:kube-system", "system:nodes")
# A watch ends when its client goes: what counts is that it began. All other requests count when they are answered.
STARTED, COMPLETE = "ResponseStarted", "ResponseComplete"
POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {"level": "None", "users": OWN_USERS},
        {"level": "None", "userGroups": OWN_GROUPS},
        {"level": "Metadata"},
    ],
}
READING = frozenset(("get", "list", "watch"))


@dataclass(frozen=True, kw_only=True)
class Request:
    user: str
    verb: str
    """As in roles: get, list, watch, create, update, patch, delete, deletecollection."""
    resource: str
    """With its subresource, such as modeldeployments/status; empty for what is no resource."""
    namespace: str
    name: str
    code: int

    @property
    def writes(self) -> bool:
        return self.verb not in READING


def write_policy(path: Path) -> None:
    path.write_text(json.dumps(POLICY))


def requests(log: Path) -> Iterator[Request]:
    """In the order in which they were answered."""
    if not log.exists():
        return
    with log.open() as lines:
        for line in lines:
            # The last one may be half written.
            if line.endswith("\n") and (found := _request(line)) is not None:
                yield found


def _request(line: str) -> Request | None:
    event = json.loads(line)
    verb, about = event["verb"], event.get("objectRef", {})
    if event["stage"] != (STARTED if verb == "watch" else COMPLETE):
        return None
    return Request(
        user=event["user"]["username"],
        verb=verb,
        resource="/".join(filter(None, (about.get("resource"), about.get("subresource")))),
        namespace=about.get("namespace", ""),
        name=about.get("name", ""),
        code=event["responseStatus"]["code"],
    )
