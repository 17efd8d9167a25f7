"""Where a relative model folder is meant to be."""

from pathlib import Path


def absolute_source(source: str, folder: Path) -> str:
    """Plain relative paths become absolute: the process that reads them runs somewhere else."""
    if "://" in source:
        return source
    return str((folder / Path(source).expanduser()).resolve())
