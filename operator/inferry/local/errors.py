"""What can be wrong with inferry on one machine.

* LocalError
  - AlreadyRunning   another `inferry local` holds this home
  - NotRunning       nobody does, and the command needs somebody to
  - PortInUse        somebody else listens where the gateway should
  - UnusableName     an object's name cannot be a file name
  - GatewayFailed    the gateway process does not come up
"""


class LocalError(Exception):
    """`hint` says what the user can do."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class AlreadyRunning(LocalError):
    pass


class NotRunning(LocalError):
    pass


class PortInUse(LocalError):
    pass


class UnusableName(LocalError):
    pass


class GatewayFailed(LocalError):
    pass
