"""The command line of a gateway process."""

import argparse
import ctypes
import logging
import resource
import socket
from collections.abc import Sequence
from pathlib import Path

from inferry.gateway.limits import Limits
from inferry.gateway.server import Options, Server
from inferry.gateway.sockets import listen
from inferry_runtime.serve import logs
from inferry_runtime.serve.options import LEASE_GRACE_SECONDS

logger = logging.getLogger("inferry.gateway")

UNIX = "unix:"
GRACE_SECONDS = 600.0
"""As long as the OpenAI SDK waits for an answer."""
CANNOT_START = 1
M_ARENA_MAX = -8
"""From glibc's malloc.h; other C libraries have no arenas and no mallopt."""


def main(argv: Sequence[str]) -> int:
    """Serve until told to stop. Returns the exit status: 0 after a drain, 1 when it could not start."""
    arguments = _parser().parse_args(argv)
    logs.write_json_lines()
    _use_one_arena()
    try:
        listener = _listener(arguments)
        _raise_file_limit()
        _run(Server(_options(arguments)), listener)
    except OSError as error:
        logger.error("gateway cannot start", extra={"error": str(error)})
        return CANNOT_START
    return 0


def _run(server: Server, listener: socket.socket) -> None:
    import asyncio

    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner, listener:
        runner.run(server.serve(listener))


def _listener(arguments: argparse.Namespace) -> socket.socket:
    if arguments.fd is not None:
        return socket.socket(fileno=arguments.fd)
    return listen(arguments.host, arguments.port)


def _options(arguments: argparse.Namespace) -> Options:
    return Options(
        snapshot=arguments.snapshot,
        grace_seconds=arguments.grace_seconds,
        settle_seconds=arguments.settle_seconds,
        admin=arguments.admin,
        lease=arguments.lease,
        lease_grace_seconds=arguments.lease_grace_seconds,
        limits=Limits(body_bytes=arguments.body_limit),
    )


def _raise_file_limit() -> None:
    """Two descriptors per request: the usual soft limit of 1024 is for 500."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _unix_path(text: str) -> str:
    path = text.removeprefix(UNIX)
    if path == text or not path:
        raise argparse.ArgumentTypeError(f"{text!r} is not an address like {UNIX}/run/inferry/gateway.sock")
    return path


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 1 << 16:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: a number from 1 to 65535")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="inferry gateway", description="Relay OpenAI requests to engines.")
    parser.add_argument("--snapshot", type=Path, required=True, metavar="FILE", help="routing table, followed")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=_port, default=9997)
    parser.add_argument("--fd", type=int, metavar="N", help="listen on an inherited socket instead of host and port")
    parser.add_argument("--admin", type=_unix_path, metavar="unix:PATH", help="where `GET /state` answers")
    parser.add_argument("--body-limit", type=int, default=Limits().body_bytes, metavar="BYTES", help="largest request")
    parser.add_argument("--grace-seconds", type=float, default=GRACE_SECONDS, help="for running answers when stopped")
    parser.add_argument("--settle-seconds", type=float, default=0.0, help="from not ready to refusing connections")
    parser.add_argument(
        "--lease", type=Path, metavar="FILE", help="exit when nobody has locked it for the grace period"
    )
    parser.add_argument("--lease-grace-seconds", type=float, default=LEASE_GRACE_SECONDS)
    return parser


def _use_one_arena() -> None:
    """Threads load FastAPI and resolve names; arenas of their own would cost 5 MB and gain nothing."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_ARENA_MAX, 1)
