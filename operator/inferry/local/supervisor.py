"""One replica: prepare, start, watch, restart, stop. Its process lives on when we die, and is found by its record.

Prepare -> start -> watch -> (ended: classify, back off) -> prepare ... until it is removed. Every step can be
cancelled; between starting a process and writing down that it runs nothing can come in.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path

import msgspec

from inferry.api.reasons import Reason, next_action
from inferry.local import ask, endings, hardware, ports, processes, records, view
from inferry.local.errors import LocalError
from inferry.local.home import ReplicaFolder
from inferry.local.records import ReplicaRecord, Run
from inferry.local.restarts import delay_seconds, failures_in_a_row
from inferry.local.workshop import Workshop, serve_command
from inferry.plan.types import Failure, Progress, Replica
from inferry_runtime.model.credentials import shown_to
from inferry_runtime.order import ServeOrder
from inferry_runtime.report import ServeFailure, ServeReport, Stage, decode

logger = logging.getLogger(__name__)

# A start is over in a second when everything is cached, and every look delays the first answer by half of this.
STARTING_POLL_SECONDS = 0.025
# What is not over by then is a download or a large model: progress for people is enough.
PATIENT_AFTER_SECONDS = 10.0
PATIENT_POLL_SECONDS = 0.25
# A ready replica that dies is seen at once by its pidfd; this only notices one that lost its readiness.
READY_POLL_SECONDS = 1.0
POLL_TIMEOUT_SECONDS = 2.0
# Progress alone wakes the planner no more often than a person can read it.
PROGRESS_EVERY_SECONDS = 0.5
# kubelet's defaults for probes are 3 misses, 10 s apart, before it acts.
SILENT_UNREADY_SECONDS = 5.0
SILENT_KILL_SECONDS = 60.0
# After its running answers, a replica still has to stop its engine.
STOP_MARGIN_SECONDS = 10.0


class Supervisor:
    def __init__(
        self,
        *,
        folder: ReplicaFolder,
        record: ReplicaRecord,
        order: ServeOrder,
        workshop: Workshop,
        changed: Callable[[str], None],
        promised_ports: Callable[[], Collection[int]],
        credentials: Callable[[], Mapping[str, str]],
    ) -> None:
        self.record = record
        """What is on disk too, unless the disk refused it."""
        self._folder = folder
        self._order = order
        self._workshop = workshop
        self._changed = changed
        self._promised_ports = promised_ports
        self._credentials = credentials
        self.settled = asyncio.Event()
        """Set once it is known whether the process that was taken over answers."""
        self._removal = asyncio.Event()
        self._again = asyncio.Event()
        """Set when what made it fail may be over; the next wait is cut short."""
        self._preparing: Progress | None = None
        self._report: ServeReport | None = None
        self._heard_at = workshop.clock()
        self._told: Replica | None = None
        self._told_at = 0.0

    def view(self) -> Replica:
        return view.replica(
            self.record, report=self._report, preparing=self._preparing, removing=self._removal.is_set()
        )

    def drain(self) -> None:
        if self.record.draining_since is None:
            self._write(replace(self.record, draining_since=self._workshop.clock()))
            self._tell()

    def try_again(self) -> None:
        self._again.set()

    def remove(self) -> None:
        """`run` ends soon after, and nothing is left."""
        self._removal.set()
        self._tell()

    async def run(self) -> None:
        """Until it is removed. When cancelled instead, the process goes on and the record stays."""
        async with asyncio.TaskGroup() as group:
            life = group.create_task(self._live())
            await self._removal.wait()
            life.cancel()
        if self.record.run is not None:
            grace_seconds = self._order.drain_seconds + STOP_MARGIN_SECONDS
            await processes.stop(self.record.run.process, grace_seconds=grace_seconds)
            await records.sweep_run(self.record.run)
        try:
            records.remove(self._folder)
        except OSError as error:
            logger.error("replica's folder stays", extra={"replica": self.record.name, "reason": str(error)})

    async def _live(self) -> None:
        while True:
            run = self.record.run or await self._start()
            if run is not None:
                ending = await self._watch(run)
                await self._ended(run, ending)

    async def _start(self) -> Run | None:
        """None when it could not be started; the failure and when to try again are in the record then."""
        self.settled.set()
        await self._wait_for_retry()
        try:
            python = await self._prepared()
            return self._started(python)
        except LocalError as error:
            self._fail(ServeFailure(reason=Reason.ENVIRONMENT_FAILED, message=error.message, hint=error.hint), 0.0)
        except OSError as error:
            hint = next_action(Reason.ENVIRONMENT_FAILED)
            self._fail(ServeFailure(reason=Reason.ENVIRONMENT_FAILED, message=str(error), hint=hint), 0.0)
        return None

    async def _wait_for_retry(self) -> None:
        failure = self.record.failure
        if failure is None:
            return
        pause = None if failure.retry_at is None else max(0.0, failure.retry_at - self._workshop.clock())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._again.wait()
        self._again.clear()

    async def _prepared(self) -> Path:
        engine = self._order.engine
        try:
            return await self._workshop.environments.ensure(
                engine.name, engine.version, engine.variant, self._preparation
            )
        finally:
            self._preparing = None

    def _preparation(self, progress: Progress) -> None:
        self._preparing = progress
        self._tell_progress()

    def _started(self, python: Path) -> Run:
        engine_port, status_port = self._ports()
        self._folder.termination.unlink(missing_ok=True)
        argv = serve_command(self._workshop.home, self._folder, python, engine_port, status_port)
        environment = {
            **shown_to(self._order.model.mirror, self._workshop.environment),
            **hardware.given(self.record.devices),
            **self._credentials(),
        }
        process = processes.spawn(argv, environment, self._folder.log)
        now = self._workshop.clock()
        run = Run(process=process, port=engine_port, status_port=status_port, started_at=now)
        self._heard_at = now
        self._write(replace(self.record, run=run, ports=(engine_port, status_port)))
        logger.info("replica started", extra={"replica": self.record.name, "pid": process.pid, "port": engine_port})
        self._tell()
        return run

    def _ports(self) -> tuple[int, int]:
        """Those of the last start, unless they are taken or it never came up on them."""
        last = self.record.ports
        usable = last is not None and self.record.failures_in_a_row == 0
        if last is not None and usable and all(ports.is_free(view.HOST, port) for port in last):
            return last
        return ports.free_pair(self._promised_ports())

    async def _watch(self, run: Run) -> processes.Exit:
        async with asyncio.TaskGroup() as group:
            polling = group.create_task(self._poll(run))
            ending = await processes.wait(run.process)
            polling.cancel()
        return ending

    async def _poll(self, run: Run) -> None:
        address = ask.Address(port=run.status_port)
        while True:
            try:
                body = await ask.get(address, "/progress", timeout_seconds=POLL_TIMEOUT_SECONDS)
                self._heard(decode(body))
            except (ask.NoAnswer, msgspec.DecodeError):
                await self._silent(run)
            await asyncio.sleep(self._poll_seconds(run))

    def _poll_seconds(self, run: Run) -> float:
        if self._report is not None and self._report.ready:
            return READY_POLL_SECONDS
        young = self._workshop.clock() - run.started_at < PATIENT_AFTER_SECONDS
        return STARTING_POLL_SECONDS if young else PATIENT_POLL_SECONDS

    def _heard(self, report: ServeReport) -> None:
        self._heard_at = self._workshop.clock()
        self._report = report
        self.settled.set()
        self._note(report)
        self._tell_progress()

    def _note(self, report: ServeReport) -> None:
        """Keep on disk what the next owner needs and cannot ask for once the process is dead."""
        record = self.record
        if report.ready and record.failure is not None:
            record = replace(record, failure=None)
        run = record.run
        if (
            run is not None
            and report.engine_pid is not None
            and (run.engine is None or run.engine.pid != report.engine_pid)
        ):
            record = replace(record, run=replace(run, engine=processes.identify(report.engine_pid)))
        if record != self.record:
            self._write(record)

    async def _silent(self, run: Run) -> None:
        silent_seconds = self._workshop.clock() - self._heard_at
        if silent_seconds > SILENT_KILL_SECONDS:
            logger.warning("replica does not answer, killed", extra={"replica": self.record.name})
            await records.sweep_run(run)
        elif silent_seconds > SILENT_UNREADY_SECONDS and self._report is not None and self._report.ready:
            self._report = replace(self._report, ready=False, stage=Stage.LOADING, message="It does not answer.")
            self._tell()

    async def _ended(self, run: Run, ending: processes.Exit) -> None:
        """The endpoint goes first: nothing may be sent there while the rest of the session is swept."""
        now = self._workshop.clock()
        ready_at = self._report.ready_at if self._report is not None else None
        self._report = None
        self._tell()
        await records.sweep_run(self.record.run or run)
        failure = endings.failure_of(self._folder.termination, self._folder.log, ending)
        self._fail(failure, now - ready_at if ready_at else 0.0)

    def _fail(self, failure: ServeFailure, answered_seconds: float) -> None:
        in_a_row = failures_in_a_row(self.record.failures_in_a_row, answered_seconds, self._workshop.policy)
        delay = delay_seconds(in_a_row, self._workshop.policy)
        restarts = self.record.restarts + 1
        shown = Failure(
            reason=failure.reason,
            message=failure.message,
            hint=failure.hint,
            restarts=restarts,
            retry_at=self._workshop.clock() + delay if failure.retryable else None,
            log_tail=failure.log_tail,
        )
        self._write(replace(self.record, run=None, restarts=restarts, failures_in_a_row=in_a_row, failure=shown))
        logger.warning(
            "replica failed",
            extra={"replica": self.record.name, "reason": failure.reason, "detail": failure.message, "delay": delay},
        )
        self._tell()

    def _write(self, record: ReplicaRecord) -> None:
        """A full disk must not stop the supervision; an owner that comes after us ends what it finds no record of."""
        self.record = record
        try:
            records.write(self._folder, record)
        except OSError as error:
            logger.error("record cannot be written", extra={"replica": record.name, "reason": str(error)})

    def _tell_progress(self) -> None:
        """At once when more than progress differs from what was told."""
        now_seen = self.view()
        progress_only = self._told is not None and replace(now_seen, progress=self._told.progress) == self._told
        recent = self._workshop.clock() - self._told_at < PROGRESS_EVERY_SECONDS
        if now_seen != self._told and not (progress_only and recent):
            self._tell()

    def _tell(self) -> None:
        self._told = self.view()
        self._told_at = self._workshop.clock()
        self._changed(self.record.name)
