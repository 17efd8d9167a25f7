"""Fetching files into the store: ranges of all files through one pool of threads, each file under its own lock.

Rules:
1. A range is written, made durable, and only then entered in the journal; nothing in the journal is fetched again.
2. A file is published by the thread that finishes its last range, while the others go on with the next files.
3. A file someone else holds the lock of is left to them and looked at again at the end.
"""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import chain

from inferry_runtime.model.blobs import Blobs, Wanted
from inferry_runtime.model.clock import Clock
from inferry_runtime.model.durable import disk_errors_explained
from inferry_runtime.model.errors import DigestMismatch, HubUnreachable
from inferry_runtime.model.fingerprints import HashCancelled
from inferry_runtime.model.layout import Layout
from inferry_runtime.model.locks import FileLock, try_lock
from inferry_runtime.model.partial import Partial, arrived_bytes
from inferry_runtime.model.progress import Meter
from inferry_runtime.model.ranges import Span, covered, missing
from inferry_runtime.model.repository import OpenRepository, RangeSource
from inferry_runtime.model.transport import RangesIgnored
from inferry_runtime.order import IntegrityPolicy

# How often a process that waits for another one's download looks again.
WAIT_SECONDS = 0.25


class FetchCancelled(Exception):
    """The caller asked to stop. Everything settled so far is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    connections: int = 8
    """One connection rarely fills a line to a CDN; more than this gains little and gets rate-limited."""
    request_bytes: int = 64 << 20
    """Large enough that the pause between requests does not show."""
    settle_bytes: int = 8 << 20
    """What a connection can lose when the process is killed."""


@dataclass(slots=True)
class _Download:
    """A file under way. `unfinished` counts spans; whoever brings it to zero publishes."""

    wanted: Wanted
    source: RangeSource
    target: Partial
    lock: FileLock
    spans: tuple[Span, ...]
    unfinished: int
    guard: threading.Lock = field(default_factory=threading.Lock)

    def finish_one(self) -> bool:
        with self.guard:
            self.unfinished -= 1
            return self.unfinished == 0

    def close(self) -> None:
        self.target.close()
        self.lock.release()


_Piece = tuple[_Download, Span]


class Fetcher:
    """Fetches files once; not to be used again afterwards."""

    def __init__(
        self,
        *,
        repository: OpenRepository,
        layout: Layout,
        blobs: Blobs,
        meter: Meter,
        clock: Clock,
        tuning: Tuning,
        integrity: IntegrityPolicy,
        cancelled: threading.Event,
    ) -> None:
        self._repository = repository
        self._layout = layout
        self._blobs = blobs
        self._meter = meter
        self._clock = clock
        self._tuning = tuning
        self._integrity = integrity
        self._cancelled = cancelled
        # Shared by the pool: set by the first thread that fails, so that the others stop too.
        self._stop = threading.Event()
        self._taking = threading.Lock()
        self._open: list[_Download] = []
        self._digests: dict[str, str] = {}

    def run(self, files: Sequence[Wanted]) -> dict[str, str]:
        """Digests by path, once every file is a blob. Raises ModelError or FetchCancelled."""
        waiting = list(files)
        while waiting:
            left: list[Wanted] = []
            self._fetch(waiting, left)
            if len(left) == len(waiting):
                self._watch(left)
            waiting = left
        return dict(self._digests)

    def _fetch(self, files: Sequence[Wanted], left: list[Wanted]) -> None:
        pieces = self._pieces(files, left)
        try:
            with disk_errors_explained(self._layout.root, self._size(files)):
                self._share_out(pieces)
        finally:
            while self._open:
                self._open.pop().close()

    def _share_out(self, pieces: Iterator[_Piece]) -> None:
        first = self._take(pieces)
        if first is None:
            return
        rest = chain((first,), pieces)
        with ThreadPoolExecutor(self._tuning.connections, thread_name_prefix="fetch") as pool:
            workers = [pool.submit(self._work, rest) for _ in range(self._tuning.connections)]
        _raise_first(workers)

    def _size(self, files: Sequence[Wanted]) -> int:
        return sum(wanted.size_bytes for wanted in files)

    def _watch(self, left: Sequence[Wanted]) -> None:
        """Shows what the others have got so far, then lets us look again."""
        for wanted in left:
            self._meter.present(wanted.path, min(arrived_bytes(self._layout, wanted.file_key), wanted.size_bytes))
        self._clock.wait(WAIT_SECONDS, self._cancelled)
        self._check_cancelled()

    def _pieces(self, files: Sequence[Wanted], left: list[Wanted]) -> Iterator[_Piece]:
        """Opens a file only when its turn comes. Consumed under `_taking`."""
        for wanted in files:
            download = self._begin(wanted, left)
            if download is not None:
                for span in download.spans:
                    yield download, span

    def _begin(self, wanted: Wanted, left: list[Wanted]) -> _Download | None:
        lock = try_lock(self._layout.lock(f"file-{wanted.file_key}"))
        if lock is None:
            left.append(wanted)
            return None
        try:
            if self._already_there(wanted):
                lock.release()
                return None
            return self._opened(wanted, lock)
        except BaseException:
            lock.release()
            raise

    def _already_there(self, wanted: Wanted) -> bool:
        """Someone finished it since we last looked."""
        sha256 = self._blobs.usable(
            wanted, self._integrity, partial(self._meter.verified, wanted.path), self._cancelled
        )
        if sha256 is None:
            return False
        self._digests[wanted.path] = sha256
        self._meter.present(wanted.path, wanted.size_bytes)
        return True

    def _opened(self, wanted: Wanted, lock: FileLock) -> _Download:
        source = self._repository.open(wanted.path)
        target = Partial(self._layout, wanted.file_key, wanted.size_bytes)
        done = target.done if source.ranged else ()
        step = self._tuning.request_bytes if source.ranged else max(1, wanted.size_bytes)
        # A file with nothing missing still needs one piece, so that someone publishes it.
        spans = missing(done, wanted.size_bytes, step) or (Span(0, 0),)
        self._meter.present(wanted.path, covered(done))
        download = _Download(wanted, source, target, lock, spans, len(spans))
        self._open.append(download)
        return download

    def _work(self, pieces: Iterator[_Piece]) -> None:
        try:
            while (piece := self._take(pieces)) is not None:
                download, span = piece
                self._fetch_span(download, span)
                if download.finish_one():
                    self._publish(download)
        except BaseException:
            self._stop.set()
            raise

    def _take(self, pieces: Iterator[_Piece]) -> _Piece | None:
        with self._taking:
            self._check_cancelled()
            return next(pieces, None)

    def _fetch_span(self, download: _Download, span: Span) -> None:
        if download.source.ranged:
            self._stream(download, span)
            return
        for attempt in range(3):
            try:
                self._stream(download, span)
                return
            except RangesIgnored as error:
                # It broke off, and the server cannot go on from there: from the beginning again.
                self._meter.present(download.wanted.path, 0)
                if attempt == 2:
                    raise HubUnreachable(error.message, hint=error.hint) from error

    def _stream(self, download: _Download, span: Span) -> None:
        position = settled = span.offset
        try:
            for chunk in download.source.chunks(span.offset, span.length):
                download.target.write(position, chunk)
                position += len(chunk)
                self._meter.fetched(download.wanted.path, len(chunk))
                if position - settled >= self._tuning.settle_bytes:
                    download.target.settle(Span(settled, position - settled))
                    settled = position
                self._check_cancelled()
        finally:
            # Whatever stops us, what has arrived is kept.
            if position > settled:
                download.target.settle(Span(settled, position - settled))

    def _publish(self, download: _Download) -> None:
        wanted = download.wanted
        try:
            self._digests[wanted.path] = self._blobs.publish(
                download.target.path,
                wanted,
                integrity=self._integrity,
                hashing=lambda _: self._meter.verifying(wanted.path),
                cancelled=self._cancelled,
            )
        except HashCancelled as error:
            raise FetchCancelled from error
        except DigestMismatch:
            download.target.drop_journal()
            raise
        download.target.drop_journal()
        with self._taking:
            self._open.remove(download)
        download.close()

    def _check_cancelled(self) -> None:
        if self._cancelled.is_set():
            raise FetchCancelled
        if self._stop.is_set():
            raise _Stopped


class _Stopped(Exception):
    """Another thread failed; its error is the one to tell."""


def _raise_first(workers: Sequence[Future[None]]) -> None:
    errors = [error for worker in workers if (error := worker.exception()) is not None]
    telling = [error for error in errors if not isinstance(error, _Stopped)]
    for error in telling or errors:
        raise error
