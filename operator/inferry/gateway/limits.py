"""Every bound the gateway keeps: sizes, counts and deadlines."""

from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Nothing in a worker grows without one of these."""

    head_bytes: int = 64 * KIB
    """Request line and headers. nginx allows 32 KiB, Node 16; SDKs send about 1."""
    headers: int = 128
    target_bytes: int = 8 * KIB
    body_bytes: int = 32 * MIB
    """One request body; Anthropic's own API stops at 32 MB as well."""
    buffered_bytes: int = 512 * MIB
    """All request bodies held at once."""
    chunk_overhead_bytes: int = 16 * KIB
    """Chunk framing allowed on top of a quarter of the body: one-byte chunks are an attack."""
    backlog_bytes: int = 64 * KIB
    """Pipelined bytes kept while an answer is on its way, before reading stops."""
    connections: int = 10_000
    upstream_head_bytes: int = 64 * KIB

    head_seconds: float = 10.0
    """First byte of a request to its blank line, whatever trickles in between."""
    body_seconds: float = 30.0
    """Least time a body gets; longer ones get `body_bytes_per_second`."""
    body_bytes_per_second: int = 16 * KIB
    keep_alive_seconds: float = 75.0
    """Longer than the 60 s of common load balancers, so that they close first."""
    stall_seconds: float = 60.0
    """A client that reads nothing of what waits for it."""
    linger_seconds: float = 2.0
    """Reading on after a refusal, so that the client sees the answer and not a reset."""

    connect_seconds: float = 3.0
    silence_seconds: float = 600.0
    """No byte from the engine, before or within the answer; the OpenAI SDK gives up after the same time."""
    upstream_idle_seconds: float = 4.0
    """Below the 5 s after which uvicorn and cpp-httplib close idle connections."""
