"""The chunk walker finds the end of a message wherever its bytes are cut."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferry.gateway.chunks import LAST_CHUNK, TRAILER_BYTES, ChunkError, ChunkWalker

PAYLOADS = st.lists(st.binary(min_size=1, max_size=40), max_size=6)
CUTS = st.lists(st.integers(min_value=0, max_value=400), max_size=12)
TRAILERS = st.sampled_from([b"", b"x-checksum: 1\r\n", b"a: b\r\nc: d\r\n"])


def framed(payloads: list[bytes]) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(payload), payload) for payload in payloads)


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, *(place % (len(data) + 1) for place in cuts), len(data)})
    return [data[start:end] for start, end in pairwise(places)]


@given(PAYLOADS, TRAILERS, CUTS, st.binary(max_size=20))
def test_any_cutting_relays_the_same_bytes_and_finds_the_same_end(
    payloads: list[bytes], trailer: bytes, cuts: list[int], surplus: bytes
) -> None:
    walker = ChunkWalker(collect=True)
    relayed, payload, left = b"", b"", b""
    for piece in cut(framed(payloads) + b"0\r\n" + trailer + b"\r\n" + surplus, cuts):
        if walker.done:
            left += piece
            continue
        relayed += walker.feed(piece)
        payload += walker.take_payload()
        left += walker.surplus
    assert walker.done
    assert relayed == framed(payloads)
    assert payload == b"".join(payloads)
    assert left == surplus


@given(PAYLOADS, CUTS)
def test_a_message_without_its_last_chunk_is_never_done(payloads: list[bytes], cuts: list[int]) -> None:
    walker = ChunkWalker()
    relayed = b"".join(walker.feed(piece) for piece in cut(framed(payloads), cuts))
    assert not walker.done
    assert relayed == framed(payloads)
    assert walker.between_chunks


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"+5\r\nhello\r\n", id="signed size"),
        pytest.param(b"0x5\r\nhello\r\n", id="prefixed size"),
        pytest.param(b"5_0\r\n", id="underscore in the size"),
        pytest.param(b" 5\r\nhello\r\n", id="space before the size"),
        pytest.param(b"5 \r\nhello\r\n", id="space after the size"),
        pytest.param(b"5;name=value\r\nhello\r\n", id="extension"),
        pytest.param(b"5\nhello\r\n", id="bare line feed after the size"),
        pytest.param(b"5\r\nhello\n", id="bare line feed after the payload"),
        pytest.param(b"5\r\nhelloXX", id="payload longer than its size"),
        pytest.param(b"5\r\nhello\rX", id="carriage return without line feed"),
        pytest.param(b"\r\n", id="empty size"),
        pytest.param(b"fffffffffffffffff\r\n", id="size beyond 64 bits"),
        pytest.param(b"0\r\n" + b"a" * (TRAILER_BYTES + 1), id="endless trailer"),
        pytest.param(b"g\r\n", id="not a digit"),
    ],
)
def test_what_two_parsers_could_read_differently_is_an_error(data: bytes) -> None:
    with pytest.raises(ChunkError):
        ChunkWalker().feed(data)
    walker = ChunkWalker()
    with pytest.raises(ChunkError):
        for byte in data:
            walker.feed(bytes([byte]))


def test_the_end_of_a_message_is_never_relayed_early() -> None:
    walker = ChunkWalker()
    assert walker.feed(b"3\r\nabc\r\n0") == b"3\r\nabc\r\n"
    assert walker.feed(b"\r") == b""
    assert walker.feed(b"\n\r\n") == b""
    assert walker.done


@pytest.mark.parametrize("place", range(len(b"3\r\nabc\r\n")))
def test_between_chunks_is_only_said_between_chunks(place: int) -> None:
    walker = ChunkWalker()
    walker.feed(b"3\r\nabc\r\n"[:place])
    assert walker.between_chunks == (place < len(b"3\r\n"))


def test_the_last_chunk_is_what_the_walker_takes_as_the_end() -> None:
    walker = ChunkWalker()
    walker.feed(LAST_CHUNK)
    assert walker.done
