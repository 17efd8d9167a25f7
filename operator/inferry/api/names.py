"""Names of everything that belongs to a deployment.

Stated once, held by property tests: for any object name of up to 253 characters a child's name is a valid DNS label
(RFC 1035, so that Services take it too), at most 63 characters long with its ordinal, the same every time, and
different for different owners, revisions and roles.
"""

import base64
import hashlib
import re
from typing import Final

LABEL_LENGTH: Final = 63
"""Kubernetes' limit for names of Services and pods' host names, and for label values."""

_HASH_LENGTH: Final = 8
"""Base 32: 40 bits."""
_ROOM_FOR_ORDINAL: Final = 6
"""A dash and five digits, or the dash and five characters a ReplicaSet appends to the names of its pods."""
_STEM_LENGTH: Final = LABEL_LENGTH - _ROOM_FOR_ORDINAL - _HASH_LENGTH - 1


def child_name(owner: str, *parts: str) -> str:
    """`<truncated owner>-<hash of owner and parts>`, short enough for an ordinal after it."""
    return f"{_stem(owner)}-{_hash(owner, *parts)}"


def revision_name(owner: str, revision: str) -> str:
    """Of what holds the replicas of one revision."""
    return child_name(owner, "revision", revision)


def replica_name(owner: str, revision: str, ordinal: int) -> str:
    """Of one replica; `ordinal` counts from 0 and has five digits at most."""
    return f"{revision_name(owner, revision)}-{ordinal}"


def label_value(name: str) -> str:
    """The object's name where it fits into a label, else a shortened one that no object can have as its name: the
    underscore is allowed in label values and not in names."""
    if len(name) <= LABEL_LENGTH:
        return name
    return f"{name[:_STEM_LENGTH].rstrip('.-')}_{_hash(name)}"


def _stem(owner: str) -> str:
    stem = re.sub(r"[^a-z0-9-]", "-", owner.lower())
    if not stem[:1].isalpha():
        stem = f"m{stem}" if stem.startswith("-") else f"m-{stem}"
    return stem[:_STEM_LENGTH].rstrip("-")


def _hash(*parts: str) -> str:
    digest = hashlib.sha256("\0".join(parts).encode()).digest()
    return base64.b32encode(digest)[:_HASH_LENGTH].decode().lower()
