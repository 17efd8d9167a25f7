"""Facts of safetensors and pickles: the JSON files beside them, and sums over the headers of all shards."""

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from inferry_runtime.model import config_json, json_document, safetensors
from inferry_runtime.model.config_json import ConfigFiles
from inferry_runtime.model.errors import MalformedFile
from inferry_runtime.model.facts import Format, ModelFacts, WeightFile
from inferry_runtime.model.json_document import Document
from inferry_runtime.model.listing import ListedFile, Repository
from inferry_runtime.model.parallel import each
from inferry_runtime.model.safetensors import SafetensorsHeader
from inferry_runtime.model.selection import Selection

_DTYPES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}
_CHAT_TEMPLATE = frozenset({"chat_template"})


def tensor_model(
    repository: Repository, selection: Selection, listed: Sequence[ListedFile]
) -> tuple[ModelFacts, tuple[ListedFile, ...]]:
    """The facts and the files to fetch, weights first. Raises ModelError."""
    folder = _Folder(repository, selection.folder, {file.path: file for file in listed})
    facts = config_json.facts(folder.configuration())
    weights = folder.indexed(selection.index) if selection.index else selection.weights
    facts = replace(
        facts,
        format=Format.PICKLE if selection.format is Format.PICKLE else facts.format,
        weights=tuple(WeightFile(path=file.path, size_bytes=file.size_bytes) for file in weights),
    )
    if selection.format is Format.SAFETENSORS:
        facts = _with_tensors(facts, folder.headers(weights))
    code = selection.code if facts.remote_code else ()
    return facts, (*weights, *selection.support, *code)


def _with_tensors(facts: ModelFacts, header: SafetensorsHeader) -> ModelFacts:
    floats = {name: header.elements[name] for name in _DTYPES if name in header.elements}
    commonest = max(floats, key=lambda name: floats[name], default="")
    return replace(
        facts,
        dtype=facts.dtype or _DTYPES.get(commonest, ""),
        parameters=header.parameters(facts.quantization.bits) or None,
    )


@dataclass(frozen=True, slots=True)
class _Folder:
    """The folder of the repository that holds config.json. Names are relative to it."""

    repository: Repository
    path: str
    listed: Mapping[str, ListedFile]

    def configuration(self) -> ConfigFiles:
        modules = self._modules()
        return ConfigFiles(
            config=json_document.read_document(self.repository.open(self._full("config.json")), "config.json"),
            tokenizer=self._tokenizer(),
            chat_template_file=self._has("chat_template.jinja"),
            modelopt=self._optional("hf_quant_config.json"),
            sentence_modules=modules,
            pooling=self._pooling(modules),
            sentence_bert=self._optional("sentence_bert_config.json"),
        )

    def indexed(self, index: str) -> tuple[ListedFile, ...]:
        """The files an index names, all of them there."""
        names = safetensors.read_index(self.repository.open(index), index)
        missing = [name for name in names if not self._has(name)]
        if missing:
            raise MalformedFile(
                f"{index}: names {missing[0][:80]!r}, which is not there ({len(missing)} of {len(names)} missing)",
                hint="complete the download, or check model.files",
            )
        return tuple(self.listed[self._full(name)] for name in names)

    def headers(self, weights: Sequence[ListedFile]) -> SafetensorsHeader:
        def read(file: ListedFile) -> SafetensorsHeader:
            return safetensors.read_header(self.repository.open(file.path), file.path)

        return safetensors.combined(each(read, weights))

    def _tokenizer(self) -> Document | None:
        """Whichever file has a chat template; not read when chat_template.jinja settles it."""
        if self._has("chat_template.jinja"):
            return None
        for name in ("tokenizer_config.json", "chat_template.json"):
            if self._has(name):
                found = json_document.read_keys(self.repository.open(self._full(name)), name, _CHAT_TEMPLATE)
                if "chat_template" in found:
                    return found
        return None

    def _modules(self) -> tuple[Document, ...]:
        if not self._has("modules.json"):
            return ()
        return json_document.read_list(self.repository.open(self._full("modules.json")), "modules.json")

    def _pooling(self, modules: Sequence[Document]) -> Document | None:
        for module in modules:
            if module.text("type").endswith(".Pooling"):
                return self._optional(posixpath.join(module.text("path"), "config.json"))
        return None

    def _optional(self, name: str) -> Document | None:
        return json_document.read_document(self.repository.open(self._full(name)), name) if self._has(name) else None

    def _has(self, name: str) -> bool:
        return self._full(name) in self.listed

    def _full(self, name: str) -> str:
        return posixpath.join(self.path, name)
