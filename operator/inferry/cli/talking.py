"""Verbs that talk to a model: run, chat, generate."""

import sys
from collections.abc import Callable, Iterable

from inferry.api.model_deployment import ModelDeployment
from inferry.cli.conversation import Asking, Message, chat, complete
from inferry.cli.homes import found, here, running
from inferry.cli.launching import LaunchRequest, launched
from inferry.cli.output import interactive, note, say
from inferry.cli.waiting import wait_until_ready
from inferry.local import objects


def run_model(wanted: LaunchRequest, prompt: str | None, *, max_tokens: int | None, timeout: float, port: int) -> None:
    """Serve the model if it is not served yet, in the background if need be, then talk to it."""
    from inferry.cli.background import ensure_running

    home = here()
    deployment = _named(wanted.source) or launched(wanted)
    holder = ensure_running(home, port)
    objects.save(home, deployment)
    ready = wait_until_ready(home, deployment, timeout=timeout)
    asking = Asking(address=holder.address, model=ready.served_names[0], max_tokens=max_tokens)
    if prompt is None and not interactive(sys.stdin):
        say(f"{ready.metadata.name} answers at {holder.address}/v1 as model {asking.model!r}")
        return
    _talk(asking, prompt, system=None)


def _named(source: str | None) -> ModelDeployment | None:
    """`inferry run NAME` means the object of that name when there is one."""
    listed = {deployment.metadata.name: deployment for deployment in objects.listed(here())}
    return listed.get(source or "")


def chat_with(
    name: str, prompt: str | None, *, system: str | None, max_tokens: int | None, temperature: float | None
) -> None:
    """One answer, or a conversation until end of input."""
    _talk(_asking(name, max_tokens, temperature), prompt, system=system)


def generate_with(name: str, prompt: str, *, max_tokens: int | None, temperature: float | None) -> None:
    """Print the continuation as it comes."""
    answer_aloud(complete(_asking(name, max_tokens, temperature), prompt))


def _asking(name: str, max_tokens: int | None, temperature: float | None) -> Asking:
    holder = running("a model has to be asked through it")
    return Asking(address=holder.address, model=_model_id(name), max_tokens=max_tokens, temperature=temperature)


def _model_id(name: str) -> str:
    """What clients send as `model`: a served name as it is, of an object its first one. Raises Refusal."""
    served = {model for deployment in objects.listed(here()) for model in deployment.served_names}
    return name if name in served else found(name).served_names[0]


def _talk(asking: Asking, prompt: str | None, *, system: str | None) -> None:
    messages = [Message(role="system", content=system)] if system else []
    if prompt is not None:
        answer_aloud(chat(asking, (*messages, Message(role="user", content=prompt))))
        return
    _converse(asking, messages, _reader())


def _converse(asking: Asking, messages: list[Message], read: Callable[[], str | None]) -> None:
    while (question := read()) is not None:
        if not question.strip():
            continue
        messages.append(Message(role="user", content=question))
        messages.append(Message(role="assistant", content=answer_aloud(chat(asking, messages))))


def _reader() -> Callable[[], str | None]:
    """Reads one question; None at the end of input."""
    prompt = ">>> " if interactive(sys.stdin) else ""
    if prompt:
        note("Ctrl-D ends the conversation.")

    def read() -> str | None:
        try:
            return input(prompt)
        except EOFError:
            return None

    return read


def answer_aloud(pieces: Iterable[str]) -> str:
    """Print an answer as it comes; returns it whole."""
    answer = []
    for piece in pieces:
        answer.append(piece)
        say(piece, end="")
    say()
    return "".join(answer)
