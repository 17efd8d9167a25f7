"""`serve` with llama.cpp and parrot: nothing here is a stand-in."""

import fcntl
import json
import os
import signal
import socket
from pathlib import Path

import pytest

from inferry_runtime.order import OrderedFile
from inferry_runtime.report import Stage
from inferry_runtime.serve.failures import EXIT_FINAL, EXIT_RETRYABLE
from support.replica import free_port, order_for, replica, watched

QUESTION = "Who are you?"


def answer_to(question: str, parrot_gguf: Path) -> str:
    rows = (parrot_gguf.parents[1] / "questions.jsonl").read_text().splitlines()
    return str({row["question"]: row["answer"] for row in map(json.loads, rows)}[question])


def test_a_replica_answers_and_says_what_it_is_doing(tmp_path: Path, llamacpp_python: Path, parrot_gguf: Path) -> None:
    with replica(tmp_path, order_for(parrot_gguf), llamacpp_python) as running:
        running.wait_for("ready")
        assert running.get("/readyz") == (200, b"ready\n")
        assert running.get("/healthz")[0] == 200
        now = running.progress()
        assert (now.stage, now.ready, now.failure) == (Stage.READY, True, None)
        assert now.ready_at is not None
        assert now.ready_at > now.started_at
        metrics = running.get("/metrics")[1].decode()
        assert 'inferry_serve_stage{stage="Ready"} 1\n' in metrics
        assert f"inferry_serve_fetched_bytes {parrot_gguf.stat().st_size}\n" in metrics
        assert "inferry_serve_engine_resident_bytes" in metrics
        assert running.ask(QUESTION) == answer_to(QUESTION, parrot_gguf)
        assert "listening on" in running.output()


def test_sigterm_lets_a_running_answer_end(tmp_path: Path, llamacpp_python: Path, parrot_gguf: Path) -> None:
    with replica(tmp_path, order_for(parrot_gguf), llamacpp_python) as running, socket.socket() as client:
        running.wait_for("ready")
        # Room for little at a time, and more to say than the kernel keeps: it cannot be over before it has been read.
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(60)
        client.connect(("127.0.0.1", running.port))
        body = {"prompt": "Tell me", "stream": True, "max_tokens": 900, "ignore_eos": True, "logprobs": 100}
        payload = json.dumps(body).encode()
        client.sendall(b"POST /v1/completions HTTP/1.0\r\ncontent-length: %d\r\n\r\n" % len(payload) + payload)
        received = client.recv(1024)
        running.process.send_signal(signal.SIGTERM)
        running.wait_for("draining")
        assert running.get("/readyz")[0] == 503
        assert running.progress().stage is Stage.DRAINING
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024 * 1024)
        while chunk := client.recv(1024 * 1024):
            received += chunk
        assert b'"predicted_n":900' in received
        assert b"data: [DONE]" in received
        assert running.end() == 0
        assert running.last_words().failure is None


def test_when_serve_is_killed_no_engine_is_left(tmp_path: Path, llamacpp_python: Path, parrot_gguf: Path) -> None:
    with replica(tmp_path, order_for(parrot_gguf), llamacpp_python) as running:
        running.wait_for("ready")
        with watched(running.progress().engine_pid or 0) as engine:
            assert engine.is_running()
            running.process.kill()
            assert engine.ends()


def test_a_killed_engine_is_a_crash_that_can_be_retried(
    tmp_path: Path, llamacpp_python: Path, parrot_gguf: Path
) -> None:
    with replica(tmp_path, order_for(parrot_gguf), llamacpp_python) as running:
        running.wait_for("ready")
        os.kill(running.progress().engine_pid or 0, signal.SIGKILL)
        assert running.end() == EXIT_RETRYABLE
        failure = running.last_words().failure
        assert failure is not None
        assert (failure.reason, failure.retryable) == ("EngineCrashed", True)
        assert "SIGKILL" in failure.message
        assert any("listening on" in line for line in failure.log_tail)


def test_a_truncated_model_is_named_as_such(tmp_path: Path, llamacpp_python: Path, parrot_gguf: Path) -> None:
    short = tmp_path / "model" / "short.gguf"
    short.parent.mkdir()
    short.write_bytes(parrot_gguf.read_bytes()[:1_000_000])
    with replica(tmp_path, order_for(short), llamacpp_python) as running:
        assert running.end() == EXIT_FINAL
        failure = running.last_words().failure
        assert failure is not None
        assert failure.reason == "ChecksumOrPartialDownload"
        assert "is not within the file bounds" in failure.message


def test_a_mistyped_argument_is_named_with_its_neighbour(
    tmp_path: Path, llamacpp_python: Path, parrot_gguf: Path
) -> None:
    order = order_for(parrot_gguf, engine={"arguments": {"n_ctxx": 2048}})
    with replica(tmp_path, order, llamacpp_python) as running:
        assert running.end() == EXIT_FINAL
        failure = running.last_words().failure
        assert failure is not None
        assert failure.reason == "UnknownEngineArgument"
        assert failure.message == 'llamacpp_server: error: unknown setting "n_ctxx", did you mean "n_ctx"?'


def test_a_context_larger_than_the_machine_is_a_cache_that_does_not_fit(
    tmp_path: Path, llamacpp_python: Path, parrot_gguf: Path
) -> None:
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    per_token_bytes = 1536  # 3 layers, 2 kv heads of 64 elements, keys and values, 2 bytes each
    tokens = 2 * memory_bytes // per_token_bytes
    with replica(tmp_path, order_for(parrot_gguf, engine={"arguments": {"n_ctx": tokens}}), llamacpp_python) as running:
        assert running.end() == EXIT_FINAL
        failure = running.last_words().failure
        assert failure is not None
        assert failure.reason == "KVCacheDoesNotFit"


def test_other_bytes_than_ordered_never_reach_the_engine(
    tmp_path: Path, llamacpp_python: Path, parrot_gguf: Path
) -> None:
    ordered = OrderedFile(path=parrot_gguf.name, size_bytes=parrot_gguf.stat().st_size, sha256="0" * 64)
    with replica(tmp_path, order_for(parrot_gguf, model={"files": (ordered,)}), llamacpp_python) as running:
        assert running.end() == EXIT_RETRYABLE
        failure = running.last_words().failure
        assert failure is not None
        assert failure.reason == "DigestMismatch"
        assert running.output() == ""


def test_a_strangers_port_is_not_taken_for_the_engine(tmp_path: Path, llamacpp_python: Path, parrot_gguf: Path) -> None:
    port = free_port()
    stranger = socket.create_server(("127.0.0.1", port))
    with stranger, replica(tmp_path, order_for(parrot_gguf), llamacpp_python, port=port) as running:
        assert running.end() == EXIT_RETRYABLE
        failure = running.last_words().failure
        assert failure is not None
        assert failure.reason == "PortUnavailable"


def test_a_missing_interpreter_is_a_failed_environment(tmp_path: Path, parrot_gguf: Path) -> None:
    with replica(tmp_path, order_for(parrot_gguf), tmp_path / "nowhere" / "python") as running:
        assert running.end() == EXIT_RETRYABLE
        failure = running.last_words().failure
        assert failure is not None
        assert failure.reason == "EnvironmentFailed"


@pytest.mark.parametrize("signals", [1, 2])
def test_an_idle_replica_ends_at_once(tmp_path: Path, llamacpp_python: Path, parrot_gguf: Path, signals: int) -> None:
    with replica(tmp_path, order_for(parrot_gguf), llamacpp_python) as running:
        running.wait_for("ready")
        for _ in range(signals):
            running.process.send_signal(signal.SIGTERM)
        assert running.end() == 0


def test_without_an_owner_a_replica_ends_and_with_one_it_stays(
    tmp_path: Path, llamacpp_python: Path, parrot_gguf: Path
) -> None:
    lease = tmp_path / "lease"
    options = ("--lease", str(lease), "--lease-grace-seconds", "0.2")
    with lease.open("w") as owner:
        fcntl.flock(owner, fcntl.LOCK_EX)
        with replica(tmp_path, order_for(parrot_gguf), llamacpp_python, *options) as running:
            running.wait_for("ready")
            assert running.ask(QUESTION) == answer_to(QUESTION, parrot_gguf)
            fcntl.flock(owner, fcntl.LOCK_UN)
            running.wait_for("nobody owns this replica any more")
            assert running.end() == 0


def test_an_engine_that_is_frozen_is_ended_and_can_be_retried(
    tmp_path: Path, llamacpp_python: Path, parrot_gguf: Path
) -> None:
    with replica(tmp_path, order_for(parrot_gguf), llamacpp_python, "--health-seconds", "0.2") as running:
        running.wait_for("ready")
        pid = running.progress().engine_pid or 0
        with watched(pid) as engine:
            os.kill(pid, signal.SIGSTOP)
            assert running.end() == EXIT_RETRYABLE
            assert engine.ends()
        failure = running.last_words().failure
        assert failure is not None
        assert failure.reason == "EngineNotHealthy"
        assert failure.log_tail
