"""Who is called what when several deployments ask for one served name."""

import pytest

from inferry.api.model_deployment import DeploymentSpec, Metadata, Model, ModelDeployment
from inferry.local.accept import holders
from inferry.local.errors import UnusableName
from inferry.local.home import file_stem
from inferry.local.world import name_conflicts


def deployment(name: str, created: str, *served: str) -> ModelDeployment:
    spec = DeploymentSpec(model=Model(source="hf://a/b"), served_names=served)
    return ModelDeployment(metadata=Metadata(name=name, creation_timestamp=created), spec=spec)


def test_the_oldest_keeps_a_name_that_two_ask_for() -> None:
    old = deployment("zebra", "2026-01-01T00:00:00.000000Z", "chat")
    new = deployment("aardvark", "2026-01-02T00:00:00.000000Z", "chat", "mine")
    holding = holders([new, old])
    assert holding == {"chat": "zebra", "mine": "aardvark"}
    assert name_conflicts(old, holding) == ()
    (problem,) = name_conflicts(new, holding)
    assert problem.reason == "NameConflict"
    assert "zebra" in problem.sentence()


def test_equally_old_ones_are_ordered_by_name() -> None:
    both = [deployment("b", "2026-01-01T00:00:00Z", "chat"), deployment("a", "2026-01-01T00:00:00Z", "chat")]
    assert holders(both) == {"chat": "a"}


def test_without_served_names_the_objects_name_counts() -> None:
    assert holders([deployment("qwen", "")]) == {"qwen": "qwen"}


@pytest.mark.parametrize("name", ["", "..", "a/b", "A", "-a", "a-", "a b", "a\0b"])
def test_what_is_no_object_name_never_becomes_a_path(name: str) -> None:
    with pytest.raises(UnusableName):
        file_stem(name)


def test_long_names_that_begin_alike_get_files_of_their_own() -> None:
    stems = {file_stem("a" * 252 + end) for end in "xyz"}
    assert len(stems) == 3
    assert all(len(stem) < 250 for stem in stems)
