"""Serve one model folder with `transformers serve`. Runs inside the engine's environment, by file path, with -P.

`transformers serve MODEL` refuses every request whose `model` is not exactly MODEL, and names MODEL in its answers.
Here it answers to all served names instead, and the folder goes by the first of them, so that no path of this machine
reaches a client. Options after the named ones are those of `transformers serve`.

Status 2: an option is wrong, one line says which. Status 0: asked to stop, running answers given.
"""

import argparse
import json
import os
import re
import shutil
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

DECIDED = frozenset({"force_model", "host", "port", "non_blocking"})
# Transformers gives '@' and ':' meanings of their own, and a leading '/' or '..' would leave the folder of links.
PLAIN_NAME = re.compile(r"[A-Za-z0-9][\w-]*(?:\.[\w-]+)*(?:/[A-Za-z0-9][\w-]*(?:\.[\w-]+)*)*")
FALLBACK_NAME = "model"
LINKS = "inferry-transformers-"
"""Folders of links in the temporary folder: this, the process, and something random."""


class OptionError(ValueError):
    """One option cannot be used; the message is a whole sentence."""


class AnyNameOf(str):
    """The path of the pinned model, equal to every name it is served by."""

    names: frozenset[str] = frozenset()

    def __eq__(self, other: object) -> bool:
        return str.__eq__(self, other) is True or other in self.names

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__


def main(arguments: Sequence[str]) -> int:
    named, extra = parsed(arguments)
    try:
        options = {**serve_options(json.loads(named.arguments)), **extra_options(extra)}
    except ValueError as error:
        sys.stderr.write(f"transformers_server: error: {error}\n")
        return 2
    # uvicorn drains at the first signal, then raises it again: this ends the process with status 0.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    sweep(Path(tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix=f"{LINKS}{os.getpid()}-") as links:
        os.chdir(links)
        model = AnyNameOf(link(Path(named.model), named.alias))
        model.names = frozenset(named.alias)
        serve(model, named.host, named.port, options)
    return 0


def parsed(arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(prog="transformers_server", allow_abbrev=False)
    parser.add_argument("--model", required=True)
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--alias", action="append", default=[])
    parser.add_argument("--arguments", default="{}", help="JSON object: parameter of transformers serve -> value")
    return parser.parse_known_args(arguments)


def serve_options(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Raises OptionError for a parameter that `transformers serve` does not have, or that is decided elsewhere."""
    import inspect

    from transformers.cli.serve import Serve

    known = set(inspect.signature(Serve).parameters) - DECIDED
    for name in arguments:
        if name not in known:
            raise OptionError(f'unknown argument "{name}"; known are {", ".join(sorted(known))}')
    return dict(arguments)


def extra_options(extra: Sequence[str]) -> dict[str, Any]:
    """Raises OptionError. Only what was given: the defaults are already those of the class."""
    if not extra:
        return {}
    import typer
    from transformers.cli.serve import Serve

    app = typer.Typer()
    app.command()(Serve)
    # typer brings a click of its own; the class of its usage errors is only to be had through what it exports.
    usage_error: Any = typer.BadParameter.__mro__[1]
    try:
        context = typer.main.get_command(app).make_context("serve", list(extra))
    except usage_error as error:
        raise OptionError(error.format_message()) from None
    return serve_options({name: value for name, value in context.params.items() if is_given(context, name)})


def is_given(context: Any, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def link(model: Path, names: Sequence[str]) -> str:
    """A relative path that is the model's first name, leading to its folder."""
    name = names[0] if names and PLAIN_NAME.fullmatch(names[0]) else FALLBACK_NAME
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(model.resolve(), target_is_directory=True)
    return name


def sweep(folder: Path) -> None:
    """Remove the links of processes that were killed and could not do it themselves."""
    for left in folder.glob(f"{LINKS}*-*"):
        process = left.name.removeprefix(LINKS).partition("-")[0]
        if process.isdecimal() and not is_alive(int(process)):
            shutil.rmtree(left, ignore_errors=True)


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def serve(model: AnyNameOf, host: str, port: int, options: Mapping[str, Any]) -> None:
    """Load the model, then answer until a signal comes."""
    from transformers.cli.serve import Serve

    Serve(force_model=model, host=host, port=port, **options)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
