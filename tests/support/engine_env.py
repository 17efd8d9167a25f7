"""Real engines for tests: environments made by the code that makes them for users, and the example model.

`INFERRY_TEST_CACHE` names a folder to keep the environments in; without it they last as long as the test session.
"""

import asyncio
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from inferry.local.environments import EnvironmentStore

PARROT = Path(__file__).parents[2] / "examples" / "models" / "parrot"
LLAMACPP_VERSION = "2026.10.11549"
TRANSFORMERS_VERSION = "5.23.0"


@pytest.fixture(scope="session")
def engine_environments() -> Iterator[EnvironmentStore]:
    kept = os.environ.get("INFERRY_TEST_CACHE")
    if kept:
        yield EnvironmentStore(Path(kept) / "envs")
        return
    with tempfile.TemporaryDirectory(prefix="inferry-envs-") as folder:
        yield EnvironmentStore(Path(folder))


@pytest.fixture(scope="session")
def llamacpp_python(engine_environments: EnvironmentStore) -> Path:
    """Interpreter with xllamacpp."""
    return asyncio.run(engine_environments.ensure("llamacpp", LLAMACPP_VERSION, "cpu", lambda _: None))


@pytest.fixture(scope="session")
def transformers_python(engine_environments: EnvironmentStore) -> Path:
    """Interpreter with Transformers. 5 GB: only for tests of that engine."""
    return asyncio.run(engine_environments.ensure("transformers", TRANSFORMERS_VERSION, "cpu", lambda _: None))


@pytest.fixture(scope="session")
def parrot_gguf() -> Path:
    return PARROT / "gguf" / "parrot-f16.gguf"


@pytest.fixture(scope="session")
def parrot_folder() -> Path:
    """The same weights as safetensors."""
    return PARROT / "safetensors"
