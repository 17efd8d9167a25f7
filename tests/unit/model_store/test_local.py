"""Models in folders: what is listed, what changes the revision, what is refused."""

import os
from pathlib import Path

import pytest

from inferry_runtime.model.errors import InvalidSource, MalformedFile, ModelError, ModelNotFound
from inferry_runtime.model.local import LocalRepository


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    model = tmp_path / "model"
    (model / "sub").mkdir(parents=True)
    (model / "config.json").write_text("{}")
    (model / "sub" / "weights.gguf").write_bytes(b"0123456789")
    (model / ".git").mkdir()
    (model / ".git" / "HEAD").write_text("x")
    return model


def test_a_folder_lists_every_visible_file_below_it_sorted(folder: Path) -> None:
    listed = LocalRepository(str(folder)).files()
    assert [(file.path, file.size_bytes, file.sha256) for file in listed] == [
        ("config.json", 2, None),
        ("sub/weights.gguf", 10, None),
    ]


def test_a_single_file_is_a_model_of_one_file(folder: Path) -> None:
    repository = LocalRepository(str(folder / "sub" / "weights.gguf"))
    assert [file.path for file in repository.files()] == ["weights.gguf"]
    assert repository.open("weights.gguf").read_at(3, 4) == b"3456"


def test_reads_past_the_end_are_short_like_those_of_a_file(folder: Path) -> None:
    source = LocalRepository(str(folder)).open("sub/weights.gguf")
    assert (source.size_bytes, source.read_at(8, 100), source.read_at(50, 1)) == (10, b"89", b"")


def test_links_to_files_and_folders_elsewhere_are_followed_as_hub_caches_need(folder: Path, tmp_path: Path) -> None:
    blob = tmp_path / "blob"
    blob.write_bytes(b"weights")
    (folder / "linked.gguf").symlink_to(blob)
    assert "linked.gguf" in [file.path for file in LocalRepository(str(folder)).files()]


def test_any_change_to_any_file_is_another_revision(folder: Path) -> None:
    revisions = [LocalRepository(str(folder)).revision, LocalRepository(str(folder)).revision]
    (folder / "new.json").write_text("1")
    revisions.append(LocalRepository(str(folder)).revision)
    (folder / "new.json").write_text("22")
    revisions.append(LocalRepository(str(folder)).revision)
    os.utime(folder / "config.json", ns=(1, 1))
    revisions.append(LocalRepository(str(folder)).revision)
    assert revisions[0] == revisions[1]
    assert len(set(revisions)) == 4


def test_a_folder_that_links_back_to_itself_is_refused_instead_of_walked_for_ever(folder: Path) -> None:
    (folder / "sub" / "back").symlink_to(folder)
    with pytest.raises(MalformedFile, match="a folder it lies in"):
        LocalRepository(str(folder))


def test_a_link_to_itself_is_a_typed_error(folder: Path) -> None:
    (folder / "loop").symlink_to(folder / "loop")
    with pytest.raises(ModelError, match="loop"):
        LocalRepository(str(folder))


def test_a_link_that_points_nowhere_is_named(folder: Path) -> None:
    (folder / "lost").symlink_to(folder / "nowhere")
    with pytest.raises(ModelNotFound, match="lost"):
        LocalRepository(str(folder))


def test_a_pipe_in_the_folder_is_refused_without_opening_it(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    with pytest.raises(MalformedFile, match="pipe, socket or device"):
        LocalRepository(str(folder))


def test_a_device_is_not_a_model() -> None:
    with pytest.raises(InvalidSource, match="neither a file nor a folder"):
        LocalRepository("/dev/null")


def test_a_path_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="no file or folder"):
        LocalRepository(str(tmp_path / "nothing"))


def test_a_file_that_was_not_listed_cannot_be_opened(folder: Path) -> None:
    with pytest.raises(ModelNotFound):
        LocalRepository(str(folder)).open("../model/config.json")
