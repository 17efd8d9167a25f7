"""Models a test hub holds: commits with files, as plain values."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

# What Hugging Face keeps in LFS by its default .gitattributes; the rest is in git itself and has no sha256.
LFS_SUFFIXES = (".safetensors", ".gguf", ".bin", ".pt", ".pth", ".onnx", ".model")


@dataclass(frozen=True, slots=True)
class StoredFile:
    path: str
    content: bytes
    sha256: str
    git_oid: str
    """SHA-1 of the git blob: the ETag of files that are not in LFS."""

    @classmethod
    def of(cls, path: str, content: bytes) -> Self:
        git_blob = hashlib.sha1(b"blob %d\0" % len(content))
        git_blob.update(content)
        return cls(path, content, hashlib.sha256(content).hexdigest(), git_blob.hexdigest())

    @property
    def lfs(self) -> bool:
        return self.path.endswith(LFS_SUFFIXES)

    @property
    def etag(self) -> str:
        return self.sha256 if self.lfs else self.git_oid


@dataclass(frozen=True, slots=True)
class Commit:
    sha: str
    files: Mapping[str, StoredFile]


@dataclass(slots=True)
class Model:
    """`references` are branches and tags: names that lead to commits."""

    repository: str
    license: str = ""
    gated: bool = False
    private: bool = False
    references: dict[str, str] = field(default_factory=dict)
    commits: dict[str, Commit] = field(default_factory=dict)

    def at(self, revision: str) -> Commit | None:
        """By branch, tag or commit."""
        return self.commits.get(self.references.get(revision, revision))

    def commit(self, files: Mapping[str, bytes], revision: str) -> Commit:
        stored = {path: StoredFile.of(path, content) for path, content in sorted(files.items())}
        told = "".join(f"{path}\0{file.git_oid}\n" for path, file in stored.items())
        commit = Commit(hashlib.sha1(f"{self.repository}\0{told}".encode()).hexdigest(), stored)
        self.commits[commit.sha] = commit
        self.references[revision] = commit.sha
        return commit
