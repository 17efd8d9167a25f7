"""Secrets as files a person writes: Kubernetes' own object, so that the same file can be applied to a cluster.

What is in them goes into the environment of processes and nowhere else; no message of this room quotes a file.
"""

import base64
import binascii
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from inferry.api.reasons import Reason
from inferry.local import objects
from inferry.local.home import Home
from inferry.local.objects import Fingerprint
from inferry_runtime.model import credentials
from inferry_runtime.model.errors import ModelError

logger = logging.getLogger(__name__)

_OTHERS = 0o077


class UnusableSecret(ModelError):
    """It is not there, cannot be read, or has nothing for the source."""

    reason = Reason.GATED_OR_UNAUTHORIZED


class _Metadata(BaseModel):
    name: str


class _Secret(BaseModel):
    """Kubernetes' Secret, as far as it is read."""

    model_config = ConfigDict(alias_generator=to_camel, hide_input_in_errors=True)

    api_version: Literal["v1"]
    kind: Literal["Secret"]
    metadata: _Metadata
    data: dict[str, str] = Field(default_factory=dict)
    string_data: dict[str, str] = Field(default_factory=dict)


class SecretFiles:
    """Read when they are needed; only what the files look like from outside is remembered."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._seen: Mapping[Path, Fingerprint] = {}

    def refresh(self) -> frozenset[str]:
        """Names of the secrets that were written, replaced or removed since the last look."""
        before, self._seen = self._seen, objects.fingerprints(self._home.secrets)
        changed = {path for path in {*before, *self._seen} if before.get(path) != self._seen.get(path)}
        for path in changed & set(self._seen):
            _warn_of_readers(path)
        return frozenset(path.stem for path in changed)

    def variables(self, name: str, source: str) -> Mapping[str, str]:
        """What opens the source, as environment variables; nothing for a path on this machine. Raises
        UnusableSecret."""
        keys = credentials.expected_keys(source)
        if not keys:
            return {}
        path = self._home.secret(name)
        found = credentials.variables(source, _read(path, name, keys))
        if not found:
            raise UnusableSecret(f"the secret {name} has nothing for {source}", hint=f"Give it {keys}, in {path}.")
        return found


def _read(path: Path, name: str, keys: str) -> Mapping[str, str]:
    wanted = f"a Kubernetes Secret {name} with {keys} in stringData, readable by you alone"
    try:
        secret = _parsed(path.read_bytes())
    except FileNotFoundError:
        raise UnusableSecret(f"there is no secret {name} on this machine", hint=f"Write {path}: {wanted}.") from None
    except OSError as error:
        raise UnusableSecret(f"the secret {name} cannot be read: {error.strerror}", hint=f"Check {path}.") from error
    except ValueError as error:
        raise UnusableSecret(f"the secret {name} cannot be used: {error}", hint=f"Correct {path}: {wanted}.") from None
    if secret.metadata.name != name:
        raise UnusableSecret(f"{path} holds another secret than {name}", hint="Give object and file the same name.")
    # `echo … | base64` encodes a line end too, and no credential begins or ends with a space.
    return {key: value.strip() for key, value in {**_decoded(secret, name, path), **secret.string_data}.items()}


def _parsed(content: bytes) -> _Secret:
    """Raises ValueError with a message that quotes nothing."""
    try:
        return _Secret.model_validate(yaml.safe_load(content))
    except yaml.MarkedYAMLError as error:
        line = f" (line {error.problem_mark.line + 1})" if error.problem_mark else ""
        raise ValueError(f"it is not YAML{line}") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise ValueError("it is not YAML") from None
    except ValidationError as error:
        first = error.errors(include_input=False, include_context=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "document"
        raise ValueError(f"{field}: {first['msg']}") from None


def _decoded(secret: _Secret, name: str, path: Path) -> Mapping[str, str]:
    try:
        return {key: base64.b64decode(value, validate=True).decode() for key, value in secret.data.items()}
    except (binascii.Error, UnicodeDecodeError):
        raise UnusableSecret(
            f"the data of the secret {name} is not text in base64", hint=f"Write it as stringData in {path}."
        ) from None


def _warn_of_readers(path: Path) -> None:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return
    if mode & _OTHERS:
        logger.warning("others can read a secret", extra={"file": str(path), "hint": f"chmod 600 {path}"})
