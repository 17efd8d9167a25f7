"""Everything that can be wrong with a model before an engine sees it.

* ModelError
  - InvalidSource       the URI cannot be read; the user has to change it
  - ModelNotFound       no such repository, bucket, folder or file
  - RevisionNotFound    the model is there, the revision is not
  - Unauthorized        credentials are missing or not enough
  - HubUnreachable      network, timeout or server trouble; trying again may help
  - MalformedFile       a header lies, is cut short, or is hostile
  - DigestMismatch      bytes differ from the digest
  - UnsafeFormat        pickle weights that were not allowed
  - NoSpace             the disk is full
"""


class ModelError(Exception):
    """`reason` is the condition reason, `hint` what the user can do; `retryable` says whether time may heal it."""

    reason = "ModelError"
    retryable = False

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class InvalidSource(ModelError):
    reason = "InvalidSource"


class ModelNotFound(ModelError):
    reason = "ModelNotFound"


class RevisionNotFound(ModelError):
    reason = "RevisionNotFound"


class Unauthorized(ModelError):
    reason = "GatedOrUnauthorized"


class HubUnreachable(ModelError):
    reason = "HubUnreachable"
    retryable = True


class MalformedFile(ModelError):
    reason = "MalformedFile"


class DigestMismatch(ModelError):
    reason = "DigestMismatch"
    retryable = True


class UnsafeFormat(ModelError):
    reason = "UnsafeFormat"


class NoSpace(ModelError):
    reason = "DiskFull"
    retryable = True
