"""Objects as files: what the user wrote, and beside it the same object with what inferry knows of it.

The user's file is never rewritten, except to put the last good version back after a broken one was set aside.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import ValidationError

from inferry.api.model_deployment import API_VERSION, KIND, ModelDeployment
from inferry.local.errors import UnusableName
from inferry.local.files import write_whole
from inferry.local.home import Home, file_stem

# Every object lives here: one machine is one namespace. What the file says is kept for clusters.
NAMESPACE = "default"
_SET_BY_US = ("uid", "generation", "creation_timestamp")


class Unreadable(ValueError):
    """The file holds no ModelDeployment; the message says why."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Differs whenever a file was written or replaced."""

    inode: int
    size_bytes: int
    modified_ns: int


def parse(content: bytes) -> ModelDeployment:
    """Raises Unreadable."""
    try:
        document = yaml.load(content, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        deployment = ModelDeployment.model_validate(document)
        file_stem(deployment.metadata.name)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise Unreadable(f"not YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "document"
        raise Unreadable(f"not a ModelDeployment: {field}: {first['msg']}") from error
    except UnusableName as error:
        raise Unreadable(error.message) from error
    return deployment


def as_written(deployment: ModelDeployment) -> bytes:
    """What a user would have written: only what was said, nothing that a server sets."""
    dumped = deployment.model_dump(mode="json", by_alias=True, exclude_unset=True)
    metadata = deployment.metadata.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude=set(_SET_BY_US))
    return _to_yaml({"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": dumped["spec"]})


def as_known(deployment: ModelDeployment) -> bytes:
    """The whole object, as `kubectl get -o yaml` would show it."""
    dumped = deployment.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude={"status"})
    status = deployment.status
    known = {"apiVersion": API_VERSION, "kind": KIND, "metadata": dumped["metadata"], "spec": dumped["spec"]}
    if status is not None:
        known["status"] = status.model_dump(mode="json", by_alias=True, exclude_none=True)
    return _to_yaml(known)


def save(home: Home, deployment: ModelDeployment) -> Path:
    """Write the user's object; the running `inferry local` sees it within its polling interval."""
    path = home.deployment(deployment.metadata.name)
    write_whole(path, as_written(deployment), durable=True)
    return path


def delete(home: Home, name: str) -> bool:
    """False when there was none."""
    try:
        home.deployment(name).unlink()
    except FileNotFoundError:
        return False
    return True


def listed(home: Home) -> tuple[ModelDeployment, ...]:
    """All readable objects of the user, sorted by name, with the status last reported for them."""
    found = []
    for path in yaml_files(home.deployments):
        written = parse_or_none(path)
        if written is not None:
            found.append(joined(written, known(home, written.metadata.name)))
    return tuple(sorted(found, key=lambda deployment: deployment.metadata.name))


def known(home: Home, name: str) -> ModelDeployment | None:
    """The object as `inferry local` last saw it, with its status; None when it never did or the file is unreadable."""
    return parse_or_none(home.status(name))


def joined(written: ModelDeployment, recorded: ModelDeployment | None) -> ModelDeployment:
    """What was written, with the identity and the status that were recorded for it."""
    if recorded is None:
        return written
    identity = {field: getattr(recorded.metadata, field) for field in _SET_BY_US}
    return written.model_copy(
        update={"metadata": written.metadata.model_copy(update=identity), "status": recorded.status}
    )


def fingerprints(folder: Path) -> Mapping[Path, Fingerprint]:
    """Cheap enough to be asked many times a second: one stat per object."""
    found = {}
    for path in yaml_files(folder):
        try:
            stat = path.stat()
        except FileNotFoundError:
            continue
        found[path] = Fingerprint(stat.st_ino, stat.st_size, stat.st_mtime_ns)
    return found


def parse_or_none(path: Path) -> ModelDeployment | None:
    """None when the file is gone or holds no ModelDeployment."""
    try:
        return parse(path.read_bytes())
    except (FileNotFoundError, Unreadable):
        return None


def yaml_files(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from (path for path in sorted(folder.iterdir()) if path.suffix == ".yaml" and path.name[0] != ".")


def _to_yaml(document: Mapping[str, object]) -> bytes:
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    return yaml.dump(dict(document), Dumper=dumper, sort_keys=False, allow_unicode=True, encoding="utf-8")
