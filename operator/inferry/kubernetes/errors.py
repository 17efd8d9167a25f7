"""What the API server may answer besides what was asked for.

* ApiError (a WorldError)    it may go well later
  - Throttled                429, or too busy; says when to come back
  - Conflict                 409: it is there already, or somebody was faster
  - NotFound                 404
  - Expired                  410: the version to watch from is gone; list again
  - Unreachable              no answer at all
* Refused (a Terminal)       400, 422: the same request will be refused again
* LeaseLost (a WorldError)   somebody else may be writing; nothing is written any more
"""

from inferry.control.errors import Terminal, WorldError


class ApiError(WorldError):
    """`status` is the HTTP status, 0 when there was no answer."""

    def __init__(self, message: str, *, status: int = 0, retry_after_seconds: float = 0.0) -> None:
        super().__init__(message, retry_after_seconds=retry_after_seconds)
        self.status = status


class Throttled(ApiError):
    pass


class Conflict(ApiError):
    pass


class NotFound(ApiError):
    pass


class Expired(ApiError):
    pass


class Unreachable(ApiError):
    pass


class Refused(Terminal):
    pass


class LeaseLost(WorldError):
    pass


_BY_STATUS = {404: NotFound, 409: Conflict, 410: Expired, 429: Throttled, 503: Throttled}


def of_status(status: int, message: str, retry_after: str = "") -> WorldError:
    """`retry_after` as the header has it: seconds; anything else is ignored."""
    if status in (400, 422):
        return Refused(message)
    seconds = float(retry_after) if retry_after.isdecimal() else 0.0
    return _BY_STATUS.get(status, ApiError)(message, status=status, retry_after_seconds=seconds)
