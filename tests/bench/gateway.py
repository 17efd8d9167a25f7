"""The gateway against the same upstream alone, in one run: latency, requests a second, CPU, start-up, memory.

`python tests/bench/gateway.py [--seconds N] [--upstream HOST:PORT --model NAME]` prints Markdown tables and asserts
nothing. The load comes from wrk; without `--upstream` it goes to an nginx that answers a fixed completion, so that what
is measured is the gateway. Compare ratios within a run, not figures between machines.
"""

import argparse
import asyncio
import json
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from inferry.api.snapshot import Endpoint, ServedModel, Snapshot, encode

CONNECTIONS = (1, 8, 64)
ROUNDS = 3
CHAT = "/v1/chat/completions"
STREAMS = 50
EVENTS = 200
EVENT_SECONDS = 0.01
POLL_SECONDS = 0.005
PAUSE_SECONDS = 6.0
"""Between two loads on an engine: some hold a thread for every idle connection, for up to 5 s."""

ANSWER = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 60, "completion_tokens": 1, "total_tokens": 61},
    }
)
NGINX = """
worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 100000000;
  client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  default_type application/json;
  server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ return 200 '{answer}'; }} }}
}}
"""
WRK = """
wrk.method = "POST"
wrk.path = "{path}"
wrk.headers["content-type"] = "application/json"
wrk.headers["accept"] = "application/json"
wrk.headers["authorization"] = "Bearer sk-0123456789"
wrk.headers["user-agent"] = "OpenAI/Python 3.52.0"
wrk.body = '{body}'
"""


@dataclass(frozen=True)
class Load:
    p50: str
    p99: str
    per_second: float
    failed: int
    cpu_microseconds: float


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=4, help="per measurement")
    parser.add_argument("--upstream", metavar="HOST:PORT", help="a running engine instead of nginx")
    parser.add_argument("--model", default="m", help="the name that engine knows")
    arguments = parser.parse_args()
    needed = ["wrk"] if arguments.upstream else ["wrk", "nginx"]
    if missing := [name for name in needed if shutil.which(name) is None]:
        print(f"skipped: {', '.join(missing)} not installed (Debian: apt-get install wrk nginx-light)")
        return 0
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        address = _address(arguments.upstream) if arguments.upstream else stack.enter_context(_nginx(folder))
        pause = PAUSE_SECONDS if arguments.upstream else 0.0
        _print_requests(folder, arguments.model, address, arguments.seconds, pause)
        asyncio.run(_print_streams(folder))
    return 0


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host, int(port)


def _print_requests(folder: Path, model: str, address: tuple[str, int], seconds: int, pause: float) -> None:
    host, port = address
    script = folder / "chat.lua"
    text = "The quick brown fox jumps over the lazy dog. " * 6
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": text}], "max_tokens": 1})
    script.write_text(WRK.format(path=CHAT, body=body))
    started = time.perf_counter()
    with _gateway(folder, model, host, port) as (process, gateway_port):
        print(f"gateway ready after {time.perf_counter() - started:.2f} s, body {len(body)} bytes\n")
        print("| connections | to | p50 | p99 | requests/s | share | CPU us/request | failed |")
        print("|---|---|---|---|---|---|---|---|")
        for connections in CONNECTIONS:
            alone, through = _typical(
                (
                    _load(script, f"http://{host}:{port}", connections, seconds, None, pause=pause),
                    _load(script, f"http://127.0.0.1:{gateway_port}", connections, seconds, process, pause=pause),
                )
                for _ in range(ROUNDS)
            )
            _print_load(connections, "upstream", alone, alone)
            _print_load(connections, "gateway", through, alone)
        print(f"\nresident {process.memory_info().rss / 1e6:.0f} MB\n")


def _typical(pairs: Iterable[tuple[Load, Load]]) -> tuple[Load, Load]:
    """The pair with the median share: each pair was measured one right after the other."""
    ordered = sorted(pairs, key=lambda pair: pair[1].per_second / pair[0].per_second)
    return ordered[len(ordered) // 2]


def _print_load(connections: int, name: str, load: Load, alone: Load) -> None:
    share = f"{100 * load.per_second / alone.per_second:.0f} %"
    cpu = f"{load.cpu_microseconds:.1f}" if load.cpu_microseconds else ""
    cells = (connections, name, load.p50, load.p99, f"{load.per_second:.0f}", share, cpu, load.failed)
    print(f"| {' | '.join(map(str, cells))} |")


def _load(
    script: Path, url: str, connections: int, seconds: int, process: psutil.Process | None, *, pause: float
) -> Load:
    time.sleep(pause)
    before = _cpu_seconds(process)
    argv = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", str(script), url]
    report = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    requests = int(_found(r"(\d+) requests in", report))
    return Load(
        p50=_found(r"^\s+50%\s+(\S+)", report),
        p99=_found(r"^\s+99%\s+(\S+)", report),
        per_second=float(_found(r"Requests/sec:\s+(\S+)", report)),
        failed=sum(int(number) for number in re.findall(r"(?:connect|read|write|timeout|responses:) (\d+)", report)),
        cpu_microseconds=(_cpu_seconds(process) - before) * 1e6 / requests,
    )


def _found(pattern: str, text: str) -> str:
    found = re.search(pattern, text, re.MULTILINE)
    if found is None:
        raise RuntimeError(f"unexpected report:\n{text}")
    return found[1]


def _cpu_seconds(process: psutil.Process | None) -> float:
    if process is None:
        return 0.0
    times = process.cpu_times()
    return float(times.user + times.system)


async def _print_streams(folder: Path) -> None:
    """Many slow streams: what one event costs, and how much later it arrives."""
    engine = await asyncio.start_server(_stream, "127.0.0.1", 0)
    port = engine.sockets[0].getsockname()[1]
    async with engine:
        with _gateway(folder, "m", "127.0.0.1", port) as (process, gateway_port):
            await _read_streams(gateway_port, 2)
            before = _cpu_seconds(process)
            delays = sorted(await _read_streams(gateway_port, STREAMS))
            cpu = (_cpu_seconds(process) - before) * 1e6 / len(delays)
    direct = sorted(await _direct_delays())
    print("| streams x events | CPU us/event | delay p50 | delay p99 | direct p50 | direct p99 |")
    print("|---|---|---|---|---|---|")
    shown = (_at(delays, 0.5), _at(delays, 0.99), _at(direct, 0.5), _at(direct, 0.99))
    print(f"| {STREAMS} x {EVENTS} | {cpu:.1f} | {' | '.join(f'{1e3 * delay:.2f} ms' for delay in shown)} |")


async def _direct_delays() -> list[float]:
    engine = await asyncio.start_server(_stream, "127.0.0.1", 0)
    async with engine:
        return await _read_streams(engine.sockets[0].getsockname()[1], STREAMS)


def _at(delays: list[float], share: float) -> float:
    return delays[int(share * (len(delays) - 1))]


async def _stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    await reader.readexactly(int(_found(r"content-length: (\d+)", head.decode())))
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
    for _ in range(EVENTS):
        event = b"data: %b %b\n\n" % (b"%.9f" % time.monotonic(), b"x" * 150)
        writer.write(b"%x\r\n%b\r\n" % (len(event), event))
        await asyncio.sleep(EVENT_SECONDS)
    writer.write(b"0\r\n\r\n")
    await writer.drain()
    writer.close()


async def _read_streams(port: int, count: int) -> list[float]:
    async with asyncio.TaskGroup() as tasks:
        reading = [tasks.create_task(_read_stream(port)) for _ in range(count)]
    return [delay for task in reading for delay in task.result()]


async def _read_stream(port: int) -> list[float]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = b'{"model":"m","stream":true}'
    writer.write(b"POST %b HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%b" % (CHAT.encode(), len(body), body))
    delays = []
    while not (line := await reader.readline()).startswith(b"0\r\n"):
        if line.startswith(b"data: "):
            delays.append(time.monotonic() - float(line[6:].split(b" ")[0]))
    writer.close()
    return delays


@contextmanager
def _nginx(folder: Path) -> Iterator[tuple[str, int]]:
    port = _free_port()
    config = folder / "nginx.conf"
    config.write_text(NGINX.format(folder=folder, port=port, answer=ANSWER))
    with _running(["nginx", "-c", str(config)], port):
        yield "127.0.0.1", port


@contextmanager
def _gateway(folder: Path, model: str, host: str, port: int) -> Iterator[tuple[psutil.Process, int]]:
    endpoint = Endpoint(id="upstream", host=host, port=port)
    served = ServedModel(
        deployment="bench/m", names=(model,), engine="bench", routes=(CHAT,), created=0, endpoints=(endpoint,)
    )
    snapshot = folder / "snapshot.json"
    snapshot.write_bytes(encode(Snapshot(version=1, models=(served,))))
    listening = _free_port()
    argv = [sys.executable, "-P", "-m", "inferry.gateway", "--snapshot", str(snapshot), "--port", str(listening)]
    with _running(argv, listening) as process:
        yield process, listening


@contextmanager
def _running(argv: list[str], port: int) -> Iterator[psutil.Process]:
    process = psutil.Popen(argv, stderr=subprocess.DEVNULL)
    try:
        while not _answers(port):
            if process.poll() is not None:
                raise RuntimeError(f"{argv[0]} ended with {process.returncode}")
            time.sleep(POLL_SECONDS)
        yield process
    finally:
        process.terminate()
        process.wait()


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    sys.exit(main())
