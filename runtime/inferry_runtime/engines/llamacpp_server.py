"""Serve one GGUF with llama.cpp's own HTTP server. Runs inside the engine's environment, by file path.

Only the standard library and xllamacpp can be imported here; inferry_runtime is not installed in that environment.
Settings are the fields of `xllamacpp.CommonParams`, nested by dots. A name or a value that llama.cpp does not take ends
the process with status 2 and one line that names it, before a byte of the model is read; xllamacpp itself would let
some of them pass. Status 1: the server could not start, llama.cpp's log says why. Status 0: asked to stop, and every
answer was given or had its time.
"""

import argparse
import difflib
import json
import os
import select
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

import xllamacpp

Value = str | int | float | bool | list[Any] | dict[str, Any]

FIXED = {
    "port": "--port",
    "hostnames": "--host",
    "model.path": "--model",
    "model_alias": "--alias",
    "mmproj.path": "--projector",
}

# What the drain relies on, and doors that nobody behind the gateway may find open. Settings on the command line win.
DEFAULTS: dict[str, Value] = {
    # Every connection that is kept open holds a thread of llama.cpp's server, and a gateway keeps many: with the few it
    # starts by default a request may wait seconds for one. A thread costs 70 KiB.
    "n_threads_http": 128,
    "endpoint_metrics": True,
    "endpoint_slots": False,
    "ui": False,
    "cors_origins": "",
    "cors_credentials": False,
    "offline": True,
}

DRAIN_LOOK_SECONDS = 0.05
"""How often the drain looks whether answers are still running: short beside any answer, cheap beside decoding one."""

IDLE_LOOKS = 4
"""A request that was read but not queued yet, and an answer between two packets, show up in one of the next looks."""

IDLE_CPU_SHARE = 0.05
"""Of one core. Handing out an answer that is computed already takes more; an idle server and our looks take less."""

BUSY_GAUGES = ("llamacpp:requests_processing", "llamacpp:requests_deferred")
SOCKET_ESTABLISHED = "01"


class SettingError(ValueError):
    """One setting cannot be used; the message is a whole sentence."""


def main(arguments: Sequence[str]) -> int:
    options = parsed(arguments)
    try:
        params = configured(options)
    except SettingError as error:
        sys.stderr.write(f"llamacpp_server: error: {error}\n")
        return 2
    # Until the model is loaded there is nothing to drain: the default action stops a load at once.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        server = xllamacpp.Server(params)
    except RuntimeError as error:
        sys.stderr.write(f"llamacpp_server: error: {error}\n")
        return 1
    serve_until_told(server, options.port, options.drain_seconds)
    # The destructor waits for every connection, also for one that never sends the rest of its request.
    os._exit(0)


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="llamacpp_server", allow_abbrev=False)
    parser.add_argument("--model", required=True)
    parser.add_argument("--projector", default="")
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--alias", action="append", default=[])
    parser.add_argument("--arguments", default="{}", help="JSON object: dotted setting -> value")
    parser.add_argument("--drain-seconds", type=float, default=float("inf"))
    parser.add_argument("settings", nargs="*", help="dotted.name=json, applied last")
    return parser.parse_args(arguments)


def configured(options: argparse.Namespace) -> xllamacpp.CommonParams:
    """Raises SettingError."""
    params = xllamacpp.CommonParams()
    params.model.path = options.model
    params.mmproj.path = options.projector
    params.hostnames = [options.host]
    params.port = options.port
    params.model_alias = set(options.alias)
    for name, value in DEFAULTS.items():
        assign(params, name, value)
    for name, value in chosen(options):
        if name in FIXED:
            raise SettingError(f'setting "{name}" is decided by {FIXED[name]}')
        assign(params, name, value)
    if not params.endpoint_metrics:
        raise SettingError('setting "endpoint_metrics" must stay true: draining reads it')
    return params


def chosen(options: argparse.Namespace) -> Iterator[tuple[str, Value]]:
    try:
        arguments = json.loads(options.arguments)
    except ValueError as error:
        raise SettingError(f"--arguments is not JSON: {error}") from None
    if not isinstance(arguments, dict):
        raise SettingError("--arguments is not a JSON object")
    yield from arguments.items()
    for setting in options.settings:
        name, separator, text = setting.partition("=")
        if not separator:
            raise SettingError(f'setting "{setting}" has no value, write name=value')
        yield name, json_or_text(text)


def json_or_text(text: str) -> Value:
    try:
        value: Value = json.loads(text)
    except ValueError:
        return text
    return value


def assign(params: xllamacpp.CommonParams, name: str, value: Value) -> None:
    """Set the field `name`, nested by dots. Raises SettingError."""
    *groups, field = name.split(".")
    holder: Any = params
    for group in groups:
        holder = getattr(holder, group, None)
    if field not in fields(holder):
        raise SettingError(f'unknown setting "{name}"{nearest(params, name)}')
    try:
        setattr(holder, field, fitted(getattr(holder, field), value))
    except (TypeError, ValueError, OverflowError, AssertionError) as error:
        raise SettingError(f'setting "{name}" cannot be {json.dumps(value)}: {error}') from None
    if groups == ["sampling"]:
        mark_as_chosen(holder, field)


def fields(holder: object) -> list[str]:
    """Names of the values of a group; its nested groups are not values."""
    return [name for name in dir(holder) if not name.startswith("_") and is_value(getattr(holder, name))]


def is_value(value: object) -> bool:
    return isinstance(value, str | int | float | list | dict | set)


def nearest(params: xllamacpp.CommonParams, name: str) -> str:
    names = fields(params)
    for group in dir(params):
        if not group.startswith("_") and not is_value(getattr(params, group)):
            names += [f"{group}.{field}" for field in fields(getattr(params, group))]
    matches = difflib.get_close_matches(name, names, n=1)
    return f', did you mean "{matches[0]}"?' if matches else ""


def fitted(current: object, value: Value) -> object:
    """`value` as the type of `current`, without any guessing. Raises TypeError or ValueError."""
    members = getattr(type(current), "__members__", None)
    if members is not None:
        return member(members, value)
    if isinstance(current, list):
        return fitted_list(current, value)
    if isinstance(current, set):
        return {str(item) for item in fitted_list([], value)}
    # A whole number is a number; true is not.
    accepted = int | float if isinstance(current, float) else type(current)
    if not isinstance(value, accepted) or isinstance(value, bool) != isinstance(current, bool):
        raise TypeError(f"expected {type(current).__name__}, got {type(value).__name__}")
    return value


def member(members: dict[str, Any], value: Value) -> object:
    """An enumeration's member by its short or full name in any case: q8_0, GGML_TYPE_Q8_0."""
    prefix = os.path.commonprefix(list(members)).rpartition("_")[0] + "_"  # noqa: RUF071 - names, not paths
    by_name = {name.removeprefix(prefix).lower(): found for name, found in members.items()}
    wanted = str(value).lower().removeprefix(prefix.lower())
    if not isinstance(value, str) or wanted not in by_name:
        raise ValueError(f"expected one of {', '.join(sorted(by_name))}")
    return by_name[wanted]


def fitted_list(current: list[Any], value: Value) -> list[Any]:
    """A JSON list, or text with commas; filled up with what is there where llama.cpp wants a fixed length."""
    items = [json_or_text(item.strip()) for item in value.split(",")] if isinstance(value, str) else value
    if not isinstance(items, list):
        raise TypeError(f"expected a list, got {type(value).__name__}")
    return [*items, *current[len(items) :]]


def mark_as_chosen(sampling: Any, field: str) -> None:
    # Sampling defaults inside a GGUF win over every value that does not carry its mark.
    name = f"COMMON_PARAMS_SAMPLING_CONFIG_{field.upper()}"
    mark = xllamacpp.common_params_sampling_config.__members__.get(name)
    if mark is not None:
        sampling.user_sampling_config |= int(mark)


def serve_until_told(server: xllamacpp.Server, port: int, drain_seconds: float) -> None:
    """Return when a signal has come and the running answers are given, or `drain_seconds` or a second signal later."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    os.read(reader, 1)
    drain(server, port, reader, time.monotonic() + drain_seconds)


def drain(server: xllamacpp.Server, port: int, told_again: int, deadline: float) -> None:
    poller = select.poll()
    poller.register(told_again, select.POLLIN)
    idle_looks = 0
    while idle_looks < IDLE_LOOKS and time.monotonic() < deadline:
        cpu_before, before = time.process_time(), time.monotonic()
        if poller.poll(DRAIN_LOOK_SECONDS * 1000):
            return
        share = (time.process_time() - cpu_before) / (time.monotonic() - before)
        busy = share > IDLE_CPU_SHARE or is_computing(server) or has_unsent_bytes(port)
        idle_looks = 0 if busy else idle_looks + 1


def is_computing(server: xllamacpp.Server) -> bool:
    """Whether an answer is being computed or waits for its turn."""
    gauges = [line.split() for line in server.handle_metrics().splitlines() if line.startswith(BUSY_GAUGES)]
    return any(float(value) > 0 for _, value in gauges)


def has_unsent_bytes(port: int) -> bool:
    """Whether a slow reader has not taken all of its answer yet. Linux only; elsewhere always False."""
    for table in ("/proc/self/net/tcp", "/proc/self/net/tcp6"):
        if not os.path.exists(table):
            continue
        with open(table, encoding="ascii") as rows:
            next(rows)
            if any(is_sending(row.split(), port) for row in rows):
                return True
    return False


def is_sending(row: list[str], port: int) -> bool:
    local, state, queues = row[1], row[3], row[4]
    is_ours = state == SOCKET_ESTABLISHED and int(local.rpartition(":")[2], 16) == port
    return is_ours and int(queues.split(":")[0], 16) > 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
