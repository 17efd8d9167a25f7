"""YAML as plain data that still knows where each value stands. Everything wrong is collected, nothing is raised."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import yaml

from inferry.api.problems import FieldPath

Value = str | int | float | bool | None | list["Value"] | dict[str, "Value"]

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MERGE: Final = "tag:yaml.org,2002:merge"
_TIMESTAMP: Final = "tag:yaml.org,2002:timestamp"
_SCALARS: Final = {f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null")}
DEEPEST: Final = 64
"""No object of ours nests deeper than 8; what does is a mistake or an attack on the stack."""
MOST_VALUES: Final = 100_000
"""Aliases can make a short text mean a very long one."""
LARGEST_CHARACTERS: Final = 4 * 1024 * 1024
"""etcd takes objects of 1.5 MiB; a file may hold a few."""


@dataclass(frozen=True, slots=True)
class Place:
    """Counted from 1, as editors do."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Flaw:
    """Something YAML allows and we do not, or the other way round."""

    place: Place
    path: FieldPath
    message: str
    value: str = ""


@dataclass(slots=True)
class Document:
    """One document of a stream. `keys` and `values` say where a field's name and its value begin."""

    value: Value = None
    keys: dict[FieldPath, Place] = field(default_factory=dict)
    values: dict[FieldPath, Place] = field(default_factory=dict)
    flaws: list[Flaw] = field(default_factory=list)

    def place(self, path: FieldPath, *, of_key: bool = False) -> Place:
        """Of the field, or of the nearest thing around it that is there."""
        if of_key and path in self.keys:
            return self.keys[path]
        while path and path not in self.values:
            path = path[:-1]
        return self.values.get(path, Place(1, 1))


def documents(text: str) -> Iterator[Document]:
    """Every document that has content. After a syntax error comes one with the flaw, and no more."""
    if len(text) > LARGEST_CHARACTERS:
        message = f"is longer than {LARGEST_CHARACTERS} characters; this is not a file of objects."
        yield Document(flaws=[Flaw(Place(1, 1), (), message)])
        return
    try:
        yield from _documents(text)
    except yaml.MarkedYAMLError as error:
        yield Document(flaws=[_syntax(error, text)])
    except (yaml.YAMLError, RecursionError) as error:
        yield Document(flaws=[Flaw(Place(1, 1), (), f"is not YAML: {error}")])


def _documents(text: str) -> Iterator[Document]:
    loader = _LOADER(text)
    try:
        while loader.check_node():
            document = Document()
            node = loader.get_node()
            if node is not None:
                document.value = _Reader(loader, document).read(node, ())
            if document.value is not None or document.flaws:
                yield document
    finally:
        loader.dispose()


class _Reader:
    """Turns nodes into values, noting places. Aliases are followed; one that leads into itself is a flaw."""

    def __init__(self, loader: yaml.SafeLoader, document: Document) -> None:
        self._loader = loader
        self._document = document
        self._above: list[int] = []
        self._left = MOST_VALUES

    def read(self, node: yaml.Node, path: FieldPath) -> Value:
        self._left -= 1
        if self._left <= 0:
            self._too_much(node)
            return None
        self._document.values[path] = _place(node.start_mark)
        if id(node) in self._above or len(self._above) >= DEEPEST:
            self._flaw(node, path, "is nested too deeply, or leads into itself.")
            return None
        self._above.append(id(node))
        value = self._read(node, path)
        self._above.pop()
        return value

    def _too_much(self, node: yaml.Node) -> None:
        if self._left == 0:
            self._flaw(node, (), f"means too much: more than {MOST_VALUES} values.")

    def _read(self, node: yaml.Node, path: FieldPath) -> Value:
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.read(child, (*path, position)) for position, child in enumerate(node.value)]
        return self._scalar(node, path)

    def _mapping(self, node: yaml.MappingNode, path: FieldPath) -> Value:
        self._find_duplicates(node, path)
        if any(key.tag == _MERGE for key, _ in node.value):
            self._loader.flatten_mapping(node)
        value: dict[str, Value] = {}
        for key, child in node.value:
            name = str(key.value) if isinstance(key, yaml.ScalarNode) else "?"
            self._document.keys[(*path, name)] = _place(key.start_mark)
            value[name] = self.read(child, (*path, name))
        return value

    def _find_duplicates(self, node: yaml.MappingNode, path: FieldPath) -> None:
        seen: dict[str, Place] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._flaw(key, path, "has a name that is not a word.")
            elif key.value in seen:
                message = f"stands there twice, first in line {seen[key.value].line}; remove one."
                self._document.flaws.append(Flaw(_place(key.start_mark), (*path, key.value), message))
            else:
                seen[key.value] = _place(key.start_mark)

    def _scalar(self, node: yaml.Node, path: FieldPath) -> Value:
        if node.tag not in _SCALARS:
            # A date is text here, as it is in JSON.
            if node.tag != _TIMESTAMP:
                self._flaw(node, path, f"has the tag {node.tag}, which means nothing here; remove it.")
            return str(node.value)
        try:
            value: Value = self._loader.construct_object(node)
        except (ValueError, yaml.YAMLError) as error:
            self._flaw(node, path, f"cannot be read: {error}.")
            return None
        return value

    def _flaw(self, node: yaml.Node, path: FieldPath, message: str) -> None:
        value = str(node.value) if isinstance(node, yaml.ScalarNode) else ""
        self._document.flaws.append(Flaw(_place(node.start_mark), path, message, value))


def _place(mark: yaml.Mark) -> Place:
    return Place(mark.line + 1, mark.column + 1)


def _syntax(error: yaml.MarkedYAMLError, text: str) -> Flaw:
    mark = error.problem_mark or error.context_mark
    place = _place(mark) if mark else Place(1, 1)
    lines = text.splitlines()
    line = lines[place.line - 1] if place.line <= len(lines) else ""
    if "\t" in line[: place.column] or line[place.column - 1 : place.column] == "\t":
        return Flaw(place, (), "is indented with a tab, which YAML does not allow; use spaces.")
    reason = ", ".join(part for part in (error.context, error.problem) if part)
    return Flaw(place, (), f"is not YAML: {reason}.")
