"""HTTP that breaks in every way we could think of: what is waited for, what is fetched again, what is told."""

import os
import threading

import pytest

from hub.clock import FakeClock
from hub.server import Fault, Hub
from inferry_runtime.model.errors import (
    DigestMismatch,
    HubUnreachable,
    MalformedFile,
    ModelError,
    ModelNotFound,
    Unauthorized,
)
from inferry_runtime.model.http_bytes import HttpBytes
from inferry_runtime.model.listing import Access
from inferry_runtime.model.retry import QUICK, Patience, Retry
from inferry_runtime.model.source import parse_source
from inferry_runtime.model.transport import Transport
from inferry_runtime.model.web import WebRepository

CONTENT = os.urandom(3 << 20)


def whole(hub: Hub, clock: FakeClock, token: str = "", patience: Patience = QUICK) -> bytes:
    """The file, fetched in two halves."""
    url = hub.add_file("m.gguf", CONTENT)
    transport = Transport(
        secrets={"Authorization": f"Bearer {token}"} if token else {},
        origin=url,
        retry=Retry(patience=patience, clock=clock),
    )
    source = HttpBytes(transport, url, size_bytes=len(CONTENT))
    try:
        return b"".join(source.chunks(0, 1 << 20)) + b"".join(source.chunks(1 << 20, len(CONTENT) - (1 << 20)))
    finally:
        transport.close()


def test_ranges_come_over_one_kept_connection(hub: Hub, clock: FakeClock) -> None:
    assert whole(hub, clock) == CONTENT
    assert [request.asked_range for request in hub.requests] == [(0, (1 << 20) - 1), (1 << 20, len(CONTENT) - 1)]
    assert hub.sent_bytes() == len(CONTENT)
    assert clock.waits == []


HEALED = {
    "503 twice": (Fault(match="m.gguf", times=2, status=503), [0.5, 1.0]),
    "429 with seconds to wait": (Fault(match="m.gguf", times=1, status=429, headers=(("Retry-After", "17"),)), [17.0]),
    "429 with a date": (
        Fault(match="m.gguf", times=1, status=429, headers=(("Retry-After", "Mon, 12 Jan 1970 13:46:50 GMT"),)),
        [10.0],
    ),
    "429 with nonsense": (Fault(match="m.gguf", times=1, status=429, headers=(("Retry-After", "soon"),)), [0.5]),
    "cut after a few bytes": (Fault(match="m.gguf", times=1, cut_after=100), [0.5]),
    "cut in the middle": (Fault(match="m.gguf", times=1, cut_after=500_000), [0.5]),
    "a longer body promised than sent": (Fault(match="m.gguf", times=1, cut_after=900_000, extra_length=5), [0.5]),
    "range ignored at the beginning": (Fault(match="m.gguf", times=1, ignore_range=True), []),
}


@pytest.mark.parametrize(("fault", "waits"), HEALED.values(), ids=list(HEALED))
def test_passing_trouble_costs_patience_but_no_byte(
    hub: Hub, clock: FakeClock, fault: Fault, waits: list[float]
) -> None:
    hub.fail(fault)
    assert whole(hub, clock) == CONTENT
    assert clock.waits == waits


def test_what_arrived_before_a_cut_is_not_fetched_again(hub: Hub, clock: FakeClock) -> None:
    hub.fail(Fault(match="m.gguf", times=3, cut_after=200_000))
    assert whole(hub, clock) == CONTENT
    assert hub.sent_bytes() == len(CONTENT)


FINAL = {
    "401": (Fault(match="m.gguf", status=401), Unauthorized),
    "403": (Fault(match="m.gguf", status=403), Unauthorized),
    "404": (Fault(match="m.gguf", status=404), ModelNotFound),
    "410": (Fault(match="m.gguf", status=410), ModelNotFound),
    "416 within the size that was listed": (Fault(match="m.gguf", status=416), DigestMismatch),
    "418": (Fault(match="m.gguf", status=418), ModelError),
    "another size than listed": (Fault(match="m.gguf", extra_size=1), DigestMismatch),
    "another part than asked for": (Fault(match="m.gguf", shift_range=3), MalformedFile),
    "compressed": (Fault(match="m.gguf", encoding="gzip"), MalformedFile),
    "endless redirect": (
        Fault(match="m.gguf", status=302, headers=(("Location", "/m.gguf"),)),
        HubUnreachable,
    ),
    "redirect to another protocol": (
        Fault(match="m.gguf", status=302, headers=(("Location", "ftp://host/m"),)),
        MalformedFile,
    ),
}


@pytest.mark.parametrize(("fault", "kind"), FINAL.values(), ids=list(FINAL))
def test_trouble_that_stays_is_a_typed_error_at_once(
    hub: Hub, clock: FakeClock, fault: Fault, kind: type[ModelError]
) -> None:
    hub.fail(fault)
    with pytest.raises(kind):
        whole(hub, clock)
    assert clock.waits == []


def test_a_server_that_stays_down_is_given_up_after_the_agreed_attempts(hub: Hub, clock: FakeClock) -> None:
    hub.fail(Fault(match="m.gguf", status=500))
    with pytest.raises(HubUnreachable) as error:
        whole(hub, clock)
    assert error.value.retryable
    assert clock.waits == [0.5, 1.0, 2.0]


def test_a_server_that_asks_for_an_hour_is_told_to_the_user_instead(hub: Hub, clock: FakeClock) -> None:
    hub.fail(Fault(match="m.gguf", status=429, headers=(("Retry-After", "3600"),)))
    with pytest.raises(HubUnreachable, match="limits requests"):
        whole(hub, clock)
    assert clock.waits == []


def test_nobody_listening_is_unreachable(clock: FakeClock) -> None:
    with Hub() as gone:
        url = gone.add_file("m.gguf", CONTENT)
    transport = Transport(secrets={}, origin=url, retry=Retry(clock=clock))
    with pytest.raises(HubUnreachable):
        transport.document(url)
    transport.close()


def test_a_server_that_drips_bytes_cannot_hold_us_for_ever(hub: Hub, clock: FakeClock) -> None:
    hub.fail(Fault(match="m.gguf", cut_after=10))
    with pytest.raises(HubUnreachable):
        whole(hub, clock)
    assert len(hub.requests) == QUICK.attempts


def test_a_server_that_ignores_ranges_does_not_make_us_read_the_whole_file(hub: Hub, clock: FakeClock) -> None:
    hub.fail(Fault(match="big.gguf", ignore_range=True))
    big = bytes(64 << 20)
    url = hub.add_file("big.gguf", big)
    transport = Transport(secrets={}, origin=url, retry=Retry(clock=clock))
    source = HttpBytes(transport, url, size_bytes=len(big))
    assert source.read_at(0, 100) == bytes(100)
    assert source.read_at(1000, 100) == bytes(100)
    with pytest.raises(MalformedFile, match="ignores ranges"):
        source.read_at(32 << 20, 100)
    transport.close()
    # Whatever was under way when we hung up sits in socket buffers.
    assert hub.sent_bytes() < len(big)


def test_a_server_that_falls_silent_in_the_middle_is_asked_again_for_the_rest(hub: Hub, clock: FakeClock) -> None:
    never = threading.Event()
    hub.fail(Fault(match="m.gguf", times=1, gate=never))
    url = hub.add_file("m.gguf", CONTENT)
    transport = Transport(secrets={}, origin=url, retry=Retry(clock=clock), read_seconds=0.2)
    source = HttpBytes(transport, url, size_bytes=len(CONTENT))
    assert b"".join(source.chunks(0, len(CONTENT))) == CONTENT
    assert [request.asked_range for request in hub.requests] == [
        (0, len(CONTENT) - 1),
        (len(CONTENT) // 2, len(CONTENT) - 1),
    ]
    transport.close()
    never.set()


def test_a_cancelled_wait_is_not_waited_out(hub: Hub, clock: FakeClock) -> None:
    hub.fail(Fault(match="m.gguf", status=500))
    url = hub.add_file("m.gguf", CONTENT)
    cancelled = threading.Event()
    cancelled.set()
    transport = Transport(secrets={}, origin=url, retry=Retry(clock=clock, cancelled=cancelled))
    with pytest.raises(HubUnreachable):
        transport.document(url)
    transport.close()
    assert clock.waits == []


def test_a_token_is_sent_to_its_origin_and_to_no_other(hub: Hub, clock: FakeClock) -> None:
    with Hub() as other:
        elsewhere = other.add_file("m.gguf", CONTENT)
        hub.fail(Fault(match="m.gguf", status=302, headers=(("Location", elsewhere),)))
        assert whole(hub, clock, token="hf_secret") == CONTENT
        assert {request.token for request in hub.requests} == {"hf_secret"}
        assert {request.token for request in other.requests} == {""}


def test_where_a_file_was_redirected_to_is_remembered_and_forgotten_when_it_expires(hub: Hub, clock: FakeClock) -> None:
    with Hub() as other:
        elsewhere = other.add_file("m.gguf", CONTENT)
        hub.fail(Fault(match="m.gguf", status=302, headers=(("Location", elsewhere),)))
        url = hub.add_file("m.gguf", CONTENT)
        transport = Transport(secrets={}, origin=url, retry=Retry(clock=clock))
        source = HttpBytes(transport, url, size_bytes=len(CONTENT))
        assert [source.read_at(0, 10), source.read_at(10, 10)] == [CONTENT[:10], CONTENT[10:20]]
        assert len(hub.requests) == 1
        other.fail(Fault(match="m.gguf", times=1, status=403))
        assert source.read_at(20, 10) == CONTENT[20:30]
        assert len(hub.requests) == 2
        transport.close()


def test_a_web_file_is_listed_by_its_name_and_its_revision_changes_with_it(hub: Hub, clock: FakeClock) -> None:
    revisions = set()
    for content in (b"one", b"two", b"three"):
        url = hub.add_file("folder/my%20model.gguf", content)
        hub.add_file("folder/my model.gguf", content)
        repository = WebRepository(parse_source(url), Access(), Retry(clock=clock))
        listed = repository.files()
        revisions.add(repository.revision)
        assert [(file.path, file.size_bytes) for file in listed] == [("my model.gguf", len(content))]
        assert repository.open("my model.gguf").read_at(0, 99) == content
        repository.close()
    assert len(revisions) == 3


def test_a_web_file_that_changes_between_two_reads_is_noticed(hub: Hub, clock: FakeClock) -> None:
    url = hub.add_file("m.gguf", b"a" * 100)
    repository = WebRepository(parse_source(url), Access(), Retry(clock=clock))
    source = repository.open("m.gguf")
    hub.add_file("m.gguf", b"b" * 100)
    with pytest.raises(DigestMismatch, match="changed while it was read"):
        source.read_at(0, 10)
    repository.close()


def test_a_document_without_end_is_refused(hub: Hub, clock: FakeClock) -> None:
    url = hub.add_file("long.json", bytes((64 << 20) + 1))
    transport = Transport(secrets={}, origin=url, retry=Retry(clock=clock))
    with pytest.raises(MalformedFile, match="longer than"):
        transport.document(url)
    transport.close()
