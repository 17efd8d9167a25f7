"""Engine environments: one per engine, version and variant, made by uv on first use, shared by all on this machine.

Layout of the root folder:

    <engine>-<version>-<variant>-<digest>-<generation>/   complete environments; the highest whole generation is used
    .building-*/                                          one that is being made, or was when its maker died
    .locks/                                               one lock per name, held while making

An environment is never changed once it is published. A damaged one is replaced by its next generation, and goes when
nothing runs from it.
"""

import asyncio
import fcntl
import os
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from inferry.local.environment_build import BUILDING, build
from inferry.local.environment_check import damage, interpreter, is_in_use
from inferry.local.environment_requirements import CARRIED, RequirementSet, requirement_set
from inferry.local.environment_uv import find_uv
from inferry.plan.types import Progress

LOCK_LOOK_SECONDS = 0.2
"""Making an environment takes seconds to minutes; whoever waits for it starts this much later at most."""


class EnvironmentStore:
    def __init__(self, root: Path, *, uv: Path | None = None, requirements: Path = CARRIED) -> None:
        self.root = root
        self._uv = uv
        self._requirements = requirements

    async def ensure(self, engine: str, version: str, variant: str, on_progress: Callable[[Progress], None]) -> Path:
        """The interpreter of the environment, which is made when it is missing or damaged. Raises EnvironmentFailed.

        Safe against other processes doing the same, and against being killed at any moment.
        """
        wanted = requirement_set(engine, version, variant, self._requirements)
        found = await self._find(wanted)
        if found is None:
            async with self._making(wanted, on_progress):
                found = await self._find(wanted) or await self._make(wanted, on_progress)
        return interpreter(found)

    async def _find(self, wanted: RequirementSet) -> Path | None:
        for candidate in self._generations(wanted):
            if not await asyncio.to_thread(damage, candidate):
                return candidate
        return None

    def _generations(self, wanted: RequirementSet) -> list[Path]:
        """Highest first."""
        found = (path for path in self.root.glob(f"{wanted.name}-*") if _generation(path) > 0)
        return sorted(found, key=_generation, reverse=True)

    async def _make(self, wanted: RequirementSet, tell: Callable[[Progress], None]) -> Path:
        await asyncio.to_thread(self._clear, wanted)
        highest = max((_generation(path) for path in self._generations(wanted)), default=0)
        target = self.root / f"{wanted.name}-{highest + 1}"
        await build(wanted, target, self._uv or find_uv(), os.environ, tell)
        return target

    def _clear(self, wanted: RequirementSet) -> None:
        """Under the lock, everything of this name is a leftover: nothing whole was found, and no maker is alive."""
        unused = (path for path in self._generations(wanted) if not is_in_use(path))
        for leftover in (*self.root.glob(f"{BUILDING}{wanted.name}-*"), *unused):
            shutil.rmtree(leftover, ignore_errors=True)

    @asynccontextmanager
    async def _making(self, wanted: RequirementSet, tell: Callable[[Progress], None]) -> AsyncIterator[None]:
        locks = self.root / ".locks"
        locks.mkdir(parents=True, exist_ok=True)
        with (locks / wanted.name).open("w") as file:
            while not _try_lock(file.fileno()):
                tell(Progress(message="another process is making the environment"))
                await asyncio.sleep(LOCK_LOOK_SECONDS)
            yield


def _generation(path: Path) -> int:
    """0 for a folder that is not one of ours."""
    number = path.name.rpartition("-")[2]
    return int(number) if number.isdecimal() else 0


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
