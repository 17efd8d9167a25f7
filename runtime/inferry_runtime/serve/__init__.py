"""One engine replica: fetch and verify the model, start the engine, ask it one question, watch it, drain it.

`python -m inferry_runtime.serve` is process 1 of an engine pod, and the supervisor of a replica on one machine.
It never stands between a client and the engine.
"""

import sys


def _import_msgspec_alone() -> None:
    """There is one of these processes per replica, so its size counts.

    msgspec takes typing_extensions for `typing` where it is installed: 7 MB and 20 ms, for what `typing` has had since
    Python 3.11.
    """
    if "msgspec" in sys.modules or "typing_extensions" in sys.modules:
        return
    sys.modules["typing_extensions"] = None  # type: ignore[assignment] # how Python spells "not installed"
    try:
        import msgspec  # noqa: F401
    finally:
        del sys.modules["typing_extensions"]


_import_msgspec_alone()
