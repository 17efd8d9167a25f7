"""`serve` with a model that is still on a hub."""

import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hub.server import Fault, Hub
from inferry_runtime.order import IntegrityPolicy, OrderedFile, ServeOrder
from inferry_runtime.report import Stage
from inferry_runtime.serve.failures import EXIT_FINAL, EXIT_RETRYABLE
from support.replica import digest, order_for, replica


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub() as running:
        yield running


def remote(hub: Hub, parrot_gguf: Path, *, gated: bool = False, **changes: Any) -> ServeOrder:
    revision = hub.add_model("birds/parrot", {parrot_gguf.name: parrot_gguf.read_bytes()}, gated=gated)
    model = {"source": "hf://birds/parrot", "revision": revision, "mirror": hub.url, **changes}
    return order_for(parrot_gguf, model=model)


def halfway(hub: Hub) -> threading.Event:
    """The hub sends half of everything, and the rest when this is set."""
    gate = threading.Event()
    hub.fail(Fault(match="", gate=gate))
    return gate


def test_a_replica_tells_of_its_download_and_then_answers(
    tmp_path: Path, llamacpp_python: Path, parrot_gguf: Path, hub: Hub
) -> None:
    order = remote(hub, parrot_gguf)
    gate = halfway(hub)
    with replica(tmp_path, order, llamacpp_python) as running:
        assert hub.wait_until_sent(1_000_000, lambda: running.process.poll() is not None)
        now = running.progress()
        assert (now.stage, now.ready, now.engine_pid) == (Stage.FETCHING, False, None)
        assert now.done_bytes < parrot_gguf.stat().st_size
        assert running.get("/readyz")[0] == 503
        gate.set()
        running.wait_for("ready")
        assert running.ask("Who are you?").startswith("I am parrot")
        assert f"inferry_serve_fetched_bytes {parrot_gguf.stat().st_size}\n" in running.get("/metrics")[1].decode()


def test_a_replica_that_is_stopped_while_it_downloads_ends(
    tmp_path: Path, llamacpp_python: Path, parrot_gguf: Path, hub: Hub
) -> None:
    order = remote(hub, parrot_gguf)
    gate = halfway(hub)
    with replica(tmp_path, order, llamacpp_python) as running:
        assert hub.wait_until_sent(1_000_000, lambda: running.process.poll() is not None)
        running.process.send_signal(signal.SIGTERM)
        assert running.end() == 0
        gate.set()


def test_a_gated_model_without_a_token_says_so(
    tmp_path: Path, llamacpp_python: Path, parrot_gguf: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with replica(tmp_path, remote(hub, parrot_gguf, gated=True), llamacpp_python) as running:
        assert running.end() == EXIT_FINAL
        failure = running.last_words().failure
        assert failure is not None
        assert (failure.reason, bool(failure.hint)) == ("GatedOrUnauthorized", True)


def test_a_gated_model_is_fetched_with_the_token_of_the_environment(
    tmp_path: Path, llamacpp_python: Path, parrot_gguf: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add_token("hf_friend")
    monkeypatch.setenv("HF_TOKEN", "hf_friend")
    with replica(tmp_path, remote(hub, parrot_gguf, gated=True), llamacpp_python) as running:
        running.wait_for("ready")
    assert b"hf_friend" not in (tmp_path / "order.json").read_bytes()


def test_bytes_that_differ_are_served_and_told_where_differences_are_only_noted(
    tmp_path: Path, llamacpp_python: Path, parrot_gguf: Path, hub: Hub
) -> None:
    size_bytes = parrot_gguf.stat().st_size
    promised = OrderedFile(path=parrot_gguf.name, size_bytes=size_bytes, sha256="0" * 64)
    order = remote(hub, parrot_gguf, files=(promised,), integrity=IntegrityPolicy.RECORD)
    with replica(tmp_path, order, llamacpp_python) as running:
        noted = running.wait_for("bytes differ from their digest")
        assert (noted["path"], noted["found"]) == (parrot_gguf.name, digest(parrot_gguf))
        running.wait_for("ready")
        note = running.progress().note
        assert parrot_gguf.name in note and digest(parrot_gguf) in note
        assert running.ask("Who are you?").startswith("I am parrot")


def test_bytes_that_differ_are_refused_where_they_are_verified(
    tmp_path: Path, llamacpp_python: Path, parrot_gguf: Path, hub: Hub
) -> None:
    promised = OrderedFile(path=parrot_gguf.name, size_bytes=parrot_gguf.stat().st_size, sha256="0" * 64)
    with replica(tmp_path, remote(hub, parrot_gguf, files=(promised,)), llamacpp_python) as running:
        assert running.end() == EXIT_RETRYABLE
        failure = running.last_words().failure
        assert failure is not None and failure.reason == "DigestMismatch"
