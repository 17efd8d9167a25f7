"""What is known of ModelDeployments, and who has which served name."""

from typing import Any

import pytest

from inferry.control.errors import Terminal
from inferry.control.world import Key
from inferry.kubernetes.deployments import Deployments

FIRST, SECOND = Key("birds", "first"), Key("cats", "second")


def an_object(key: Key, version: int = 1, *, created: str = "2026-01-01T00:00:00Z", **rest: Any) -> dict[str, Any]:
    metadata = {
        "name": key.name,
        "namespace": key.namespace,
        "uid": f"{key.name}-uid",
        "resourceVersion": str(version),
        "creationTimestamp": created,
        "managedFields": [{"manager": "somebody"}],
        **rest.pop("metadata", {}),
    }
    return {"metadata": metadata, "spec": {"model": {"source": "hf://org/model"}, **rest}}


def test_an_object_is_kept_without_who_wrote_it() -> None:
    deployments = Deployments()
    assert deployments.put(an_object(FIRST)) == {FIRST}
    found = deployments.get(FIRST)
    assert found is not None
    assert found.metadata.uid == "first-uid"
    assert not hasattr(found.metadata, "managedFields")


def test_news_that_come_late_are_no_news() -> None:
    deployments = Deployments()
    deployments.put(an_object(FIRST, 5, replicas=5))
    assert deployments.put(an_object(FIRST, 4, replicas=4)) == frozenset()
    found = deployments.get(FIRST)
    assert found is not None
    assert found.spec.replicas == 5


def test_another_object_of_the_same_name_is_news_whatever_its_version() -> None:
    deployments = Deployments()
    deployments.put(an_object(FIRST, 5))
    deployments.put(an_object(FIRST, 2, metadata={"uid": "another"}))
    assert deployments.uid(FIRST) == "another"


def test_a_late_deletion_of_an_earlier_object_is_ignored() -> None:
    deployments = Deployments()
    deployments.put(an_object(FIRST))
    assert deployments.drop(FIRST, "earlier") == frozenset()
    assert deployments.drop(FIRST, "first-uid") == {FIRST}
    assert deployments.get(FIRST) is None


def test_an_object_that_is_being_deleted_is_gone() -> None:
    deployments = Deployments()
    deployments.put(an_object(FIRST))
    assert deployments.put(an_object(FIRST, 2, metadata={"deletionTimestamp": "2026-01-02T00:00:00Z"})) == {FIRST}
    assert deployments.get(FIRST) is None


def test_an_object_this_version_does_not_understand_is_terminal() -> None:
    deployments = Deployments()
    deployments.put(an_object(FIRST, flavour="sweet"))
    with pytest.raises(Terminal, match="flavour"):
        deployments.get(FIRST)


def test_the_oldest_has_the_name_and_hands_it_on() -> None:
    deployments = Deployments()
    deployments.put(an_object(SECOND, created="2026-01-02T00:00:00Z", servedNames=["bird"]))
    assert deployments.put(an_object(FIRST, servedNames=["bird"])) == {FIRST, SECOND}
    younger = deployments.get(SECOND)
    assert younger is not None
    assert list(deployments.older_holders(younger)) == [("bird", FIRST)]
    assert deployments.drop(FIRST) == {FIRST, SECOND}
    assert list(deployments.older_holders(younger)) == []
