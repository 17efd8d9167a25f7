"""The gates every model passes on its way to an engine, in order. Each answers with the first rule that fails.

Format, quantization, hardware, architecture, task. Hardware is looked at for every model of every engine: an engine
that would only fail while loading is never offered.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from inferry_runtime.engines.base import EngineRelease, Rejection, Verdict
from inferry_runtime.engines.labels import bits_of_label, version_key
from inferry_runtime.engines.rules import ANY_METHOD, EngineRules, MethodRule, rules_of
from inferry_runtime.hardware import Hardware
from inferry_runtime.model.facts import Format, ModelFacts, Quantization, Task

ACCEPTED = "Accepted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A gate that stayed shut."""

    reason: Rejection
    message: str
    would_fit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What is being judged."""

    rules: EngineRules
    facts: ModelFacts
    hardware: Hardware
    release: EngineRelease

    @property
    def engine(self) -> str:
        """As a person would write it, with the version."""
        return f"{self.rules.title} {self.release.version}"


Gate = Callable[[Case], Refusal | None]


def judge(engine: str, facts: ModelFacts, hardware: Hardware, release: EngineRelease) -> Verdict:
    """The verdict of all gates that need no memory estimate."""
    case = Case(rules=rules_of(engine), facts=facts, hardware=hardware, release=release)
    for gate in GATES:
        refusal = gate(case)
        if refusal is not None:
            return rejected(engine, refusal)
    return Verdict(engine=engine, accepted=True, reason=ACCEPTED, message=_acceptance(case))


def rejected(engine: str, refusal: Refusal) -> Verdict:
    """The refusal as the engine's answer."""
    return Verdict(
        engine=engine, accepted=False, reason=refusal.reason, message=refusal.message, would_fit=refusal.would_fit
    )


def variant_for(engine: str, hardware: Hardware) -> str:
    """The build that drives the first accelerator the engine knows; "cpu" when there is none."""
    known = rules_of(engine).accelerators
    for accelerator in hardware.accelerators:
        if accelerator.vendor in known:
            return known[accelerator.vendor]
    return "cpu"


def unserved_tasks(engine: str, facts: ModelFacts) -> tuple[Task, ...]:
    """Tasks of the model that this engine has no way to answer."""
    return tuple(task for task in facts.tasks if not _serves(rules_of(engine), facts, task))


def describe_quantization(quantization: Quantization) -> str:
    """ "4-bit awq", "Q4_K_M", "unquantized"."""
    if quantization.method == "none":
        return "unquantized"
    if quantization.method == "gguf":
        return quantization.label or "GGUF"
    width = f"{quantization.bits:g}-bit " if quantization.bits is not None else ""
    return f"{width}{quantization.method}"


def format_gate(case: Case) -> Refusal | None:
    formats = case.rules.formats
    if case.facts.format in formats:
        return None
    takes = names(format for format in formats if format != Format.PICKLE)
    return Refusal(
        reason=Rejection.FORMAT_NOT_SUPPORTED,
        message=f"{case.rules.title} loads {takes} files, and this model is {case.facts.format}.",
        would_fit=f"The same model as {takes}.",
    )


def quantization_gate(case: Case) -> Refusal | None:
    methods = case.rules.formats[case.facts.format]
    quantization = case.facts.quantization
    rule = method_rule(case)
    if rule is None:
        return _unknown_method(case, methods)
    widths = _widths(quantization)
    if rule.bits and not set(widths) <= set(rule.bits):
        return _unknown_width(case, rule, widths)
    if rule.architectures and case.facts.architecture not in rule.architectures:
        return Refusal(
            reason=Rejection.QUANTIZATION_NOT_SUPPORTED,
            message=f"{case.rules.title} loads {quantization.method} weights of {len(rule.architectures)} "
            f"architectures, and {case.facts.architecture} is not one of them.",
            would_fit=f"The unquantized model, or an engine with {quantization.method} kernels for every architecture.",
        )
    return _file_rules(case, rule)


def hardware_gate(case: Case) -> Refusal | None:
    return _system(case) or _accelerator(case) or _capability(case)


def architecture_gate(case: Case) -> Refusal | None:
    listed = case.release.architectures
    if listed is None:
        return None
    architecture = case.rules.gguf_architectures.get(case.facts.architecture, case.facts.architecture)
    if architecture not in listed:
        return Refusal(
            reason=Rejection.ARCHITECTURE_NOT_SUPPORTED,
            message=f"{case.engine} has no code for {case.facts.architecture}; it knows {len(listed)} architectures"
            f"{_remote_code_note(case.facts)}.",
            would_fit=f"A version of {case.rules.title} that knows {case.facts.architecture}, added to the catalog.",
        )
    needed = listed[architecture]
    if version_key(case.release.version) < version_key(needed):
        return Refusal(
            reason=Rejection.ENGINE_VERSION_TOO_OLD,
            message=f"{case.facts.architecture} needs {case.rules.title} {needed} or newer, this is "
            f"{case.release.version}.",
            would_fit=f"engine.version {needed} or newer.",
        )
    return None


def task_gate(case: Case) -> Refusal | None:
    if not case.facts.tasks or any(_serves(case.rules, case.facts, task) for task in case.facts.tasks):
        return None
    wanted = names(case.facts.tasks)
    return Refusal(
        reason=Rejection.TASK_NOT_SUPPORTED,
        message=f"The model is for {wanted}, and {case.rules.title} answers {names(case.rules.tasks)}.",
        would_fit=f"An engine that answers {wanted}, or spec.model.tasks set to one of {names(case.rules.tasks)}.",
    )


GATES: tuple[Gate, ...] = (format_gate, quantization_gate, hardware_gate, architecture_gate, task_gate)


def method_rule(case: Case) -> MethodRule | None:
    """The rule for the model's quantization method, None when the engine has none for it."""
    methods = case.rules.formats[case.facts.format]
    return methods.get(case.facts.quantization.method, methods.get(ANY_METHOD))


def names(words: Iterable[str]) -> str:
    """ "a", "a or b", "a, b or c", in the given order."""
    listed = [str(word) for word in words]
    return f"{', '.join(listed[:-1])} or {listed[-1]}" if len(listed) > 1 else "".join(listed)


def _acceptance(case: Case) -> str:
    unserved = unserved_tasks(case.release.engine, case.facts)
    without = f", without {names(unserved)}" if unserved else ""
    return f"{case.engine} loads {describe_quantization(case.facts.quantization)} {case.facts.architecture}{without}."


def _widths(quantization: Quantization) -> tuple[float, ...]:
    return (quantization.bits,) if quantization.bits is not None else bits_of_label(quantization.label)


def _unknown_method(case: Case, methods: Iterable[str]) -> Refusal:
    return Refusal(
        reason=Rejection.QUANTIZATION_NOT_SUPPORTED,
        message=f"{case.rules.title} has no kernels for {describe_quantization(case.facts.quantization)} "
        f"{case.facts.format} weights; it loads {_methods(methods)}.",
        would_fit=f"The same model as {_methods(methods)}.",
    )


def _unknown_width(case: Case, rule: MethodRule, widths: Iterable[float]) -> Refusal:
    method = case.facts.quantization.method
    has = names(f"{bits:g}" for bits in rule.bits)
    return Refusal(
        reason=Rejection.QUANTIZATION_NOT_SUPPORTED,
        message=f"{case.rules.title} loads {method} weights of {has} bits, these have "
        f"{names(f'{bits:g}' for bits in widths)}.",
        would_fit=f"{method} weights of {has} bits.",
    )


def _file_rules(case: Case, rule: MethodRule) -> Refusal | None:
    if rule.single_file and len(case.facts.weights) > 1:
        return Refusal(
            reason=Rejection.QUANTIZATION_NOT_SUPPORTED,
            message=f"{case.rules.title} reads {case.facts.format} from one file, this model is split into "
            f"{len(case.facts.weights)}.",
            would_fit="The parts merged into one file, or llama.cpp.",
        )
    if version_key(case.release.version) < version_key(rule.minimum_version):
        return Refusal(
            reason=Rejection.ENGINE_VERSION_TOO_OLD,
            message=f"{case.rules.title} reads {case.facts.format} since {rule.minimum_version}, this is "
            f"{case.release.version}.",
            would_fit=f"engine.version {rule.minimum_version} or newer.",
        )
    return None


def _system(case: Case) -> Refusal | None:
    machines = case.rules.systems.get(case.hardware.system, ())
    if case.hardware.machine in machines:
        return None
    runs = names(f"{system} on {names(kinds)}" for system, kinds in case.rules.systems.items())
    return Refusal(
        reason=Rejection.PLATFORM_NOT_SUPPORTED,
        message=f"{case.rules.title} runs on {runs}; {case.hardware.name} is {case.hardware.system} on "
        f"{case.hardware.machine}.",
        would_fit=f"A node with {runs}.",
    )


def _accelerator(case: Case) -> Refusal | None:
    if any(accelerator.vendor in case.rules.accelerators for accelerator in case.hardware.accelerators):
        return None
    vendors = names(case.rules.accelerators)
    if not case.rules.cpu:
        return Refusal(
            reason=Rejection.ACCELERATOR_MISSING,
            message=f"{case.rules.title} needs an accelerator of {vendors}; {_has(case.hardware)}.",
            would_fit=f"A node with an accelerator of {vendors}.",
        )
    rule = method_rule(case)
    if rule is None or rule.cpu:
        return None
    weights = f"{describe_quantization(case.facts.quantization)} {case.facts.format} weights"
    return Refusal(
        reason=Rejection.ACCELERATOR_MISSING,
        message=f"{case.rules.title} computes {weights} only on an accelerator of {vendors}; {_has(case.hardware)}.",
        would_fit=f"A node with an accelerator of {vendors}, or the model unquantized.",
    )


def _capability(case: Case) -> Refusal | None:
    rule = method_rule(case)
    floor = max((rule.compute_capability if rule else "", case.rules.compute_capability), key=version_key)
    for accelerator in case.hardware.accelerators:
        has = accelerator.compute_capability
        if has is None or version_key(has) >= version_key(floor):
            continue
        return Refusal(
            reason=Rejection.ACCELERATOR_MISSING,
            message=f"{case.rules.title} needs compute capability {floor} for "
            f"{describe_quantization(case.facts.quantization)} weights, {accelerator.product} has {has}.",
            would_fit=f"An accelerator of compute capability {floor} or newer.",
        )
    return None


def _has(hardware: Hardware) -> str:
    if not hardware.accelerators:
        return f"{hardware.name} has none"
    return f"{hardware.name} has {names(accelerator.product for accelerator in hardware.accelerators)}"


def _serves(rules: EngineRules, facts: ModelFacts, task: Task) -> bool:
    return task in rules.tasks and (task not in rules.projector_tasks or bool(facts.projectors))


def _methods(methods: Iterable[str]) -> str:
    return names("unquantized" if method == "none" else method for method in methods)


def _remote_code_note(facts: ModelFacts) -> str:
    return ", and the model's own code is not run" if facts.remote_code else ""
