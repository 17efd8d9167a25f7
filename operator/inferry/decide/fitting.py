"""Does it fit: context, parallelism and memory of one engine at one place. The only gate that gives way.

A context length or a parallelism that the user wrote stays as it is. The defaults shrink, parallelism before context,
until the estimate fits.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from inferry.api.model_deployment import DeploymentSpec
from inferry.api.quantity import format_bytes, parse_quantity
from inferry.decide.places import Place
from inferry_runtime.engines.base import Engine, Intent, Rejection
from inferry_runtime.engines.gates import Refusal
from inferry_runtime.engines.rules import EngineRules, rules_of
from inferry_runtime.memory import Estimate
from inferry_runtime.model.facts import ModelFacts

DEFAULT_CONTEXT_TOKENS = 8192
"""More is rarely used, and its memory has to be there whether it is used or not."""
UNKNOWN_CONTEXT_TOKENS = 4096
"""When the model does not say what it was trained for."""
LEAST_CONTEXT_TOKENS = 512
"""A default is not shrunk below this: a chat does not fit into less."""
CONTEXT_STEP_TOKENS = 256
"""Shrunk contexts are multiples of it; llama.cpp rounds to it anyway."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the user holds one replica to; None: nothing."""

    memory_bytes: float | None
    requested_bytes: float
    cpus: float | None


def limits_of(spec: DeploymentSpec) -> Limits:
    """Raises QuantityError."""
    limits, requests = spec.resources.limits, spec.resources.requests
    return Limits(
        memory_bytes=parse_quantity(limits.memory) if limits.memory else None,
        requested_bytes=parse_quantity(requests.memory) if requests.memory else 0.0,
        cpus=parse_quantity(limits.cpu) if limits.cpu else None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    intent: Intent
    """Settled: with what the user's own arguments say."""
    estimate: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitting:
    """One engine, one model, one place."""

    engine: Engine
    facts: ModelFacts
    spec: DeploymentSpec
    limits: Limits
    place: Place

    @property
    def rules(self) -> EngineRules:
        return rules_of(self.engine.name)

    @property
    def budget_bytes(self) -> int:
        """What a replica may use at this place, as this engine plans with it."""
        node_bytes = self.place.hardware.memory_bytes
        host = int(min(node_bytes, self.limits.memory_bytes or node_bytes))
        if self.place.accelerator is None:
            return host
        each = self.place.accelerator.memory_bytes * self._share() - self.rules.accelerator_reserve_bytes
        return max(0, int(self.place.count * each)) + (host if self.place.offload else 0)

    @property
    def wanted_context(self) -> int:
        """What was asked for, else what the model was trained for, up to a sensible default."""
        if self.spec.engine.context_length is not None:
            return self.spec.engine.context_length
        return min(self.facts.context_length or UNKNOWN_CONTEXT_TOKENS, DEFAULT_CONTEXT_TOKENS)

    def fit(self) -> Fit | None:
        """What was asked for or the largest default that fits; None when not even the least does."""
        if self.limits.requested_bytes > self.place.hardware.memory_bytes:
            return None
        budget = self.budget_bytes
        for intent in self._intents():
            estimate = self.engine.estimate(self.facts, intent)
            if estimate.total_bytes <= budget:
                return Fit(intent=self.engine.settle(intent), estimate=estimate)
        return None

    def note(self, settled: Intent) -> str:
        """How the context came about, as a sentence; "" when nothing has to be said."""
        trained, wanted, got = self.facts.context_length, self.wanted_context, settled.context_length
        if trained is not None and got > trained:
            return f"The model was trained for {trained} tokens; engines may refuse or cut what is longer."
        if got < wanted:
            return f"The context is reduced from {wanted} to {got} tokens to fit."
        if self.spec.engine.context_length is None and trained is not None and trained > got == wanted:
            return f"The model allows {trained} tokens, {wanted} is the default; spec.engine.contextLength raises it."
        return ""

    def refusal(self) -> Refusal:
        """Why it does not fit, and what would."""
        if self.limits.requested_bytes > self.place.hardware.memory_bytes:
            return self._request_too_large()
        asked = self.spec.engine.context_length
        largest = self._largest_context(self.wanted_context)
        need = self.engine.estimate(self.facts, self._intent(asked or largest, 1))
        context = self.engine.settle(self._intent(asked or largest, 1)).context_length
        shorter = f"spec.engine.contextLength {largest} or less, or " if self._fits(largest) else ""
        return Refusal(
            reason=Rejection.INSUFFICIENT_MEMORY,
            message=f"{self.rules.title} needs {describe_estimate(need)} for a context of {context} tokens; "
            f"{format_bytes(self.budget_bytes)} can be used on {self.place.describe()}.",
            would_fit=f"{shorter}{format_bytes(need.total_bytes)} of memory, or a smaller quantization.",
        )

    def _share(self) -> float:
        share = self.spec.engine.args.get(self.rules.share_argument)
        return float(share) if isinstance(share, int | float) else self.rules.accelerator_share

    def _intents(self) -> Iterator[Intent]:
        """From what is wanted to the least that is still of use."""
        context, parallel = self.wanted_context, self.rules.default_parallel
        while parallel >= 1:
            yield self._intent(context, parallel)
            parallel //= 2
        if self.spec.engine.context_length is None:
            yield self._intent(self._largest_context(context), 1)

    def _largest_context(self, ceiling: int) -> int:
        """The largest multiple of the step that fits one request, by bisection; the least when none does."""
        least = min(ceiling, LEAST_CONTEXT_TOKENS)
        fits, fails = least // CONTEXT_STEP_TOKENS, ceiling // CONTEXT_STEP_TOKENS + 1
        while fails - fits > 1:
            middle = (fits + fails) // 2
            if self._fits(middle * CONTEXT_STEP_TOKENS):
                fits = middle
            else:
                fails = middle
        return max(fits * CONTEXT_STEP_TOKENS, least)

    def _fits(self, context: int) -> bool:
        return self.engine.estimate(self.facts, self._intent(context, 1)).total_bytes <= self.budget_bytes

    def _intent(self, context: int, parallel: int) -> Intent:
        return Intent(
            context_length=context,
            parallel=parallel,
            arguments=self.spec.engine.args,
            accelerators=self.place.count,
            cpus=self.limits.cpus,
        )

    def _request_too_large(self) -> Refusal:
        requested = format_bytes(self.limits.requested_bytes)
        return Refusal(
            reason=Rejection.INSUFFICIENT_MEMORY,
            message=f"spec.resources.requests.memory asks for {requested}, {self.place.hardware.name} has "
            f"{format_bytes(self.place.hardware.memory_bytes)}.",
            would_fit=f"A node with {requested} of memory, or a smaller request.",
        )


def describe_estimate(estimate: Estimate) -> str:
    """The total, and its parts in brackets."""
    return (
        f"{format_bytes(estimate.total_bytes)} (weights {format_bytes(estimate.weights_bytes)}, "
        f"KV cache {format_bytes(estimate.kv_cache_bytes)}, compute {format_bytes(estimate.compute_bytes)}, "
        f"engine {format_bytes(estimate.overhead_bytes)})"
    )
