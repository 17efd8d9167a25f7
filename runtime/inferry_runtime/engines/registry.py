"""All engines by name."""

from collections.abc import Mapping
from difflib import get_close_matches
from types import MappingProxyType

from inferry_runtime.engines.base import Engine
from inferry_runtime.engines.llamacpp import LlamaCpp
from inferry_runtime.engines.mlx import Mlx
from inferry_runtime.engines.sglang import SGLang
from inferry_runtime.engines.transformers import Transformers
from inferry_runtime.engines.vllm import Vllm

_ALL: tuple[Engine, ...] = (LlamaCpp(), Vllm(), SGLang(), Transformers(), Mlx())

ENGINES: Mapping[str, Engine] = MappingProxyType({engine.name: engine for engine in _ALL})


class UnknownEngine(LookupError):
    """No engine has this name; the message lists the names, and the nearest one first."""

    def __init__(self, name: str) -> None:
        matches = get_close_matches(_plain(name), ENGINES, n=1, cutoff=0.5)
        self.name = name
        self.nearest = matches[0] if matches else ""
        hint = f" Did you mean {self.nearest}?" if self.nearest else ""
        super().__init__(f"There is no engine {name!r}.{hint} The engines are {', '.join(ENGINES)}.")


def engine_named(name: str) -> Engine:
    """The engine of exactly this name. Raises UnknownEngine."""
    engine = ENGINES.get(name)
    if engine is None:
        raise UnknownEngine(name)
    return engine


def _plain(name: str) -> str:
    """ "llama.cpp" and "Llama-CPP" are near "llamacpp"."""
    return "".join(character for character in name.lower() if character.isalnum())
