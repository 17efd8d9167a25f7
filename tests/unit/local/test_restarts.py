"""When a failed replica is started again."""

import pytest

from inferry.local.restarts import RestartPolicy, delay_seconds, failures_in_a_row

POLICY = RestartPolicy()


@pytest.mark.parametrize(
    ("failures", "seconds"),
    [
        pytest.param(0, 0.0, id="a crash after a good run is repaired at once"),
        pytest.param(1, 10.0, id="the first quick failure waits ten seconds"),
        pytest.param(2, 20.0, id="the second one twice as long"),
        pytest.param(3, 40.0, id="and so on"),
        pytest.param(5, 160.0, id="up to"),
        pytest.param(6, 300.0, id="five minutes"),
        pytest.param(5000, 300.0, id="and never longer, however often it fails"),
    ],
)
def test_the_wait_doubles_up_to_five_minutes(failures: int, seconds: float) -> None:
    assert delay_seconds(failures, POLICY) == seconds


@pytest.mark.parametrize(
    ("before", "answered_seconds", "after"),
    [
        pytest.param(0, 0.0, 1, id="one that never answered counts"),
        pytest.param(3, 9.9, 4, id="one that answered too shortly counts"),
        pytest.param(3, 10.0, 0, id="ten seconds of answers forgive everything before"),
        pytest.param(0, 3600.0, 0, id="a crash after an hour is the first one"),
    ],
)
def test_a_good_run_forgives_the_failures_before_it(before: int, answered_seconds: float, after: int) -> None:
    assert failures_in_a_row(before, answered_seconds, POLICY) == after


def test_a_replica_that_keeps_crashing_early_is_started_less_and_less_often() -> None:
    failures, delays = 0, []
    for answered in (60.0, 0.0, 2.0, 0.0):
        failures = failures_in_a_row(failures, answered, POLICY)
        delays.append(delay_seconds(failures, POLICY))
    assert delays == [0.0, 10.0, 20.0, 40.0]
