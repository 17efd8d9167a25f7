"""How a verb says no: one message, one hint, one exit code.

Exit codes: 1 something failed, 2 the input is wrong and nothing was changed, 130 interrupted.
"""

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager

INVALID_INPUT = 2
FAILED = 1
INTERRUPTED = 130

_NOT_OURS = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST})


class Refusal(Exception):
    """A verb cannot do what it was asked; nothing was changed."""

    def __init__(self, message: str, *, hint: str = "", code: int = FAILED) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.code = code


@contextmanager
def refusals() -> Iterator[None]:
    """Turn the known errors of all rooms into a message on standard error and an exit code."""
    try:
        yield
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output has gone (`inferry list | head`); Python would complain once more at exit.
        sys.stderr.close()
        sys.exit(FAILED)
    except Exception as error:
        refusal = _as_refusal(_alone(error))
        if refusal is None:
            raise
        sys.stderr.write(f"error: {refusal.message}\n")
        if refusal.hint:
            sys.stderr.write(f"hint: {refusal.hint}\n")
        sys.exit(refusal.code)


def _alone(error: Exception) -> Exception:
    """What a task group raised because of one task."""
    if isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        return _alone(error.exceptions[0])
    return error


def _as_refusal(error: Exception) -> Refusal | None:
    from inferry.local.errors import LocalError
    from inferry_runtime.model.errors import InvalidSource, ModelError

    match error:
        case Refusal():
            return error
        case InvalidSource():
            return Refusal(error.message, hint=error.hint, code=INVALID_INPUT)
        case ModelError() | LocalError():
            return Refusal(error.message, hint=error.hint)
        case OSError(strerror=str(told)):
            return _of_the_system(error, told)
        case _:
            return None


def _of_the_system(error: OSError, told: str) -> Refusal:
    """A disk that is full, a folder somebody else owns: nothing of ours to correct, so no trace of our code."""
    where = f": {error.filename}" if error.filename else ""
    hint = "free space, or set INFERRY_HOME to a folder on another disk" if error.errno == errno.ENOSPC else ""
    if error.errno in _NOT_OURS:
        hint = "check who may write there, or set INFERRY_HOME to another folder"
    return Refusal(f"{told}{where}", hint=hint)
