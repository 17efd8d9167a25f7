"""From a decision to the document its replicas start from, and to the revision they belong to."""

import hashlib
from typing import Final

import msgspec

from inferry.api.model_deployment import ModelDeployment
from inferry.decide.decision import Decision
from inferry_runtime.model.facts import Task
from inferry_runtime.model.inspection import Inspection
from inferry_runtime.order import EngineOrder, ModelOrder, Probe, ServeOrder, encode

DRAIN_SECONDS: Final = 30.0
"""Kubernetes' own default grace period: long enough for most answers, short enough for node drains."""

PROBE_TIMEOUT_SECONDS: Final = 300.0
"""The first answer of a large model on CPU, kernels still to be compiled, takes minutes."""

_PROBES: Final = (
    (Task.CHAT, "chat", "Say hello."),
    (Task.VISION, "chat", "Say hello."),
    (Task.GENERATE, "generate", "Hello"),
    (Task.EMBED, "embed", "Hello"),
    (Task.RERANK, "rerank", "Hello"),
)
"""Most telling first: a model that chats is asked to chat."""


def serve_order(deployment: ModelDeployment, decision: Decision, inspection: Inspection) -> ServeOrder:
    """Equal inputs give equal orders; nothing in it depends on when, or on which node, it is made."""
    return ServeOrder(
        deployment=f"{deployment.metadata.namespace}/{deployment.metadata.name}",
        served_names=deployment.served_names,
        model=_model(deployment, inspection),
        engine=EngineOrder(
            name=decision.engine,
            version=decision.version,
            variant=decision.variant,
            arguments=dict(sorted(decision.arguments.items())),
            extra_arguments=decision.extra_arguments,
            environment={variable.name: variable.value for variable in deployment.spec.engine.env},
        ),
        probe=_probe(inspection.facts.tasks),
        drain_seconds=DRAIN_SECONDS,
    )


def _model(deployment: ModelDeployment, inspection: Inspection) -> ModelOrder:
    model = deployment.spec.model
    return ModelOrder(
        source=inspection.source,
        revision=inspection.revision,
        files=inspection.files,
        primary=inspection.primary,
        projector=inspection.projector,
        mirror=model.mirror or "",
        integrity=model.integrity.policy,
        allow_unsafe_formats=model.integrity.allow_unsafe_formats,
    )


def _probe(tasks: tuple[Task, ...]) -> Probe:
    kind, prompt = next(((kind, prompt) for task, kind, prompt in _PROBES if task in tasks), ("generate", "Hello"))
    return Probe(task=kind, prompt=prompt, timeout_seconds=PROBE_TIMEOUT_SECONDS)


def revision(order: ServeOrder, decision: Decision, deployment: ModelDeployment) -> str:
    """Ten hexadecimal digits that change exactly when a replica has to be replaced: with the order, the image, the
    kind and number of accelerators, or the resources asked for. Which node fits now is not part of it."""
    resources = deployment.spec.resources
    placement = decision.placement
    surroundings = (
        decision.image,
        placement.accelerator,
        placement.vendor,
        placement.count,
        (resources.requests.cpu, resources.requests.memory),
        (resources.limits.cpu, resources.limits.memory),
    )
    return hashlib.sha256(encode(order) + msgspec.json.encode(surroundings)).hexdigest()[:10]
