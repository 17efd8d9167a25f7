"""Verbs on the model store of this machine."""

import time
from difflib import get_close_matches

from inferry.api.quantity import QuantityError, format_bytes, parse_quantity
from inferry.cli.homes import here
from inferry.cli.output import Output, say, structured, table
from inferry.cli.refusal import INVALID_INPUT, Refusal
from inferry_runtime.model.cleaning import Removal
from inferry_runtime.model.eviction import CachedModel, Eviction
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
    if result.removed:
        _tell(result)
    if result.kept_in_use:
        raise Refusal(f"{source} is in use", hint="terminate the deployments that use it first")
    if not result.removed:
        raise Refusal(f"{source} is not in the store", hint=_nearest(source, store.cached()))


def evict_cached(unused_days: float | None, max_size: str | None) -> None:
    """Raises Refusal when neither limit is given, or the size is no quantity."""
    if unused_days is None and max_size is None:
        raise Refusal("give a SOURCE, --unused-days or --max-size", code=INVALID_INPUT)
    try:
        most = None if max_size is None else int(parse_quantity(max_size))
    except QuantityError as error:
        raise Refusal(f"--max-size: {error}", code=INVALID_INPUT) from error
    age = None if unused_days is None else unused_days * DAY_SECONDS
    _tell(Store(here().store).evict(Eviction(max_bytes=most, max_age_seconds=age)))


def _tell(result: Removal) -> None:
    for model in result.removed:
        say(f"removed {model.source}@{model.revision[:12]}")
    say(f"freed {format_bytes(result.freed_bytes)}")


def _nearest(source: str, models: tuple[CachedModel, ...]) -> str:
    near = get_close_matches(source, [model.source for model in models], n=1)
    return f"did you mean {near[0]!r}?" if near else "`inferry cached` lists what is"
