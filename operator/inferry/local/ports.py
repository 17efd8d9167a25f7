"""Free TCP ports of the loopback interface for engines."""

import random
import socket
from collections.abc import Collection

from inferry.local.errors import PortInUse

# Below the range Linux takes client ports from (32768 on), so that no outgoing connection sits on one of ours, and
# above what services use by habit.
LOWEST, HIGHEST = 20000, 29999
_TRIES = 200


def obstacle(host: str, port: int) -> OSError | None:
    """Why no server could listen there now. A connection that lingers after a server's death is none."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        return error
    return None


def is_free(host: str, port: int) -> bool:
    return obstacle(host, port) is None


def free_pair(taken: Collection[int]) -> tuple[int, int]:
    """Two ports nobody listens on and nobody of ours was promised. Raises PortInUse when there seem to be none."""
    found: list[int] = []
    for port in random.sample(range(LOWEST, HIGHEST + 1), _TRIES):
        if port not in taken and is_free("127.0.0.1", port):
            found.append(port)
        if len(found) == 2:
            return found[0], found[1]
    raise PortInUse(
        f"no free port between {LOWEST} and {HIGHEST}", hint="Stop what listens there: `ss -ltnp` shows it."
    )
