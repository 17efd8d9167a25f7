"""From a model's name to an endpoint, or to an answer that says why not."""

from dataclasses import dataclass, replace

import pytest

from inferry.api.snapshot import EndpointState, ServedModel, Snapshot, SnapshotError
from inferry.gateway.backend import Backends
from inferry.gateway.balance import pick
from inferry.gateway.budget import MOST_SAVED, RetryBudget
from inferry.gateway.errors import Refusal
from inferry.gateway.health import HEALTHY, Health
from inferry.gateway.routes import RULES, Rule
from inferry.gateway.table import RoutingTable, build_table, model_named_in
from support.gateway import endpoint, served

CHAT = RULES[b"/v1/chat/completions"]
RERANK = RULES[b"/v1/rerank"]


def table(*models: ServedModel) -> RoutingTable:
    return build_table(Snapshot(version=1, models=models), Backends().of)


def refused(found: RoutingTable, name: str, rule: Rule = CHAT) -> Refusal:
    with pytest.raises(Refusal) as caught:
        found.find(name, rule)
    return caught.value


@pytest.mark.parametrize(
    ("body", "model"),
    [
        (b'{"model":"m"}', "m"),
        (b' \n{"messages":[{"model":"x"}],"model":"org/m:tag"} ', "org/m:tag"),
        (b'{"model":"a","model":"b"}', "b"),
        (b'{"mod\\u0065l":"b","model":"a"}', "a"),
        (b'{"model":"a","mod\\u0065l":"b"}', "b"),
        (b'{"model":"\\u006d"}', "m"),
    ],
)
def test_the_model_is_what_the_engine_s_parser_would_read(body: bytes, model: str) -> None:
    assert model_named_in(body) == model


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"", None),
        (b"{", None),
        (b"[]", None),
        (b'"m"', None),
        (b"null", None),
        (b'{"model":"m"} x', None),
        (b"\xef\xbb\xbf{}", None),
        (b"[" * 100_000, None),
        (b'{"a":' * 100_000, None),
        (b"{}", "model"),
        (b'{"model":null}', "model"),
        (b'{"model":""}', "model"),
        (b'{"model":5}', "model"),
        (b'{"model":["m"]}', "model"),
    ],
)
def test_a_body_without_a_model_is_a_400(body: bytes, param: str | None) -> None:
    with pytest.raises(Refusal) as caught:
        model_named_in(body)
    assert (caught.value.problem.status, caught.value.problem.param) == (400, param)


def test_every_served_name_leads_to_the_model() -> None:
    found = table(served(endpoint(1), names=("a", "org/b")), served(endpoint(2), names=("c",)))
    assert found.find("org/b", CHAT).ready[0].port == 1
    assert found.find("org/b", CHAT).name == "a"
    assert found.find("c", CHAT).ready[0].port == 2


def test_an_unknown_name_is_answered_with_the_known_ones_and_the_nearest() -> None:
    refusal = refused(table(served(names=("qwen",)), served(names=("parrot",))), "parot")
    assert (refusal.problem.status, refusal.problem.code) == (404, "model_not_found")
    assert "Did you mean 'parrot'? Known models: parrot, qwen." in refusal.message


def test_a_long_list_and_a_long_name_are_cut() -> None:
    refusal = refused(table(*(served(names=(f"model-{number}",)) for number in range(1000))), "x" * 10_000)
    assert "and 980 more" in refusal.message
    assert len(refusal.message) < 1000


def test_a_name_is_never_matched_by_halves() -> None:
    for name in ("M", "m ", "m/", "", "m\0"):
        assert refused(table(served(endpoint(1))), name).problem.code == "model_not_found"


def test_a_route_the_engine_lacks_is_named_with_the_engine() -> None:
    refusal = refused(table(served(endpoint(1), routes=("/v1/chat/completions", "/slots"))), "m", RERANK)
    assert (refusal.problem.status, refusal.problem.code) == (404, "endpoint_not_supported_by_model")
    assert refusal.message == (
        "The model 'm' runs on llama.cpp, which has no /v1/rerank for it. It answers: /v1/chat/completions."
    )


def test_a_model_that_was_stopped_is_not_worth_trying_again() -> None:
    stopped = replace(served(reason="ScaledToZero", message="No replica is wanted."), waiting_ends=False)
    refusal = refused(table(stopped), "m")
    assert (refusal.problem.status, refusal.problem.code, refusal.problem.should_retry) == (503, "model_stopped", False)
    assert "No replica is wanted." in refusal.message
    assert "retry-after" not in dict(refusal.headers)


def test_a_model_that_is_loading_says_what_it_is_doing() -> None:
    refusal = refused(table(served(reason="Downloading", message="Downloading, 40 % of 4.1 GB.")), "m")
    assert (refusal.problem.status, refusal.problem.code) == (503, "model_starting")
    assert "Downloading, 40 % of 4.1 GB." in refusal.message
    assert refusal.headers == (("retry-after", "3"),)


def test_a_model_that_only_drains_has_no_endpoint() -> None:
    refusal = refused(table(served(endpoint(1, state=EndpointState.DRAINING))), "m")
    assert (refusal.problem.status, refusal.problem.code) == (503, "no_endpoints")


@pytest.mark.parametrize(
    "models",
    [
        pytest.param((served(names=("a", "b")), served(names=("c", "b"))), id="two models share a name"),
        pytest.param((served(endpoint(0)),), id="port 0"),
        pytest.param((served(endpoint(70_000)),), id="port too large"),
    ],
)
def test_a_snapshot_that_makes_no_sense_is_rejected_whole(models: tuple[ServedModel, ...]) -> None:
    with pytest.raises(SnapshotError):
        table(*models)


def test_a_backend_outlives_the_snapshot_that_named_it() -> None:
    backends = Backends()
    first = build_table(Snapshot(version=1, models=(served(endpoint(1)),)), backends.of)
    second = build_table(Snapshot(version=2, models=(served(endpoint(1), endpoint(2)),)), backends.of)
    assert first.backends < second.backends


def test_the_same_replica_at_a_new_address_is_another_backend() -> None:
    backends = Backends()
    assert backends.of(endpoint(1, "replica")) is not backends.of(endpoint(2, "replica"))


@dataclass(frozen=True)
class Candidate:
    in_flight: int
    healthy: bool = True

    def admits(self, now: float) -> bool:
        return self.healthy


A, B, C = Candidate(3), Candidate(1), Candidate(2)
SUSPECT = Candidate(0, healthy=False)


@pytest.mark.parametrize(
    ("candidates", "tried", "picked"),
    [
        pytest.param([], [], None, id="nobody"),
        pytest.param([A], [], A, id="the only one"),
        pytest.param([A, B, C], [], B, id="the fewest in flight"),
        pytest.param([A, B, C], [B], C, id="not one that was tried"),
        pytest.param([A], [A], None, id="none is left"),
        pytest.param([A, SUSPECT], [], A, id="not one that is set aside"),
        pytest.param([SUSPECT], [], SUSPECT, id="one that is set aside rather than none"),
        pytest.param([A, SUSPECT], [A], SUSPECT, id="one that is set aside when the others were tried"),
    ],
)
def test_who_is_picked(candidates: list[Candidate], tried: list[Candidate], picked: Candidate | None) -> None:
    assert pick(candidates, tried, 0.0, 0) == picked


def test_equals_take_turns() -> None:
    equals = [Candidate(1), Candidate(1), Candidate(1), Candidate(2)]
    picked = [pick(equals, [], 0.0, turn) for turn in range(6)]
    assert {id(candidate) for candidate in picked} == {id(candidate) for candidate in equals[:3]}


def test_an_endpoint_is_set_aside_for_longer_each_time() -> None:
    health, spans = HEALTHY, []
    for _ in range(9):
        health = health.after_failure(100.0)
        spans.append(health.blocked_until - 100.0 if health.ejected else 0.0)
    assert spans == [0, 0, 1, 2, 4, 8, 16, 30, 30]


def test_after_its_time_one_request_probes_and_the_others_wait() -> None:
    health = HEALTHY
    for _ in range(3):
        health = health.after_failure(100.0)
    assert not health.admits(100.5)
    assert health.admits(101.0)
    assert not health.probing(101.0).admits(101.1)


def test_a_healthy_endpoint_does_not_probe() -> None:
    assert Health(failures=1).probing(5.0) == Health(failures=1)


def test_a_retry_budget_is_a_tenth_of_the_successes_and_three_a_second() -> None:
    budget = RetryBudget(0.0, successes=100)
    assert [budget.spend(0.0, 100) for _ in range(4)] == [True, True, True, False]
    assert budget.spend(0.4, 100)
    assert not budget.spend(0.4, 100)
    assert [budget.spend(0.4, 120) for _ in range(3)] == [True, True, False]
    assert sum(budget.spend(1000.0, 120) for _ in range(100)) == MOST_SAVED
