"""Files of ModelDeployments. All problems at once, each with its place; what is right is loaded beside them."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
from pydantic import ValidationError

from inferry.api.explain import explain
from inferry.api.model_deployment import API_VERSION, KIND, ModelDeployment
from inferry.api.problems import FieldPath, FieldProblem, dotted, nearest
from inferry.api.validate import validate, validate_name
from inferry.api.yaml_nodes import Document, Flaw, Place, Value, documents

SUFFIXES: Final = (".yaml", ".yml", ".json")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadProblem:
    """What is wrong, and where in which file."""

    file: str
    line: int
    column: int
    path: str
    """Dotted, as `spec.resources.accelerators[0].vendor`; "" for the file as a whole."""
    message: str
    value: str = ""
    nearest: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.told()}"

    def told(self) -> str:
        """Without the place in a file, for what was never in one."""
        value = f'"{self.value}"' if self.value else ""
        guess = f"Did you mean {self.nearest}?" if self.nearest else ""
        return " ".join(part for part in (self.path, value, self.message, guess) if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """Apply the deployments only when there are no problems."""

    deployments: tuple[ModelDeployment, ...]
    problems: tuple[LoadProblem, ...]


def load_files(*paths: Path) -> Loaded:
    """Files, and folders of them (`*.yaml`, `*.yml`, `*.json`, not below). A file that cannot be read is a problem."""
    sources: list[tuple[str, str]] = []
    problems: list[LoadProblem] = []
    for path in _files(paths):
        try:
            sources.append((str(path), path.read_text(encoding="utf-8")))
        except (OSError, UnicodeDecodeError) as error:
            problems.append(_whole_file(str(path), f"cannot be read: {error}."))
    loaded = _load(sources)
    return Loaded(deployments=loaded.deployments, problems=(*problems, *loaded.problems))


def load_text(text: str, file: str) -> Loaded:
    """`file` is what problems call it, such as "standard input"."""
    return _load([(file, text)])


def _load(sources: Sequence[tuple[str, str]]) -> Loaded:
    found: list[_Found] = []
    problems: list[LoadProblem] = []
    for file, text in sources:
        pieces = [_piece(file, document) for document in documents(text)]
        found += [item for piece in pieces for item in piece.found]
        problems += [problem for piece in pieces for problem in piece.problems]
        if not any(piece.found or piece.problems for piece in pieces):
            problems.append(_whole_file(file, f"holds no {KIND}."))
    problems += _clashes(found)
    files = [file for file, _ in sources]
    problems.sort(key=lambda problem: (files.index(problem.file), problem.line, problem.column))
    return Loaded(deployments=tuple(item.deployment for item in found), problems=tuple(problems))


@dataclass(frozen=True, slots=True)
class _Piece:
    found: list["_Found"]
    problems: list[LoadProblem]


def _piece(file: str, document: Document) -> _Piece:
    piece = _Piece([], [_flaw(file, flaw) for flaw in document.flaws])
    if document.flaws:
        return piece
    for root, value in _objects(document):
        deployment, problems = _deployment(value)
        piece.problems.extend(_located(file, document, root, problem) for problem in problems)
        if deployment is not None:
            piece.found.append(_Found(file, document, root, deployment))
    return piece


@dataclass(frozen=True, slots=True)
class _Found:
    file: str
    document: Document
    root: FieldPath
    deployment: ModelDeployment


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(child for child in path.iterdir() if child.suffix in SUFFIXES and child.is_file())
        else:
            yield path


def _objects(document: Document) -> Iterator[tuple[FieldPath, Value]]:
    """The document itself, or the items of a List such as `kubectl get -o yaml` writes."""
    value = document.value
    if isinstance(value, dict) and str(value.get("kind", "")).endswith("List") and isinstance(value.get("items"), list):
        items = value["items"]
        yield from (
            (("items", position), item) for position, item in enumerate(items if isinstance(items, list) else ())
        )
    elif value is not None:
        yield (), value


def _deployment(value: Value) -> tuple[ModelDeployment | None, tuple[FieldProblem, ...]]:
    if not isinstance(value, dict):
        return None, (FieldProblem(path=(), message=f"is not a {KIND} but {_kind_of(value)}."),)
    stranger = _stranger(value)
    if stranger:
        return None, stranger
    body = {key: child for key, child in _without_nulls(value).items() if key != "status"}
    try:
        deployment = _validated(body)
    except ValidationError as error:
        malformed = _unique(explain(detail) for detail in error.errors(include_url=False))
        return None, (*malformed, *_also_wrong(body, [problem.path for problem in malformed]))
    problems = _meant(deployment)
    return (None if problems else deployment), problems


def _validated(body: dict[str, Value]) -> ModelDeployment:
    return ModelDeployment.model_validate_json(msgspec.json.encode(body), strict=True, by_alias=True, by_name=False)


def _meant(deployment: ModelDeployment) -> tuple[FieldProblem, ...]:
    """What is well formed and still cannot be."""
    return (*validate_name(deployment.metadata.name), *validate(deployment.spec))


def _also_wrong(body: dict[str, Value], malformed: Sequence[FieldPath]) -> tuple[FieldProblem, ...]:
    """What else is wrong with an object once its malformed fields are left out; what is only missing then is not."""
    try:
        deployment = _validated({key: _pruned(child, (key,), set(malformed)) for key, child in body.items()})
    except ValidationError:
        return ()
    return tuple(
        problem
        for problem in _meant(deployment)
        if all(path[: len(problem.path)] != problem.path for path in malformed)
    )


def _pruned(value: Value, path: FieldPath, leaving_out: set[FieldPath]) -> Value:
    if not isinstance(value, dict):
        return value
    kept = {key: child for key, child in value.items() if (*path, key) not in leaving_out}
    return {key: _pruned(child, (*path, key), leaving_out) for key, child in kept.items()}


def _stranger(value: dict[str, Value]) -> tuple[FieldProblem, ...]:
    problems = []
    for field, wanted in (("apiVersion", API_VERSION), ("kind", KIND)):
        given = value.get(field)
        if given is None:
            problems.append(FieldProblem(path=(field,), message=f"is missing; it has to be {wanted}."))
        elif given != wanted:
            guess = nearest(str(given), (wanted,))
            message = f"has to be {wanted}."
            problems.append(FieldProblem(path=(field,), message=message, value=str(given), nearest=guess))
    return tuple(problems)


def _without_nulls(value: dict[str, Value]) -> dict[str, Value]:
    """An empty field says nothing: the API server prunes it too, before defaults are filled in."""
    return {
        key: _without_nulls(child) if isinstance(child, dict) else child
        for key, child in value.items()
        if child is not None
    }


def _unique(problems: Iterable[FieldProblem]) -> tuple[FieldProblem, ...]:
    """A union reports once per type it could have been; the first of several with one place stands for them."""
    by_value: dict[FieldPath, FieldProblem] = {}
    for problem in problems:
        if problem.path[:3] == ("spec", "engine", "args") and len(problem.path) > 4:
            message = "has to be text, a number, true or false; nest by dots in the name."
            by_value.setdefault(problem.path[:4], FieldProblem(path=problem.path[:4], message=message))
        else:
            by_value.setdefault(problem.path, problem)
    return tuple(by_value.values())


def _clashes(found: Iterable[_Found]) -> Iterator[LoadProblem]:
    objects: dict[tuple[str, str], _Found] = {}
    names: dict[str, dict[str, _Found]] = defaultdict(dict)
    for item in found:
        metadata = item.deployment.metadata
        first = objects.setdefault((metadata.namespace, metadata.name), item)
        if first is not item:
            message = f"is already the name of the object in {_where(first)}."
            yield _located(item.file, item.document, item.root, _named(("metadata", "name"), message, metadata.name))
            continue
        for name in item.deployment.served_names:
            other = names[metadata.namespace].setdefault(name, item)
            if other is not item:
                message = f"is already served by {other.deployment.metadata.name} in {_where(other)}."
                yield _located(item.file, item.document, item.root, _named(("spec", "servedNames"), message, name))


def _named(path: FieldPath, message: str, value: str) -> FieldProblem:
    return FieldProblem(path=path, message=message, value=value)


def _where(item: _Found) -> str:
    place = item.document.place((*item.root, "metadata", "name"))
    return f"{item.file}:{place.line}"


def _located(file: str, document: Document, root: FieldPath, problem: FieldProblem) -> LoadProblem:
    place = document.place((*root, *problem.path), of_key=not problem.value)
    return _problem(file, place, problem)


def _flaw(file: str, flaw: Flaw) -> LoadProblem:
    return _problem(file, flaw.place, FieldProblem(path=flaw.path, message=flaw.message, value=flaw.value))


def _whole_file(file: str, message: str) -> LoadProblem:
    return _problem(file, Place(1, 1), FieldProblem(path=(), message=message))


def _problem(file: str, place: Place, problem: FieldProblem) -> LoadProblem:
    return LoadProblem(
        file=file,
        line=place.line,
        column=place.column,
        path=dotted(problem.path),
        message=problem.message,
        value=problem.value,
        nearest=problem.nearest,
    )


def _kind_of(value: Value) -> str:
    return "a list" if isinstance(value, list) else "a single value"
