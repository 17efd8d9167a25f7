"""Where everything of inferry on one machine lies. Paths only; nothing is read or made here."""

import hashlib
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from inferry.local.errors import UnusableName

# File systems allow 255 bytes per name; object names may have 253, and files beside them carry suffixes.
LONGEST_STEM = 200
# sockaddr_un holds 108 bytes on Linux and 104 on macOS, with the closing zero.
LONGEST_SOCKET_PATH_BYTES = 103
_OBJECT_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")


def default_home(environment: Mapping[str, str]) -> Path:
    """`INFERRY_HOME`, else `~/.inferry`; absolute, because it is told to processes that run elsewhere."""
    named = environment.get("INFERRY_HOME")
    return Path(named).expanduser().absolute() if named else Path.home() / ".inferry"


def file_stem(name: str) -> str:
    """One file name per object name, without a suffix. Raises UnusableName for what is no object name."""
    if not _OBJECT_NAME.fullmatch(name):
        raise UnusableName(
            f"{name!r} is not a name an object can have",
            hint="Use lower-case letters, digits, '-' and '.', beginning and ending with a letter or digit.",
        )
    if len(name) <= LONGEST_STEM:
        return name
    return f"{name[:LONGEST_STEM]}-{hashlib.sha256(name.encode()).hexdigest()[:10]}"


@dataclass(frozen=True, slots=True)
class Home:
    root: Path

    @property
    def deployments(self) -> Path:
        """The user's objects, one YAML file each; can be applied to a cluster as they are."""
        return self.root / "deployments"

    @property
    def statuses(self) -> Path:
        """The same objects with what inferry knows of them: uid, generation, status."""
        return self.root / "status"

    @property
    def secrets(self) -> Path:
        """Credentials that deployments name, one YAML file each."""
        return self.root / "secrets"

    @property
    def replicas(self) -> Path:
        return self.root / "replicas"

    @property
    def gateway(self) -> Path:
        return self.root / "gateway"

    @property
    def snapshot(self) -> Path:
        return self.gateway / "snapshot.json"

    @property
    def gateway_socket(self) -> Path:
        """In the home when the kernel takes a path that long, else under the temporary folder."""
        inside = self.gateway / "admin.sock"
        if len(str(inside).encode()) <= LONGEST_SOCKET_PATH_BYTES:
            return inside
        digest = hashlib.sha256(str(self.root).encode()).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"inferry-{os.getuid()}-{digest}.sock"

    @property
    def gateway_record(self) -> Path:
        return self.gateway / "record.json"

    @property
    def gateway_log(self) -> Path:
        return self.gateway / "gateway.log"

    @property
    def store(self) -> Path:
        return self.root / "store"

    @property
    def environments(self) -> Path:
        return self.root / "envs"

    @property
    def lock(self) -> Path:
        """Held by the one running `inferry local`; its pid and address are inside."""
        return self.root / "local.lock"

    @property
    def log(self) -> Path:
        """Of an `inferry local` that runs in the background."""
        return self.root / "local.log"

    @property
    def set_aside(self) -> Path:
        """Files that could not be read, kept for the user."""
        return self.root / "set-aside"

    def deployment(self, name: str) -> Path:
        return self.deployments / f"{file_stem(name)}.yaml"

    def secret(self, name: str) -> Path:
        return self.secrets / f"{file_stem(name)}.yaml"

    def status(self, name: str) -> Path:
        return self.statuses / f"{file_stem(name)}.yaml"

    def folders(self) -> tuple[Path, ...]:
        """What has to exist before anything starts."""
        return (
            self.deployments,
            self.statuses,
            self.secrets,
            self.replicas,
            self.gateway,
            self.store,
            self.environments,
        )


@dataclass(frozen=True, slots=True)
class ReplicaFolder:
    """Everything of one replica; removed with it."""

    root: Path

    @property
    def order(self) -> Path:
        return self.root / "order.json"

    @property
    def record(self) -> Path:
        return self.root / "record.json"

    @property
    def log(self) -> Path:
        return self.root / "serve.log"

    @property
    def termination(self) -> Path:
        return self.root / "termination.json"
