"""Objects in files: what is read, what is kept for them, what is set aside."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from inferry.api.model_deployment import DeploymentSpec, Metadata, Model, ModelDeployment
from inferry.api.status import DeploymentStatus
from inferry.control.world import Key
from inferry.local import objects
from inferry.local.home import Home
from inferry.local.keeper import ObjectKeeper

LATER = datetime(2030, 1, 1, tzinfo=UTC)
QWEN = Key("default", "qwen")

WRITTEN = """\
# mine
apiVersion: inferry.dev/v1alpha1
kind: ModelDeployment
metadata: {name: qwen, namespace: team-a}
spec:
  model: {source: "hf://Qwen/Qwen2.5-0.5B-Instruct-GGUF"}
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    for folder in home.folders():
        folder.mkdir()
    return home


def keeper_of(home: Home, now: datetime = LATER) -> ObjectKeeper:
    return ObjectKeeper(home, clock=lambda: now)


def deployment(name: str = "qwen", replicas: int = 1) -> ModelDeployment:
    spec = DeploymentSpec(model=Model(source="hf://a/b"), replicas=replicas)
    return ModelDeployment(metadata=Metadata(name=name), spec=spec)


def write(home: Home, name: str, content: str) -> Path:
    path = home.deployments / name
    path.write_text(content)
    return path


def test_a_users_file_is_read_and_never_rewritten(home: Home) -> None:
    path = write(home, "qwen.yaml", WRITTEN)
    keeper = keeper_of(home)
    assert keeper.refresh() == {QWEN}
    seen = keeper.get(QWEN)
    assert seen is not None
    assert (seen.metadata.generation, seen.metadata.namespace) == (1, "default")
    assert seen.metadata.uid
    assert path.read_text() == WRITTEN


def test_a_second_look_finds_nothing_new(home: Home) -> None:
    write(home, "qwen.yaml", WRITTEN)
    keeper = keeper_of(home)
    keeper.refresh()
    assert keeper.refresh() == frozenset()


def test_identity_and_status_survive_a_restart(home: Home) -> None:
    objects.save(home, deployment())
    first = keeper_of(home)
    first.refresh()
    first.report(QWEN, DeploymentStatus(phase="Ready"))
    before = first.get(QWEN)
    second = keeper_of(home, datetime(2031, 1, 1, tzinfo=UTC))
    second.refresh()
    assert second.get(QWEN) == before


def test_the_generation_grows_only_when_the_spec_differs(home: Home) -> None:
    objects.save(home, deployment())
    keeper = keeper_of(home)
    keeper.refresh()
    objects.save(home, deployment())
    keeper.refresh()
    same = keeper.get(QWEN)
    objects.save(home, deployment(replicas=2))
    keeper.refresh()
    scaled = keeper.get(QWEN)
    assert same is not None and scaled is not None
    assert (same.metadata.generation, scaled.metadata.generation) == (1, 2)
    assert scaled.metadata.uid == same.metadata.uid


def test_a_deleted_object_is_named_once_and_its_status_stays_until_forgotten(home: Home) -> None:
    objects.save(home, deployment())
    keeper = keeper_of(home)
    keeper.refresh()
    assert objects.delete(home, "qwen")
    assert keeper.refresh() == {QWEN}
    assert keeper.get(QWEN) is None
    assert keeper.recorded() == {QWEN}
    keeper.forget(QWEN)
    assert keeper.recorded() == frozenset()
    assert not objects.delete(home, "qwen")


def test_the_same_status_is_written_once(home: Home) -> None:
    objects.save(home, deployment())
    keeper = keeper_of(home)
    keeper.refresh()
    assert keeper.report(QWEN, DeploymentStatus(phase="Loading"))
    assert not keeper.report(QWEN, DeploymentStatus(phase="Loading"))


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("metadata: {name: bro", id="cut in the middle"),
        pytest.param("", id="empty"),
        pytest.param("\x00\x01", id="not text"),
        pytest.param("- 1\n- 2\n", id="no object"),
        pytest.param(WRITTEN.replace("source", "sauce"), id="an unknown field"),
        pytest.param(WRITTEN.replace("qwen", "../../etc/passwd"), id="a name that leaves the folder"),
    ],
)
def test_an_unreadable_file_is_set_aside_and_the_rest_is_served(home: Home, content: str) -> None:
    objects.save(home, deployment("good"))
    broken = write(home, "broken.yaml", content)
    keeper = keeper_of(home)
    assert keeper.refresh() == {Key("default", "good")}
    assert not broken.exists()
    (kept,) = home.set_aside.iterdir()
    assert kept.read_text() == content


def test_a_file_that_is_still_being_written_is_given_a_second(home: Home) -> None:
    path = write(home, "qwen.yaml", WRITTEN[:40])
    written_at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    keeper = keeper_of(home, written_at)
    assert keeper.refresh() == frozenset()
    path.write_text(WRITTEN)
    assert keeper.refresh() == {QWEN}
    assert not home.set_aside.exists()


def test_the_last_good_version_comes_back_when_a_served_file_breaks(home: Home) -> None:
    path = write(home, "qwen.yaml", WRITTEN)
    keeper = keeper_of(home)
    keeper.refresh()
    before = keeper.get(QWEN)
    path.write_text("oops: [")
    keeper.refresh()
    keeper.refresh()
    assert keeper.get(QWEN) == before
    back = objects.parse(path.read_bytes())
    assert (back.metadata.namespace, back.spec) == ("team-a", before.spec if before else None)
    assert len(list(home.set_aside.iterdir())) == 1


def test_a_corrupt_status_is_set_aside_and_the_object_is_served_as_new(home: Home) -> None:
    objects.save(home, deployment())
    first = keeper_of(home)
    first.refresh()
    home.status("qwen").write_bytes(b"\xff\xff")
    second = keeper_of(home)
    assert second.refresh() == {QWEN}
    seen = second.get(QWEN)
    assert seen is not None and seen.metadata.generation == 1 and seen.status is None
    assert len(list(home.set_aside.iterdir())) == 1


def test_a_file_under_a_strange_name_is_brought_to_its_objects_own(home: Home) -> None:
    write(home, "whatever.yaml", WRITTEN)
    keeper = keeper_of(home)
    keeper.refresh()
    assert keeper.refresh() == {QWEN}
    assert [path.name for path in home.deployments.iterdir()] == ["qwen.yaml"]


def test_a_second_file_for_the_same_object_is_set_aside(home: Home) -> None:
    write(home, "qwen.yaml", WRITTEN)
    write(home, "again.yaml", WRITTEN)
    keeper = keeper_of(home)
    keeper.refresh()
    assert [path.name for path in home.deployments.iterdir()] == ["qwen.yaml"]
    assert len(list(home.set_aside.iterdir())) == 1


def test_a_name_of_253_characters_has_a_file(home: Home) -> None:
    longest = deployment("a" * 253)
    objects.save(home, longest)
    keeper = keeper_of(home)
    assert keeper.refresh() == {Key("default", "a" * 253)}
    assert objects.listed(home)[0].metadata.name == "a" * 253


def test_leftovers_of_a_killed_writer_are_removed(home: Home) -> None:
    (home.deployments / ".qwen.yaml.abcd.part").write_text("half")
    keeper = keeper_of(home)
    assert keeper.refresh() == frozenset()
    assert list(home.deployments.iterdir()) == []


def test_what_is_saved_is_what_the_user_said_and_no_more(home: Home) -> None:
    path = write(home, "qwen.yaml", WRITTEN)
    keeper = keeper_of(home)
    keeper.refresh()
    known = objects.known(home, "qwen")
    assert known is not None
    objects.save(home, known)
    lines = path.read_text().splitlines()
    assert not any(word in line for line in lines for word in ("uid", "generation", "creationTimestamp", "status"))
    assert "replicas" not in path.read_text()


def test_listing_shows_the_status_last_reported(home: Home) -> None:
    objects.save(home, deployment())
    assert objects.listed(home)[0].status is None
    keeper = keeper_of(home)
    keeper.refresh()
    keeper.report(QWEN, DeploymentStatus(phase="Ready"))
    listed = objects.listed(home)[0].status
    assert listed is not None and listed.phase == "Ready"


def test_only_the_owner_can_read_the_folders(home: Home) -> None:
    keeper = keeper_of(home)
    write(home, "broken.yaml", "{")
    keeper.refresh()
    assert os.stat(home.set_aside).st_mode & 0o077 == 0
