"""Socket options, where the platform has them."""

import asyncio
import socket

# A peer that vanished without a word (a lost node) is noticed after 30 + 3 x 10 s.
KEEPALIVE_IDLE_SECONDS = 30
KEEPALIVE_INTERVAL_SECONDS = 10
KEEPALIVE_PROBES = 3
USER_TIMEOUT_MILLISECONDS = 30_000
"""Written bytes that are not acknowledged for so long mean the same."""
BACKLOG = 4096


def watched_options() -> list[tuple[int, int, int]]:
    """(level, option, value) for connections whose silent death must be noticed."""
    options = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1), (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]
    named = {
        "TCP_KEEPIDLE": KEEPALIVE_IDLE_SECONDS,
        "TCP_KEEPINTVL": KEEPALIVE_INTERVAL_SECONDS,
        "TCP_KEEPCNT": KEEPALIVE_PROBES,
        "TCP_USER_TIMEOUT": USER_TIMEOUT_MILLISECONDS,
    }
    options += [(socket.IPPROTO_TCP, getattr(socket, n), v) for n, v in named.items() if hasattr(socket, n)]
    return options


def keep_watch(transport: asyncio.BaseTransport) -> None:
    sock = transport.get_extra_info("socket")
    for level, option, value in watched_options():
        sock.setsockopt(level, option, value)


def listen(host: str, port: int) -> socket.socket:
    """A listening TCP socket; connections it accepts inherit its options. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        for level, option, value in watched_options():
            sock.setsockopt(level, option, value)
        sock.bind((host, port))
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock
