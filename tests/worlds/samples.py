"""Deployments, models and decisions to test with: one good value of each, any part of it replaced by name."""

from dataclasses import replace
from typing import Any

from inferry.api.model_deployment import ModelDeployment
from inferry.api.status import DeploymentStatus
from inferry.decide.decision import Decision, NoDecision, Placement
from inferry.plan.types import Failure, Observed, Phase, Replica
from inferry_runtime.engines.base import Verdict
from inferry_runtime.hardware import Hardware, Inventory
from inferry_runtime.memory import Estimate
from inferry_runtime.model.facts import Format, ModelFacts, Quantization, Task, WeightFile
from inferry_runtime.model.inspection import Inspection
from inferry_runtime.order import OrderedFile

COMMIT = "7ae557604adf67be50417f59c2c2f167def9a775"
MIB = 1024 * 1024


def a_deployment(
    name: str = "qwen",
    *,
    namespace: str = "default",
    generation: int = 1,
    status: DeploymentStatus | None = None,
    **spec: Any,
) -> ModelDeployment:
    """`spec` by its names in YAML."""
    spec.setdefault("model", {"source": "hf://Qwen/Qwen2.5-0.5B-Instruct-GGUF"})
    metadata = {"name": name, "namespace": namespace, "generation": generation}
    deployment = ModelDeployment.model_validate({"metadata": metadata, "spec": spec})
    return deployment.model_copy(update={"status": status})


def an_inspection(revision: str = COMMIT, **changes: Any) -> Inspection:
    """A small GGUF that chats."""
    facts = ModelFacts(
        format=Format.GGUF,
        quantization=Quantization(method="gguf", bits=4, label="Q4_K_M"),
        architecture="qwen2",
        tasks=(Task.GENERATE, Task.CHAT),
        weights=(WeightFile(path="q4_k_m.gguf", size_bytes=400 * MIB),),
        context_length=32768,
        parameters=494_032_768,
        license="apache-2.0",
    )
    inspection = Inspection(
        source="hf://Qwen/Qwen2.5-0.5B-Instruct-GGUF",
        facts=facts,
        revision=revision,
        files=(OrderedFile(path="q4_k_m.gguf", size_bytes=400 * MIB, sha256="ab" * 32),),
        primary="q4_k_m.gguf",
    )
    return replace(inspection, **changes)


def a_decision(engine: str = "llamacpp", version: str = "1.0", **changes: Any) -> Decision:
    """On CPU, with one engine rejected."""
    decision = Decision(
        engine=engine,
        version=version,
        variant="cpu",
        image="",
        arguments={"n_ctx": 8192, "n_parallel": 4},
        extra_arguments=(),
        context_length=2048,
        parallel=4,
        placement=Placement(node="here"),
        estimate=Estimate(
            weights_bytes=400 * MIB, kv_cache_bytes=96 * MIB, compute_bytes=64 * MIB, overhead_bytes=80 * MIB
        ),
        verdicts=(
            Verdict(engine=engine, accepted=True, reason="Accepted", message="Reads GGUF on CPU."),
            Verdict(
                engine="vllm",
                accepted=False,
                reason="AcceleratorMissing",
                message="It needs an accelerator.",
                would_fit="A node with one.",
            ),
        ),
    )
    return replace(decision, **changes)


def no_decision(reason: str = "NoCompatibleEngine", message: str = "No engine takes it.") -> NoDecision:
    verdict = Verdict(engine="vllm", accepted=False, reason="FormatNotSupported", message="It does not read it.")
    return NoDecision(reason=reason, message=message, verdicts=(verdict,))


def a_replica(name: str, revision: str, *, ready: bool = True, **changes: Any) -> Replica:
    """Ready and idle, unless said otherwise."""
    replica = Replica(
        name=name,
        revision=revision,
        phase=Phase.READY if ready else Phase.LOADING,
        ready=ready,
        created_at=1000.0,
        in_flight=0 if ready else None,
    )
    return replace(replica, **changes)


def a_failure(reason: str = "EngineCrashed", **changes: Any) -> Failure:
    failure = Failure(reason=reason, message="It ended with status 1.", hint="", restarts=1, retry_at=1234.0)
    return replace(failure, **changes)


def observed(*replicas: Replica) -> Observed:
    return Observed(replicas=tuple(sorted(replicas, key=lambda replica: replica.name)))


def an_inventory(memory_bytes: int = 8 * 1024 * MIB) -> Inventory:
    node = Hardware(name="here", system="linux", machine="x86_64", cpus=2.0, memory_bytes=memory_bytes)
    return Inventory(nodes=(node,))
