"""One model file on a web server. Its revision is a digest of what the server says of it."""

import hashlib
from functools import cached_property

from inferry_runtime.model.errors import ModelNotFound
from inferry_runtime.model.http_bytes import HttpBytes
from inferry_runtime.model.listing import Access, ListedFile
from inferry_runtime.model.retry import Retry
from inferry_runtime.model.source import WebFile
from inferry_runtime.model.transport import Probe, Transport


class WebRepository:
    license = ""

    def __init__(self, source: WebFile, access: Access, retry: Retry) -> None:
        self._source = source
        self._transport = Transport(
            secrets={"Authorization": f"Bearer {access.token}"} if access.token else {},
            origin=source.url,
            retry=retry,
        )

    @property
    def revision(self) -> str:
        """Changes with the file's size or tag. Raises ModelError."""
        told = f"{self._probe.size_bytes}\0{self._probe.tag}"
        return hashlib.sha256(told.encode()).hexdigest()[:40]

    def files(self) -> tuple[ListedFile, ...]:
        return (ListedFile(path=self._source.name, size_bytes=self._bytes().size_bytes),)

    def open(self, path: str) -> HttpBytes:
        if path != self._source.name:
            raise ModelNotFound(f"{self._source} is the file {self._source.name}, there is no {path}")
        return self._bytes()

    def close(self) -> None:
        self._transport.close()

    @cached_property
    def _probe(self) -> Probe:
        return self._transport.probe(self._source.url)

    def _bytes(self) -> HttpBytes:
        probe = self._probe
        return HttpBytes(
            self._transport,
            self._source.url,
            size_bytes=probe.size_bytes,
            ranged=probe.ranged,
            # Only a strong ETag promises equal bytes.
            tag=probe.tag if probe.tag.startswith('"') else "",
        )
