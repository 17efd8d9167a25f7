"""The Hugging Face hub: pinned revisions, digests, and what people are told when they may not have a model."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from hub.clock import FakeClock
from hub.server import Fault, Hub
from inferry_runtime.model.errors import (
    HubUnreachable,
    InvalidSource,
    MalformedFile,
    ModelError,
    ModelNotFound,
    RevisionNotFound,
    Unauthorized,
)
from inferry_runtime.model.hub import HubRepository
from inferry_runtime.model.listing import Access
from inferry_runtime.model.retry import Retry
from inferry_runtime.model.source import HuggingFace

FILES = {
    "config.json": b"{}",
    "model.safetensors": os.urandom(200_000),
    "onnx/decoder model.onnx": b"onnx",
    "tokenizer.json": b"[1, 2]",
    "README.md": b"# model",
}


Opened = Callable[..., HubRepository]


@pytest.fixture
def opened(hub: Hub) -> Iterator[Opened]:
    """Opens models of the hub, and closes them when the test is over."""
    with ExitStack() as stack:

        def open_one(revision: str = "", token: str = "", name: str = "org/name", url: str = "") -> HubRepository:
            access = Access(mirror=url or hub.url, token=token)
            repository = HubRepository(HuggingFace(repository=name), revision, access, Retry(clock=FakeClock()))
            stack.callback(repository.close)
            return repository

        yield open_one


def test_a_listing_has_sizes_digests_where_lfs_gives_them_and_the_licence(hub: Hub, opened: Opened) -> None:
    commit = hub.add_model("org/name", FILES, license="mit")
    repository = opened()
    assert (repository.revision, repository.license) == (commit, "mit")
    assert [(file.path, file.size_bytes) for file in repository.files()] == sorted(
        (path, len(content)) for path, content in FILES.items()
    )
    assert [file.path for file in repository.files() if file.sha256] == ["model.safetensors", "onnx/decoder model.onnx"]


def test_ranges_are_read_through_the_lfs_redirect_and_only_what_was_asked_for(hub: Hub, opened: Opened) -> None:
    hub.add_model("org/name", FILES)
    repository = opened()
    assert len(repository.files()) == len(FILES)
    weights = repository.open("model.safetensors")
    assert [weights.read_at(0, 8), weights.read_at(100_000, 50)] == [
        FILES["model.safetensors"][:8],
        FILES["model.safetensors"][100_000:100_050],
    ]
    assert repository.open("onnx/decoder model.onnx").read_at(0, 10) == b"onnx"
    assert hub.sent_bytes("/lfs/") == 8 + 50 + 4


def test_a_branch_is_pinned_and_a_commit_needs_no_question(hub: Hub, opened: Opened) -> None:
    first = hub.add_model("org/name", FILES)
    second = hub.add_model("org/name", {**FILES, "config.json": b"{ }"})
    assert opened().revision == second
    old = opened(first)
    hub.requests.clear()
    assert (old.revision, old.open("config.json").read_at(0, 10)) == (first, b"{}")
    assert hub.asked("/api/") == []


def test_a_mirror_that_lists_names_only_is_asked_for_the_tree(hub: Hub, opened: Opened) -> None:
    commit = hub.add_model("org/name", FILES)
    names = b", ".join(b'{"rfilename": "%s"}' % path.encode() for path in FILES)
    hub.fail(
        Fault(match="/revision/", body=b'{"id": "org/name", "sha": "%s", "siblings": [%s]}' % (commit.encode(), names))
    )
    hub.fail(
        Fault(match="blobs=", body=b'{"id": "org/name", "sha": "%s", "siblings": [%s]}' % (commit.encode(), names))
    )
    repository = opened()
    assert [(file.path, file.size_bytes) for file in repository.files()] == sorted(
        (path, len(content)) for path, content in FILES.items()
    )
    assert len(hub.asked("/tree/")) == 2


REFUSED = {
    "a missing model": ({"name": "org/none"}, ModelNotFound, "does not exist"),
    "a missing revision": ({"revision": "v9"}, RevisionNotFound, "'v9'"),
    "a private model without a token": ({"name": "org/private"}, ModelNotFound, "private and needs a token"),
    "a token the hub does not know": ({"token": "hf_wrong"}, Unauthorized, "does not know this token"),
}


@pytest.mark.parametrize(("asked", "kind", "told"), REFUSED.values(), ids=list(REFUSED))
def test_a_refusal_says_what_is_wrong(
    hub: Hub, asked: dict[str, str], kind: type[ModelError], told: str, opened: Opened
) -> None:
    hub.add_model("org/name", FILES)
    hub.add_model("org/private", FILES, private=True)
    with pytest.raises(kind, match=told) as refused:
        opened(**asked).files()
    assert refused.value.hint
    assert "hf_wrong" not in f"{refused.value} {refused.value.hint}"


@pytest.mark.parametrize("token", ["", "hf_stranger_1"], ids=["without a token", "with a token that has not accepted"])
def test_a_gated_model_tells_where_to_accept_its_licence(hub: Hub, token: str, opened: Opened) -> None:
    hub.add_model("org/name", FILES, gated=True)
    hub.add_token("hf_stranger_1")
    with pytest.raises(Unauthorized, match="gated") as refused:
        opened(token=token).open("config.json").read_at(0, 1)
    assert "https://huggingface.co/org/name" in refused.value.hint


def test_a_gated_model_opens_with_a_token_that_has_accepted(hub: Hub, opened: Opened) -> None:
    hub.add_model("org/name", FILES, gated=True)
    hub.add_token("hf_good")
    assert opened(token="hf_good").open("config.json").read_at(0, 10) == b"{}"


def test_a_file_that_is_not_there_is_not_a_missing_model(hub: Hub, opened: Opened) -> None:
    hub.add_model("org/name", FILES)
    with pytest.raises(ModelNotFound, match="no such file"):
        opened().open("nothing.bin").read_at(0, 1)


def test_listing_survives_passing_trouble_and_gives_up_on_lasting_one(hub: Hub, opened: Opened) -> None:
    hub.add_model("org/name", FILES)
    hub.fail(Fault(match="/api/models", times=2, status=503))
    assert len(opened().files()) == len(FILES)
    hub.fail(Fault(match="/api/models", status=500))
    with pytest.raises(HubUnreachable):
        opened().files()


def test_something_that_is_no_hub_is_told_apart_from_trouble(hub: Hub, opened: Opened) -> None:
    hub.fail(Fault(match="/api/models", body=b"<html>login</html>"))
    with pytest.raises(MalformedFile, match="does not answer like a hub"):
        opened().files()


def test_a_name_the_hub_cannot_have_is_refused(hub: Hub, opened: Opened) -> None:
    with pytest.raises(InvalidSource):
        opened(name="org/name.git").files()


def test_nobody_listening_is_unreachable_not_missing(opened: Opened) -> None:
    with Hub() as gone:
        pass
    with pytest.raises(HubUnreachable):
        opened(url=gone.url).files()


def test_the_machines_own_token_goes_to_its_own_endpoint_and_to_no_mirror_a_deployment_names(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, opened: Opened
) -> None:
    hub.add_model("org/private", FILES, private=True)
    hub.add_token("hf_machine")
    monkeypatch.setenv("HF_TOKEN", "hf_machine")
    with pytest.raises(ModelNotFound):
        opened(name="org/private").files()
    assert {request.token for request in hub.requests} == {""}
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    repository = HubRepository(HuggingFace(repository="org/private"), "", Access(), Retry(clock=FakeClock()))
    assert len(repository.files()) == len(FILES)
    repository.close()


def test_offline_mode_is_honoured_with_a_sentence(hub: Hub, monkeypatch: pytest.MonkeyPatch, opened: Opened) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(HubUnreachable, match="HF_HUB_OFFLINE"):
        opened()
    assert hub.requests == []


def test_the_test_hub_satisfies_the_real_client(hub: Hub, tmp_path: Path) -> None:
    from huggingface_hub import hf_hub_download, snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        RemoteEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )
    from huggingface_hub.utils import disable_progress_bars

    disable_progress_bars()
    commit = hub.add_model("org/name", FILES)
    hub.add_model("org/gated", FILES, gated=True)
    folder = Path(snapshot_download("org/name", endpoint=hub.url, cache_dir=tmp_path, token=False))
    assert folder.name == commit
    assert {path: (folder / path).read_bytes() for path in FILES} == FILES
    for name, file, revision, kind in (
        ("org/name", "none.json", None, RemoteEntryNotFoundError),
        ("org/name", "config.json", "v9", RevisionNotFoundError),
        ("org/none", "config.json", None, RepositoryNotFoundError),
        ("org/gated", "config.json", None, GatedRepoError),
    ):
        with pytest.raises(kind):
            hf_hub_download(name, file, revision=revision, endpoint=hub.url, cache_dir=tmp_path, token=False)
