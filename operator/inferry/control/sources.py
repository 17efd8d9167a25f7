"""With which rights a model is read."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from inferry_runtime.model.credentials import access_to, shown_to
from inferry_runtime.model.listing import Access

NOTHING: Mapping[str, str] = MappingProxyType({})


def access(
    source: str, mirror: str | None, environment: Mapping[str, str], secret: Mapping[str, str] = NOTHING
) -> Access:
    """Tokens come from the deployment's secret, else, where no mirror is named, from the environment of inferry."""
    rights = access_to(source, mirror or "", {**shown_to(mirror or "", environment), **secret})
    return replace(rights, credentials=secret)
