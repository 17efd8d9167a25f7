"""The part of ModelScope's HTTP API that its own client calls to look at a model and to fetch its files."""

import json
import re

from hub.content import Commit, Model, StoredFile
from hub.exchange import Answer, Request
from hub.links import SignedLinks

_PATH = re.compile(r"/api/v1/models/(?P<repository>[^/]+/[^/]+)(?P<rest>|/revisions|/repo/files|/repo)")


class ModelScopeApi:
    def __init__(self, models: dict[str, Model], tokens: set[str], links: SignedLinks) -> None:
        self._models = models
        self._tokens = tokens
        self._links = links

    def answer(self, request: Request) -> Answer | None:
        """None for paths of other APIs."""
        match = _PATH.fullmatch(request.path)
        if match is None:
            return None
        model = self._models.get(match["repository"])
        if model is None:
            return _refusal(404, 10010205001, "record not found")
        if (model.private or model.gated) and request.token not in self._tokens:
            return _refusal(403, 10010101004, "get model info failed, err: unauthorized permission")
        return self._of_model(request, match["rest"], model)

    def _of_model(self, request: Request, rest: str, model: Model) -> Answer:
        if rest == "":
            return _success({"Name": model.repository, "License": model.license})
        if rest == "/revisions":
            named = [{"Revision": name, "CreatedAt": 1700000000} for name in model.references]
            return _success({"RevisionMap": {"Branches": named, "Tags": []}})
        commit = model.at(request.query.get("Revision", "master"))
        if commit is None:
            return _refusal(404, 10010205001, "record not found")
        return self._listing(commit) if rest == "/repo/files" else self._file(request, commit)

    def _listing(self, commit: Commit) -> Answer:
        folders = sorted({path.split("/")[0] for path in commit.files if "/" in path})
        entries = [{"Type": "tree", "Path": name, "Name": name, "Size": 0} for name in folders]
        entries += [_entry(file, commit) for file in commit.files.values()]
        # The real service often leaves the commit out here.
        return _success({"Files": entries, "LatestCommitter": {"Id": "", "ShortId": commit.sha[:8]}})

    def _file(self, request: Request, commit: Commit) -> Answer:
        file = commit.files.get(request.query.get("FilePath", ""))
        if file is None:
            return _refusal(404, 10010205001, "file not found")
        if file.lfs:
            return Answer(status=302, headers=(("Location", self._links.sign(file)),))
        return Answer(body=file.content, headers=(("ETag", f'"{file.git_oid}"'),), ranged=True)


def _entry(file: StoredFile, commit: Commit) -> dict[str, object]:
    return {
        "Type": "blob",
        "Path": file.path,
        "Name": file.path.rsplit("/", 1)[-1],
        "Size": len(file.content),
        "Sha256": file.sha256,
        "IsLFS": file.lfs,
        "Revision": commit.sha,
        "CommittedDate": 1726842501,
    }


def _success(data: object) -> Answer:
    document = {"Code": 200, "Data": data, "Message": "success", "RequestId": "0", "Success": True}
    return Answer(body=json.dumps(document).encode(), headers=(("Content-Type", "application/json"),))


def _refusal(status: int, code: int, message: str) -> Answer:
    document = {"Code": code, "Data": None, "Message": message, "RequestId": "0", "Success": False}
    return Answer(status=status, body=json.dumps(document).encode(), headers=(("Content-Type", "application/json"),))
