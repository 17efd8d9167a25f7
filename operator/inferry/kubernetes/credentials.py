"""Where the API server is and who we are: a kubeconfig, or what every pod is given."""

import base64
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import msgspec

POD_FOLDER: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class CredentialsError(ValueError):
    """The cluster cannot be reached with what is there; the message says what is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    server: str
    """URL without a path."""
    ca: str = ""
    """PEM; "" for the system's authorities."""
    insecure: bool = False
    certificate: str = ""
    key: str = ""
    """PEM of the client certificate and its key."""
    token: str = ""
    token_file: Path | None = None
    """Read anew every minute: kubelet replaces it."""

    def current_token(self) -> str:
        """Raises OSError."""
        return self.token_file.read_text().strip() if self.token_file is not None else self.token

    def tls(self) -> ssl.SSLContext | None:
        """None for a server without TLS."""
        if not self.server.startswith("https:"):
            return None
        context = ssl.create_default_context(cadata=self.ca or None)
        if self.insecure:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if self.certificate:
            _load_certificate(context, self.certificate, self.key)
        return context


class _Named(msgspec.Struct, frozen=True):
    name: str


class _Cluster(msgspec.Struct, frozen=True, rename="kebab"):
    server: str
    certificate_authority: str = ""
    certificate_authority_data: str = ""
    insecure_skip_tls_verify: bool = False


class _User(msgspec.Struct, frozen=True):
    token: str = ""
    token_file: str = msgspec.field(default="", name="tokenFile")
    certificate: str = msgspec.field(default="", name="client-certificate")
    certificate_data: str = msgspec.field(default="", name="client-certificate-data")
    key: str = msgspec.field(default="", name="client-key")
    key_data: str = msgspec.field(default="", name="client-key-data")
    exec: Mapping[str, object] | None = None


class _Context(msgspec.Struct, frozen=True):
    cluster: str
    user: str


Entry = TypeVar("Entry", bound=_Named)


class _NamedCluster(_Named, frozen=True):
    cluster: _Cluster


class _NamedUser(_Named, frozen=True):
    user: _User


class _NamedContext(_Named, frozen=True):
    context: _Context


class _KubeConfig(msgspec.Struct, frozen=True):
    current_context: str = msgspec.field(default="", name="current-context")
    clusters: tuple[_NamedCluster, ...] = ()
    users: tuple[_NamedUser, ...] = ()
    contexts: tuple[_NamedContext, ...] = ()


def find(kubeconfig: Path | None, environment: Mapping[str, str]) -> Credentials:
    """The kubeconfig that is named, else the pod's own account. Raises CredentialsError."""
    try:
        return from_kubeconfig(kubeconfig) if kubeconfig is not None else from_pod(environment)
    except OSError as error:
        raise CredentialsError(f"{error.filename}: {error.strerror}") from error


def from_pod(environment: Mapping[str, str], folder: Path = POD_FOLDER) -> Credentials:
    """Raises OSError and CredentialsError."""
    host, port = environment.get("KUBERNETES_SERVICE_HOST", ""), environment.get("KUBERNETES_SERVICE_PORT", "443")
    if not host:
        raise CredentialsError("This is not a pod; name a kubeconfig with --kubeconfig.")
    host = f"[{host}]" if ":" in host else host
    token_file = folder / "token"
    return Credentials(server=f"https://{host}:{port}", ca=(folder / "ca.crt").read_text(), token_file=token_file)


def from_kubeconfig(path: Path) -> Credentials:
    """Its current context. Raises OSError and CredentialsError."""
    try:
        config = msgspec.yaml.decode(path.read_bytes(), type=_KubeConfig)
    except msgspec.MsgspecError as error:
        raise CredentialsError(f"{path}: {error}") from error
    context = _named(config.contexts, config.current_context, path).context
    cluster = _named(config.clusters, context.cluster, path).cluster
    user = _named(config.users, context.user, path).user
    if user.exec is not None:
        raise CredentialsError(f"{path}: user {context.user} logs in by a command, which is not supported; use a token")
    return Credentials(
        server=cluster.server.rstrip("/"),
        ca=_pem(cluster.certificate_authority_data, cluster.certificate_authority, path),
        insecure=cluster.insecure_skip_tls_verify,
        certificate=_pem(user.certificate_data, user.certificate, path),
        key=_pem(user.key_data, user.key, path),
        token=user.token,
        token_file=path.parent / user.token_file if user.token_file else None,
    )


def _named(entries: tuple[Entry, ...], name: str, path: Path) -> Entry:
    for entry in entries:
        if entry.name == name:
            return entry
    raise CredentialsError(f"{path}: there is no {name!r}")


def _pem(data: str, file: str, kubeconfig: Path) -> str:
    if data:
        return base64.b64decode(data).decode()
    return (kubeconfig.parent / file).read_text() if file else ""


def _load_certificate(context: ssl.SSLContext, certificate: str, key: str) -> None:
    """OpenSSL takes a client certificate from a file only; it is gone when this returns."""
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(f"{certificate}\n{key}")
        file.flush()
        context.load_cert_chain(file.name)
