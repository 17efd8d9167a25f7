"""A condition's time tells since when; Ready tells whether a request would be answered."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferry.api.conditions import Finding, condition, merge, rfc3339, roll_up
from inferry.api.status import ConditionType

NOW = 1_700_000_000.0


def finding(type_, status="True", reason="Good", message="It is."):
    return Finding(type=ConditionType(type_), status=status, reason=reason, message=message)


def only(conditions):
    (found,) = conditions
    return found


def test_times_are_written_as_kubernetes_writes_them():
    assert rfc3339(NOW + 0.9) == "2023-11-14T22:13:20Z"


def test_a_time_stays_while_the_status_is_the_same_although_the_reason_changes():
    first = merge((), [finding("Available", "False", "Loading")], 1, NOW)
    second = merge(first, [finding("Available", "False", "EngineCrashed", "It ended.")], 2, NOW + 60)
    assert only(second).last_transition_time == only(first).last_transition_time
    assert (only(second).reason, only(second).message, only(second).observed_generation) == (
        "EngineCrashed",
        "It ended.",
        2,
    )


def test_a_time_moves_when_the_status_flips():
    first = merge((), [finding("Available", "False")], 1, NOW)
    second = merge(first, [finding("Available", "True")], 1, NOW + 60)
    assert only(second).last_transition_time == rfc3339(NOW + 60)


def test_conditions_come_in_one_order_and_old_types_go():
    before = merge((), [finding("Ready"), finding("Scheduled")], 1, NOW)
    after = merge(before, [finding("Ready"), finding("Accepted")], 1, NOW)
    assert [entry.type for entry in after] == ["Accepted", "Ready"]


STATUSES = st.sampled_from(["True", "False", "Unknown"])


@given(st.lists(st.tuples(STATUSES, st.integers(0, 100)), min_size=1, max_size=20))
def test_a_time_is_always_that_of_the_last_flip(steps):
    conditions, moment, last_flip, before = (), NOW, NOW, None
    for status, seconds in steps:
        moment += seconds
        conditions = merge(conditions, [finding("Ready", status)], 1, moment)
        if status != before:
            last_flip, before = moment, status
        assert only(conditions).last_transition_time == rfc3339(last_flip)


def children(**changes):
    """All is well, but for what is said: `Available="False Loading"`."""
    reasons = {
        "Accepted": "True Accepted",
        "ModelReady": "True ModelVerified",
        "EngineSelected": "True EngineSelected",
        "Scheduled": "True Scheduled",
        "Available": "True Available",
        "Progressing": "False Complete",
        **changes,
    }
    return [finding(type_, *text.split()) for type_, text in reasons.items()]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "True Ready"),
        ({"Available": "False Loading"}, "False Loading"),
        ({"Available": "False ScaledToZero"}, "True ScaledToZero"),
        ({"Available": "False Suspended"}, "False Suspended"),
        ({"Available": "False Suspended", "ModelReady": "False ModelNotFound"}, "False Suspended"),
        ({"Accepted": "False InvalidSpec", "Available": "False Loading"}, "False InvalidSpec"),
        ({"Accepted": "False InvalidSpec"}, "False InvalidSpec"),
        ({"ModelReady": "False ModelNotFound", "EngineSelected": "Unknown Deciding"}, "False ModelNotFound"),
        ({"ModelReady": "Unknown Inspecting", "Available": "False NoReplicas"}, "Unknown Inspecting"),
        ({"ModelReady": "False Downloading"}, "True Ready"),
        ({"ModelReady": "False Downloading", "Available": "False Downloading"}, "False Downloading"),
        ({"ModelReady": "False HubUnreachable", "Available": "False ScaledToZero"}, "False HubUnreachable"),
        ({"EngineSelected": "False InsufficientMemory"}, "False InsufficientMemory"),
        ({"Scheduled": "False Preparing"}, "True Ready"),
        ({"Progressing": "False EngineCrashed"}, "True Ready"),
    ],
    ids=lambda value: (
        " and ".join(f"{key} {text}" for key, text in value.items()) if isinstance(value, dict) else value
    ),
)
def test_ready_rolls_up(changes, expected):
    ready = roll_up(children(**changes))
    assert f"{ready.status} {ready.reason}" == expected
    assert ready.type is ConditionType.READY


def test_a_condition_is_found_by_its_type():
    conditions = merge((), [finding("Ready"), finding("Accepted")], 1, NOW)
    assert condition(conditions, ConditionType.READY).type is ConditionType.READY
    assert condition(conditions, ConditionType.SCHEDULED) is None
