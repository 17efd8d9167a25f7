"""ModelScope: the same promises over its own endpoints."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from hub.clock import FakeClock
from hub.server import Fault, Hub
from inferry_runtime.model.errors import HubUnreachable, MalformedFile, ModelNotFound, RevisionNotFound, Unauthorized
from inferry_runtime.model.listing import Access
from inferry_runtime.model.modelscope import ModelScopeRepository
from inferry_runtime.model.retry import Retry
from inferry_runtime.model.source import ModelScope

FILES = {"config.json": b"{}", "folder/weights.safetensors": os.urandom(100_000), "a b.txt": b"text"}


Opened = Callable[..., ModelScopeRepository]


@pytest.fixture
def opened(hub: Hub) -> Iterator[Opened]:
    """Opens models of the hub, and closes them when the test is over."""
    with ExitStack() as stack:

        def open_one(
            revision: str = "", token: str = "", name: str = "org/name", url: str = ""
        ) -> ModelScopeRepository:
            access = Access(mirror=url or hub.url, token=token)
            repository = ModelScopeRepository(ModelScope(repository=name), revision, access, Retry(clock=FakeClock()))
            stack.callback(repository.close)
            return repository

        yield open_one


def test_every_file_is_listed_with_a_digest_and_read_in_ranges(hub: Hub, opened: Opened) -> None:
    commit = hub.add_model("org/name", FILES, license="Apache License 2.0")
    repository = opened()
    assert (repository.revision, repository.license) == (commit, "Apache License 2.0")
    assert [(file.path, file.size_bytes) for file in repository.files()] == sorted(
        (path, len(content)) for path, content in FILES.items()
    )
    assert all(file.sha256 for file in repository.files())
    assert repository.open("folder/weights.safetensors").read_at(50, 9) == FILES["folder/weights.safetensors"][50:59]
    assert repository.open("a b.txt").read_at(0, 99) == b"text"


def test_a_commit_stays_what_it_was_when_the_branch_moves_on(hub: Hub, opened: Opened) -> None:
    first = hub.add_model("org/name", FILES)
    hub.add_model("org/name", {**FILES, "config.json": b"{ }"})
    assert opened(first).open("config.json").read_at(0, 9) == b"{}"
    assert opened().open("config.json").read_at(0, 9) == b"{ }"


def test_a_wrong_revision_is_told_apart_from_a_wrong_model(hub: Hub, opened: Opened) -> None:
    hub.add_model("org/name", FILES)
    with pytest.raises(RevisionNotFound) as refused:
        opened("v9").files()
    assert "master" in refused.value.hint
    with pytest.raises(ModelNotFound):
        opened(name="org/none").files()


def test_a_private_model_needs_a_token_which_goes_to_no_other_host(hub: Hub, opened: Opened) -> None:
    hub.add_model("org/name", FILES, private=True)
    hub.add_token("ms-token")
    with pytest.raises(Unauthorized):
        opened().files()
    hub.requests.clear()
    weights = opened(token="ms-token").open("folder/weights.safetensors")
    assert weights.read_at(0, 5) == FILES["folder/weights.safetensors"][:5]
    assert {(request.server, request.headers.get("cookie")) for request in hub.requests} == {
        ("hub", "m_session_id=ms-token"),
        ("cdn", None),
    }


def test_trouble_and_nonsense_are_told_apart(hub: Hub, opened: Opened) -> None:
    hub.add_model("org/name", FILES)
    hub.fail(Fault(match="/repo/files", status=502))
    with pytest.raises(HubUnreachable):
        opened().files()
    hub.faults.clear()
    hub.fail(Fault(match="/repo/files", body=b'{"Code": "x"}'))
    with pytest.raises(MalformedFile, match="does not answer like ModelScope"):
        opened().files()
