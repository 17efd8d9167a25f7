"""What was decided stays decided until the user says otherwise."""

import pytest

from inferry.plan.pins import pinned_engine, with_pinned_revision
from inferry.plan.plan import make_plan
from inferry.plan.types import PlanInput
from worlds.samples import COMMIT, a_decision, a_deployment, an_inspection, observed

MODEL = {"source": "hf://Qwen/Qwen2.5-0.5B-Instruct-GGUF", "revision": "main"}


def decided(**spec):
    return make_plan(
        PlanInput(
            deployment=a_deployment(**spec),
            model=an_inspection(),
            decision=a_decision(),
            observed=observed(),
            now=0.0,
        )
    ).status


def pins(before, after):
    deployment = a_deployment(status=decided(**before), generation=2, **after)
    return with_pinned_revision(deployment).spec.model.revision, pinned_engine(deployment)


KEPT = (COMMIT, ("llamacpp", "1.0"))

CASES = {
    "nothing changed: both stay": ({"model": MODEL}, {"model": MODEL}, KEPT),
    "scaled: both stay": ({"model": MODEL}, {"model": MODEL, "replicas": 3}, KEPT),
    "suspended: both stay": ({"model": MODEL}, {"model": MODEL, "suspend": True}, KEPT),
    "renamed for clients: both stay": ({"model": MODEL}, {"model": MODEL, "servedNames": ["x"]}, KEPT),
    "another argument: the commit stays": (
        {"model": MODEL},
        {"model": MODEL, "engine": {"args": {"n_ctx": 1}}},
        (COMMIT, None),
    ),
    "other resources: the commit stays": (
        {"model": MODEL},
        {"model": MODEL, "resources": {"limits": {"memory": "1Gi"}}},
        (COMMIT, None),
    ),
    "another branch: neither stays": ({"model": MODEL}, {"model": {**MODEL, "revision": "v2"}}, ("v2", None)),
    "another repository: neither stays": ({"model": MODEL}, {"model": {"source": "hf://a/b"}}, (None, None)),
}


@pytest.mark.parametrize(("before", "after", "expected"), CASES.values(), ids=CASES.keys())
def test_what_stays(before, after, expected):
    assert pins(before, after) == expected


def test_a_source_without_commits_is_read_as_it_is_now():
    model = {"source": "/models/parrot"}
    status = make_plan(
        PlanInput(
            deployment=a_deployment(model=model),
            model=an_inspection(source="file:///models/parrot"),
            decision=a_decision(),
            observed=observed(),
            now=0.0,
        )
    ).status
    assert with_pinned_revision(a_deployment(model=model, status=status)).spec.model.revision is None


def test_without_a_status_nothing_is_pinned():
    deployment = a_deployment(model=MODEL)
    assert with_pinned_revision(deployment) is deployment
    assert pinned_engine(deployment) is None
