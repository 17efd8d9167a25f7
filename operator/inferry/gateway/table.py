"""A snapshot as requests read it: one dictionary look-up per request, replaced whole."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec

from inferry.api.snapshot import Endpoint, EndpointState, ServedModel, Snapshot, SnapshotError
from inferry.gateway import errors
from inferry.gateway.backend import Backend
from inferry.gateway.errors import Refusal
from inferry.gateway.routes import RULES, Rule

NAMES_LISTED = 20
"""Known models named in a 404; more would bury the nearest one."""
NAMES_COMPARED = 500
"""Bounds what a wrong name costs."""
LONGEST_RETRY_AFTER_SECONDS = 60
"""Older SDKs ignore what is above."""


@dataclass(frozen=True, slots=True)
class Target:
    """One served model with its endpoints."""

    model: ServedModel
    name: str
    """The first served name: the label of metrics."""
    routes: frozenset[str]
    ready: tuple[Backend, ...]


@dataclass(frozen=True, slots=True)
class RoutingTable:
    version: int
    models: tuple[ServedModel, ...]
    targets: Mapping[str, Target]
    """Every served name -> its target."""
    backends: frozenset[Backend]

    def find(self, name: str, rule: Rule) -> Target:
        """The target with at least one ready endpoint. Raises Refusal."""
        target = self.targets.get(name)
        if target is None:
            raise Refusal(errors.UNKNOWN_MODEL, unknown_model(name, self.targets))
        if rule.path not in target.routes:
            raise _not_supported(target, rule)
        if not target.ready:
            raise _not_ready(target.model, name)
        return target


def build_table(snapshot: Snapshot, backend_of: Callable[[Endpoint], Backend]) -> RoutingTable:
    """Raises SnapshotError when two models share a name or an endpoint is no address; then nothing was taken over."""
    _check(snapshot)
    targets: dict[str, Target] = {}
    backends: set[Backend] = set()
    for model in snapshot.models:
        serving = {endpoint: backend_of(endpoint) for endpoint in model.endpoints}
        backends.update(serving.values())
        ready = tuple(backend for endpoint, backend in serving.items() if endpoint.state is EndpointState.READY)
        target = Target(model, model.names[0], frozenset(model.routes), ready)
        targets.update(dict.fromkeys(model.names, target))
    return RoutingTable(snapshot.version, snapshot.models, targets, frozenset(backends))


def _check(snapshot: Snapshot) -> None:
    owners: dict[str, str] = {}
    for model in snapshot.models:
        if not model.names:
            raise SnapshotError(f"{model.deployment} has no served name")
        for name in model.names:
            owner = owners.setdefault(name, model.deployment)
            if owner != model.deployment:
                raise SnapshotError(f"{model.deployment} and {owner} both serve {name!r}")
        for endpoint in model.endpoints:
            if not endpoint.host.isascii() or not endpoint.host or not 0 < endpoint.port < 65536:
                raise SnapshotError(f"endpoint {endpoint.id} of {model.deployment} has no usable address")


class _Addressed(msgspec.Struct):
    """The one field of a body that the gateway reads. Of duplicates the last wins, as in the engines' parsers."""

    model: str | None = None


_decoder = msgspec.json.Decoder(_Addressed)


def model_named_in(body: bytes) -> str:
    """Raises Refusal. Rejects what JSON parsers disagree about only as far as it changes `model`."""
    try:
        model = _decoder.decode(body).model
    except msgspec.ValidationError as error:
        problem = errors.BAD_MODEL if "$.model" in str(error) else errors.BAD_BODY
        raise Refusal(problem, f"The body is not a request object: {error}") from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise Refusal(errors.BAD_BODY, f"The body is not valid JSON: {error}") from error
    if not model:
        raise Refusal(errors.BAD_MODEL, "You must name a model in `model`.")
    return model


def unknown_model(name: str, known: Mapping[str, Target]) -> str:
    """The message for a wrong name: what there is, and what was probably meant."""
    shown = name if len(name) <= 100 else name[:100] + "..."
    if not known:
        return f"The model '{shown}' does not exist. No model is served here yet."
    names = sorted(known)[:NAMES_LISTED]
    more = f" and {len(known) - len(names)} more" if len(known) > len(names) else ""
    nearest = _nearest(name, known)
    hint = f" Did you mean '{nearest}'?" if nearest else ""
    return f"The model '{shown}' does not exist.{hint} Known models: {', '.join(names)}{more}."


def _nearest(name: str, known: Mapping[str, Target]) -> str:
    import difflib

    candidates = [candidate for candidate, _ in zip(known, range(NAMES_COMPARED), strict=False)]
    found = difflib.get_close_matches(name[:100], candidates, n=1)
    return found[0] if found else ""


def _not_supported(target: Target, rule: Rule) -> Refusal:
    offered = ", ".join(sorted(path for path in target.routes if path.encode() in RULES)) or "none"
    engine = target.model.engine
    message = f"The model '{target.name}' runs on {engine}, which has no {rule.path} for it. It answers: {offered}."
    return Refusal(errors.ENDPOINT_NOT_SUPPORTED, message)


def _not_ready(model: ServedModel, name: str) -> Refusal:
    if not model.waiting_ends:
        return Refusal(errors.MODEL_STOPPED, f"The model '{name}' does not run. {model.waiting_message}".rstrip())
    seconds = max(1, min(model.retry_after_seconds, LONGEST_RETRY_AFTER_SECONDS))
    headers = (("retry-after", str(seconds)),)
    if not model.waiting_reason and not model.waiting_message:
        return Refusal(errors.NO_ENDPOINTS, f"The model '{name}' has no endpoint that is ready.", headers)
    doing = model.waiting_message or model.waiting_reason
    return Refusal(errors.MODEL_STARTING, f"The model '{name}' is not ready yet. {doing}", headers)
