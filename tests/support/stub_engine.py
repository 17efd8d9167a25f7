"""An engine that misbehaves on request. Started in place of an engine's interpreter; takes its port from the arguments.

The environment variable STUB says how; everything it does not name is done properly.
"""

import json
import os
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

STUB = set(os.environ.get("STUB", "").split())
FOLDER = Path(os.environ.get("STUB_FOLDER", "."))
asked = threading.Event()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if asked.is_set() and "deaf" in STUB:
            threading.Event().wait()
        self._send(503 if asked.is_set() and "sick" in STUB else 200, {"status": "ok"})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", "0")))
        if "held" in STUB:
            # Opening a pipe waits for the test to open the other end.
            (FOLDER / "gate").read_bytes()
        asked.set()
        content = "" if "wordless" in STUB else "something"
        self._send(400 if "refusing" in STUB else 200, {"choices": [{"message": {"content": content}}]})

    def _send(self, status: int, document: object) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """The output belongs to the tests."""


def main() -> None:
    port = int(sys.argv[sys.argv.index("--port") + 1])
    if "stubborn" in STUB:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if "binary" in STUB:
        sys.stdout.buffer.write(bytes(range(256)) * 100 + b"\nno line end")
        sys.stdout.buffer.flush()
    if "parent" in STUB:
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        (FOLDER / "child").write_text(str(child.pid))
    if "signalled" in STUB:
        signal.signal(signal.SIGUSR1, lambda *_: os._exit(42))
    if "environment" in STUB:
        (FOLDER / "environment").write_text(json.dumps(dict(os.environ)))
    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever(0.01)


if __name__ == "__main__":
    main()
