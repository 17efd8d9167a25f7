"""Whether an engine that was ready still answers: one that lives and says nothing helps nobody."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from inferry_runtime.serve.plain_http import NoAnswer, ask

HEALTH_SECONDS = 5.0
"""Pause between two questions, and the longest an answer may take: an engine with room for one more request answers
within milliseconds."""
MISSES = 6
"""In a row. Together half a minute to a minute: longer than a collection of garbage, a swap storm or a suspended laptop
takes to be over, shorter than a person waits."""
BUSY_MISSES = 60
"""Ten minutes. An engine whose every connection waits for an answer cannot take the question: llama.cpp needed 21 s for
it under 200 streams of a tiny model. One that computes without end and without an answer is silent all the same."""
BUSY_CORES = 0.5
"""An engine at work keeps a core busy, even where the work is done by a GPU; one that waits uses a few percent."""


_STATUS = "status"


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    misses: int
    """In a row, those of an engine at work included."""
    last: str
    """What came instead of the last answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The engine that is asked."""

    host: str
    port: int
    path: str
    cpu_seconds: Callable[[], float]
    """Processor time it has used so far."""


async def silence(subject: Subject, *, pause_seconds: float, answer_seconds: float) -> Silence:
    """Return when so many questions in a row were not answered with 200. Not for an engine that still loads: it may
    be silent for as long as it likes."""
    missed, spared, last = 0, 0, ""
    work: _Work | None = None
    while missed < MISSES:
        await asyncio.sleep(pause_seconds)
        last = await _trouble(subject, answer_seconds)
        if not last:
            missed, spared = 0, 0
        elif work is not None and spared < BUSY_MISSES and not last.startswith(_STATUS) and work.is_seen():
            spared += 1
        else:
            missed += 1
        # Looked for only while something is wrong: it means reading of every process there is.
        work = _Work(subject.cpu_seconds) if last else None
    return Silence(misses=missed + spared, last=last)


async def _trouble(subject: Subject, seconds: float) -> str:
    """ "" when it answers and is well."""
    try:
        async with asyncio.timeout(seconds):
            status = (await ask(subject.host, subject.port, subject.path)).status
    except TimeoutError:
        return f"no answer within {seconds:g} s"
    except NoAnswer as error:
        return str(error)
    return "" if status == 200 else f"{_STATUS} {status}"


class _Work:
    """What an engine does from when this is made on."""

    def __init__(self, cpu_seconds: Callable[[], float]) -> None:
        self._cpu_seconds = cpu_seconds
        self._used = cpu_seconds()
        self._since = time.monotonic()

    def is_seen(self) -> bool:
        return self._cpu_seconds() - self._used >= BUSY_CORES * (time.monotonic() - self._since)
