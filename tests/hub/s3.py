"""The part of S3 that reading models needs: listing, HEAD, GET with ranges and If-Match. Any signature is good."""

import hashlib
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

_RANGE = re.compile(r"bytes=(\d+)-(\d+)")


class ObjectServer(ThreadingHTTPServer):
    """`objects` may be changed at any time; `status` other than 200 is answered to everything."""

    daemon_threads = True

    def __init__(self, bucket: str, objects: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.bucket = bucket
        self.objects = objects
        self.status = 200
        self.sent_bytes: list[int] = []
        self.authorizations: list[str] = []
        """Header of every request; "" for unsigned ones."""
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shutdown()
        self.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    # One request per connection: the client library keeps connections for ever, and tests end.
    protocol_version = "HTTP/1.1"
    server: ObjectServer

    def do_GET(self) -> None:
        self._serve()

    def do_HEAD(self) -> None:
        self._serve()

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""

    def _serve(self) -> None:
        self.server.authorizations.append(self.headers.get("Authorization", ""))
        url = urlsplit(self.path)
        key = unquote(url.path).removeprefix(f"/{self.server.bucket}").lstrip("/")
        if self.server.status != 200:
            self._send(self.server.status, b"<Error><Code>AccessDenied</Code></Error>")
        elif key == "":
            self._send(200, self._listing(parse_qs(url.query).get("prefix", [""])[0]))
        elif key in self.server.objects:
            self._object(self.server.objects[key])
        else:
            self._send(404, b"<Error><Code>NoSuchKey</Code></Error>")

    def _listing(self, prefix: str) -> bytes:
        items = "".join(
            f"<Contents><Key>{escape(key)}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
            f"<ETag>{_tag(content)}</ETag><Size>{len(content)}</Size></Contents>"
            for key, content in sorted(self.server.objects.items())
            if key.startswith(prefix)
        )
        return f"<ListBucketResult><IsTruncated>false</IsTruncated>{items}</ListBucketResult>".encode()

    def _object(self, content: bytes) -> None:
        tag = _tag(content)
        if self.headers.get("If-Match", tag) != tag:
            self._send(412, b"<Error><Code>PreconditionFailed</Code></Error>")
            return
        match = _RANGE.fullmatch(self.headers.get("Range", ""))
        if match is None:
            self._send(200, content, tag)
            return
        start, end = int(match[1]), min(int(match[2]) + 1, len(content))
        self._send(206, content[start:end], tag, f"bytes {start}-{end - 1}/{len(content)}")

    def _send(self, status: int, body: bytes, tag: str = "", content_range: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        self.send_header("Connection", "close")
        if tag:
            self.send_header("ETag", tag)
        if content_range:
            self.send_header("Content-Range", content_range)
        self.end_headers()
        if self.command != "HEAD":
            self.server.sent_bytes.append(len(body))
            self.wfile.write(body)
        self.close_connection = True


def _tag(content: bytes) -> str:
    return f'"{hashlib.md5(content).hexdigest()}"'
