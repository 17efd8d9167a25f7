"""Whether an environment is whole, and whether anybody runs from it."""

import csv
import os
from collections.abc import Iterator
from pathlib import Path

COMPLETE = "complete.json"
"""Written last; without it nothing in the folder is believed."""


def interpreter(environment: Path) -> Path:
    return environment / "bin" / "python"


def damage(environment: Path) -> str:
    """The first thing that is wrong; "" when every installed file is there in its full size.

    Sizes come from the RECORD of each distribution. Bytes are not read: 5 GB of them would cost half a minute.
    """
    if not (environment / COMPLETE).is_file():
        return "it was never finished"
    if not os.access(interpreter(environment), os.X_OK):
        return f"its interpreter {interpreter(environment).resolve()} is gone"
    for path, size in recorded_files(environment):
        if _size(path) != size:
            return f"{path.relative_to(environment)} is missing or has another size"
    return ""


def recorded_files(environment: Path) -> Iterator[tuple[Path, int]]:
    """Installed files whose size is recorded, each with it."""
    for site_packages in environment.glob("lib/python*/site-packages"):
        for record in site_packages.glob("*.dist-info/RECORD"):
            with record.open(encoding="utf-8", newline="") as rows:
                for name, _, size in csv.reader(rows):
                    if size and not name.endswith(".pyc"):
                        yield site_packages / name, int(size)


def is_in_use(environment: Path) -> bool:
    """Whether a process of this user runs from it. True where the system does not tell."""
    processes = Path("/proc")
    if not (processes / "self" / "maps").exists():
        return True
    inside = f"{environment}{os.sep}"
    return any(_mentions(entry, inside) for entry in processes.iterdir() if entry.name.isdigit())


def _mentions(process: Path, inside: str) -> bool:
    for name in ("cmdline", "maps"):
        try:
            content = (process / name).read_bytes()
        except OSError:
            # Gone by now, or another user's, who cannot be running from a folder of ours.
            continue
        if inside.encode() in content:
            return True
    return False


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
