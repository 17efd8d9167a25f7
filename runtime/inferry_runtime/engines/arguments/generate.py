"""Read the arguments of an installed engine and print them as JSON.

Run by the engine's own interpreter, once per version:
`ENVIRONMENT/bin/python -P generate.py llamacpp > llamacpp-VERSION.json`
"""

import enum
import inspect
import itertools
import json
import re
import sys
import typing
from collections.abc import Iterator
from importlib.metadata import version

Row = dict[str, object]

DECIDED_BY_INFERRY = {
    "llamacpp": ("port", "hostnames", "model.", "model_alias", "mmproj.", "endpoint_metrics"),
    "transformers": ("force_model", "host", "port", "non_blocking"),
}
"""Names, and groups ending in a dot, that follow from the rest of a deployment."""

DISTRIBUTIONS = {"llamacpp": "xllamacpp", "transformers": "transformers"}

CACHE_TYPES = ["f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl"]
"""The element types llama.cpp's own command line admits for a KV cache; the others of the enumeration fail later."""

TYPES = {bool: "boolean", int: "integer", float: "number", str: "string"}


def main(engine: str) -> None:
    decided = DECIDED_BY_INFERRY[engine]
    rows = llamacpp() if engine == "llamacpp" else transformers()
    marked = [{**row, "settable": False} if is_decided(by_name(row), decided) else row for row in rows]
    document = {"engine": engine, "version": version(DISTRIBUTIONS[engine]), "arguments": sorted(marked, key=by_name)}
    sys.stdout.write(json.dumps(document, indent=1, ensure_ascii=False) + "\n")


def by_name(row: Row) -> str:
    return str(row["name"])


def is_decided(name: str, decided: tuple[str, ...]) -> bool:
    return any(name.startswith(rule) if rule.endswith(".") else name == rule for rule in decided)


def llamacpp() -> Iterator[Row]:
    import xllamacpp

    yield from fields(xllamacpp.CommonParams(), "")


def fields(holder: object, prefix: str) -> Iterator[Row]:
    """Fields of a parameter struct, nested structs by dotted name. What is neither a value nor a struct is skipped."""
    for name in dir(holder):
        if name.startswith("_"):
            continue
        value = getattr(holder, name)
        if type(value).__module__.startswith("xllamacpp") and not isinstance(value, enum.Enum):
            yield from fields(value, f"{prefix}{name}.")
        elif not callable(value) and not isinstance(value, dict):
            yield field(holder, f"{prefix}{name}", name, value)


def field(holder: object, full: str, name: str, value: object) -> Row:
    documented = (getattr(type(holder), name).__doc__ or "").partition("\n")[2]
    row: Row = {"name": full, "type": "string", "description": " ".join(documented.split())}
    if isinstance(value, enum.Enum):
        return {**row, "choices": CACHE_TYPES if name.startswith("cache_type_") else choices(type(value))}
    if isinstance(value, list | set):
        return {**row, "description": f"{row['description']} Several values are separated by commas.".strip()}
    return {**row, "type": TYPES[type(value)]}


def choices(enumeration: type[enum.Enum]) -> list[str]:
    """Short lower-case names, as the server's main takes them; `..._COUNT` only says how many there are."""
    members = list(enumeration.__members__)
    columns = zip(*(member.split("_") for member in members), strict=False)
    shared = itertools.takewhile(lambda words: len(set(words)) == 1, columns)
    common = "".join(f"{words[0]}_" for words in shared)
    return sorted({member.removeprefix(common).lower() for member in members} - {"count"})


def transformers() -> Iterator[Row]:
    from transformers.cli.serve import Serve

    hints = typing.get_type_hints(Serve.__init__, include_extras=True)
    for name in inspect.signature(Serve).parameters:
        yield option(name, hints[name])


def option(name: str, hint: object) -> Row:
    annotated, *extras = typing.get_args(hint)
    kinds = [kind for kind in typing.get_args(annotated) or (annotated,) if kind is not type(None)]
    help_text = next((extra.help for extra in extras if getattr(extra, "help", None)), "")
    row: Row = {"name": name, "type": TYPES.get(kinds[0], "string"), "description": help_text}
    if isinstance(kinds[0], type) and issubclass(kinds[0], enum.Enum):
        return {**row, "choices": [member.value for member in kinds[0]]}
    quoted = re.findall(r"'([\w-]+)'", help_text) if "method:" in help_text else []
    return {**row, "choices": quoted} if quoted else row


if __name__ == "__main__":
    main(sys.argv[1])
