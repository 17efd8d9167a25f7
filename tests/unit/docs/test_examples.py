"""What the documentation shows is what works."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main
import yaml

from inferry.api.load import load_files, load_text
from inferry.cli.main import app
from inferry.cli.planning import read_inventory

ROOT = Path(__file__).parents[3]
PAGES = sorted([ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")])
EXAMPLES = sorted(ROOT.glob("examples/*.yaml"))


def objects_shown() -> Iterator[object]:
    for page in PAGES:
        blocks = re.findall(r"^```yaml\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
        for number, block in enumerate(blocks):
            if "kind: ModelDeployment" in block:
                yield pytest.param(block, id=f"{page.relative_to(ROOT)}-{number}")


def verbs_shown() -> Iterator[object]:
    for page in PAGES:
        for words in re.findall(r"^\$ inferry +(.+?)(?: +#.*)?$", page.read_text(), re.MULTILINE):
            yield pytest.param(words, id=f"{page.name}: inferry {words}")


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_every_example_is_valid(path: Path) -> None:
    loaded = load_files(path)
    assert loaded.problems == ()
    assert len(loaded.deployments) == 1


@pytest.mark.parametrize("path", sorted(ROOT.glob("examples/nodes/*.yaml")), ids=lambda path: path.name)
def test_every_example_of_nodes_can_be_planned_for(path: Path) -> None:
    assert read_inventory(path).nodes


@pytest.mark.parametrize("block", list(objects_shown()))
def test_every_object_in_the_documentation_is_valid(block: str) -> None:
    loaded = load_text(block, "page")
    assert loaded.problems == ()
    assert loaded.deployments


@pytest.mark.parametrize("words", list(verbs_shown()))
def test_every_verb_in_the_documentation_exists_with_its_options(words: str) -> None:
    verb, *rest = words.split()
    if verb.startswith("--"):
        verb, rest = "", [verb, *rest]
    group = typer.main.get_command(app)
    command = group.commands[verb] if verb else group  # type: ignore[attr-defined]
    known = {option for parameter in command.params for option in parameter.opts + parameter.secondary_opts}
    assert {word for word in rest if word.startswith("-")} <= known


def test_links_between_pages_lead_somewhere() -> None:
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in PAGES
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
        if not (page.parent / target).exists()
    ]
    assert broken == []


def test_the_architecture_page_names_every_room() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    rooms = [path.parent.name for path in ROOT.glob("operator/inferry/*/__init__.py")]
    assert [room for room in rooms if f"inferry/{room}" not in page] == []


def test_operator_is_a_plain_folder() -> None:
    # A package of this name would shadow the standard library's.
    assert not (ROOT / "operator" / "__init__.py").exists()


def test_every_layer_of_the_house_is_under_contract() -> None:
    contracts = (ROOT / "pyproject.toml").read_text()
    rooms = [path.parent.name for path in ROOT.glob("operator/inferry/*/__init__.py")]
    assert [room for room in rooms if f"inferry.{room}" not in contracts] == []


def test_examples_name_models_that_are_here_or_on_a_hub() -> None:
    for path in EXAMPLES:
        source = yaml.safe_load(path.read_text())["spec"]["model"]["source"]
        assert "://" in source or (path.parent / source).is_dir(), path
