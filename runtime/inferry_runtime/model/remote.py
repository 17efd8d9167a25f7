"""From a request to an inspection: open the source, pin the revision, read the headers."""

import os
from pathlib import Path

from inferry_runtime.model.inspection import Inspection, InspectionRequest
from inferry_runtime.model.listing import Access
from inferry_runtime.model.repository import open_repository
from inferry_runtime.model.source import LocalPath, Source, parse_source, without_revision


def inspect_source(request: InspectionRequest, access: Access) -> Inspection:
    """Reads headers only, wherever the model is. Raises ModelError."""
    from inferry_runtime.model.inspect import inspect

    source = absolute(parse_source(request.source))
    with open_repository(source, request.revision, access) as repository:
        return inspect(repository, request, str(without_revision(source)))


def absolute(source: Source) -> Source:
    """Paths are read against this process's working directory; whoever fetches later has another one."""
    if isinstance(source, LocalPath):
        return LocalPath(path=str(Path(os.path.abspath(os.path.expanduser(source.path)))))
    return source
