"""Verbs on the model store of this machine."""

import time
from difflib import get_close_matches

from inferry.api.quantity import format_bytes
from inferry.cli.homes import here
from inferry.cli.output import Output, say, structured, table
from inferry.cli.refusal import Refusal
from inferry_runtime.model.eviction import CachedModel
from inferry_runtime.model.store import Store

DAY_SECONDS = 86400


def list_cached(output: Output) -> None:
    """Every model of the store, with what it takes."""
    models = Store(here().store).cached()
    if output.for_programs:
        structured([_document(model) for model in models], output)
        return
    rows = [
        (
            model.source,
            model.revision[:12],
            format_bytes(model.size_bytes),
            _state(model),
            f"{int((time.time() - model.last_used) // DAY_SECONDS)}d",
        )
        for model in models
    ]
    table(("SOURCE", "REVISION", "SIZE", "STATE", "UNUSED"), rows, empty="the store is empty")


def _state(model: CachedModel) -> str:
    if model.in_use:
        return "InUse" if model.complete else "Fetching"
    return "Complete" if model.complete else "Partial"


def _document(model: CachedModel) -> dict[str, object]:
    return {
        "source": model.source,
        "revision": model.revision,
        "path": str(model.path),
        "sizeBytes": model.size_bytes,
        "state": _state(model),
        "lastUsed": model.last_used,
    }


def remove_cached(source: str, revision: str | None) -> None:
    """Raises Refusal when there is no such model, or when a replica uses it."""
    store = Store(here().store)
    result = store.remove(source, revision or "")
    for model in result.removed:
        say(f"removed {model.source}@{model.revision[:12]}")
    if result.removed:
        say(f"freed {format_bytes(result.freed_bytes)}")
    if result.kept_in_use:
        raise Refusal(f"{source} is in use", hint="terminate the deployments that use it first")
    if not result.removed:
        raise Refusal(f"{source} is not in the store", hint=_nearest(source, store.cached()))


def _nearest(source: str, models: tuple[CachedModel, ...]) -> str:
    near = get_close_matches(source, [model.source for model in models], n=1)
    return f"did you mean {near[0]!r}?" if near else "`inferry cached` lists what is"
