import json

import pytest

from inferry_runtime import report
from inferry_runtime.report import ServeFailure, ServeReport, Stage
from inferry_runtime.serve import last_words
from inferry_runtime.serve.board import Board
from inferry_runtime.serve.failures import EXIT_FINAL, EXIT_RETRYABLE
from inferry_runtime.serve.status_server import answer


def asked(board: Board, path: str, method: str = "GET") -> tuple[int, str]:
    head, _, body = answer(board, f"{method} {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode()).partition(b"\r\n\r\n")
    assert f"content-length: {len(body)}".encode() in head
    return int(head.split()[1]), body.decode()


@pytest.mark.parametrize("stage", Stage)
def test_only_the_ready_stage_is_ready(stage: Stage) -> None:
    board = Board()
    board.enter(stage, "whatever it does")
    expected = (200, "ready\n") if stage is Stage.READY else (503, f"{stage}: whatever it does\n")
    assert asked(board, "/readyz") == expected
    assert asked(board, "/healthz")[0] == 200


def test_progress_is_the_report_itself() -> None:
    board = Board()
    board.show(done_bytes=5, total_bytes=10)
    assert report.decode(asked(board, "/progress")[1].encode()) == board.report


def test_a_new_stage_starts_without_the_sizes_of_the_last_one() -> None:
    board = Board()
    board.show(done_bytes=5, total_bytes=10, bytes_per_second=3.0, eta_seconds=2.0)
    board.enter(Stage.LOADING, engine_pid=7)
    now = board.report
    assert (now.done_bytes, now.total_bytes, now.bytes_per_second, now.eta_seconds) == (0, 0, 0.0, None)
    assert now.engine_pid == 7


def test_metrics_leave_out_what_has_no_value_yet() -> None:
    board = Board(model_bytes=100)
    early = asked(board, "/metrics")[1]
    assert "inferry_serve_model_bytes 100\n" in early
    assert "inferry_serve_ready 0\n" in early
    assert "load_seconds" not in early
    board.load_started_at = 10.0
    board.enter(Stage.READY, ready_at=12.5)
    late = asked(board, "/metrics")[1]
    assert "inferry_serve_load_seconds 2.5\n" in late
    assert "inferry_serve_ready 1\n" in late
    assert late.count("} 1\n") == 1


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nothing", 404), ("POST", "/readyz", 405), ("GET", "/readyz?verbose=1", 503), ("GET", "/a b", 400)],
)
def test_anything_else_is_refused_politely(method: str, path: str, status: int) -> None:
    assert asked(Board(), path, method)[0] == status


def failed(**changes: object) -> ServeReport:
    given = {"reason": "EngineCrashed", "message": "it fell", **changes}
    return ServeReport(stage=Stage.ENDED, message="it fell", failure=ServeFailure(**given))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("last", "status"),
    [
        (ServeReport(stage=Stage.ENDED), 0),
        (failed(retryable=True), EXIT_RETRYABLE),
        (failed(retryable=False), EXIT_FINAL),
    ],
)
def test_the_exit_status_says_whether_trying_again_may_help(last: ServeReport, status: int) -> None:
    assert last_words.exit_status(last) == status


def test_last_words_fit_into_a_termination_message_and_keep_the_newest_lines() -> None:
    lines = tuple(f"{number} " + "ü" * 400 for number in range(20))
    short = last_words.shortened(failed(log_tail=lines))
    assert len(report.encode(short)) <= last_words.TERMINATION_LOG_BYTES
    assert short.failure is not None
    assert short.failure.log_tail == lines[-len(short.failure.log_tail) :]
    assert short.failure.log_tail


def test_a_message_longer_than_everything_is_cut_and_still_json() -> None:
    document = report.encode(last_words.shortened(failed(message="x" * 10_000)))
    assert len(document) <= last_words.TERMINATION_LOG_BYTES
    assert json.loads(document)["failure"]["message"].startswith("xxx")
