"""`inferry`: the verbs. Each one is declared here and carried out in a module that is imported when it is asked for."""

from pathlib import Path
from typing import Annotated

import typer

from inferry.cli.output import Output, say
from inferry.cli.refusal import refusals

app = typer.Typer(
    name="inferry",
    no_args_is_help=True,
    # Rendering help through rich costs more than everything else together.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _known_names(incomplete: str) -> list[str]:
    """Shell completion: names of the objects of this home."""
    from inferry.cli.objects import names

    return [name for name in names() if name.startswith(incomplete)]


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        say(f"inferry {version('inferry')}")
        raise typer.Exit


@app.callback()
def inferry(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Serve models on this machine, from the same objects that run on a cluster."""


Name = Annotated[str, typer.Argument(help="Name of a ModelDeployment.", autocompletion=_known_names)]
Files = Annotated[list[Path], typer.Option("--file", "-f", help="YAML file or folder; '-' reads standard input.")]
Format = Annotated[Output, typer.Option("--output", "-o", help="How to print it.")]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until it answers.")]
Timeout = Annotated[float, typer.Option(help="Seconds to wait at most.", min=0)]
Assignments = Annotated[list[str] | None, typer.Option("--arg", help="Engine argument, name=value. Repeatable.")]
Question = Annotated[str | None, typer.Argument(help="What to ask. Left out: a conversation.")]
Spoken = Annotated[
    str, typer.Argument(help="Name of a ModelDeployment, or one it is served by.", autocompletion=_known_names)
]
Port = Annotated[int, typer.Option(help="Port the gateway listens on.", min=1, max=65535)]
Tokens = Annotated[int | None, typer.Option(help="Longest answer, in tokens.", min=1)]
Warmth = Annotated[float | None, typer.Option(help="Sampling temperature.")]
System = Annotated[str | None, typer.Option(help="System message.")]


@app.command()
def local(
    file: Annotated[list[Path] | None, typer.Option("--file", "-f", help="Objects to apply first. Repeatable.")] = None,
    host: Annotated[str, typer.Option(help="Address the gateway listens on.")] = "127.0.0.1",
    port: Port = 9997,
    ask: Annotated[str | None, typer.Option(help="Ask the first applied model this, then keep serving.")] = None,
) -> None:
    """Run everything on this machine until Ctrl-C.

    That is the control loop, the gateway, and an engine per replica.
    """
    from inferry.cli.serving import run_here

    run_here(tuple(file or ()), host=host, port=port, ask=ask)


@app.command()
def run(
    source: Annotated[
        str, typer.Argument(help="A model (hf://org/repo, a folder, ...) or the name of one that is there.")
    ],
    prompt: Question = None,
    name: Annotated[str | None, typer.Option(help="What to call it. Default: made from the source.")] = None,
    engine: Annotated[str | None, typer.Option(help="Engine to use. Default: chosen.")] = None,
    context_length: Annotated[int | None, typer.Option(help="Tokens one request may use.")] = None,
    arg: Assignments = None,
    max_tokens: Tokens = None,
    timeout: Timeout = 1800.0,
    port: Port = 9997,
) -> None:
    """Serve a model and talk to it, in one step.

    inferry is started in the background when it is not running.
    """
    from inferry.cli.launching import LaunchRequest
    from inferry.cli.talking import run_model

    wanted = LaunchRequest(
        source=source, name=name, engine=engine, context_length=context_length, arguments=tuple(arg or ())
    )
    run_model(wanted, prompt, max_tokens=max_tokens, timeout=timeout, port=port)


@app.command()
def apply(file: Files, wait: Wait = False, timeout: Timeout = 1800.0) -> None:
    """Create or change objects from YAML. All of them are checked before any is written."""
    from inferry.cli.objects import apply_files

    apply_files(tuple(file), wait=wait, timeout=timeout)


@app.command()
def launch(
    source: Annotated[
        str | None, typer.Argument(help="hf://org/repo, modelscope://, s3://, https://, a folder, ...")
    ] = None,
    model: Annotated[str | None, typer.Option(help="A model family of the catalog, instead of a source.")] = None,
    size: Annotated[str | None, typer.Option(help="With --model: size in billions of parameters.")] = None,
    format: Annotated[str | None, typer.Option(help="safetensors or gguf, where there are both.")] = None,
    quantization: Annotated[str | None, typer.Option(help="Which quantization, where there are several.")] = None,
    name: Annotated[str | None, typer.Option(help="What to call it. Default: made from the source.")] = None,
    engine: Annotated[str | None, typer.Option(help="Engine to use. Default: chosen.")] = None,
    replicas: Annotated[int, typer.Option(help="How many replicas answer.")] = 1,
    context_length: Annotated[int | None, typer.Option(help="Tokens one request may use.")] = None,
    arg: Assignments = None,
    served_name: Annotated[list[str] | None, typer.Option(help="What clients send as `model`. Repeatable.")] = None,
    wait: Wait = True,
    timeout: Timeout = 1800.0,
) -> None:
    """Serve a model without writing YAML."""
    from inferry.cli.launching import LaunchRequest, launch_model

    wanted = LaunchRequest(
        source=source,
        model=model,
        size=size,
        format=format,
        quantization=quantization,
        name=name,
        engine=engine,
        replicas=replicas,
        context_length=context_length,
        arguments=tuple(arg or ()),
        served_names=tuple(served_name or ()),
    )
    launch_model(wanted, wait=wait, timeout=timeout)


@app.command("list")
def list_objects(output: Format = Output.TABLE) -> None:
    """What is there: model, engine, replicas, state."""
    from inferry.cli.objects import list_all

    list_all(output)


@app.command()
def describe(name: Name, output: Format = Output.TABLE) -> None:
    """Everything about one, and what to do.

    What was decided and why, what is happening, and the next action where one is needed.
    """
    from inferry.cli.describing import describe_one

    describe_one(name, output)


@app.command()
def logs(
    name: Name,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Keep printing what comes.")] = False,
    lines: Annotated[int, typer.Option(help="Lines from the end to begin with.", min=0)] = 100,
) -> None:
    """What the engines of one deployment print."""
    from inferry.cli.logs import print_logs

    print_logs(name, follow=follow, lines=lines)


@app.command()
def plan(
    file: Files,
    inventory: Annotated[
        Path | None, typer.Option(help="YAML or JSON of nodes to plan for. Default: this machine.")
    ] = None,
    output: Format = Output.TABLE,
) -> None:
    """What would happen, before anything runs.

    Facts of the model, every engine's verdict, arguments, memory with its parts, the process.
    """
    from inferry.cli.planning import plan_files

    plan_files(tuple(file), inventory, output)


@app.command()
def chat(
    name: Spoken,
    prompt: Question = None,
    system: System = None,
    max_tokens: Tokens = None,
    temperature: Warmth = None,
) -> None:
    """Talk to a model through the gateway."""
    from inferry.cli.talking import chat_with

    chat_with(name, prompt, system=system, max_tokens=max_tokens, temperature=temperature)


@app.command()
def generate(
    name: Spoken,
    prompt: Annotated[str, typer.Argument(help="Text to continue.")],
    max_tokens: Tokens = 64,
    temperature: Warmth = None,
) -> None:
    """Let a model continue a text."""
    from inferry.cli.talking import generate_with

    generate_with(name, prompt, max_tokens=max_tokens, temperature=temperature)


@app.command()
def scale(
    name: Name,
    replicas: Annotated[int, typer.Option(help="How many replicas shall answer.", min=0)],
    wait: Wait = False,
    timeout: Timeout = 1800.0,
) -> None:
    """Change the number of replicas."""
    from inferry.cli.objects import scale_to

    scale_to(name, replicas, wait=wait, timeout=timeout)


@app.command()
def terminate(
    name: Name,
    wait: Wait = True,
    timeout: Timeout = 120.0,
) -> None:
    """Remove a deployment.

    Running answers are finished, then its replicas stop.
    """
    from inferry.cli.objects import terminate_one

    terminate_one(name, wait=wait, timeout=timeout)


@app.command()
def cached(output: Format = Output.TABLE) -> None:
    """Models in the store of this machine."""
    from inferry.cli.caching import list_cached

    list_cached(output)


@app.command("remove-cache")
def remove_cache(
    source: Annotated[str | None, typer.Argument(help="Source as `inferry cached` prints it.")] = None,
    revision: Annotated[str | None, typer.Option(help="Only this revision.")] = None,
    unused_days: Annotated[float | None, typer.Option(help="Everything unused for so long.", min=0)] = None,
    max_size: Annotated[str | None, typer.Option(help="The longest unused until so much is left: 50Gi.")] = None,
) -> None:
    """Remove models from the store.

    Nothing that a replica uses is removed.
    """
    from inferry.cli.caching import evict_cached, remove_cached

    if source is None:
        evict_cached(unused_days, max_size)
    else:
        remove_cached(source, revision)


@app.command()
def status(output: Format = Output.TABLE) -> None:
    """Whether inferry runs here, and where."""
    from inferry.cli.serving import show_status

    show_status(output)


@app.command()
def stop(timeout: Timeout = 120.0) -> None:
    """Stop inferry here, and every replica."""
    from inferry.cli.serving import stop_running

    stop_running(timeout=timeout)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True}, add_help_option=False)
def gateway(context: typer.Context) -> None:
    """Run the gateway alone, from a snapshot file."""
    from inferry.gateway.main import main as run_gateway

    raise typer.Exit(run_gateway(context.args))


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True}, add_help_option=False)
def operator(context: typer.Context) -> None:
    """Run the operator of a cluster (first form)."""
    from inferry.cli.extras import needs

    needs("kopf", extra="operator")
    from inferry.kubernetes.__main__ import main as run_operator

    raise typer.Exit(run_operator(context.args))


def main() -> None:
    """Entry point of the `inferry` script."""
    with refusals():
        app()
