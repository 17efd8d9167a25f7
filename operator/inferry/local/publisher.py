"""The snapshot on disk: written when it differs, its version never goes back."""

import logging
import time
from collections.abc import Sequence

from inferry.api.snapshot import EndpointState, Snapshot, SnapshotError, decode, encode
from inferry.local import snapshot
from inferry.local.files import set_aside, write_whole
from inferry.local.home import Home
from inferry.local.snapshot import Part

logger = logging.getLogger(__name__)


class SnapshotPublisher:
    """`current` is what is on disk. Nothing is flushed to the disk: the file is made anew at every start."""

    def __init__(self, home: Home) -> None:
        self._path = home.snapshot
        self.current = _last(home)
        self._changed_in: dict[str, int] = {}
        """Endpoint -> version in which its state is what it is now."""
        self._ready_since: dict[str, int] = {}
        """The same, of those that are ready."""
        self._note(self.current)
        self._write(self.current)

    def publish(self, parts: Sequence[Part]) -> bool:
        """Whether there is a new version. Raises OSError; the same is published again when asked again."""
        new = snapshot.following(self.current, snapshot.models(parts))
        if new is self.current:
            return False
        self._write(new)
        before, self.current = self.current, new
        self._note(new, before)
        return True

    def version_of(self, endpoint: str) -> int:
        """The first version that says of the endpoint what is said now; the current one for an endpoint that is not
        in it any more, or never was."""
        return self._changed_in.get(endpoint, self.current.version)

    def ready_since(self, endpoint: str) -> int | None:
        """The first version in which it is ready as it is now; None when it is not."""
        return self._ready_since.get(endpoint)

    def newest_ready(self) -> int:
        """The version a gateway has to route by so that every ready endpoint is picked; 0 when there is none."""
        return max(self._ready_since.values(), default=0)

    def _note(self, new: Snapshot, before: Snapshot | None = None) -> None:
        states, old_states = _states(new), _states(before) if before else {}
        self._changed_in = {
            endpoint: self._changed_in[endpoint] if old_states.get(endpoint) == state else new.version
            for endpoint, state in states.items()
        }
        self._ready_since = {
            endpoint: self._changed_in[endpoint] for endpoint, state in states.items() if state == EndpointState.READY
        }

    def _write(self, new: Snapshot) -> None:
        write_whole(self._path, encode(new), durable=False)


def _states(current: Snapshot) -> dict[str, str]:
    return {endpoint.id: endpoint.state for model in current.models for endpoint in model.endpoints}


def _last(home: Home) -> Snapshot:
    """Without a readable one, versions go on from the clock's microseconds: above any count of changes, whatever a
    gateway that still runs has seen."""
    try:
        return decode(home.snapshot.read_bytes())
    except FileNotFoundError:
        logger.info("first snapshot", extra={"file": str(home.snapshot)})
    except SnapshotError as error:
        moved = set_aside(home, home.snapshot)
        logger.warning("snapshot set aside", extra={"moved_to": str(moved), "reason": str(error)})
    return Snapshot(version=time.time_ns() // 1000, models=())
