"""From a plan to the next writes."""

from dataclasses import replace
from typing import Any

import msgspec

from inferry.api.status import DeploymentStatus
from inferry.control.world import Key
from inferry.kubernetes.steps import Steps, steps
from inferry.kubernetes.views import PodView, ReplicaSetView
from inferry.plan.order import serve_order
from inferry.plan.types import Plan, RevisionTarget
from worlds.samples import a_decision, a_deployment, an_inspection

KEY = Key("default", "qwen")


def a_set(revision: str, wanted: int, **changes: Any) -> ReplicaSetView:
    view = ReplicaSetView(
        key=KEY,
        uid=f"set-{revision}",
        name=f"qwen-{revision}",
        revision=revision,
        owner_uid="u1",
        applied="",
        owned=0,
        foreign=False,
        terminating=False,
        wanted=wanted,
        existing=wanted,
        settled=True,
        failure="",
        created_at=0.0,
    )
    return msgspec.structs.replace(view, **changes)


def a_pod(name: str, revision: str, **changes: Any) -> PodView:
    view = PodView(
        key=KEY,
        uid=name,
        name=name,
        revision=revision,
        owner_uid=f"set-{revision}",
        created_at=0.0,
        terminating=False,
        draining_since=None,
        phase="Running",
        ready=True,
        node="node-a",
        address="10.0.0.1",
        unscheduled="",
        container=None,
    )
    return msgspec.structs.replace(view, **changes)


def a_plan(revision: str | None, replicas: int, *, drain: tuple[str, ...] = (), remove: tuple[str, ...] = ()) -> Plan:
    decision = a_decision()
    order = serve_order(a_deployment(), decision, an_inspection())
    target = RevisionTarget(revision=revision or "", order=order, decision=decision, replicas=replicas)
    revisions = (target,) if revision is not None else ()
    return Plan(revisions=revisions, drain=drain, remove=remove, status=DeploymentStatus())


def counted(todo: Steps) -> int | None:
    return None if todo.target is None else todo.target[1]


def scaled(todo: Steps) -> list[tuple[str, int]]:
    return [(one.revision, count) for one, count in todo.scale]


def names(pods: tuple[PodView, ...]) -> list[str]:
    return [pod.name for pod in pods]


def test_the_first_revision_gets_what_is_planned() -> None:
    todo = steps(a_plan("new", 2), [], [])
    assert counted(todo) == 2
    assert replace(todo, target=None) == Steps()


def test_a_draining_replica_is_kept_beside_those_that_are_wanted() -> None:
    pods = [a_pod("a", "new", draining_since=1.0), a_pod("b", "new")]
    assert counted(steps(a_plan("new", 1), [a_set("new", 2)], pods)) == 2


def test_a_removed_replica_is_the_first_to_go_when_the_set_shrinks() -> None:
    pods = [a_pod("a", "new"), a_pod("b", "new")]
    todo = steps(a_plan("new", 1, remove=("a",)), [a_set("new", 2)], pods)
    assert (counted(todo), names(todo.cheapen), names(todo.delete_pods)) == (1, ["a"], [])


def test_a_replica_that_the_set_overlooked_is_deleted_by_name() -> None:
    pods = [a_pod("a", "new", draining_since=1.0), a_pod("b", "new")]
    todo = steps(a_plan("new", 2, remove=("a",)), [a_set("new", 2)], pods)
    assert names(todo.delete_pods) == ["a"]


def test_an_old_revision_shrinks_by_what_leaves_it() -> None:
    pods = [a_pod("a", "old", draining_since=1.0), a_pod("b", "old"), a_pod("c", "new")]
    sets = [a_set("old", 2), a_set("new", 1)]
    assert scaled(steps(a_plan("new", 1, remove=("a",)), sets, pods)) == [("old", 1)]


def test_a_late_view_does_not_shrink_it_twice() -> None:
    pods = [a_pod("a", "old", draining_since=1.0), a_pod("b", "old"), a_pod("c", "new")]
    sets = [a_set("old", 1, settled=False), a_set("new", 1)]
    assert scaled(steps(a_plan("new", 1, remove=("a",)), sets, pods)) == []


def test_an_old_revision_that_nothing_leaves_is_not_touched() -> None:
    sets = [a_set("old", 2), a_set("new", 1)]
    todo = steps(a_plan("new", 1), sets, [a_pod("a", "old"), a_pod("c", "new")])
    assert (scaled(todo), todo.delete_sets) == ([], ())


def test_an_empty_old_revision_is_removed_once_its_pods_are_gone() -> None:
    sets = [a_set("old", 0), a_set("new", 1)]
    ending = [a_pod("a", "old", terminating=True), a_pod("c", "new")]
    assert steps(a_plan("new", 1), sets, ending).delete_sets == ()
    assert [one.revision for one in steps(a_plan("new", 1), sets, ending[1:]).delete_sets] == ["old"]


def test_nothing_is_removed_while_nobody_knows_what_shall_run() -> None:
    assert steps(a_plan(None, 0), [a_set("old", 0)], []) == Steps()


def test_evicted_pods_are_cleared_away() -> None:
    pods = [a_pod("a", "new", phase="Failed", ready=False), a_pod("b", "new")]
    todo = steps(a_plan("new", 1), [a_set("new", 1)], pods)
    assert (names(todo.delete_pods), counted(todo)) == (["a"], 1)


def test_a_replica_is_marked_as_draining_only_once() -> None:
    pods = [a_pod("a", "new", draining_since=1.0), a_pod("b", "new")]
    assert names(steps(a_plan("new", 0, drain=("a", "b")), [a_set("new", 2)], pods).drain) == ["b"]
