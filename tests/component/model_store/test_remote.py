"""The example model from every kind of source: inspected by its headers, then fetched as inspected."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from component.model_store.world import content
from hub.s3 import ObjectServer
from hub.server import Fault, Hub
from inferry_runtime.model.errors import DigestMismatch
from inferry_runtime.model.facts import Format
from inferry_runtime.model.inspection import Inspection, InspectionRequest
from inferry_runtime.model.listing import Access
from inferry_runtime.model.remote import inspect_source
from inferry_runtime.model.store import Store
from inferry_runtime.order import ModelOrder

PARROT = Path(__file__).parents[3] / "examples" / "models" / "parrot"
FORMATS = {"gguf": Format.GGUF, "safetensors": Format.SAFETENSORS}


def files(format_: str) -> dict[str, bytes]:
    return content(PARROT / format_)


@pytest.fixture
def objects(monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectServer]:
    monkeypatch.setenv("AWS_SKIP_SIGNATURE", "true")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    below = {f"{name}/{path}": data for name in FORMATS for path, data in files(name).items()}
    with ObjectServer("models", below) as running:
        yield running


def sources(hub: Hub, objects: ObjectServer, format_: str) -> dict[str, tuple[str, str]]:
    """Kind -> source and mirror."""
    hub.add_model("inferry/parrot", files(format_))
    found = {
        "hf": ("hf://inferry/parrot", hub.url),
        "modelscope": ("modelscope://inferry/parrot", hub.url),
        "s3": (f"s3://models/{format_}", objects.url),
        "folder": (str(PARROT / format_), ""),
    }
    if format_ == "gguf":
        name, data = max(files(format_).items(), key=lambda item: len(item[1]))
        found["https"] = (hub.add_file(name, data), "")
        found["file"] = (f"file://{PARROT / format_ / name}", "")
    return found


def ordered(inspection: Inspection, mirror: str) -> ModelOrder:
    return ModelOrder(
        source=inspection.source,
        revision=inspection.revision,
        files=inspection.files,
        primary=inspection.primary,
        mirror=mirror,
    )


@pytest.mark.parametrize("format_", FORMATS)
def test_every_source_tells_the_same_facts_and_brings_the_same_bytes(
    hub: Hub, objects: ObjectServer, tmp_path: Path, format_: str
) -> None:
    facts = set()
    for source, mirror in sources(hub, objects, format_).values():
        inspection = inspect_source(InspectionRequest(source=source), Access(mirror=mirror))
        root = Store(tmp_path / "store").ensure(ordered(inspection, mirror), Access(), lambda _: None)
        assert {file.path: file.size_bytes for file in inspection.files} == {
            path: len(data) for path, data in content(root).items()
        }
        assert content(root).items() <= files(format_).items()
        assert (root / inspection.primary).exists()
        facts.add((inspection.facts.format, inspection.facts.architecture, inspection.facts.weight_bytes))
    assert len(facts) == 1
    assert facts.pop()[0] is FORMATS[format_]


@pytest.mark.parametrize("format_", FORMATS)
def test_inspecting_reads_headers_and_not_the_weights(hub: Hub, format_: str) -> None:
    padded = {path: data + bytes(64 << 20) if path.endswith(".gguf") else data for path, data in files(format_).items()}
    hub.add_model("inferry/large", padded)
    inspect_source(InspectionRequest(source="hf://inferry/large"), Access(mirror=hub.url))
    assert hub.sent_bytes("/lfs/") < 2 << 20


def test_a_revision_asked_for_wins_over_the_one_in_the_source_and_is_pinned(hub: Hub) -> None:
    first = hub.add_model("inferry/parrot", files("gguf"), revision="v1")
    hub.add_model("inferry/parrot", {**files("gguf"), "more.txt": b"x"})
    request = InspectionRequest(source="hf://inferry/parrot@main", revision="v1")
    inspection = inspect_source(request, Access(mirror=hub.url))
    assert (inspection.source, inspection.revision) == ("hf://inferry/parrot", first)


def test_a_relative_path_is_made_absolute_for_whoever_fetches_it_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(PARROT)
    inspection = inspect_source(InspectionRequest(source="./gguf"), Access())
    monkeypatch.chdir(tmp_path)
    root = Store(tmp_path / "store").ensure(ordered(inspection, ""), Access(), lambda _: None)
    assert (root / inspection.primary).resolve().is_relative_to(PARROT)


def test_a_corrupted_transfer_of_a_real_model_is_never_opened(hub: Hub, tmp_path: Path) -> None:
    hub.add_model("inferry/parrot", files("gguf"))
    inspection = inspect_source(InspectionRequest(source="hf://inferry/parrot"), Access(mirror=hub.url))
    order = ordered(inspection, hub.url)
    for at in (0, 100_000, len(files("gguf")[inspection.primary]) - 1):
        hub.fail(Fault(match="/lfs/", flip_byte=at))
        with pytest.raises(DigestMismatch, match="has sha256"):
            Store(tmp_path / "store").ensure(order, Access(), lambda _: None)
        hub.faults.clear()
    root = Store(tmp_path / "store").ensure(order, Access(), lambda _: None)
    assert content(root).items() <= files("gguf").items()
