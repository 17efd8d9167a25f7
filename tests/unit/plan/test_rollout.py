"""One look, one step: what stays, what drains, what goes."""

import pytest

from inferry.plan.rollout import SETTLE_SECONDS, Moves, next_moves
from inferry.plan.types import Phase
from worlds.samples import a_failure, a_replica, observed

NOW = 2000.0


def moves(wanted, drain=(), remove=(), again_after=None):
    return Moves(wanted=wanted, drain=tuple(drain), remove=tuple(remove), again_after=again_after)


def down(name, revision, **changes):
    return a_replica(name, revision, ready=False, **changes)


CASES = {
    "nothing there: all wanted replicas at once": ((), "new", 3, moves(3)),
    "all there: nothing to do": ([a_replica("a", "new")], "new", 1, moves(1)),
    "one more wanted": ([a_replica("a", "new")], "new", 2, moves(2)),
    "a new revision starts beside the old one": ([a_replica("a", "old")], "new", 1, moves(1)),
    "three old ones make room for one new one only": (
        [a_replica(name, "old") for name in "abc"],
        "new",
        3,
        moves(1),
    ),
    "a new one that answers lets one old one drain, and the next new one start": (
        [a_replica("a", "old"), a_replica("b", "old"), a_replica("n", "new")],
        "new",
        2,
        moves(2, drain=["a"], again_after=SETTLE_SECONDS),
    ),
    "an old one that does not answer makes room at once": (
        [down("a", "old"), a_replica("b", "old")],
        "new",
        2,
        moves(2, remove=["a"]),
    ),
    "while the new one fails, an old one that is down for a moment stays": (
        [down("a", "old"), down("n", "new", failure=a_failure())],
        "new",
        1,
        moves(1),
    ),
    "new ones that answer are kept although old ones that are down take up the room": (
        [
            *(down(name, "old") for name in "abc"),
            *(a_replica(name, "new") for name in "xy"),
            down("z", "new", failure=a_failure()),
        ],
        "new",
        3,
        moves(2, remove=["z"]),
    ),
    "scaling down takes the one that does not answer first": (
        [a_replica("a", "new"), down("b", "new"), a_replica("c", "new")],
        "new",
        2,
        moves(2, remove=["b"]),
    ),
    "then the one with the fewest requests": (
        [a_replica("a", "new", in_flight=3), a_replica("b", "new", in_flight=1), a_replica("c", "new", in_flight=2)],
        "new",
        2,
        moves(2, drain=["b"], again_after=SETTLE_SECONDS),
    ),
    "then the youngest": (
        [a_replica("a", "new", created_at=1.0), a_replica("b", "new", created_at=2.0)],
        "new",
        1,
        moves(1, drain=["b"], again_after=SETTLE_SECONDS),
    ),
    "one whose requests nobody counted is taken last": (
        [a_replica("a", "new", in_flight=None), a_replica("b", "new", in_flight=7)],
        "new",
        1,
        moves(1, drain=["b"], again_after=SETTLE_SECONDS),
    ),
    "one that lost its readiness but still answers is drained": (
        [a_replica("a", "new", ready=False, phase=Phase.READY, in_flight=2)],
        "new",
        0,
        moves(0, drain=["a"], again_after=SETTLE_SECONDS),
    ),
    "one that a gateway may just be taking up is drained, not removed": (
        [a_replica("a", "new", ready=False, phase=Phase.ANSWERED, in_flight=None)],
        "new",
        0,
        moves(0, drain=["a"], again_after=SETTLE_SECONDS),
    ),
    "an old one keeps answering until a gateway has taken up the new one": (
        [a_replica("a", "old"), down("n", "new", phase=Phase.ANSWERED)],
        "new",
        1,
        moves(1),
    ),
    "nothing wanted: what answers drains, what does not goes": (
        [a_replica("a", "new"), down("b", "new"), a_replica("c", "old")],
        "new",
        0,
        moves(0, drain=["a", "c"], remove=["b"], again_after=SETTLE_SECONDS),
    ),
    "not known what shall run: everything stays": (
        [a_replica("a", "x"), down("b", "y"), a_replica("c", "x")],
        None,
        1,
        moves(0),
    ),
    "not known what shall run, and nothing wanted: everything goes": (
        [a_replica("a", "x"), down("b", "y")],
        None,
        0,
        moves(0, drain=["a"], remove=["b"], again_after=SETTLE_SECONDS),
    ),
    "a stopping one no longer counts": (
        [a_replica("a", "new", ready=False, phase=Phase.STOPPING)],
        "new",
        1,
        moves(1),
    ),
    "a draining one is replaced": (
        [a_replica("a", "new", draining_since=NOW - 10, in_flight=1)],
        "new",
        1,
        moves(1, again_after=20.0),
    ),
    "a draining one that is idle goes once every gateway knows": (
        [a_replica("a", "old", draining_since=NOW - 1)],
        "new",
        0,
        moves(0, remove=["a"]),
    ),
    "a draining one that seems idle stays until every gateway knows": (
        [a_replica("a", "old", draining_since=NOW - 0.125)],
        "new",
        0,
        moves(0, again_after=0.375),
    ),
    "a draining one that is busy goes at its deadline": (
        [a_replica("a", "old", draining_since=NOW - 30, in_flight=5)],
        "new",
        0,
        moves(0, remove=["a"]),
    ),
    "a draining one nobody counts on is given its time": (
        [a_replica("a", "old", draining_since=NOW - 20, in_flight=None)],
        "new",
        0,
        moves(0, again_after=10.0),
    ),
    "a draining one that crashed has nothing left to finish": (
        [down("a", "old", draining_since=NOW - 0.1, phase=Phase.BACKING_OFF)],
        "new",
        0,
        moves(0, remove=["a"]),
    ),
}


@pytest.mark.parametrize(("replicas", "target", "desired", "expected"), CASES.values(), ids=CASES.keys())
def test_the_next_step(replicas, target, desired, expected):
    assert next_moves(observed(*replicas), target, desired, NOW) == expected
