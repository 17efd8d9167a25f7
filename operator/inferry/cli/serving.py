"""Verbs about inferry itself: local, status, stop."""

import asyncio
import logging
import os
import signal
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from inferry.api.model_deployment import ModelDeployment
from inferry.cli.homes import here, running
from inferry.cli.log_lines import LogLines
from inferry.cli.objects import read_all
from inferry.cli.output import Output, fields, note, say, structured
from inferry.cli.refusal import INVALID_INPUT, Refusal
from inferry.local import lock, objects
from inferry.local.home import Home
from inferry.local.system import LocalOptions, run_local

LOOK_EVERY_SECONDS = 0.05
READY_TIMEOUT_SECONDS = 3600.0
"""The first start of an engine may download gigabytes of packages, and the model after that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guest:
    """What is done as soon as inferry is up: objects to apply, a question to ask."""

    home: Home
    deployments: tuple[ModelDeployment, ...]
    question: str | None
    left: threading.Event = field(default_factory=threading.Event)
    """Set when nobody waits for the guest any more."""


def run_here(files: Sequence[Path], *, host: str, port: int, ask: str | None) -> None:
    """Serve until a signal. Files are checked before anything starts. Raises Refusal if the question got no answer."""
    deployments = read_all(files) if files else ()
    if ask is not None and not deployments:
        raise Refusal("--ask needs a model to ask", hint="give its object with --file", code=INVALID_INPUT)
    _log_to_stderr()
    options = LocalOptions(home=here().root, host=host, port=port)
    asyncio.run(_serve(options, Guest(home=here(), deployments=deployments, question=ask)))


def _log_to_stderr() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(LogLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    # Libraries tell every request; what went wrong with one comes as an error anyway.
    logging.getLogger("httpx2").setLevel(logging.WARNING)


async def _serve(options: LocalOptions, guest: Guest) -> None:
    up, stop = asyncio.Event(), asyncio.Event()
    refused: list[Refusal] = []
    async with asyncio.TaskGroup() as group:
        visit = group.create_task(_visit(options.address, guest, up, stop, refused))
        try:
            await run_local(options, on_ready=lambda _: up.set(), stop=stop)
        finally:
            guest.left.set()
            visit.cancel()
    if refused:
        raise refused[0]


async def _visit(address: str, guest: Guest, up: asyncio.Event, stop: asyncio.Event, refused: list[Refusal]) -> None:
    await up.wait()
    try:
        await asyncio.to_thread(_as_guest, address, guest)
    except Refusal as refusal:
        refused.append(refusal)
        stop.set()


def _as_guest(address: str, guest: Guest) -> None:
    for deployment in guest.deployments:
        objects.save(guest.home, deployment)
    if guest.question is not None:
        _ask(address, guest, guest.deployments[0], guest.question)
    say(f"\nserving at {address}/v1 (Ctrl-C stops everything)")


def _ask(address: str, guest: Guest, deployment: ModelDeployment, question: str) -> None:
    from inferry.cli.conversation import Asking, Message, chat
    from inferry.cli.describing import resolved_fields, verdict_list
    from inferry.cli.talking import answer_aloud
    from inferry.cli.waiting import wait_until_ready

    ready = wait_until_ready(guest.home, deployment, timeout=READY_TIMEOUT_SECONDS, cancelled=guest.left)
    status = ready.status
    if status is not None and status.resolved is not None:
        say(f"{ready.metadata.name} is ready. What was decided:\n")
        fields(resolved_fields(status.resolved), indent=2)
        say("\nAnd why:\n")
        verdict_list(status.decision)
    model = ready.served_names[0]
    say(f"\n{model} <- {question}\n{model} -> ", end="")
    answer_aloud(chat(Asking(address=address, model=model), (Message(role="user", content=question),)))


def show_status(output: Output) -> None:
    """Whether inferry runs here, where, and what it holds."""
    home = here()
    holder = lock.holder(home.lock)
    listed = objects.listed(home)
    ready = sum(one.status.ready_replicas for one in listed if one.status) if holder else 0
    document: dict[str, object] = {
        "running": holder is not None,
        "pid": holder.pid if holder else None,
        "address": f"{holder.address}/v1" if holder and holder.address else None,
        "home": str(home.root),
        "deployments": len(listed),
        "readyReplicas": ready,
    }
    if output.for_programs:
        structured(document, output)
        return
    shown = {name: str(value) for name, value in document.items() if value is not None}
    fields({name[0].upper() + name[1:]: value for name, value in shown.items()} | {"Running": _word(holder)})


def _word(holder: lock.Holder | None) -> str:
    return "no: start it with `inferry local`" if holder is None else "yes"


def stop_running(*, timeout: float) -> None:
    """Ask it to stop and wait until it has. Raises NotRunning, or Refusal when time is up."""
    holder = running("there is nothing to stop")
    os.kill(holder.pid, signal.SIGTERM)
    deadline = time.monotonic() + timeout
    while lock.holder(here().lock) is not None:
        if time.monotonic() >= deadline:
            raise Refusal(f"inferry (pid {holder.pid}) is still stopping after {timeout:g} s")
        time.sleep(LOOK_EVERY_SECONDS)
    note("stopped")
