"""The part of Hugging Face's HTTP API that huggingface_hub calls to look at a model and to fetch its files."""

import json
import re
from collections.abc import Callable
from urllib.parse import unquote

from hub.content import Commit, Model, StoredFile
from hub.exchange import Answer, Request
from hub.links import SignedLinks

_INFO = re.compile(r"/api/models/(?P<repository>[^/]+/[^/]+)(?:/revision/(?P<revision>[^/]+))?")
_TREE = re.compile(r"/api/models/(?P<repository>[^/]+/[^/]+)/tree/(?P<revision>[^/]+)")
_RESOLVE = re.compile(r"/(?P<repository>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<path>.+)")
# The real hub pages by 1000; less makes small repositories exercise the cursor.
TREE_PAGE = 3

Route = Callable[[Request, re.Match[str], Model, Commit], Answer]


class HuggingFaceApi:
    """Holds no state but where things are; `cdn` turns an LFS file into a signed URL on another port."""

    def __init__(self, models: dict[str, Model], tokens: set[str], url: str, cdn: SignedLinks) -> None:
        self._models = models
        self._tokens = tokens
        self._url = url
        self._cdn = cdn

    def answer(self, request: Request) -> Answer | None:
        """None for paths of other APIs."""
        for pattern, route in ((_TREE, self._tree), (_INFO, self._info), (_RESOLVE, self._resolve)):
            if match := pattern.fullmatch(request.path):
                return self._guarded(request, match, route)
        return None

    def _guarded(self, request: Request, match: re.Match[str], route: Route) -> Answer:
        model = self._models.get(match["repository"])
        known = request.token in self._tokens
        if request.token and not known:
            return _refusal(401, "", "Invalid credentials in Authorization header")
        if model is None or (model.private and not known):
            # The real hub does not tell strangers whether a repository exists.
            return _refusal(404 if known else 401, "RepoNotFound", "Repository not found")
        revision = unquote(match["revision"] or "main")
        commit = model.at(revision)
        if commit is None:
            return _refusal(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return route(request, match, model, commit)

    def _info(self, request: Request, match: re.Match[str], model: Model, commit: Commit) -> Answer:
        blobs = request.query.get("blobs") in {"true", "True"}
        document = {
            "_id": commit.sha[:24],
            "id": model.repository,
            "modelId": model.repository,
            "author": model.repository.split("/")[0],
            "sha": commit.sha,
            "private": model.private,
            "gated": "auto" if model.gated else False,
            "disabled": False,
            "tags": [f"license:{model.license}"] if model.license else [],
            "cardData": {"license": model.license} if model.license else {},
            "siblings": [_sibling(file, blobs=blobs) for file in commit.files.values()],
        }
        return _json(document)

    def _tree(self, request: Request, match: re.Match[str], model: Model, commit: Commit) -> Answer:
        files = list(commit.files.values())
        start = int(request.query.get("cursor", "0"))
        entries = [_tree_entry(file) for file in files[start : start + TREE_PAGE]]
        if start + TREE_PAGE >= len(files):
            return _json(entries)
        following = f"{self._url}{request.path}?recursive=True&cursor={start + TREE_PAGE}"
        return _json(entries, (("Link", f'<{following}>; rel="next"'),))

    def _resolve(self, request: Request, match: re.Match[str], model: Model, commit: Commit) -> Answer:
        if model.gated and request.token not in self._tokens:
            return _refusal(401, "GatedRepo", f"Access to model {model.repository} is restricted.")
        if model.gated and request.token.startswith("hf_stranger"):
            return _refusal(403, "GatedRepo", f"Access to model {model.repository} is restricted.")
        file = commit.files.get(unquote(match["path"]))
        if file is None:
            return _refusal(404, "EntryNotFound", "Entry not found", (("X-Repo-Commit", commit.sha),))
        return self._file(file, commit)

    def _file(self, file: StoredFile, commit: Commit) -> Answer:
        told = (
            ("X-Repo-Commit", commit.sha),
            ("X-Linked-Etag", f'"{file.etag}"'),
            ("X-Linked-Size", str(len(file.content))),
            ("ETag", f'"{file.etag}"'),
        )
        if not file.lfs:
            return Answer(body=file.content, headers=told, ranged=True)
        return Answer(status=302, headers=(*told, ("Location", self._cdn.sign(file))))


def _sibling(file: StoredFile, *, blobs: bool) -> dict[str, object]:
    if not blobs:
        return {"rfilename": file.path}
    named: dict[str, object] = {"rfilename": file.path, "size": len(file.content), "blobId": file.git_oid}
    if file.lfs:
        named["lfs"] = {"sha256": file.sha256, "size": len(file.content), "pointerSize": 135}
    return named


def _tree_entry(file: StoredFile) -> dict[str, object]:
    entry: dict[str, object] = {"type": "file", "oid": file.git_oid, "size": len(file.content), "path": file.path}
    if file.lfs:
        entry["lfs"] = {"oid": file.sha256, "size": len(file.content), "pointerSize": 135}
    return entry


def _json(document: object, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    return Answer(body=json.dumps(document).encode(), headers=(("Content-Type", "application/json"), *headers))


def _refusal(status: int, code: str, message: str, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    told = (("X-Error-Code", code), ("X-Error-Message", message)) if code else (("X-Error-Message", message),)
    return Answer(status=status, body=json.dumps({"error": message}).encode(), headers=(*told, *headers))
