"""Status says what is there, what it waits for, and what to do about it."""

from dataclasses import replace

import pytest

from inferry.api.conditions import condition
from inferry.api.reasons import Reason
from inferry.api.status import ConditionType
from inferry.plan.plan import make_plan
from inferry.plan.status import waiting, with_apply_failure
from inferry.plan.types import ModelProblem, Phase, PlanInput, Progress
from worlds.samples import (
    COMMIT,
    MIB,
    a_decision,
    a_deployment,
    a_failure,
    a_replica,
    an_inspection,
    no_decision,
    observed,
)

NOW = 1_700_000_000.0
UNKNOWN = ModelProblem(reason="HubUnreachable", message="hub.example does not answer.", hint="", retry_at=NOW + 5)
MISSING = ModelProblem(reason="ModelNotFound", message="There is no Qwen/Nope.", hint="Check it.", retry_at=None)


def look(*replicas, deployment=None, **changes):
    given = PlanInput(
        deployment=deployment or a_deployment(),
        model=an_inspection(),
        decision=a_decision(),
        observed=observed(*replicas),
        now=NOW,
    )
    return make_plan(replace(given, **changes))


def revision(**changes):
    return look(**changes).revisions[0].revision


def said(status, type_):
    found = condition(status.conditions, type_)
    return found.status, found.reason


def unchecked():
    return a_deployment(model={"source": "hf://a/b", "integrity": {"policy": "Off"}})


def downloading(name="a", done=43, total=100):
    progress = Progress(message="Downloading", done=done * MIB, total=total * MIB, per_second=5 * MIB, eta_seconds=12.4)
    return a_replica(name, revision(), ready=False, phase=Phase.DOWNLOADING, progress=progress)


SITUATIONS = {
    "nothing known yet": (
        lambda: look(model=None, decision=None),
        {"Accepted": "True Accepted", "ModelReady": "Unknown Inspecting", "EngineSelected": "Unknown Deciding"},
        "Unknown Inspecting",
    ),
    "a spec that cannot be": (
        lambda: look(model=None, decision=None, problems=(("InvalidSource", "spec.model.source: no."),)),
        {"Accepted": "False InvalidSource", "ModelReady": "Unknown Waiting"},
        "False InvalidSource",
    ),
    "a model that is not there": (
        lambda: look(model=MISSING, decision=None),
        {"ModelReady": "False ModelNotFound", "EngineSelected": "Unknown Deciding", "Progressing": "False Waiting"},
        "False ModelNotFound",
    ),
    "a hub that does not answer": (
        lambda: look(model=UNKNOWN, decision=None),
        {"ModelReady": "False HubUnreachable"},
        "False HubUnreachable",
    ),
    "a hub that does not answer while a replica does": (
        lambda: look(a_replica("a", "known-before"), model=UNKNOWN, decision=None),
        {"ModelReady": "False HubUnreachable", "Available": "True Available"},
        "True Ready",
    ),
    "a model that is not there any more while a replica answers": (
        lambda: look(a_replica("a", "known-before"), model=MISSING, decision=None),
        {"Available": "True Available"},
        "False ModelNotFound",
    ),
    "no engine": (
        lambda: look(decision=no_decision()),
        {"EngineSelected": "False NoCompatibleEngine", "Accepted": "True Accepted"},
        "False NoCompatibleEngine",
    ),
    "an engine nobody knows": (
        lambda: look(decision=no_decision("UnknownEngine", 'There is no engine "vlm".')),
        {"Accepted": "False UnknownEngine", "EngineSelected": "Unknown Deciding"},
        "False UnknownEngine",
    ),
    "no replica yet": (
        look,
        {"Scheduled": "False Preparing", "Available": "False NoReplicas", "Progressing": "True Starting"},
        "False NoReplicas",
    ),
    "a replica that waits for its place": (
        lambda: look(a_replica("a", revision(), ready=False, phase=Phase.PENDING)),
        {"Scheduled": "False Preparing", "ModelReady": "True Inspected", "Available": "False Preparing"},
        "False Preparing",
    ),
    "a replica that fetches": (
        lambda: look(downloading()),
        {"Scheduled": "True Scheduled", "ModelReady": "False Downloading", "Available": "False Downloading"},
        "False Downloading",
    ),
    "a replica that loads": (
        lambda: look(a_replica("a", revision(), ready=False)),
        {"ModelReady": "True ModelVerified", "Available": "False Loading", "Progressing": "True Starting"},
        "False Loading",
    ),
    "one has answered, the gateway does not know yet": (
        lambda: look(a_replica("a", revision(), ready=False, phase=Phase.ANSWERED)),
        {"ModelReady": "True ModelVerified", "Available": "False Announcing", "Progressing": "True Starting"},
        "False Announcing",
    ),
    "a replica that answers": (
        lambda: look(a_replica("a", revision())),
        {"ModelReady": "True ModelVerified", "Available": "True Available", "Progressing": "False Complete"},
        "True Ready",
    ),
    "a replica that crashed": (
        lambda: look(a_replica("a", revision(), ready=False, phase=Phase.BACKING_OFF, failure=a_failure())),
        {"Available": "False EngineCrashed", "Progressing": "False EngineCrashed", "ModelReady": "True ModelVerified"},
        "False EngineCrashed",
    ),
    "a replica whose bytes are wrong": (
        lambda: look(
            a_replica("a", revision(), ready=False, phase=Phase.BACKING_OFF, failure=a_failure("DigestMismatch"))
        ),
        {"ModelReady": "False DigestMismatch"},
        "False DigestMismatch",
    ),
    "a replica that serves bytes which differ from their digests": (
        lambda: look(a_replica("a", revision(), note="Served although the bytes differ from the digests: m.gguf.")),
        {"ModelReady": "True DigestsDiffer", "Available": "True Available"},
        "True Ready",
    ),
    "a replica whose bytes nobody looked at": (
        lambda: look(a_replica("a", revision(deployment=unchecked())), deployment=unchecked()),
        {"ModelReady": "True NotVerified"},
        "True Ready",
    ),
    "a rollout that fetches while the old one answers": (
        lambda: look(downloading(), a_replica("b", "old")),
        {"ModelReady": "False Downloading", "Progressing": "True RollingOut", "Available": "True Available"},
        "True Ready",
    ),
    "a rollout that fails while the old one answers": (
        lambda: look(
            a_replica("a", revision(), ready=False, phase=Phase.BACKING_OFF, failure=a_failure("WeightsDoNotFit")),
            a_replica("b", "old"),
        ),
        {"Progressing": "False WeightsDoNotFit", "Available": "True Available"},
        "True Ready",
    ),
    "one replica of two": (
        lambda: look(a_replica("a", revision()), deployment=a_deployment(replicas=2)),
        {"Scheduled": "False Preparing", "Progressing": "True Scaling", "Available": "True Available"},
        "True Ready",
    ),
    "scaled to zero": (
        lambda: look(deployment=a_deployment(replicas=0)),
        {"Available": "False ScaledToZero", "Progressing": "False Complete", "ModelReady": "True Inspected"},
        "True ScaledToZero",
    ),
    "scaled to zero, of a model that is not there": (
        lambda: look(deployment=a_deployment(replicas=0), model=MISSING, decision=None),
        {"Available": "False ScaledToZero"},
        "False ModelNotFound",
    ),
    "suspended": (
        lambda: look(deployment=a_deployment(suspend=True)),
        {"Available": "False Suspended"},
        "False Suspended",
    ),
    "suspended while the last one finishes": (
        lambda: look(
            a_replica("a", revision(), draining_since=NOW - 1, in_flight=1), deployment=a_deployment(suspend=True)
        ),
        {"Progressing": "True Draining"},
        "False Suspended",
    ),
}


@pytest.mark.parametrize(("plan", "expected", "ready"), SITUATIONS.values(), ids=SITUATIONS.keys())
def test_conditions_of(plan, expected, ready):
    status = plan().status
    found = {type_: " ".join(said(status, type_)) for type_ in expected}
    assert found == expected
    assert " ".join(said(status, ConditionType.READY)) == ready
    assert status.phase == ready.split()[1]
    assert [entry.type for entry in status.conditions] == list(ConditionType)
    assert all(entry.message.endswith((".", ")")) for entry in status.conditions)


def test_a_download_is_told_in_numbers():
    status = look(downloading()).status
    assert status.progress.message == "Downloading 43 % (43 MiB of 100 MiB, 5 MiB/s, 12 s left)"
    assert (status.progress.percent, status.progress.eta_seconds) == (43, 12)
    assert waiting(status) == ("Downloading", "Downloading 43 % (43 MiB of 100 MiB, 5 MiB/s, 12 s left)")


def test_progress_is_of_the_slowest_replica():
    status = look(downloading("a", 90), downloading("b", 10), deployment=a_deployment(replicas=2)).status
    assert status.progress.percent == 10


def test_a_failure_says_why_what_to_do_how_often_and_when_next():
    failure = a_failure("HostOutOfMemory", message="It needed 9 GiB", hint="Use less.", restarts=3, retry_at=NOW + 40)
    status = look(a_replica("a", revision(), ready=False, phase=Phase.BACKING_OFF, failure=failure)).status
    reason, message = waiting(status)
    assert reason == "HostOutOfMemory"
    assert message == "It needed 9 GiB. Use less. Next try at 2023-11-14T22:14:00Z. Restarted 3 times."


def test_a_failure_without_a_hint_gets_the_next_action_of_its_reason():
    failure = a_failure("WeightsDoNotFit", restarts=0, retry_at=None)
    status = look(a_replica("a", revision(), ready=False, phase=Phase.BACKING_OFF, failure=failure)).status
    assert Reason.WEIGHTS_DO_NOT_FIT.meaning.next_action in waiting(status)[1]


def test_ready_tells_of_a_rollout_that_does_not_come_up():
    failure = a_failure("WeightsDoNotFit", message="It needs 9 GiB.", restarts=0, retry_at=None)
    new = a_replica("a", revision(), ready=False, phase=Phase.BACKING_OFF, failure=failure)
    ready = condition(look(new, a_replica("b", "old")).status.conditions, ConditionType.READY)
    assert ready.message.startswith("1 of 1 replicas answer. It needs 9 GiB.")
    assert ready.message.endswith("1 replica of the revision before keeps answering.")


def test_nothing_waits_while_a_replica_answers():
    assert waiting(look(a_replica("a", revision())).status) == ("", "")


def test_a_deployment_nobody_has_looked_at_is_starting():
    assert waiting(None)[0] == "Starting"


def test_everything_that_was_decided_is_shown():
    deployment = a_deployment(generation=7)
    status = look(a_replica("a", revision()), deployment=deployment).status
    assert status.observed_generation == 7
    assert status.selector == "inferry.dev/deployment=qwen"
    assert (status.replicas, status.ready_replicas, status.updated_replicas) == (1, 1, 1)
    assert status.resolved.engine.name == "llamacpp"
    assert status.resolved.engine.args == {"n_ctx": 8192, "n_parallel": 4}
    assert (status.resolved.model.revision, status.resolved.model.parameters) == (COMMIT, "494M")
    assert status.resolved.model.quantization == "Q4_K_M"
    assert status.resolved.resources.estimate.total == "640 MiB"
    assert [(verdict.engine, verdict.chosen) for verdict in status.decision] == [("llamacpp", True), ("vllm", False)]
    assert status.decision[1].would_fit == "A node with one."


def test_what_was_decided_stays_in_sight_while_it_cannot_be_decided_anew():
    before = look(a_replica("a", revision())).status
    after = look(
        a_replica("a", revision()), deployment=a_deployment(status=before), model=UNKNOWN, decision=None
    ).status
    assert after.resolved == before.resolved
    assert after.decision == before.decision
    assert said(after, ConditionType.READY) == ("True", "Ready")


def test_a_time_moves_only_when_its_condition_flips():
    first = look(downloading()).status
    later = look(a_replica("a", revision()), deployment=a_deployment(status=first, generation=2), now=NOW + 60).status
    times = {entry.type: (entry.last_transition_time, entry.observed_generation) for entry in later.conditions}
    assert times[ConditionType.ACCEPTED] == ("2023-11-14T22:13:20Z", 2)
    assert times[ConditionType.READY] == ("2023-11-14T22:14:20Z", 2)
    again = look(a_replica("a", revision()), deployment=a_deployment(status=later, generation=2), now=NOW + 99).status
    assert again == later


def test_a_step_that_was_refused_is_told_and_its_time_stays_while_it_is_refused():
    planned = look().status
    first = with_apply_failure(planned, None, "No port is free.", NOW)
    again = with_apply_failure(planned, first, "No port is free.", NOW + 9)
    assert said(first, ConditionType.PROGRESSING) == ("False", "ApplyFailed")
    assert again == first


def test_a_retry_of_the_hub_is_waited_for():
    assert look(model=UNKNOWN, decision=None).again_after == 5.0


def test_a_wrong_spec_moves_nothing():
    plan = look(a_replica("a", "old"), a_replica("b", "older"), problems=(("InvalidSpec", "No."),), model=None)
    assert (plan.revisions, plan.drain, plan.remove) == ((), (), ())


def test_a_deletion_says_so():
    plan = look(a_replica("a", "x"), deployment=None)
    assert plan.status.phase != "Deleting"
    gone = make_plan(PlanInput(deployment=None, observed=observed(a_replica("a", "x")), now=NOW))
    assert (gone.status.phase, gone.drain, gone.revisions) == ("Deleting", ("a",), ())
