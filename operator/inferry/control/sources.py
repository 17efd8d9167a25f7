"""From what a deployment says of its model to where it is read from."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from inferry.api.model_deployment import Model
from inferry.api.reasons import Reason, next_action
from inferry.catalog.catalog import Catalog, UnknownModel
from inferry.catalog.lookup import find_model
from inferry_runtime.model.credentials import access_to
from inferry_runtime.model.errors import ModelError
from inferry_runtime.model.inspection import InspectionRequest
from inferry_runtime.model.listing import Access

NOTHING: Mapping[str, str] = MappingProxyType({})


class UnknownFamily(ModelError):
    reason = Reason.UNKNOWN_MODEL


def inspection_request(model: Model, catalog: Catalog) -> InspectionRequest:
    """A name of the catalog becomes the source it stands for. Raises UnknownFamily."""
    allow_unsafe_formats = model.integrity.allow_unsafe_formats
    if model.source is not None:
        return InspectionRequest(
            source=model.source,
            revision=model.revision or "",
            include=model.files.include,
            exclude=model.files.exclude,
            format=model.format or "",
            quantization=model.quantization or "",
            tasks=model.tasks,
            allow_unsafe_formats=allow_unsafe_formats,
        )
    try:
        offered = find_model(
            catalog,
            model.name or "",
            size=model.size,
            format=model.format,
            quantization=model.quantization,
            hub=model.hub,
        )
    except UnknownModel as error:
        raise UnknownFamily(error.message, hint=_did_you_mean(error.nearest)) from error
    return InspectionRequest(
        source=offered.source,
        revision=model.revision or "",
        include=model.files.include or offered.include,
        exclude=model.files.exclude,
        format=offered.format,
        quantization=offered.quantization,
        tasks=model.tasks,
        allow_unsafe_formats=allow_unsafe_formats,
    )


def access(
    source: str, mirror: str | None, environment: Mapping[str, str], secret: Mapping[str, str] = NOTHING
) -> Access:
    """Tokens come from the deployment's secret, else from the environment given."""
    rights = access_to(source, mirror or "", {**environment, **secret})
    return replace(rights, credentials=secret)


def _did_you_mean(nearest: str) -> str:
    return f"Did you mean {nearest}?" if nearest else next_action(Reason.UNKNOWN_MODEL)
