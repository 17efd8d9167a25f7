"""Whatever an object is called, what belongs to it has valid names of its own."""

import re

from hypothesis import given
from hypothesis import strategies as st

from inferry.api.labels import replica_labels, selector
from inferry.api.names import LABEL_LENGTH, child_name, label_value, replica_name, revision_name
from inferry.api.validate import OBJECT_NAME

DNS_1035 = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
LABEL = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")

PART = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,80}[a-z0-9])?", fullmatch=True)
NAMES = st.lists(PART, min_size=1, max_size=4).map(".".join).map(lambda name: name[:253].rstrip("-."))
REVISIONS = st.from_regex(r"[0-9a-f]{10}", fullmatch=True)


@given(NAMES, REVISIONS, st.integers(0, 99_999))
def test_every_name_is_valid_short_and_the_same_every_time(name, revision, ordinal):
    assert OBJECT_NAME.fullmatch(name)
    for make in (
        lambda: child_name(name, "service"),
        lambda: revision_name(name, revision),
        lambda: replica_name(name, revision, ordinal),
    ):
        assert DNS_1035.fullmatch(make())
        assert len(make()) <= LABEL_LENGTH
        assert make() == make()


@given(st.lists(NAMES, min_size=2, max_size=20, unique=True), REVISIONS)
def test_no_two_objects_share_a_name(names, revision):
    replicas = {replica_name(name, revision, ordinal) for name in names for ordinal in range(3)}
    assert len(replicas) == 3 * len(names)
    assert len({label_value(name) for name in names}) == len(names)


@given(PART)
def test_long_names_that_differ_only_at_the_end_do_not_meet(part):
    first, second = (part * 100)[:250] + "aa", (part * 100)[:250] + "ab"
    assert child_name(first) != child_name(second)
    assert label_value(first) != label_value(second)


@given(NAMES, REVISIONS)
def test_labels_are_valid_and_no_object_can_be_named_like_a_shortened_one(name, revision):
    for value in replica_labels(name, revision).values():
        assert LABEL.fullmatch(value)
    value = label_value(name)
    assert value == name or not OBJECT_NAME.fullmatch(value)


def test_a_name_can_be_recognised_in_its_childrens():
    assert revision_name("qwen", "0123456789").startswith("qwen-")
    assert replica_name("qwen2.5-0.5b", "0123456789", 3).startswith("qwen2-5-0-5b-")
    assert replica_name("0.5b", "0123456789", 3).startswith("m-0-5b-")
    assert selector("qwen") == "inferry.dev/deployment=qwen"


def test_names_do_not_change_between_releases():
    assert replica_name("qwen", "0123456789", 0) == "qwen-vggdp2mv-0"
