"""Waiting for an object, and showing meanwhile what it waits for."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from inferry.api.conditions import condition
from inferry.api.model_deployment import ModelDeployment
from inferry.api.reasons import meaning_of
from inferry.api.status import Condition, ConditionType, DeploymentStatus
from inferry.cli.output import interactive, note
from inferry.cli.refusal import Refusal
from inferry.local import objects
from inferry.local.home import Home

# A status file is replaced at most a few times a second; looking at it this often costs nothing a person could notice.
LOOK_EVERY_SECONDS = 0.02

Show = Callable[[str, int | None], None]


def wait_until_ready(
    home: Home, wanted: ModelDeployment, *, timeout: float, cancelled: threading.Event | None = None
) -> ModelDeployment:
    """Until `Ready` is True for this spec. Raises Refusal when it cannot become so, time is up, or it was cancelled."""
    name = wanted.metadata.name
    left = cancelled or threading.Event()
    deadline = time.monotonic() + timeout
    with _progress(name) as show:
        while time.monotonic() < deadline:
            known = objects.known(home, name)
            if known is not None and _is_about(known, wanted):
                if _settled(name, known.status):
                    return known
                show(*_doing(known.status))
            if left.wait(LOOK_EVERY_SECONDS):
                raise Refusal(f"{name} was not ready yet")
    raise Refusal(f"{name} is not ready after {timeout:g} s", hint=f"see `inferry describe {name}`")


def wait_until_gone(home: Home, name: str, *, timeout: float) -> None:
    """Until nothing is known of the object any more. Raises Refusal when time is up."""
    deadline = time.monotonic() + timeout
    while objects.known(home, name) is not None:
        if time.monotonic() >= deadline:
            raise Refusal(f"{name} is still stopping after {timeout:g} s", hint=f"see `inferry logs {name}`")
        time.sleep(LOOK_EVERY_SECONDS)


def _is_about(known: ModelDeployment, wanted: ModelDeployment) -> bool:
    status = known.status
    return known.spec == wanted.spec and status is not None and status.observed_generation == known.metadata.generation


def _settled(name: str, status: DeploymentStatus | None) -> bool:
    """True when ready and complete. Raises Refusal when waiting longer is pointless."""
    conditions = status.conditions if status else ()
    ready = condition(conditions, ConditionType.READY)
    progressing = condition(conditions, ConditionType.PROGRESSING)
    # Zero replicas were asked for: that nothing is available then is no failure.
    wanted = ready.reason if ready is not None and ready.status == "True" else ""
    for found in conditions:
        if found.type is not ConditionType.PROGRESSING and found.reason != wanted and _hopeless(found):
            action = meaning_of(found.reason).next_action
            hint = "" if action in found.message else action
            raise Refusal(f"{name}: {found.reason}: {found.message}", hint=hint)
    return bool(wanted) and (progressing is None or progressing.status != "True")


def _hopeless(found: Condition) -> bool:
    # What is not accepted waits for a person, even where it heals once another deployment goes.
    waits_for_a_person = found.type is ConditionType.ACCEPTED or not meaning_of(found.reason).heals
    return found.status == "False" and waits_for_a_person


def _doing(status: DeploymentStatus | None) -> tuple[str, int | None]:
    if status is None:
        return "Pending", None
    if status.progress is not None:
        return status.progress.message, status.progress.percent
    ready = condition(status.conditions, ConditionType.READY)
    return (ready.message if ready else "Pending"), None


@contextmanager
def _progress(name: str) -> Iterator[Show]:
    """A moving bar for a person, a line per change for a log."""
    if not interactive(sys.stderr):
        yield _line_per_change(name)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=24), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(name, total=None)

        def show(message: str, percent: int | None) -> None:
            bar.update(task, description=message, total=None if percent is None else 100, completed=percent or 0)

        yield show


def _line_per_change(name: str) -> Show:
    shown: list[str] = []

    def show(message: str, percent: int | None) -> None:
        # Whole tens only: a log of a long download stays readable.
        step = message if percent is None else f"{message.split(' ', maxsplit=1)[0]} {percent // 10 * 10} %"
        if shown[-1:] != [step]:
            shown.append(step)
            note(f"{name}: {message if percent is None else f'{message} ({percent} %)'}")

    return show
