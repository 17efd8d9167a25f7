"""What a world may say when it cannot do what it was asked.

* WorldError      try again, later each time
  - Terminal      trying again is useless until something about the deployment changes
"""


class WorldError(Exception):
    """`retry_after_seconds` is the least to wait, where the other side said so."""

    def __init__(self, message: str, *, retry_after_seconds: float = 0.0) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after_seconds = retry_after_seconds


class Terminal(WorldError):
    """The same request would be refused again."""
