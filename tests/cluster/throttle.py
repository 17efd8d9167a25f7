"""The API server's own way to refuse a client for a while: a priority level without a free seat.

A level always lets one request in, however few seats it has; so one is let in that never ends.
"""

import socket
import ssl
from typing import Any

GROUP = "/apis/flowcontrol.apiserver.k8s.io/v1"
API_VERSION = "flowcontrol.apiserver.k8s.io/v1"
# Before all that exist, but for the one of administrators, which nothing may precede.
PRECEDENCE = 2
# Everybody may ask what they may do. What it asks never comes, so the answer does not either, for a minute.
ENDLESS = (
    b"POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews HTTP/1.1\r\n"
    b"Host: kubernetes\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n"
)
EVERYTHING = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "clusterScope": True, "namespaces": ["*"]}


def take_seat(host: str, port: int, context: ssl.SSLContext) -> ssl.SSLSocket:
    """It is kept until this is closed. If somebody else has it, this one is refused."""
    line = context.wrap_socket(socket.create_connection((host, port)), server_hostname=host)
    line.sendall(ENDLESS)
    return line


def level(name: str) -> dict[str, Any]:
    limited = {"nominalConcurrencyShares": 0, "lendablePercent": 0, "borrowingLimitPercent": 0}
    spec = {"type": "Limited", "limited": {**limited, "limitResponse": {"type": "Reject"}}}
    return _document("PriorityLevelConfiguration", name, spec)


def schema(name: str, user: str) -> dict[str, Any]:
    """Requests of this user go to the level of the same name."""
    subject = {"kind": "User", "user": {"name": user}}
    spec = {
        "matchingPrecedence": PRECEDENCE,
        "priorityLevelConfiguration": {"name": name},
        "rules": [{"subjects": [subject], "resourceRules": [EVERYTHING]}],
    }
    return _document("FlowSchema", name, spec)


def _document(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}
