"""All objects as the running `inferry local` sees them: read when their file changed, kept in memory between."""

import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from inferry.api.model_deployment import ModelDeployment
from inferry.api.status import DeploymentStatus
from inferry.control.world import Key
from inferry.local import objects
from inferry.local.accept import accepted
from inferry.local.files import remove_leftovers, set_aside, write_whole
from inferry.local.home import Home
from inferry.local.objects import NAMESPACE, Fingerprint, Unreadable

logger = logging.getLogger(__name__)

# An editor that writes in place leaves a half file for a moment; only one that stays broken this long is set aside.
SETTLE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class _Kept:
    fingerprint: Fingerprint
    deployment: ModelDeployment


def key_of(deployment: ModelDeployment) -> Key:
    return Key(NAMESPACE, deployment.metadata.name)


class ObjectKeeper:
    """Only the holder of the home's lock may have one: it is the only writer of `status/`.

    `_kept` is a cache of `deployments/` and `status/` by file; everything in it can be read again.
    """

    def __init__(self, home: Home, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._home = home
        self._clock = clock
        self._kept: dict[Path, _Kept] = {}
        remove_leftovers(home.deployments)
        remove_leftovers(home.statuses)

    def refresh(self) -> frozenset[Key]:
        """Look at every file once; the keys of objects that are new, changed or gone since the last time."""
        seen = objects.fingerprints(self._home.deployments)
        changed = {key_of(self._kept.pop(path).deployment) for path in set(self._kept) - set(seen)}
        for path, fingerprint in seen.items():
            kept = self._kept.get(path)
            if kept is None or kept.fingerprint != fingerprint:
                changed |= self._take(path, fingerprint)
        return frozenset(changed)

    def get(self, key: Key) -> ModelDeployment | None:
        kept = self._kept.get(self._home.deployment(key.name))
        return _normal(kept.deployment) if kept else None

    def all(self) -> tuple[ModelDeployment, ...]:
        """Sorted by name."""
        found = (_normal(kept.deployment) for kept in self._kept.values())
        return tuple(sorted(found, key=lambda deployment: deployment.metadata.name))

    def recorded(self) -> frozenset[Key]:
        """Everything a status is kept for, whether the object is still there or not."""
        found = (objects.parse_or_none(path) for path in objects.yaml_files(self._home.statuses))
        return frozenset(key_of(deployment) for deployment in found if deployment)

    def report(self, key: Key, status: DeploymentStatus) -> bool:
        """Write the status unless it is there already; whether it was written."""
        path = self._home.deployment(key.name)
        kept = self._kept.get(path)
        if kept is None or kept.deployment.status == status:
            return False
        deployment = kept.deployment.model_copy(update={"status": status})
        self._record(deployment)
        self._kept[path] = _Kept(kept.fingerprint, deployment)
        return True

    def forget(self, key: Key) -> None:
        self._home.status(key.name).unlink(missing_ok=True)

    def _take(self, path: Path, fingerprint: Fingerprint) -> set[Key]:
        try:
            written = objects.parse(path.read_bytes())
        except FileNotFoundError:
            return set()
        except Unreadable as error:
            self._set_aside_when_settled(path, fingerprint, str(error))
            return set()
        home_path = self._home.deployment(written.metadata.name)
        if path != home_path:
            self._bring_home(path, home_path)
            return set()
        recorded = self._recorded(written.metadata.name)
        deployment = accepted(written, recorded, now=self._clock(), uid=str(uuid.uuid4()))
        self._kept[path] = _Kept(fingerprint, deployment)
        if deployment != recorded:
            self._record(deployment)
        return {key_of(deployment)}

    def _set_aside_when_settled(self, path: Path, fingerprint: Fingerprint, reason: str) -> None:
        # A time of change in the future means a clock that was set back, not a writer at work.
        if abs(self._clock().timestamp() - fingerprint.modified_ns / 1e9) < SETTLE_SECONDS:
            return
        moved = set_aside(self._home, path)
        logger.warning("object file set aside", extra={"file": str(path), "moved_to": str(moved), "reason": reason})
        good = objects.parse_or_none(self._home.statuses / path.name)
        if good is not None:
            write_whole(path, objects.as_written(good), durable=True)
            logger.warning("last good version put back", extra={"file": str(path)})

    def _bring_home(self, path: Path, home_path: Path) -> None:
        """A file under another name than its object's: rename it, or set it aside when the name is taken."""
        if home_path.exists():
            moved = set_aside(self._home, path)
            logger.warning("second file for one object set aside", extra={"file": str(path), "moved_to": str(moved)})
        else:
            path.rename(home_path)

    def _recorded(self, name: str) -> ModelDeployment | None:
        path = self._home.status(name)
        try:
            return objects.parse(path.read_bytes())
        except FileNotFoundError:
            return None
        except Unreadable as error:
            moved = set_aside(self._home, path)
            logger.warning("status set aside", extra={"file": str(path), "moved_to": str(moved), "reason": str(error)})
            return None

    def _record(self, deployment: ModelDeployment) -> None:
        path = self._home.status(deployment.metadata.name)
        write_whole(path, objects.as_known(deployment), durable=False)


def _normal(deployment: ModelDeployment) -> ModelDeployment:
    """In the one namespace a machine has, whatever the file says for clusters."""
    metadata = deployment.metadata.model_copy(update={"namespace": NAMESPACE})
    return deployment.model_copy(update={"metadata": metadata})
