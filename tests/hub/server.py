"""A small real hub on loopback: Hugging Face and ModelScope at once, LFS on a second port, plain files, faults.

with Hub() as hub:
    commit = hub.add_model("org/name", {"config.json": b"{}", "model.gguf": weights})
    ...HF_ENDPOINT=hub.url...
"""

import threading
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

from hub.content import Model, StoredFile
from hub.exchange import Answer, Listener, Request
from hub.faults import Fault, Faults
from hub.huggingface import HuggingFaceApi
from hub.links import SignedLinks
from hub.modelscope import ModelScopeApi

__all__ = ["Fault", "Hub", "Request"]


class Hub:
    """`requests` is everything that was asked, on both ports, in order of arrival."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.faults = Faults()
        self._models: dict[str, Model] = {}
        self._tokens: set[str] = set()
        self._plain: dict[str, StoredFile] = {}
        self._links = SignedLinks()
        self._sent = threading.Condition()
        self._hub = Listener("hub", self._route, self.faults.take, self.requests, self._told)
        self._cdn = Listener("cdn", self._links.answer, self.faults.take, self.requests, self._told)
        self._links.url = self._cdn.url
        self._apis = (
            ModelScopeApi(self._models, self._tokens, self._links),
            HuggingFaceApi(self._models, self._tokens, self.url, self._links),
        )
        self._threads = [threading.Thread(target=port.serve_forever, args=(0.02,)) for port in (self._hub, self._cdn)]

    @property
    def url(self) -> str:
        """The endpoint of both hubs."""
        return self._hub.url

    def add_model(
        self,
        repository: str,
        files: Mapping[str, bytes],
        *,
        revision: str = "main",
        gated: bool = False,
        private: bool = False,
        license: str = "apache-2.0",
    ) -> str:
        """The commit that branch `revision` (and `master`, ModelScope's default) now leads to; earlier ones stay."""
        model = self._models.setdefault(repository, Model(repository))
        model.gated, model.private, model.license = gated, private, license
        sha = model.commit(files, revision).sha
        if revision == "main":
            model.references["master"] = sha
        return sha

    def add_token(self, token: str) -> None:
        """A token the hub knows. One that begins with `hf_stranger` has not accepted any licence."""
        self._tokens.add(token)

    def add_file(self, path: str, content: bytes) -> str:
        """A file of a plain web server; returns its URL."""
        self._plain[f"/{path.lstrip('/')}"] = StoredFile.of(path, content)
        return f"{self.url}/{path.lstrip('/')}"

    def fail(self, fault: Fault) -> None:
        self.faults.add(fault)

    def expire_links(self) -> None:
        """Every LFS link given out so far is refused from now on."""
        self._links.generation += 1

    def sent_bytes(self, match: str = "") -> int:
        """Bytes of files and documents, not of refusals, sent where path or query contain `match`."""
        return sum(request.sent_bytes for request in self.asked(match) if request.status < 300)

    def wait_until_sent(self, sent_bytes: int, give_up: Callable[[], bool]) -> bool:
        """True as soon as so many bytes have left; False once `give_up`, asked every few moments, says so."""
        with self._sent:
            while self.sent_bytes() < sent_bytes:
                if give_up():
                    return False
                self._sent.wait(0.02)
        return True

    def asked(self, match: str = "") -> list[Request]:
        return [request for request in list(self.requests) if match in request.target]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        for port in (self._hub, self._cdn):
            port.shutdown()
            port.close_all()
        for thread in self._threads:
            thread.join()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _told(self) -> None:
        with self._sent:
            self._sent.notify_all()

    def _route(self, request: Request) -> Answer:
        if request.path in self._plain:
            file = self._plain[request.path]
            return Answer(body=file.content, headers=(("ETag", f'"{file.git_oid}"'),), ranged=True)
        for api in self._apis:
            if (answer := api.answer(request)) is not None:
                return answer
        return Answer(status=404, body=b"not found")
