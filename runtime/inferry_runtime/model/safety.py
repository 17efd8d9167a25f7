"""What an order may not ask for, checked before anything is touched."""

from pathlib import PurePosixPath

from inferry_runtime.model.errors import MalformedFile, UnsafeFormat
from inferry_runtime.order import ModelOrder

# Formats whose loaders run whatever code the file holds. `.bin` and `.pt` are pickles in every framework we start.
PICKLE_SUFFIXES = frozenset({".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib", ".dill", ".npy", ".npz"})
# The longest name most file systems take, and the longest path that fits beside the store's own folders.
MAX_NAME_BYTES, MAX_PATH_BYTES = 255, 1024


def check_order(order: ModelOrder) -> None:
    """Raises MalformedFile for paths that would leave the model's folder, UnsafeFormat for pickles."""
    seen: set[str] = set()
    for file in order.files:
        check_path(file.path)
        if file.path in seen:
            raise MalformedFile(f"{file.path} is listed twice")
        seen.add(file.path)
        if file.size_bytes < 0:
            raise MalformedFile(f"{file.path} has a negative size")
        check_digest(file.path, file.sha256)
        if not order.allow_unsafe_formats and is_pickle(file.path):
            raise UnsafeFormat(
                f"{file.path} is a pickle, and loading one can run any code",
                hint="use a repository with safetensors or GGUF, or set spec.model.integrity.allowUnsafeFormats",
            )
    _check_folders(seen)


def check_path(path: str) -> None:
    """Raises MalformedFile unless the path stays inside the model's folder on every system."""
    parts = PurePosixPath(path).parts
    dotted = any(part in {"", ".", ".."} for part in path.split("/"))
    if not path or dotted or path.startswith("/") or "\\" in path or not path.isprintable():
        raise MalformedFile(f"{path!r} is not a path inside the model's folder", hint="distrust this source")
    if len(path.encode()) > MAX_PATH_BYTES or any(len(part.encode()) > MAX_NAME_BYTES for part in parts):
        raise MalformedFile(f"{path[:80]!r}… is too long for a file name")


def check_digest(path: str, sha256: str | None) -> None:
    """Digests become file names. Raises MalformedFile unless it is one."""
    if sha256 is not None and (len(sha256) != 64 or set(sha256) - set("0123456789abcdef")):
        raise MalformedFile(f"{path} has the digest {sha256[:80]!r}, which is not a sha256 in lower-case hexadecimal")


def is_pickle(path: str) -> bool:
    return PurePosixPath(path.lower()).suffix in PICKLE_SUFFIXES


def _check_folders(paths: set[str]) -> None:
    for path in paths:
        for parent in PurePosixPath(path).parents:
            if str(parent) in paths:
                raise MalformedFile(f"{parent} is listed both as a file and as a folder")
