"""What all engines answer alike: from their rules, signatures and argument files, by their name."""

from collections.abc import Mapping

from inferry_runtime.engines.base import Argument, ArgumentValue, EngineRelease, Signature, Verdict
from inferry_runtime.engines.gates import judge, variant_for
from inferry_runtime.engines.schema import load_schema
from inferry_runtime.engines.signatures import signatures_of
from inferry_runtime.hardware import Hardware
from inferry_runtime.model.facts import ModelFacts


class RuledEngine:
    """The part of the `Engine` protocol that is data."""

    name: str
    routes: tuple[str, ...]
    health_path: str = "/health"

    @property
    def signatures(self) -> tuple[Signature, ...]:
        return signatures_of(self.name)

    def accepts(self, facts: ModelFacts, hardware: Hardware, release: EngineRelease) -> Verdict:
        return judge(self.name, facts, hardware, release)

    def variant(self, hardware: Hardware) -> str:
        return variant_for(self.name, hardware)

    def argument_schema(self, version: str) -> tuple[Argument, ...]:
        return load_schema(self.name, version)


def integer(arguments: Mapping[str, ArgumentValue], name: str, default: int) -> int:
    """The argument as a whole number; `default` when it is not given or is none."""
    value = arguments.get(name, default)
    return int(value) if isinstance(value, int | float) else default
