"""With which rights a model is read on this machine."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from inferry_runtime.model.credentials import access_to
from inferry_runtime.model.listing import Access

NOTHING: Mapping[str, str] = MappingProxyType({})


def access(
    source: str, mirror: str | None, environment: Mapping[str, str], secret: Mapping[str, str] = NOTHING
) -> Access:
    """Tokens come from the deployment's secret, else from the environment inferry was started in."""
    rights = access_to(source, mirror or "", {**environment, **secret})
    return replace(rights, credentials=secret)
