"""Which bytes of a file are there: the arithmetic, and what of it survives any kind of crash."""

import itertools
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from inferry_runtime.model.journal import RECORD_BYTES, Journal, read_journal
from inferry_runtime.model.ranges import Span, covered, merged, missing

SIZE = 64
spans = st.lists(
    st.builds(Span, st.integers(0, SIZE), st.integers(0, SIZE)).filter(lambda span: span.end <= SIZE), max_size=8
)


def positions(some: tuple[Span, ...] | list[Span]) -> set[int]:
    return {position for span in some for position in range(span.offset, span.end)}


@given(spans)
def test_merging_keeps_every_byte_and_leaves_gaps_between_spans(some: list[Span]) -> None:
    joined = merged(some)
    assert positions(joined) == positions(some)
    assert all(left.end < right.offset for left, right in itertools.pairwise(joined))
    assert covered(some) == len(positions(some))


@given(spans, st.integers(1, SIZE))
def test_what_is_missing_is_exactly_what_is_not_there_in_pieces_of_the_step(some: list[Span], step: int) -> None:
    gaps = missing(some, SIZE, step)
    assert positions(gaps) == set(range(SIZE)) - positions(some)
    assert sum(gap.length for gap in gaps) == SIZE - covered(some)
    assert all(0 < gap.length <= step for gap in gaps)


def test_an_empty_file_misses_nothing() -> None:
    assert missing((), 0, 8) == ()


def test_a_journal_cut_anywhere_tells_its_whole_records_and_goes_on_after_them(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journal = Journal(path)
    for number in range(4):
        journal.append(Span(number * 10, 5))
    journal.close()
    whole = path.read_bytes()
    for length in range(len(whole) + 1):
        path.write_bytes(whole[:length])
        assert len(read_journal(path)) == length // RECORD_BYTES
        again = Journal(path)
        again.append(Span(1000, 1))
        again.close()
        assert len(read_journal(path)) == length // RECORD_BYTES + 1


def test_a_journal_with_any_bit_flipped_tells_no_span_that_was_not_written(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journal = Journal(path)
    journal.append(Span(0, 7))
    journal.append(Span(16, 9))
    journal.close()
    whole = path.read_bytes()
    for bit in range(len(whole) * 8):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(bytes(damaged))
        assert set(read_journal(path)) <= {Span(0, 7), Span(16, 9)}
