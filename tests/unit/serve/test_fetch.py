"""What a replica says of its files."""

import pytest

from inferry_runtime.model.store import Difference
from inferry_runtime.serve.fetch import note_of


def differing(*paths: str) -> tuple[Difference, ...]:
    return tuple(Difference(path=path, expected="0" * 64, found="f" * 64) for path in paths)


@pytest.mark.parametrize(
    ("paths", "named"),
    [
        (["a"], "digests: a (a has"),
        (["a", "b", "c"], "digests: a, b, c (a has"),
        (["a", "b", "c", "d", "e"], "digests: a, b, c and 2 more (a has"),
    ],
)
def test_the_first_files_that_differ_are_named(paths: list[str], named: str) -> None:
    assert named in note_of(differing(*paths))


def test_nothing_is_noted_where_nothing_differs() -> None:
    assert note_of(()) == ""
