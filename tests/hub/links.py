"""The port LFS files are really served from: signed URLs that expire, and that refuse to be told a token."""

from dataclasses import dataclass, field

from hub.content import StoredFile
from hub.exchange import Answer, Request


@dataclass(slots=True)
class SignedLinks:
    url: str = ""
    generation: int = 0
    """Part of every signature; raising it makes all links given out so far worthless."""
    _files: dict[str, StoredFile] = field(default_factory=dict)

    def sign(self, file: StoredFile) -> str:
        self._files[file.sha256] = file
        return f"{self.url}/lfs/{file.sha256}?X-Signature={self.generation}"

    def answer(self, request: Request) -> Answer:
        if "authorization" in request.headers or "cookie" in request.headers:
            return Answer(status=400, body=b"Only one auth mechanism allowed")
        if request.query.get("X-Signature") != str(self.generation):
            return Answer(status=403, body=b"Request has expired")
        file = self._files.get(request.path.removeprefix("/lfs/"))
        if file is None:
            return Answer(status=404, body=b"NoSuchKey")
        return Answer(body=file.content, headers=(("ETag", f'"{file.sha256[:32]}"'),), ranged=True)
