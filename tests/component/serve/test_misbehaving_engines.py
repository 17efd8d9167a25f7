"""`serve` with engines that real ones would have to be broken to be."""

import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from inferry_runtime.order import ServeOrder, encode
from inferry_runtime.report import Stage
from inferry_runtime.serve.failures import EXIT_FINAL, EXIT_RETRYABLE
from support import stub_engine
from support.replica import fetch, order_for, replica, watched


@pytest.fixture
def stub(tmp_path: Path) -> Path:
    """Starts the stand-in, whatever it is told to run."""
    program = tmp_path / "python"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {stub_engine.__file__} "$@"\n')
    program.chmod(0o755)
    return program


def order(folder: Path, behaviour: str, **changes: Any) -> ServeOrder:
    model = folder / "model" / "weights.gguf"
    model.parent.mkdir(exist_ok=True)
    model.write_bytes(b"weights")
    environment: Mapping[str, str] = {"STUB": behaviour, "STUB_FOLDER": str(folder)}
    return order_for(model, engine={"environment": environment}, **changes)


def test_a_replica_is_ready_only_when_the_first_question_is_answered(tmp_path: Path, stub: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    with replica(tmp_path, order(tmp_path, "held"), stub) as running:
        running.wait_for("asking the first question")
        assert fetch(f"http://127.0.0.1:{running.port}/health")[0] == 200
        assert running.progress().stage is Stage.PROBING
        assert running.get("/readyz")[0] == 503
        gate.write_bytes(b"")
        running.wait_for("ready")
        assert running.get("/readyz")[0] == 200


@pytest.mark.parametrize(
    ("behaviour", "told"), [("wordless", "answered with nothing"), ("refusing", "answered with status 400")]
)
def test_an_engine_that_is_healthy_but_does_not_answer_has_failed(
    tmp_path: Path, stub: Path, behaviour: str, told: str
) -> None:
    with replica(tmp_path, order(tmp_path, behaviour), stub) as running:
        assert running.end() == EXIT_RETRYABLE
        failure = running.last_words().failure
        assert failure is not None
        assert failure.reason == "ProbeFailed"
        assert told in failure.message
        assert "ready" not in {event["event"] for event in running.events}


def test_a_first_answer_that_never_comes_has_failed(tmp_path: Path, stub: Path) -> None:
    os.mkfifo(tmp_path / "gate")
    with replica(tmp_path, order(tmp_path, "held", probe={"timeout_seconds": 0.2}), stub) as running:
        assert running.end() == EXIT_RETRYABLE
        failure = running.last_words().failure
        assert failure is not None
        assert failure.message == "no answer to the first question within 0.2 s"


def test_an_engine_that_does_not_stop_is_cut_off_after_the_drain(tmp_path: Path, stub: Path) -> None:
    with replica(tmp_path, order(tmp_path, "stubborn", drain_seconds=0.1), stub) as running:
        running.wait_for("ready")
        with watched(running.progress().engine_pid or 0) as engine:
            running.process.send_signal(signal.SIGTERM)
            running.wait_for("running answers were cut off")
            assert running.end() == 0
            assert not engine.is_running()


def test_a_second_signal_does_not_wait_for_the_drain(tmp_path: Path, stub: Path) -> None:
    with replica(tmp_path, order(tmp_path, "stubborn", drain_seconds=3600), stub) as running:
        running.wait_for("ready")
        running.process.send_signal(signal.SIGINT)
        running.wait_for("draining")
        running.process.send_signal(signal.SIGINT)
        assert running.end() == 0


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGUSR1])
def test_what_the_engine_has_started_does_not_outlive_it(tmp_path: Path, stub: Path, end: signal.Signals) -> None:
    with replica(tmp_path, order(tmp_path, "parent signalled"), stub) as running:
        running.wait_for("ready")
        with watched(int((tmp_path / "child").read_text())) as child:
            assert child.is_running()
            running.process.send_signal(end)
            running.end()
            assert child.ends()


@pytest.mark.parametrize(
    ("behaviour", "told"),
    [("deaf", "/health 6 times in a row: no answer within 0.1 s"), ("sick", "in a row: status 503")],
)
def test_an_engine_that_lives_but_no_longer_answers_is_ended(
    tmp_path: Path, stub: Path, behaviour: str, told: str
) -> None:
    with replica(tmp_path, order(tmp_path, f"{behaviour} parent"), stub, "--health-seconds", "0.1") as running:
        running.wait_for("ready")
        with watched(int((tmp_path / "child").read_text())) as child:
            assert running.end() == EXIT_RETRYABLE
            assert child.ends()
        failure = running.last_words().failure
        assert failure is not None
        assert (failure.reason, told in failure.message) == ("EngineNotHealthy", True)


def test_an_engine_that_loads_may_be_silent_for_as_long_as_it_likes(tmp_path: Path, stub: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    with replica(tmp_path, order(tmp_path, "held deaf"), stub, "--health-seconds", "0.001") as running:
        running.wait_for("asking the first question")
        assert not running.process.poll()
        gate.write_bytes(b"")
        running.wait_for("ready")


def test_a_forwarded_signal_reaches_the_engine_and_its_status_is_told(tmp_path: Path, stub: Path) -> None:
    with replica(tmp_path, order(tmp_path, "signalled"), stub) as running:
        running.wait_for("ready")
        running.process.send_signal(signal.SIGUSR1)
        assert running.end() == EXIT_RETRYABLE
        failure = running.last_words().failure
        assert failure is not None
        assert failure.message.startswith("the engine ended with status 42 after it was ready")


def test_output_passes_through_byte_by_byte(tmp_path: Path, stub: Path) -> None:
    with replica(tmp_path, order(tmp_path, "binary"), stub) as running:
        running.wait_for("ready")
        running.process.send_signal(signal.SIGTERM)
        assert running.end() == 0
    assert (tmp_path / "output").read_bytes() == bytes(range(256)) * 100 + b"\nno line end"


def test_no_token_reaches_an_engine(tmp_path: Path, stub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("LANG", "C.UTF-8")
    with replica(tmp_path, order(tmp_path, "environment"), stub) as running:
        running.wait_for("ready")
        seen = json.loads((tmp_path / "environment").read_text())
    assert "hf_secret" not in seen.values()
    assert seen["LANG"] == "C.UTF-8"


def test_a_document_that_is_no_order_is_refused_with_the_field(tmp_path: Path, stub: Path) -> None:
    document = json.loads(encode(order(tmp_path, "")))
    document["drain_seconds"] = "long"
    broken = tmp_path / "broken.json"
    broken.write_text(json.dumps(document))
    with replica(tmp_path, order(tmp_path, ""), stub, "--order", str(broken)) as running:
        assert running.end() == EXIT_FINAL
        failure = running.last_words().failure
        assert failure is not None
        assert failure.reason == "InvalidOrder"
        assert "drain_seconds" in failure.message


def test_an_engine_of_another_version_of_inferry_is_an_invalid_order(tmp_path: Path, stub: Path) -> None:
    weights = tmp_path / "weights.gguf"
    weights.write_bytes(b"weights")
    with replica(tmp_path, order_for(weights, engine={"name": "llama-cpp"}), stub) as running:
        assert running.end() == EXIT_FINAL
        failure = running.last_words().failure
        assert failure is not None
        assert (failure.reason, "llamacpp" in failure.message) == ("InvalidOrder", True)
