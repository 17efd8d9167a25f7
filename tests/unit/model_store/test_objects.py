"""Object stores: listing, ranges, what counts as changed, and a real S3 conversation."""

import os
from collections.abc import Iterator

import pytest

from hub.s3 import ObjectServer
from inferry_runtime.model.errors import DigestMismatch, ModelError, ModelNotFound, Unauthorized
from inferry_runtime.model.listing import Access
from inferry_runtime.model.objects import REQUEST_BYTES, ObjectRepository
from inferry_runtime.model.source import ObjectStore

WEIGHTS = os.urandom(REQUEST_BYTES + 1000)
OBJECTS = {
    "models/llama/config.json": b"{}",
    "models/llama/sub/m.gguf": WEIGHTS,
    "models/llama/": b"",
    "models/llama/.hidden/x": b"x",
    "models/llama2/config.json": b"other",
}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectServer]:
    monkeypatch.setenv("AWS_SKIP_SIGNATURE", "true")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    with ObjectServer("bucket", dict(OBJECTS)) as running:
        yield running


def opened(server: ObjectServer, prefix: str) -> ObjectRepository:
    return ObjectRepository(ObjectStore(scheme="s3", bucket="bucket", prefix=prefix), Access(mirror=server.url))


def test_a_prefix_lists_the_objects_below_it_and_no_neighbours(server: ObjectServer) -> None:
    listed = opened(server, "models/llama").files()
    assert [(file.path, file.size_bytes) for file in listed] == [("config.json", 2), ("sub/m.gguf", len(WEIGHTS))]


def test_ranges_of_an_object_are_read_and_nothing_more(server: ObjectServer) -> None:
    source = opened(server, "models/llama").open("sub/m.gguf")
    server.sent_bytes.clear()
    assert source.read_at(REQUEST_BYTES - 5, 10) == WEIGHTS[REQUEST_BYTES - 5 : REQUEST_BYTES + 5]
    assert sum(server.sent_bytes) == 10
    assert b"".join(source.chunks(0, len(WEIGHTS))) == WEIGHTS
    assert source.read_at(len(WEIGHTS) - 3, 100) == WEIGHTS[-3:]


def test_a_prefix_that_names_one_object_is_a_model_of_one_file(server: ObjectServer) -> None:
    repository = opened(server, "models/llama/sub/m.gguf")
    assert [file.path for file in repository.files()] == ["m.gguf"]
    assert repository.open("m.gguf").read_at(0, 4) == WEIGHTS[:4]


def test_replacing_an_object_changes_the_revision_and_stops_a_read_under_way(server: ObjectServer) -> None:
    before = opened(server, "models/llama")
    source = before.open("config.json")
    revision = before.revision
    server.objects["models/llama/config.json"] = b"[]"
    assert opened(server, "models/llama").revision != revision
    with pytest.raises(DigestMismatch, match="changed while it was read"):
        source.read_at(0, 2)


def test_nothing_there_and_nothing_allowed_are_told_apart(server: ObjectServer) -> None:
    with pytest.raises(ModelNotFound, match="s3://bucket/models/none"):
        opened(server, "models/none").files()
    server.status = 403
    with pytest.raises(Unauthorized) as refused:
        opened(server, "models/llama").files()
    assert "AWS_ACCESS_KEY_ID" in refused.value.hint


@pytest.mark.parametrize("scheme", ["gs", "az"])
def test_clouds_that_are_not_configured_say_which_variables_they_need(
    scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith(("GOOGLE_", "AZURE_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere/key.json")
    with pytest.raises(ModelError) as refused:
        ObjectRepository(ObjectStore(scheme=scheme, bucket="bucket", prefix="x"), Access())
    assert "AZURE_STORAGE_ACCOUNT_NAME" in refused.value.hint


def test_credentials_of_a_secret_win_and_are_never_quoted(server: ObjectServer) -> None:
    source = ObjectStore(scheme="s3", bucket="bucket", prefix="models/llama")
    signed = Access(mirror=server.url, credentials={"AWS_SKIP_SIGNATURE": "false", "AWS_ACCESS_KEY_ID": "wood"})
    with pytest.raises(ModelError) as refused:
        ObjectRepository(source, signed)
    assert "wood" not in f"{refused.value.message} {refused.value.hint} {signed!r}"
    whole = Access(mirror=server.url, credentials={**signed.credentials, "AWS_SECRET_ACCESS_KEY": "pecker"})
    assert ObjectRepository(source, whole).files()
    assert "Credential=wood/" in server.authorizations[-1]


def test_a_service_account_that_cannot_be_read_is_not_quoted() -> None:
    secret = {"GOOGLE_SERVICE_ACCOUNT_KEY": '"pecker"'}
    with pytest.raises(ModelError) as refused:
        ObjectRepository(ObjectStore(scheme="gs", bucket="bucket", prefix=""), Access(credentials=secret))
    assert "pecker" not in refused.value.message
