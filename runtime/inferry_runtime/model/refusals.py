"""What a status that is neither success nor redirect means, in words for the person who has to act on it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from inferry_runtime.model.errors import HubUnreachable, ModelError, ModelNotFound, Unauthorized

TRANSIENT_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A status that is neither success nor redirect, as much of it as explains it."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    url: str
    authorized: bool
    """A token was sent along."""


Explain = Callable[[Refusal], ModelError]


def explain_web(refusal: Refusal) -> ModelError:
    """What a status means on a plain web server."""
    where = bare(refusal.url)
    match refusal.status:
        case 401 | 403:
            hint = "the token has no access" if refusal.authorized else "give a token with spec.model.secretRef"
            return Unauthorized(f"{where} refuses access ({refusal.status})", hint=hint)
        case 404 | 410:
            return ModelNotFound(f"there is nothing at {where}", hint="check the address")
        case 429:
            return HubUnreachable(f"{where} limits requests (429)", hint="wait, or use a token or a mirror")
        case status if status in TRANSIENT_STATUS:
            return HubUnreachable(f"{where} is in trouble ({status})", hint="try again later, or use a mirror")
        case status:
            return ModelError(f"{where} answered {status}", hint="check the address and the mirror")


def bare(url: str) -> str:
    """Without the query, which may hold a signature."""
    return urlsplit(url)._replace(query="", fragment="").geturl()
