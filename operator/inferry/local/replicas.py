"""All replicas of this machine: made, taken over from a dead owner, and stopped. Each has one supervisor."""

import asyncio
import contextlib
import itertools
import logging
import os
import secrets
import signal
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial

from inferry.control.world import Key
from inferry.local import proc, processes, records
from inferry.local.files import set_aside
from inferry.local.home import Home, ReplicaFolder
from inferry.local.objects import NAMESPACE
from inferry.local.processes import ProcessIdentity
from inferry.local.records import RecordError, ReplicaRecord
from inferry.local.supervisor import Supervisor
from inferry.local.workshop import Workshop
from inferry.plan.types import Replica
from inferry_runtime.order import ServeOrder, revision_of

logger = logging.getLogger(__name__)

# Leaves room in a file name for the revision, and in a line of `inferry list` for everything else.
_LONGEST_PREFIX = 40
# A living process answers within milliseconds; one that does not is not worth keeping the others waiting for.
SETTLE_SECONDS = 2.0


def replica_name(deployment: str, revision: str) -> str:
    """Never used twice: the last part is random."""
    return f"{deployment[:_LONGEST_PREFIX].rstrip('-.')}-{revision}-{secrets.token_hex(3)}"


def least_used(count: int, given: Collection[tuple[int, ...]], devices: Sequence[int]) -> tuple[int, ...]:
    """Pure: `count` of the accelerators, those that fewest replicas have; lowest first among equals."""
    used = Counter(index for indices in given for index in indices)
    return tuple(sorted(sorted(devices, key=lambda index: (used[index], index))[:count]))


Found = tuple[ReplicaFolder, ReplicaRecord, ServeOrder]


class Replicas:
    """`_supervisors` holds every replica that exists, by name; one is taken out when nothing of it is left."""

    def __init__(
        self,
        workshop: Workshop,
        group: asyncio.TaskGroup,
        changed: Callable[[Key], None],
        credentials: Callable[[Key, str], Mapping[str, str]],
    ) -> None:
        """`credentials` says which variables open a deployment's source, at the moment a process is started."""
        self._workshop = workshop
        self._credentials = credentials
        self._group = group
        self._changed = changed
        self._supervisors: dict[str, Supervisor] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def take_over(self, left: Sequence[Found]) -> None:
        """Go on with what an earlier owner left; returns when it is known which of them answer. What died while nobody
        watched is started anew without being blamed: it may have been the machine that was switched off."""
        for folder, record, order in left:
            self._supervise(folder, await _revived(record), order)
        await self._settled()

    def create(self, key: Key, revision: str, order: ServeOrder, *, accelerators: int, devices: Sequence[int]) -> str:
        """The name of a new replica, on `accelerators` of the machine's `devices`."""
        name = replica_name(key.name, revision)
        folder = ReplicaFolder(self._workshop.home.replicas / name)
        record = ReplicaRecord(
            name=name,
            deployment=key.name,
            revision=revision,
            order=revision_of(order),
            created_at=self._workshop.clock(),
            devices=least_used(accelerators, [one.record.devices for one in self._supervisors.values()], devices),
        )
        records.write_order(folder, order)
        records.write(folder, record)
        self._supervise(folder, record, order)
        self._changed(key)
        return name

    def drain(self, name: str) -> None:
        """Unknown names are gone already."""
        if name in self._supervisors:
            self._supervisors[name].drain()

    def remove(self, name: str) -> None:
        """Unknown names are gone already."""
        if name in self._supervisors:
            self._supervisors[name].remove()

    def try_again(self, key: Key) -> None:
        """Whatever failed for good may go well now."""
        for supervisor in self._supervisors.values():
            if supervisor.record.deployment == key.name:
                supervisor.try_again()

    async def remove_all(self) -> None:
        """Returns when no process of any replica is left."""
        for supervisor in self._supervisors.values():
            supervisor.remove()
        if self._tasks:
            await asyncio.wait(set(self._tasks))

    def of(self, key: Key) -> tuple[Replica, ...]:
        """Sorted by name."""
        mine = (one for one in self._supervisors.values() if one.record.deployment == key.name)
        return tuple(sorted((one.view() for one in mine), key=lambda replica: replica.name))

    def all(self) -> tuple[Replica, ...]:
        return tuple(one.view() for one in self._supervisors.values())

    def deployments(self) -> frozenset[Key]:
        """Everything a replica exists for."""
        return frozenset(Key(NAMESPACE, one.record.deployment) for one in self._supervisors.values())

    def folders(self) -> tuple[ReplicaFolder, ...]:
        return tuple(ReplicaFolder(self._workshop.home.replicas / name) for name in self._supervisors)

    def promised_ports(self) -> frozenset[int]:
        return frozenset(port for one in self._supervisors.values() for port in one.record.ports or ())

    async def _settled(self) -> None:
        """Wait for the first word of those that were taken over: until then nobody knows that they are ready."""
        try:
            async with asyncio.timeout(SETTLE_SECONDS):
                for supervisor in tuple(self._supervisors.values()):
                    await supervisor.settled.wait()
        except TimeoutError:
            logger.warning("a replica that was taken over says nothing")

    def _supervise(self, folder: ReplicaFolder, record: ReplicaRecord, order: ServeOrder) -> None:
        supervisor = Supervisor(
            folder=folder,
            record=record,
            order=order,
            workshop=self._workshop,
            changed=self._replica_changed,
            promised_ports=self.promised_ports,
            credentials=partial(self._credentials, Key(NAMESPACE, record.deployment), order.model.source),
        )
        self._supervisors[record.name] = supervisor
        task = self._group.create_task(self._until_removed(supervisor), name=f"replica {record.name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _until_removed(self, supervisor: Supervisor) -> None:
        await supervisor.run()
        del self._supervisors[supervisor.record.name]
        logger.info("replica removed", extra={"replica": supervisor.record.name})
        self._changed(Key(NAMESPACE, supervisor.record.deployment))

    def _replica_changed(self, name: str) -> None:
        self._changed(Key(NAMESPACE, self._supervisors[name].record.deployment))


def left_by_earlier_owner(home: Home) -> tuple[Found, ...]:
    """Every replica with a readable record; the others are set aside."""
    found = (_found(home, folder) for folder in records.folders(home.replicas))
    return tuple(replica for replica in found if replica is not None)


def _found(home: Home, folder: ReplicaFolder) -> Found | None:
    try:
        record, order = records.read(folder)
    except RecordError as error:
        moved = set_aside(home, folder.root)
        logger.warning(
            "replica set aside", extra={"replica": folder.root.name, "moved_to": str(moved), "reason": str(error)}
        )
        return None
    return folder, record, order


async def _revived(record: ReplicaRecord) -> ReplicaRecord:
    if record.run is None or processes.is_alive(record.run.process):
        return record
    await records.sweep_run(record.run)
    return replace(record, run=None)


async def end_strangers(home: Home, *, spared: Collection[ProcessIdentity]) -> None:
    """End every process that lives on this home's lease and that no record speaks of: its owner died between starting
    it and writing that down, or the record was lost. A session goes whole, but only one that such a process leads."""
    marker = ("--lease", str(home.lock))
    leased = {pid for pid, words in proc.command_lines().items() if marker in itertools.pairwise(words)}
    kept = {identity.pid for identity in spared}
    for pid in sorted(leased):
        leader = _leader(pid)
        identity = processes.identify(pid)
        if identity is None or leader in kept or (leader in leased and leader != pid):
            continue
        logger.warning("process without a record ended", extra={"pid": pid})
        processes.send(identity, signal.SIGKILL)
        await processes.sweep(identity)


def _leader(pid: int) -> int:
    """Pid that leads the session of a process; 0 when it has ended."""
    with contextlib.suppress(ProcessLookupError):
        return os.getsid(pid)
    return 0
