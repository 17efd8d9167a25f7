"""Files by their own paths, as symbolic links: what engines open.

Links, not second names (hard links): a new hard link moves the change time of a blob, and with it its fingerprint.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from inferry_runtime.model.durable import sync_folder, unique_suffix


def link_tree(root: Path, targets: Mapping[str, Path], *, relative: bool) -> None:
    """Every path in `targets` leads to its file afterwards. Relative links survive a move of the whole store."""
    root.mkdir(parents=True, exist_ok=True)
    changed: set[Path] = set()
    for path, target in targets.items():
        link = root / path
        link.parent.mkdir(parents=True, exist_ok=True)
        aim = os.path.relpath(target, link.parent) if relative else str(target)
        if _read(link) != aim:
            _point(link, aim, root.parent / unique_suffix())
            changed.add(link.parent)
    for folder in changed:
        sync_folder(folder)


def _read(link: Path) -> str | None:
    try:
        return os.readlink(link)
    except OSError:
        return None


def _point(link: Path, aim: str, temporary: Path) -> None:
    """Made beside the tree, so that no engine ever finds half a link in it."""
    os.symlink(aim, temporary)
    os.replace(temporary, link)
