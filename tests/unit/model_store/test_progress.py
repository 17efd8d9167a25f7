"""What a person is shown while bytes arrive."""

from hub.clock import FakeClock
from inferry_runtime.model.progress import FetchProgress, Meter


def test_speed_and_remaining_time_are_those_of_the_last_seconds() -> None:
    clock, seen = FakeClock(), list[FetchProgress]()
    meter = Meter(10_000, seen.append, clock)
    meter.present("a", 2_000)
    for _ in range(20):
        clock.now += 1.0
        meter.fetched("a", 100)
    assert (seen[-1].done_bytes, seen[-1].bytes_per_second, seen[-1].eta_seconds) == (4_000, 100.0, 60.0)
    for _ in range(10):
        clock.now += 1.0
        meter.fetched("a", 300)
    assert (seen[-1].bytes_per_second, seen[-1].eta_seconds) == (300.0, 10.0)


def test_bytes_that_were_there_before_count_as_done_but_not_as_speed() -> None:
    clock, seen = FakeClock(), list[FetchProgress]()
    meter = Meter(1_000, seen.append, clock)
    clock.now += 1.0
    meter.present("a", 900)
    assert (seen[-1].done_bytes, seen[-1].bytes_per_second, seen[-1].eta_seconds) == (900, 0.0, None)


def test_the_listener_is_told_a_few_times_per_second_and_at_the_end() -> None:
    clock, seen = FakeClock(), list[FetchProgress]()
    meter = Meter(1_000, seen.append, clock)
    for _ in range(1_000):
        clock.now += 0.001
        meter.fetched("a", 1)
    assert 4 <= len(seen) <= 6
    meter.finish("a")
    assert (seen[-1].done_bytes, seen[-1].file) == (1_000, "a")


def test_more_than_everything_is_never_shown() -> None:
    clock, seen = FakeClock(), list[FetchProgress]()
    meter = Meter(100, seen.append, clock)
    meter.fetched("a", 150)
    assert seen[-1].done_bytes == 100
