"""pydantic's findings in our words: what is wrong with the field, and what was probably meant."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from inferry.api.model_deployment import ModelDeployment
from inferry.api.problems import FieldPath, FieldProblem, dotted, nearest

_WANTED: Final = {
    "string": "text; put it in quotes",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "tuple": "a list",
    "model": "a group of fields",
    "dict": "a group of fields",
}


def explain(error: ErrorDetails) -> FieldProblem:
    """One of the errors of `ModelDeployment`, by the aliases it has in YAML."""
    path = tuple(error["loc"])
    kind = error["type"]
    context: Mapping[str, object] = error.get("ctx", {})
    value = _shown(error["input"])
    if kind == "extra_forbidden":
        return _unknown(path)
    if kind == "missing":
        return _missing(path, error["input"])
    if kind in ("literal_error", "enum"):
        known = tuple(part.strip("' ") for part in str(context.get("expected", "")).replace(" or ", ", ").split(","))
        message = f"has to be {' or '.join(known)}."
        return FieldProblem(path=path, message=message, value=value, nearest=nearest(value, known) or known[0])
    wanted = _WANTED.get(kind.partition("_")[0])
    if wanted is not None and kind.endswith(("_type", "_parsing", "_from_float")):
        return FieldProblem(path=path, message=f"has to be {wanted}.", value=value, nearest=_quoted(kind, value))
    return FieldProblem(path=path, message=_limit(context) or _sentence(error["msg"]), value=value)


def _limit(context: Mapping[str, object]) -> str:
    if "max_length" in context and "actual_length" in context:
        return f"has {context['actual_length']} entries; {context['max_length']} are allowed."
    if "max_length" in context:
        return f"is longer than {context['max_length']} characters."
    if "min_length" in context:
        return "is empty."
    words = {"ge": "at least", "le": "at most"}
    return next((f"has to be {word} {context[limit]}." for limit, word in words.items() if limit in context), "")


def _sentence(message: str) -> str:
    return f"{message[:1].lower()}{message[1:]}."


def _unknown(path: FieldPath) -> FieldProblem:
    word = str(path[-1])
    parent = _model_at(path[:-1])
    known = _fields(parent) if parent is not None else {}
    homes = [dotted(home) for home in _homes(ModelDeployment, ()) if home[-1] == word]
    guess = homes[0] if homes else nearest(word, known)
    listed = "" if guess else f" There are {', '.join(known)}."
    return FieldProblem(path=path, message=f"is not a field here.{listed}", nearest=guess)


def _missing(path: FieldPath, given: object) -> FieldProblem:
    parent = _model_at(path[:-1])
    known = _fields(parent) if parent is not None else {}
    strangers = [key for key in given if key not in known] if isinstance(given, dict) else []
    guess = nearest(str(path[-1]), strangers)
    message = f'is missing; "{guess}" looks like a misspelling of it.' if guess else "is missing."
    return FieldProblem(path=path, message=message)


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str | int | float) else ""


def _quoted(kind: str, value: str) -> str:
    return f'"{value}"' if kind.startswith("string") and value else ""


def _model_at(path: FieldPath) -> type[BaseModel] | None:
    """The type that describes the object at this path."""
    model: type[BaseModel] | None = ModelDeployment
    for step in path:
        if isinstance(step, int):
            continue
        model = _fields(model).get(step) if model is not None else None
    return model


def _fields(model: type[BaseModel]) -> dict[str, type[BaseModel] | None]:
    """Names in YAML, with the type of what is below where that has fields of its own."""
    return {info.alias or name: _model_in(info.annotation) for name, info in model.model_fields.items()}


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part)) is not None), None)


def _homes(model: type[BaseModel], path: FieldPath) -> Iterator[FieldPath]:
    for name, below in _fields(model).items():
        if name == "status":
            continue
        yield (*path, name)
        if below is not None:
            yield from _homes(below, (*path, name))
