"""The parts of Transformers' main that need no Transformers: names, links and options."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from inferry_runtime.engines.transformers_server import AnyNameOf, link, parsed, sweep


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model folder; the working directory is an empty folder beside it."""
    folder, links = tmp_path / "snapshots" / "1", tmp_path / "links"
    folder.mkdir(parents=True)
    links.mkdir()
    (folder / "config.json").write_text("{}")
    monkeypatch.chdir(links)
    return folder


@pytest.mark.parametrize(
    ("names", "goes_by"),
    [
        pytest.param(["parrot"], "parrot", id="a plain name"),
        pytest.param(["Qwen/Qwen2.5-0.5B"], "Qwen/Qwen2.5-0.5B", id="a name with a slash"),
        pytest.param(["parrot", "other"], "parrot", id="the first of several"),
        pytest.param(["parrot@v1"], "model", id="what Transformers would take for a revision"),
        pytest.param(["parrot:q4.gguf"], "model", id="what Transformers would take for a file"),
        pytest.param(["../../etc"], "model", id="a way out"),
        pytest.param(["/etc"], "model", id="an absolute path"),
        pytest.param(["a//b"], "model", id="an empty part"),
        pytest.param([".hidden"], "model", id="a leading dot"),
        pytest.param([], "model", id="no name at all"),
    ],
)
def test_the_folder_goes_by_a_name_that_shows_no_path(model: Path, names: list[str], goes_by: str) -> None:
    assert link(model, names) == goes_by
    assert not os.path.isabs(goes_by)
    assert (Path(goes_by) / "config.json").read_text() == "{}"


def test_the_pinned_model_equals_each_of_its_names_and_nothing_else() -> None:
    model = AnyNameOf("parrot")
    model.names = frozenset({"parrot", "org/parrot@v1"})
    # The comparison of Transformers, with the request's name on the left.
    asked = ("parrot", "org/parrot@v1", "stranger")
    assert [name for name in asked if name != model] == ["stranger"]
    assert str(model.partition(":")[0]) == "parrot"


def test_options_of_the_engine_are_left_for_it() -> None:
    named, extra = parsed(
        ["--model", "/m", "--host", "::1", "--port", "1", "--alias", "a", "--alias", "b", "--compile"]
    )
    assert (named.model, named.alias) == ("/m", ["a", "b"])
    assert extra == ["--compile"]


def test_links_of_killed_processes_are_swept_and_those_of_living_ones_kept(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    dead, alive, other = (
        tmp_path / name
        for name in (
            f"inferry-transformers-{ended.pid}-a",
            f"inferry-transformers-{os.getpid()}-a",
            "inferry-transformers-x",
        )
    )
    kept = tmp_path / "model"
    kept.mkdir()
    for folder in (dead, alive, other):
        folder.mkdir()
        (folder / "parrot").symlink_to(kept)
    sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([alive.name, other.name, "model"])
