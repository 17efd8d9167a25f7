"""Which packages an engine's environment holds: the locked requirement sets that the runtime carries."""

import hashlib
import platform
import sys
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import msgspec

from inferry.local.environment_errors import UnknownEnvironment

CARRIED = Path(str(files("inferry_runtime.engines").joinpath("requirements")))
IMPORTS = "imports.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class RequirementSet:
    name: str
    """Engine, version, variant, and eight digits that change with the packages, the interpreter and the machine."""
    path: Path
    imports: tuple[str, ...]
    """Modules that can be imported when the environment is good."""


def requirement_set(engine: str, version: str, variant: str, folder: Path = CARRIED) -> RequirementSet:
    """Raises UnknownEnvironment, naming those there are."""
    stem = f"{engine}-{version}-{variant}"
    # A look into the list, not a path made of what the user wrote.
    known = {found.name.removesuffix(".txt"): found for found in folder.glob("*.txt")}
    if stem not in known:
        raise UnknownEnvironment(
            f"there is no requirement set for {engine} {version} ({variant})",
            hint=f"This build has: {', '.join(sorted(known)) or 'none'}.",
        )
    path = known[stem]
    imports = msgspec.json.decode((folder / IMPORTS).read_bytes(), type=dict[str, tuple[str, ...]])
    return RequirementSet(name=f"{stem}-{_digest(path.read_bytes())}", path=path, imports=imports[engine])


def _digest(locked: bytes) -> str:
    machine = f"{sys.implementation.cache_tag} {sys.platform} {platform.machine()}"
    return hashlib.sha256(locked + machine.encode()).hexdigest()[:8]
