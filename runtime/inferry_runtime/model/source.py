"""Where a model comes from: text a person wrote -> a typed source. Pure; nothing is looked up."""

import re
from dataclasses import dataclass
from difflib import get_close_matches
from urllib.parse import SplitResult, unquote, urlsplit

from inferry_runtime.model.errors import InvalidSource

SCHEMES = ("hf", "modelscope", "https", "http", "s3", "gs", "az", "file")
FORMS = (
    "hf://org/repo[@revision], modelscope://org/repo[@revision], https://host/path/file.gguf, "
    "s3://, gs:// or az://bucket/prefix, file:///path or ./path"
)

# What people type out of habit, and what it means here.
ALIASES = {
    "huggingface": "hf",
    "hub": "hf",
    "ms": "modelscope",
    "gcs": "gs",
    "gcp": "gs",
    "azure": "az",
    "abfs": "az",
    "abfss": "az",
    "wasb": "az",
    "wasbs": "az",
    "s3a": "s3",
    "s3n": "s3",
    "aws": "s3",
    "local": "file",
    "path": "file",
}
WEIGHT_SUFFIXES = (".gguf", ".safetensors", ".bin", ".pt", ".pth")

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(/{0,2})")
_REPOSITORY_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
# Git forbids these in reference names; a revision is put into URLs and folder names, so no more than git allows.
_REVISION = re.compile(r"(?!.*(?:\.\.|//|@\{))[A-Za-z0-9_][A-Za-z0-9_./+-]{0,199}(?<![./])")
# The strictest rules of the three clouds are left to them; this only keeps out what is no name at all.
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,221}[A-Za-z0-9]")
_HUB_PAGE = re.compile(r"(?:www\.)?(?P<host>huggingface\.co|hf\.co|modelscope\.cn|modelscope\.ai)")


@dataclass(frozen=True, slots=True, kw_only=True)
class HuggingFace:
    repository: str
    """`org/name`."""
    revision: str = ""

    def __str__(self) -> str:
        return f"hf://{self.repository}{_at(self.revision)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelScope:
    repository: str
    """`org/name`."""
    revision: str = ""

    def __str__(self) -> str:
        return f"modelscope://{self.repository}{_at(self.revision)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class WebFile:
    url: str

    def __str__(self) -> str:
        return self.url

    @property
    def name(self) -> str:
        """Last part of the path: what the file is called in the model's folder."""
        return unquote(urlsplit(self.url).path.rsplit("/", 1)[-1])


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectStore:
    scheme: str
    """"s3", "gs" or "az"."""
    bucket: str
    prefix: str
    """Without slashes at either end; "" is the whole bucket. May name a single object."""

    def __str__(self) -> str:
        return f"{self.scheme}://{self.bucket}/{self.prefix}".rstrip("/")


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalPath:
    path: str
    """As written: absolute, relative to the working directory, or below `~`."""

    def __str__(self) -> str:
        return f"file://{self.path}" if self.path.startswith("/") else self.path


Source = HuggingFace | ModelScope | WebFile | ObjectStore | LocalPath


def parse_source(text: str) -> Source:
    """`parse_source(str(source)) == source`. Raises InvalidSource saying what to write instead."""
    text = text.strip()
    if not text or not text.isprintable():
        raise InvalidSource("the model source is empty or has control characters", hint=f"write {FORMS}")
    match = _SCHEME.match(text)
    if match is None:
        return _plain_path(text)
    scheme, slashes, rest = match.group(1).lower(), match.group(2), text[match.end() :]
    if slashes == "//":
        return _of_scheme(scheme, rest, text)
    if slashes or scheme in SCHEMES:
        raise InvalidSource(f"{text!r} lacks slashes after {scheme}:", hint=f"write {scheme}://{rest}")
    return _plain_path(text)


def without_revision(source: Source) -> Source:
    """The same model, at no revision in particular."""
    match source:
        case HuggingFace():
            return HuggingFace(repository=source.repository)
        case ModelScope():
            return ModelScope(repository=source.repository)
        case _:
            return source


def revision_of(source: Source) -> str:
    """The revision inside the source; "" when it names none or its kind has none."""
    return source.revision if isinstance(source, HuggingFace | ModelScope) else ""


def is_commit(revision: str) -> bool:
    """Forty hexadecimal digits: it cannot move."""
    return len(revision) == 40 and not set(revision) - set("0123456789abcdef")


def _of_scheme(scheme: str, rest: str, text: str) -> Source:
    match scheme:
        case "hf":
            return HuggingFace(**_repository(scheme, rest))
        case "modelscope":
            return ModelScope(**_repository(scheme, rest))
        case "http" | "https":
            return _web(text)
        case "s3" | "gs" | "az":
            return _objects(scheme, rest)
        case "file":
            return _file(rest, text)
        case _:
            raise _unknown_scheme(scheme, rest)


def _unknown_scheme(scheme: str, rest: str) -> InvalidSource:
    nearest = ALIASES.get(scheme) or next(iter(get_close_matches(scheme, SCHEMES, n=1, cutoff=0.5)), "")
    hint = f"write {nearest}://{rest}" if nearest else f"write {FORMS}"
    return InvalidSource(f"unknown source scheme {scheme}://", hint=hint)


def _repository(scheme: str, rest: str) -> dict[str, str]:
    name, at, revision = rest.rstrip("/").partition("@")
    parts = name.split("/")
    if len(parts) != 2 or not all(_is_repository_part(part) for part in parts):
        raise InvalidSource(f"{scheme}://{rest} does not name a repository", hint=_repository_hint(scheme, parts))
    if at and not _REVISION.fullmatch(revision):
        raise InvalidSource(
            f"{revision!r} is not a branch, tag or commit", hint=f"write {scheme}://{name}@main, or leave @ out"
        )
    return {"repository": name, "revision": revision}


def _is_repository_part(part: str) -> bool:
    return _REPOSITORY_PART.fullmatch(part) is not None and ".." not in part and "--" not in part


def _repository_hint(scheme: str, parts: list[str]) -> str:
    if len(parts) > 2 and all(_is_repository_part(part) for part in parts[:2]):
        inside = "/".join(parts[2:])
        return f'write {scheme}://{parts[0]}/{parts[1]} and name files with files.include, such as ["{inside}"]'
    return f"write {scheme}://org/repo, or {scheme}://org/repo@revision"


def _web(text: str) -> Source:
    url = _split(text)
    if url.username is not None or url.password is not None:
        raise InvalidSource("the URL has credentials in it", hint="put the token into a secret and leave it out here")
    if not url.hostname:
        raise InvalidSource(f"{text!r} has no host", hint="write https://host/path/model.gguf")
    if page := _HUB_PAGE.fullmatch(url.hostname):
        _refuse_hub_page(page.group("host"), url)
    name = unquote(url.path.rsplit("/", 1)[-1])
    if not name or "/" in name or name in {".", ".."} or not name.isprintable():
        raise InvalidSource(
            f"{text!r} is a folder, and folders on web servers cannot be listed",
            hint="write the URL of one file, such as https://host/path/model.gguf; for several use hf:// or s3://",
        )
    return WebFile(url=url._replace(fragment="").geturl())


def _refuse_hub_page(host: str, url: SplitResult) -> None:
    """A page of a repository is not a file; a `resolve` link is."""
    parts = [part for part in url.path.split("/") if part]
    if "resolve" in parts[2:] or "api" in parts[:1]:
        return
    scheme = "modelscope" if host.startswith("modelscope") else "hf"
    names = parts[1:] if parts[:1] == ["models"] else parts
    what = "/".join(names[:2]) if len(names) >= 2 else "org/repo"
    raise InvalidSource(f"{url.geturl()} is a web page, not a file", hint=f"write {scheme}://{what}")


def _split(text: str) -> SplitResult:
    try:
        url = urlsplit(text)
        _ = url.port
    except ValueError as error:
        raise InvalidSource(f"{text!r} is not a URL: {error}", hint="write https://host/path/model.gguf") from error
    return url


def _objects(scheme: str, rest: str) -> ObjectStore:
    bucket, _, prefix = rest.partition("/")
    prefix = prefix.strip("/")
    if not _BUCKET.fullmatch(bucket):
        raise InvalidSource(f"{bucket!r} is not a bucket name", hint=f"write {scheme}://bucket/prefix")
    if any(part in {"", ".", ".."} for part in prefix.split("/") if prefix):
        raise InvalidSource(f"{prefix!r} has an empty or dotted part", hint=f"write {scheme}://{bucket}/folder/model")
    return ObjectStore(scheme=scheme, bucket=bucket, prefix=prefix)


def _file(rest: str, text: str) -> LocalPath:
    path = rest.removeprefix("localhost") if rest.startswith("localhost/") else rest
    if not path.startswith("/"):
        raise InvalidSource(f"{text!r} names a host, not a path", hint=f"write file:///{path}, or ./{path}")
    return LocalPath(path=_tidy(path))


def _plain_path(text: str) -> LocalPath:
    if text.startswith(("/", "./", "../", "~/")) or text in {"~", ".", ".."}:
        return LocalPath(path=_tidy(text))
    path = _tidy(text)
    parts = path.split("/")
    if path.lower().endswith(WEIGHT_SUFFIXES) or len(parts) > 2:
        return LocalPath(path=path)
    if len(parts) == 2:
        raise InvalidSource(
            f"{text!r} could be a repository or a path",
            hint=f"write hf://{text} for the hub, or ./{text} for a folder on this machine",
        )
    raise InvalidSource(
        f"{text!r} is neither a repository nor a path",
        hint=f"write hf://org/{text} for the hub, or ./{text} for a folder on this machine",
    )


def _tidy(path: str) -> str:
    head = "/" if path.startswith("/") else ""
    return head + "/".join(part for part in path.split("/") if part) or "."


def _at(revision: str) -> str:
    return f"@{revision}" if revision else ""
