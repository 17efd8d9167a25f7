"""The same header of many files at once: a hub's latency is paid once instead of once per shard."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

# Enough to hide the latency of a hub behind itself, few enough not to look like an attack.
PARALLEL_READS = 8


def each(work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """`work` of every item, in order. The first error is raised; what has not begun by then never does."""
    if len(items) < 2:
        return [work(item) for item in items]
    with ThreadPoolExecutor(max_workers=min(PARALLEL_READS, len(items)), thread_name_prefix="headers") as pool:
        futures = [pool.submit(work, item) for item in items]
        try:
            return [future.result() for future in futures]
        finally:
            pool.shutdown(cancel_futures=True)
