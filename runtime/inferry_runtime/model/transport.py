"""HTTP as this room needs it: ranges over kept connections, redirects that keep secrets, patience, typed errors."""

import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import urljoin, urlsplit

from inferry_runtime.model.errors import (
    DigestMismatch,
    HubUnreachable,
    MalformedFile,
)
from inferry_runtime.model.refusals import TRANSIENT_STATUS, Explain, Refusal, bare, explain_web
from inferry_runtime.model.retry import Retry, Transient

if TYPE_CHECKING:
    import httpx2

CONNECT_SECONDS = 10.0
# Longest silence on an open connection; also the longest a cancelled download can take to notice.
READ_SECONDS = 20.0
MAX_REDIRECTS = 10
# Listings of the largest repositories are a few MiB.
MAX_DOCUMENT_BYTES = 64 << 20
# Fewer bytes than this between two failures are no progress: a server that drips bytes cannot hold us forever.
PROGRESS_BYTES = 64 << 10
# A server that ignores ranges may be read past this much, no further.
MAX_SKIP_BYTES = 1 << 20

_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


class RangesIgnored(MalformedFile):
    """The server sends the whole file whatever part is asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What a server says of a file before any of it is read."""

    size_bytes: int | None
    ranged: bool
    tag: str
    """ETag, else Last-Modified, else ""."""


class Transport:
    """One origin that may be told secrets; every other one a redirect leads to gets none. Thread-safe."""

    def __init__(
        self,
        *,
        secrets: Mapping[str, str],
        origin: str,
        retry: Retry,
        explain: Explain = explain_web,
        read_seconds: float = READ_SECONDS,
    ) -> None:
        self._secrets = dict(secrets)
        self._origin = _origin(origin)
        self._retry = retry
        self._explain = explain
        self._read_seconds = read_seconds
        # By scheme, made when first needed: loading certificates costs more than a small fetch.
        self._clients: dict[str, httpx2.Client] = {}
        self._making = threading.Lock()
        # Where a URL last redirected to; written by any thread, each entry only ever a hint.
        self._redirected: dict[str, str] = {}

    def close(self) -> None:
        for client in self._clients.values():
            client.close()

    def document(self, url: str) -> bytes:
        """A whole small document. Raises ModelError."""
        return self._retry.run(lambda: self._document_once(url))

    def probe(self, url: str) -> Probe:
        """Costs one byte of the file at most. Raises ModelError."""
        return self._retry.run(lambda: self._probe_once(url))

    def chunks(self, url: str, offset: int, length: int, *, total: int | None, tag: str = "") -> Iterator[bytes]:
        """Exactly `length` bytes from `offset`, retried where they broke off. Raises ModelError.

        `total` is the size the file must have, `tag` the ETag it must carry, where they are known.
        """
        position, end, failures, mark = offset, offset + length, 0, offset
        while position < end:
            try:
                for chunk in self._chunks_once(url, position, end, total, tag):
                    position += len(chunk)
                    yield chunk
            except Transient as trouble:
                failures = 1 if position - mark >= PROGRESS_BYTES else failures + 1
                mark = position
                self._retry.wait_or_raise(failures, trouble)

    def _document_once(self, url: str) -> bytes:
        with self._open("GET", url, {}) as response:
            if response.status_code != 200:
                self._refuse(response)
            body = bytearray()
            for chunk in response.iter_bytes():
                body += chunk
                if len(body) > MAX_DOCUMENT_BYTES:
                    raise MalformedFile(f"{bare(url)} is longer than {MAX_DOCUMENT_BYTES} bytes")
            return bytes(body)

    def _probe_once(self, url: str) -> Probe:
        """By GET, not HEAD: signed URLs are often good for one method only."""
        with self._open("GET", url, {"Range": "bytes=0-0"}) as response:
            headers = response.headers
            tag = headers.get("etag") or headers.get("last-modified") or ""
            match response.status_code:
                case 206:
                    return Probe(size_bytes=_content_range(response)[2], ranged=True, tag=tag)
                case 200:
                    length = headers.get("content-length", "")
                    return Probe(size_bytes=int(length) if length.isdecimal() else None, ranged=False, tag=tag)
                case 416:
                    return Probe(size_bytes=0, ranged=True, tag=tag)
                case _:
                    self._refuse(response)

    def _chunks_once(self, url: str, start: int, end: int, total: int | None, tag: str) -> Iterator[bytes]:
        with self._open("GET", url, {"Range": f"bytes={start}-{end - 1}"}) as response:
            skip = self._checked(response, url, start, total, tag)
            wanted = end - start
            for chunk in response.iter_raw():
                part = chunk[skip : skip + wanted]
                skip -= min(skip, len(chunk))
                wanted -= len(part)
                if part:
                    yield part
                if wanted == 0:
                    return
        raise Transient(HubUnreachable(f"{bare(url)} broke off {wanted} bytes early", hint="check the network"))

    def _checked(self, response: "httpx2.Response", url: str, start: int, total: int | None, tag: str) -> int:
        """How many bytes of the body come before `start`. Raises when the body is not what was asked for."""
        if response.status_code == 416:
            raise DigestMismatch(f"{bare(url)} is shorter than {start + 1} bytes", hint="it changed; inspect it again")
        if response.status_code not in {200, 206}:
            self._refuse(response)
        if response.headers.get("content-encoding", "identity") != "identity":
            raise MalformedFile(f"{bare(url)} is served compressed, so its ranges mean nothing", hint="use a mirror")
        if tag and response.headers.get("etag", tag) != tag:
            raise DigestMismatch(f"{bare(url)} changed while it was read", hint="inspect it again")
        if response.status_code == 200:
            return _skip_of_whole(url, start)
        first, _, size = _content_range(response)
        if first != start:
            raise MalformedFile(f"{bare(url)} answers byte {first} when asked for {start}", hint="use a mirror")
        if total is not None and size is not None and size != total:
            raise DigestMismatch(f"{bare(url)} has {size} bytes, not {total}", hint="it changed; inspect it again")
        return 0

    def _refuse(self, response: "httpx2.Response") -> NoReturn:
        headers = {name.lower(): value for name, value in response.headers.items()}
        url = str(response.request.url)
        refusal = Refusal(
            status=response.status_code,
            headers=headers,
            url=url,
            authorized="authorization" in response.request.headers,
        )
        error = self._explain(refusal)
        if response.status_code in TRANSIENT_STATUS:
            raise Transient(error, retry_after=self._retry_after(headers))
        raise error

    def _retry_after(self, headers: Mapping[str, str]) -> float | None:
        value = headers.get("retry-after", "").strip()
        if value.isdecimal():
            return float(value)
        try:
            return max(0.0, parsedate_to_datetime(value).timestamp() - self._retry.clock.wall()) if value else None
        except ValueError:
            return None

    @contextmanager
    def _open(self, method: str, url: str, headers: Mapping[str, str]) -> Iterator["httpx2.Response"]:
        """The response after redirects, its body unread. Network trouble anywhere inside is a Transient."""
        import httpx2

        try:
            response = self._follow(method, url, headers)
            try:
                yield response
            finally:
                response.close()
        except (httpx2.InvalidURL, httpx2.UnsupportedProtocol) as error:
            raise MalformedFile(f"{bare(url)} leads to an address that cannot be used: {error}") from error
        except (httpx2.TransportError, httpx2.StreamError) as error:
            raise _network_trouble(url, error) from error

    def _follow(self, method: str, url: str, headers: Mapping[str, str]) -> "httpx2.Response":
        """Starts where the URL led before; when that has expired (signed URLs do), starts over."""
        if (remembered := self._redirected.get(url)) is not None:
            response = self._hops(method, remembered, headers)
            if response.status_code < 400 or response.status_code in TRANSIENT_STATUS | {416}:
                return response
            response.close()
            self._redirected.pop(url, None)
        return self._hops(method, url, headers)

    def _client(self, scheme: str) -> "httpx2.Client":
        with self._making:
            if scheme not in self._clients:
                self._clients[scheme] = _client(verify=scheme != "http", read_seconds=self._read_seconds)
            return self._clients[scheme]

    def _hops(self, method: str, url: str, headers: Mapping[str, str]) -> "httpx2.Response":
        target = url
        for _ in range(MAX_REDIRECTS):
            secrets = self._secrets if _origin(target) == self._origin else {}
            client = self._client(urlsplit(target).scheme)
            request = client.build_request(method, target, headers={**headers, **secrets})
            response = client.send(request, stream=True)
            location = response.headers.get("location", "")
            if response.status_code not in {301, 302, 303, 307, 308} or not location:
                if target != url:
                    self._redirected[url] = target
                return response
            response.close()
            target = urljoin(target, location)
        raise HubUnreachable(f"{bare(url)} redirects without end", hint="check the mirror")


def _client(*, verify: bool, read_seconds: float) -> "httpx2.Client":
    import httpx2

    return httpx2.Client(
        verify=verify,
        timeout=httpx2.Timeout(read_seconds, connect=CONNECT_SECONDS),
        # Compressed bytes have other offsets and other digests.
        headers={"Accept-Encoding": "identity", "User-Agent": "inferry"},
        follow_redirects=False,
        limits=httpx2.Limits(max_connections=64, max_keepalive_connections=32),
    )


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _content_range(response: "httpx2.Response") -> tuple[int, int, int | None]:
    match = _CONTENT_RANGE.fullmatch(response.headers.get("content-range", ""))
    if match is None:
        raise MalformedFile(f"{bare(str(response.request.url))} sends a part without saying which", hint="use a mirror")
    first, last, size = match.groups()
    return int(first), int(last), None if size == "*" else int(size)


def _skip_of_whole(url: str, start: int) -> int:
    """The server ignored the range and sends everything: fine near the beginning, a waste of gigabytes further in."""
    if start > MAX_SKIP_BYTES:
        raise RangesIgnored(
            f"{bare(url)} cannot be read in parts: the server ignores ranges", hint="use a mirror that answers ranges"
        )
    return start


def _network_trouble(url: str, error: Exception) -> Transient:
    what = str(error) or type(error).__name__
    return Transient(HubUnreachable(f"{bare(url)}: {what}", hint="check the network, the proxy and the mirror"))
