"""Models being read, one task each, outside of the workers: a slow hub keeps nobody else waiting.

What is known of a model holds as long as `spec.model` is the same. A retryable failure is tried again with back-off;
any other stays until `spec.model` changes or somebody asks to look again.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from inferry.api.model_deployment import Model, ModelDeployment
from inferry.api.reasons import Reason
from inferry.control.clock import Clock
from inferry.control.queue import backoff_seconds
from inferry.control.world import Key
from inferry.plan.pins import with_pinned_revision
from inferry.plan.types import ModelProblem
from inferry_runtime.model.errors import ModelError
from inferry_runtime.model.inspection import Inspection

log = logging.getLogger(__name__)

PARALLEL: Final = 8
"""Inspections at a time: each may hold a thread and a few connections to one hub."""

FIRST_RETRY_FAILURES: Final = 5
"""A hub is first asked again after 0.8 s: sooner is rarely of use and looks like an attack."""


@dataclass(slots=True)
class _Entry:
    model: Model
    result: Inspection | ModelProblem | None = None
    task: asyncio.Task[None] | None = None
    failures: int = 0


class Inspections:
    """`notify` is called with the key whenever more is known of its model."""

    def __init__(
        self,
        inspect: Callable[[ModelDeployment], Awaitable[Inspection]],
        notify: Callable[[Key], None],
        clock: Clock,
        random: Callable[[], float],
        tasks: asyncio.TaskGroup,
    ) -> None:
        self._tasks = tasks
        self._inspect = inspect
        self._notify = notify
        self._clock = clock
        self._random = random
        self._entries: dict[Key, _Entry] = {}
        self._slots = asyncio.Semaphore(PARALLEL)

    def look(self, key: Key, deployment: ModelDeployment) -> Inspection | ModelProblem | None:
        """What is known now; None while it is being read. Never waits."""
        entry = self._entries.get(key)
        if entry is None or entry.model != deployment.spec.model:
            self.forget(key)
            entry = self._entries[key] = _Entry(model=deployment.spec.model)
        if self._has_to_be_read(entry):
            entry.task = self._tasks.create_task(self._read(key, entry, with_pinned_revision(deployment)))
        return entry.result

    def forget(self, key: Key) -> None:
        """Stops reading it; the next look starts anew."""
        entry = self._entries.pop(key, None)
        if entry is not None and entry.task is not None:
            entry.task.cancel()

    def _has_to_be_read(self, entry: _Entry) -> bool:
        if entry.task is not None:
            return False
        if isinstance(entry.result, ModelProblem):
            return entry.result.retry_at is not None and self._clock.now() >= entry.result.retry_at
        return entry.result is None

    async def _read(self, key: Key, entry: _Entry, deployment: ModelDeployment) -> None:
        async with self._slots:
            entry.result = await self._result(key, entry, deployment)
        entry.failures = entry.failures + 1 if isinstance(entry.result, ModelProblem) else 0
        entry.task = None
        self._notify(key)

    async def _result(self, key: Key, entry: _Entry, deployment: ModelDeployment) -> Inspection | ModelProblem:
        try:
            return await self._inspect(deployment)
        except ModelError as error:
            retry_at = self._retry_at(entry) if error.retryable else None
            return ModelProblem(reason=error.reason, message=error.message, hint=error.hint, retry_at=retry_at)
        except Exception as error:
            # The outermost frame of this task: one model that cannot be read must not end the loop for all others.
            log.exception("inspection failed", extra={"namespace": key.namespace, "deployment": key.name})
            message = f"{type(error).__name__}: {error}"
            return ModelProblem(
                reason=Reason.MODEL_ERROR.value, message=message, hint="", retry_at=self._retry_at(entry)
            )

    def _retry_at(self, entry: _Entry) -> float:
        return self._clock.now() + backoff_seconds(entry.failures + FIRST_RETRY_FAILURES, self._random())
