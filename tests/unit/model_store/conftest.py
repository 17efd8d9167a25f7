"""One hub per test, and an environment in which nothing of the machine's own hub settings counts."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.clock import FakeClock
from hub.server import Hub


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_ENDPOINT", "HF_HUB_OFFLINE", "MODELSCOPE_API_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")
    monkeypatch.setenv("NO_PROXY", "*")


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub() as running:
        yield running
        # The hub's own library keeps connections for the life of the process.
        if "huggingface_hub" in sys.modules:
            sys.modules["huggingface_hub"].close_session()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()
