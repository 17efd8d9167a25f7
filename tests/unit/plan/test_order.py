"""What replicas start from, and when they have to be replaced."""

from dataclasses import replace

import pytest

from inferry.decide.decision import Placement
from inferry.plan.order import revision, serve_order
from inferry_runtime.model.facts import Task
from inferry_runtime.order import decode, encode
from worlds.samples import a_decision, a_deployment, an_inspection


def order(deployment=None, decision=None, inspection=None):
    return serve_order(deployment or a_deployment(), decision or a_decision(), inspection or an_inspection())


def revision_of(deployment=None, decision=None, inspection=None):
    deployment, decision = deployment or a_deployment(), decision or a_decision()
    return revision(order(deployment, decision, inspection), decision, deployment)


def of_tasks(*tasks):
    inspection = an_inspection()
    return replace(inspection, facts=replace(inspection.facts, tasks=tasks))


@pytest.mark.parametrize(
    ("tasks", "probe"),
    [
        ((Task.GENERATE, Task.CHAT), "chat"),
        ((Task.VISION,), "chat"),
        ((Task.GENERATE,), "generate"),
        ((Task.EMBED,), "embed"),
        ((Task.EMBED, Task.RERANK), "embed"),
        ((Task.RERANK,), "rerank"),
        ((Task.AUDIO,), "generate"),
    ],
)
def test_the_first_question_is_of_the_kind_the_model_is_for(tasks, probe):
    assert order(inspection=of_tasks(*tasks)).probe.task == probe


def test_an_order_says_everything_and_survives_its_journey():
    deployment = a_deployment(
        namespace="ai",
        servedNames=["chat", "Qwen/Qwen2.5"],
        model={"source": "hf://a/b", "mirror": "https://m.example", "integrity": {"policy": "Off"}},
        engine={"name": "llamacpp", "env": [{"name": "A", "value": "1"}]},
    )
    made = order(deployment)
    assert made.deployment == "ai/qwen"
    assert made.served_names == ("chat", "Qwen/Qwen2.5")
    assert (made.model.mirror, made.model.integrity) == ("https://m.example", "Off")
    assert made.engine.environment == {"A": "1"}
    assert made.drain_seconds == 30.0
    assert decode(encode(made)) == made


SAME = {
    "scaled": {"deployment": a_deployment(replicas=5)},
    "suspended": {"deployment": a_deployment(suspend=True)},
    "another node of the same kind": {"decision": a_decision(placement=Placement(node="there"))},
    "arguments in another order": {"decision": a_decision(arguments={"n_parallel": 4, "n_ctx": 8192})},
}
OTHER = {
    "another commit": {"inspection": an_inspection("0" * 40)},
    "another engine version": {"decision": a_decision(version="1.1")},
    "another image": {"decision": a_decision(image="example/engine:2")},
    "another accelerator": {"decision": a_decision(placement=Placement(node="here", accelerator="L4", count=1))},
    "another argument": {"decision": a_decision(arguments={"n_ctx": 4096})},
    "more memory asked for": {"deployment": a_deployment(resources={"requests": {"memory": "8Gi"}})},
    "another served name": {"deployment": a_deployment(servedNames=["other"])},
    "another name": {"deployment": a_deployment("other", servedNames=["qwen"])},
}


@pytest.mark.parametrize("changes", SAME.values(), ids=SAME.keys())
def test_replicas_stay_when(changes):
    assert revision_of(**changes) == revision_of()


@pytest.mark.parametrize("changes", OTHER.values(), ids=OTHER.keys())
def test_replicas_are_replaced_when_there_is(changes):
    assert revision_of(**changes) != revision_of()


def test_a_revision_is_ten_hexadecimal_digits():
    assert len(revision_of()) == 10
    int(revision_of(), 16)
