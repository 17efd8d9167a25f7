"""Whether an object in the cluster still is what was last applied, without keeping it.

A manifest's digest is written on the object, so that a restart writes nothing. What others do to it shows in who owns
its fields: a field of ours that somebody changed is not ours any more.
"""

import hashlib
from typing import Protocol

import msgspec

from inferry.kubernetes.annotations import APPLIED
from inferry.kubernetes.pods import Document


class Seen(Protocol):
    """What a view tells of an object."""

    @property
    def uid(self) -> str: ...
    @property
    def applied(self) -> str: ...
    @property
    def owned(self) -> int: ...
    @property
    def foreign(self) -> bool: ...


def digest(document: Document) -> str:
    return hashlib.sha256(msgspec.json.encode(document, order="sorted")).hexdigest()[:16]


def marked(document: Document, mark: str, replicas: int | None = None) -> bytes:
    """The manifest to be sent: with its digest on it, and with its number of replicas."""
    metadata, spec = document["metadata"], document.get("spec")
    if not isinstance(metadata, dict):
        raise TypeError("a manifest has metadata")
    whole = {**document, "metadata": {**metadata, "annotations": {**metadata["annotations"], APPLIED: mark}}}
    if replicas is not None and isinstance(spec, dict):
        whole["spec"] = {**spec, "replicas": replicas}
    return msgspec.json.encode(whole, order="sorted")


class Written:
    """What the answers to our own writes said; lost with the process, and then the marks alone are believed."""

    def __init__(self) -> None:
        self._owned: dict[str, int] = {}

    def wrote(self, seen: Seen) -> None:
        self._owned[seen.uid] = seen.owned

    def forget(self, uid: str) -> None:
        self._owned.pop(uid, None)

    def stands(self, seen: Seen, mark: str) -> bool:
        """Nobody has changed what was applied, as far as can be told."""
        if seen.applied != mark:
            return False
        known = self._owned.get(seen.uid)
        return not seen.foreign if known is None else known == seen.owned
