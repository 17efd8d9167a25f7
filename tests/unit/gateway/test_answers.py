"""The gateway's own answers: errors as the SDKs parse them, metrics as Prometheus does, deadlines as promised."""

import json
from dataclasses import dataclass, field

import pytest

from inferry.gateway import errors
from inferry.gateway.deadlines import NEVER, SLOTS, TICK_SECONDS, Wheel
from inferry.gateway.errors import Dialect, Problem, Refusal, render, stream_event
from inferry.gateway.metrics import Metrics
from inferry.gateway.metrics import render as render_metrics

PROBLEMS = {name: value for name, value in vars(errors).items() if isinstance(value, Problem)}


def parsed(answer: bytes) -> tuple[list[str], dict[str, object]]:
    head, _, body = answer.partition(b"\r\n\r\n")
    decoded: dict[str, object] = json.loads(body)
    lines = head.decode().split("\r\n")
    assert f"content-length: {len(body)}" in lines
    return lines, decoded


@pytest.mark.parametrize("name", PROBLEMS)
def test_an_openai_error_has_all_four_keys_and_an_id(name: str) -> None:
    problem = PROBLEMS[name]
    lines, body = parsed(render(Refusal(problem, "Why."), Dialect.OPENAI, "id-1", b"", problem.closes))
    error = {"message": "Why.", "type": problem.type, "param": problem.param, "code": problem.code}
    assert body == {"error": error}
    assert lines[0].startswith(f"HTTP/1.1 {problem.status} ")
    assert "x-request-id: id-1" in lines
    assert "content-type: application/json" in lines
    assert ("connection: close" in lines) == problem.closes


@pytest.mark.parametrize("name", PROBLEMS)
def test_an_anthropic_error_has_its_own_shape(name: str) -> None:
    lines, body = parsed(render(Refusal(PROBLEMS[name], "Why."), Dialect.ANTHROPIC, "id-1", b"", False))
    assert body["type"] == "error"
    assert body["request_id"] == "id-1"
    assert "request-id: id-1" in lines


def test_our_capacity_is_503_and_what_was_not_run_may_be_asked_again() -> None:
    assert {problem.status for problem in PROBLEMS.values() if problem.type == errors.UNAVAILABLE} == {503}
    assert errors.UPSTREAM_UNREACHABLE.should_retry
    ran = [errors.UPSTREAM_DISCONNECTED, errors.UPSTREAM_TIMEOUT, errors.UPSTREAM_INVALID]
    assert [problem.should_retry for problem in ran] == [False] * 3


def test_a_broken_stream_ends_in_each_dialect_with_an_event_that_is_an_error() -> None:
    for dialect in Dialect:
        event = stream_event(errors.UPSTREAM_DISCONNECTED, 'Said "no".\n', dialect, "id-1")
        assert event.endswith(b"\n\n")
        data = json.loads(event.partition(b"data: ")[2])
        assert 'Said "no".\n' in (data.get("message"), data.get("error", {}).get("message"))


def test_metrics_are_prometheus_text() -> None:
    metrics = Metrics()
    route = metrics.routes["m", "/v1/embeddings"]
    route.requests[200, ""] += 2
    for seconds in (0.002, 0.3, 10_000):
        route.duration.observe(seconds)
    metrics.retries["m", "connect"] += 1
    text = render_metrics(metrics, [("inflight", (("endpoint", 'a"b\\c\n'),), 3)])
    lines = text.split("\n")
    assert 'inferry_gateway_requests_total{model="m",route="/v1/embeddings",code="200",reason=""} 2' in lines
    bucket = 'inferry_gateway_duration_seconds_bucket{model="m",route="/v1/embeddings",le='
    assert f'{bucket}"0.0025"}} 1' in lines
    assert f'{bucket}"600"}} 2' in lines
    assert f'{bucket}"+Inf"}} 3' in lines
    assert 'inferry_gateway_duration_seconds_count{model="m",route="/v1/embeddings"} 3' in lines
    assert 'inferry_gateway_inflight{endpoint="a\\"b\\\\c\\n"} 3' in lines


def test_series_of_models_that_are_gone_are_gone() -> None:
    metrics = Metrics()
    metrics.routes["old", "/v1/embeddings"].requests[200, ""] += 1
    metrics.retries["old", "connect"] += 1
    metrics.routes["new", "/v1/embeddings"].requests[200, ""] += 1
    metrics.forget_except({"new"})
    text = render_metrics(metrics, [])
    assert "old" not in text
    assert "new" in text


@dataclass
class Timed:
    fired: list[int] = field(default_factory=list)
    now: int = 0
    due: int = NEVER
    filed: int = NEVER

    def expired(self) -> None:
        self.fired.append(self.now)


def run(wheel: Wheel, item: Timed, ticks: int) -> None:
    for _ in range(ticks):
        item.now += 1
        wheel.advance()


@pytest.mark.parametrize("seconds", [0.0, 0.05, 0.1, 1.0, 12.6, 12.7, 12.8, 60.0, 600.0])
def test_a_deadline_passes_once_and_not_early(seconds: float) -> None:
    wheel, item = Wheel(), Timed()
    wheel.arm(item, seconds)
    run(wheel, item, int(seconds / TICK_SECONDS) + 3 * SLOTS)
    assert len(item.fired) == 1
    assert 0 <= item.fired[0] * TICK_SECONDS - seconds <= 2 * TICK_SECONDS + 1e-9


@pytest.mark.parametrize(("first", "second"), [(1.0, 30.0), (30.0, 1.0), (600.0, 0.1), (1.0, 1.0)])
def test_the_last_word_counts(first: float, second: float) -> None:
    wheel, item = Wheel(), Timed()
    wheel.arm(item, first)
    wheel.arm(item, second)
    run(wheel, item, 7000)
    assert len(item.fired) == 1
    assert abs(item.fired[0] * TICK_SECONDS - second) <= 2 * TICK_SECONDS + 1e-9


def test_a_disarmed_item_can_be_armed_again() -> None:
    wheel, item = Wheel(), Timed()
    wheel.arm(item, 1.0)
    wheel.disarm(item)
    run(wheel, item, 500)
    assert not item.fired
    wheel.arm(item, 1.0)
    run(wheel, item, 500)
    assert len(item.fired) == 1


def test_an_item_that_is_gone_is_let_go_within_a_turn_of_the_wheel() -> None:
    wheel, item = Wheel(), Timed()
    wheel.arm(item, 600.0)
    wheel.disarm(item)
    run(wheel, item, SLOTS)
    assert item.filed == NEVER
