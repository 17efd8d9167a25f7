"""One model out of a repository of safetensors or pickles: the folder, the weights, and what goes with them. Pure."""

import posixpath
import re
from collections.abc import Sequence
from fnmatch import fnmatchcase

from inferry_runtime.model.errors import ModelNotFound
from inferry_runtime.model.facts import Format
from inferry_runtime.model.listing import ListedFile
from inferry_runtime.model.selection import PICKLE_SUFFIXES, Selection, folder, found, name

_SHARD = re.compile(r"(?P<stem>.*)-(?P<part>\d{5})-of-(?P<count>\d{5})(?P<ending>\.safetensors|\.bin)")
# Copies in other layouts, and things that are no model.
_OTHER_FOLDERS = frozenset({"original", "onnx", "openvino", "coreml", "metal", "figures", "runs"})
_OTHER_WEIGHTS = ("consolidated*", "adapter_model*", "optimizer*", "scheduler*", "rng_state*", "training_args*")
_SUPPORT_PATTERNS = ("*.json", "*.txt", "*.model", "*.jinja", "*.tiktoken", "*.spm", "*.vocab", "*.bpe")
# Indices of weights that are not fetched, records of training, and what only another framework reads.
_NO_SUPPORT = (
    *("*.index.json", "trainer_state.json", "training_args.json", "*_results.json", "adapter_*.json", "params.json"),
    *("model_index.json", "hf_quant_config_*.json", "LICENSE*", "NOTICE*", "README*", "requirements*.txt"),
)
# sentence-transformers numbers the folders of its modules: 1_Pooling, 2_Dense.
_MODULE_FOLDER = re.compile(r"\d+_[A-Za-z]+")


def select_safetensors(files: Sequence[ListedFile]) -> Selection:
    """Raises ModelNotFound when there is no model, more than one, or only a part of one."""
    tensors = [file for file in files if file.path.endswith(".safetensors")]
    root = _folder(files, tensors, Format.SAFETENSORS)
    beside = [file for file in tensors if folder(file) == root]
    index = _index(files, root, beside)
    weights, notes = (tuple(beside), ()) if index else _weights(beside)
    return Selection(
        format=Format.SAFETENSORS,
        weights=weights,
        folder=root,
        index=index,
        support=_support(files, root, index),
        code=tuple(file for file in files if folder(file) == root and file.path.endswith(".py")),
        notes=notes,
    )


def select_pickle(files: Sequence[ListedFile]) -> Selection:
    """Raises ModelNotFound like `select_safetensors`; whether pickles may be used is for the caller to decide."""
    pickles = [file for file in files if file.path.endswith(PICKLE_SUFFIXES)]
    root = _folder(files, pickles, Format.PICKLE)
    weights, notes = _weights([file for file in pickles if folder(file) == root])
    return Selection(
        format=Format.PICKLE,
        weights=weights,
        folder=root,
        support=_support(files, root, f"{posixpath.join(root, 'pytorch_model.bin')}.index.json"),
        code=tuple(file for file in files if folder(file) == root and file.path.endswith(".py")),
        notes=notes,
    )


def _folder(files: Sequence[ListedFile], weights: Sequence[ListedFile], format_: Format) -> str:
    """The folder with config.json and weights: the root, or the only other one."""
    configured = {folder(file) for file in files if name(file) == "config.json"}
    candidates = sorted({folder(file) for file in weights if _is_weight(file)} & configured)
    candidates = [one for one in candidates if not _is_aside(one)]
    if "" in candidates or len(candidates) == 1:
        return "" if "" in candidates else candidates[0]
    raise _no_folder(files, candidates, format_)


def _no_folder(files: Sequence[ListedFile], candidates: Sequence[str], format_: Format) -> ModelNotFound:
    names = {name(file) for file in files}
    if candidates:
        return ModelNotFound(
            f"there are several models, in {', '.join(candidates[:5])}", hint="choose one with model.files.include"
        )
    if "adapter_config.json" in names:
        return ModelNotFound("this is a LoRA adapter, not a model", hint="name the model it was made for")
    if "config.json" not in names:
        return ModelNotFound(
            f"there are {format_} weights without config.json; {found(files)}",
            hint='name the whole folder; with model.files.include, add "*.json"',
        )
    return ModelNotFound(f"config.json has no weights beside it; {found(files)}", hint="check model.files")


def _is_aside(path: str) -> bool:
    return any(part in _OTHER_FOLDERS or _MODULE_FOLDER.fullmatch(part) for part in path.split("/"))


def _is_weight(file: ListedFile) -> bool:
    return not any(fnmatchcase(name(file), pattern) for pattern in _OTHER_WEIGHTS[1:])


def _index(files: Sequence[ListedFile], root: str, beside: Sequence[ListedFile]) -> str:
    """transformers' order: a single model.safetensors first, then the index, then whatever there is."""
    single, index = posixpath.join(root, "model.safetensors"), posixpath.join(root, "model.safetensors.index.json")
    if any(file.path == single for file in beside):
        return ""
    return index if any(file.path == index for file in files) else ""


def _weights(beside: Sequence[ListedFile]) -> tuple[tuple[ListedFile, ...], tuple[str, ...]]:
    """By the names alone."""
    named = {name(file): file for file in beside if _is_weight(file)}
    for single in ("model.safetensors", "pytorch_model.bin"):
        if single in named:
            return (named[single],), ()
    own = [file for file in named.values() if not fnmatchcase(name(file), _OTHER_WEIGHTS[0])]
    shards = _shards(own)
    if shards:
        return shards, ()
    left = own or list(named.values())
    notes = () if own else ("Only weights in Mistral's own layout are here (consolidated.*); few engines read them.",)
    return tuple(left), notes if len(left) == 1 or notes else (f"All {len(left)} weight files were taken.",)


def _shards(files: Sequence[ListedFile]) -> tuple[ListedFile, ...]:
    """The set of numbered files, the one called model first; () when nothing is numbered."""
    groups: dict[tuple[str, int, str], dict[int, ListedFile]] = {}
    for file in files:
        match = _SHARD.fullmatch(name(file))
        if match is not None:
            key = (match["stem"], int(match["count"]), match["ending"])
            groups.setdefault(key, {})[int(match["part"])] = file
    if not groups:
        return ()
    (stem, count, ending), parts = min(
        groups.items(), key=lambda group: (group[0][0] not in ("model", "pytorch_model"), group[0])
    )
    missing = next((part for part in range(1, count + 1) if part not in parts), None)
    if missing is not None:
        raise ModelNotFound(
            f"{stem} has {len(parts)} of {count} parts, {stem}-{missing:05}-of-{count:05}{ending} is missing",
            hint="complete the download, or check model.files",
        )
    return tuple(parts[part] for part in sorted(parts))


def _support(files: Sequence[ListedFile], root: str, index: str) -> tuple[ListedFile, ...]:
    return tuple(file for file in files if file.path == index or _is_support(file, root))


def _is_support(file: ListedFile, root: str) -> bool:
    inside = posixpath.relpath(folder(file) or ".", root or ".")
    listed = any(fnmatchcase(name(file), pattern) for pattern in _SUPPORT_PATTERNS)
    unwanted = any(fnmatchcase(name(file), pattern) for pattern in _NO_SUPPORT)
    if inside == ".":
        return listed and not unwanted
    if inside == "additional_chat_templates":
        return file.path.endswith(".jinja")
    return _MODULE_FOLDER.fullmatch(inside) is not None and (listed or file.path.endswith(".safetensors"))
