"""One place where anything reaches the terminal: tables for people, JSON and YAML for programs."""

import json
import shutil
import sys
import textwrap
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TextIO

UNKNOWN_COLUMNS = 120
"""Width of what is not a terminal: a log or a file is read in wide windows."""
NARROWEST_COLUMN = 40
"""Below this, wrapped sentences are harder to read than long lines."""


class Output(StrEnum):
    """Values of `--output`."""

    TABLE = "table"
    WIDE = "wide"
    JSON = "json"
    YAML = "yaml"

    @property
    def for_programs(self) -> bool:
        return self in {Output.JSON, Output.YAML}


def say(text: str = "", *, end: str = "\n") -> None:
    """To standard output, at once: answers are streamed."""
    sys.stdout.write(text + end)
    sys.stdout.flush()


def note(text: str) -> None:
    """To standard error: what is going on, never part of a result."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def structured(document: object, output: Output) -> None:
    """`document` is made of dicts, lists and scalars."""
    if output is Output.JSON:
        say(json.dumps(document, indent=2, ensure_ascii=False))
        return
    import yaml

    say(yaml.safe_dump(document, sort_keys=False, allow_unicode=True), end="")


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, empty: str = "") -> None:
    """Left-aligned columns two spaces apart, cut by nothing: what is printed can be piped."""
    if not rows:
        note(empty)
        return
    widths = [max(len(row[index]) for row in (columns, *rows)) for index in range(len(columns))]
    for row in (columns, *rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        say("  ".join(cells).rstrip())


def fields(pairs: Mapping[str, str], *, indent: int = 0) -> None:
    """`Name:  value` lines with the values in one column; empty values are left out."""
    shown = {name: value for name, value in pairs.items() if value}
    width = max((len(name) for name in shown), default=0) + 1
    for name, value in shown.items():
        first, *rest = value.splitlines() or [""]
        say(f"{' ' * indent}{name + ':':<{width}}  {first}")
        for line in rest:
            say(f"{' ' * (indent + width + 2)}{line}")


def paragraph(text: str, head: str) -> None:
    """Text wrapped to the terminal, hanging from its first words."""
    columns = shutil.get_terminal_size(fallback=(UNKNOWN_COLUMNS, 0)).columns
    width = max(columns, len(head) + NARROWEST_COLUMN)
    say(textwrap.fill(text, width, initial_indent=head, subsequent_indent=" " * len(head), break_long_words=False))


def interactive(stream: TextIO) -> bool:
    """Whether a person is at the other end."""
    return stream.isatty()
