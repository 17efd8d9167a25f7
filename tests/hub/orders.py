"""From a source to the order a replica would get: everything in it, pinned."""

from inferry_runtime.model.listing import Access
from inferry_runtime.model.repository import open_repository
from inferry_runtime.model.source import parse_source, without_revision
from inferry_runtime.order import IntegrityPolicy, ModelOrder, OrderedFile


def order_everything(
    source: str,
    access: Access | None = None,
    *,
    integrity: IntegrityPolicy = IntegrityPolicy.VERIFY,
    allow_unsafe_formats: bool = False,
) -> ModelOrder:
    """Lists the source, and orders every file of it with the digests the listing tells."""
    parsed = parse_source(source)
    access = access or Access()
    with open_repository(parsed, "", access) as repository:
        files = tuple(
            OrderedFile(path=file.path, size_bytes=file.size_bytes, sha256=file.sha256) for file in repository.files()
        )
        return ModelOrder(
            source=str(without_revision(parsed)),
            revision=repository.revision,
            files=files,
            primary="",
            mirror=access.mirror,
            integrity=integrity,
            allow_unsafe_formats=allow_unsafe_formats,
        )
