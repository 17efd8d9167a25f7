"""Labels and prefixes that every world and the gateway agree on."""

from typing import Final

from inferry.api.names import label_value

DEPLOYMENT: Final = "inferry.dev/deployment"
REVISION: Final = "inferry.dev/revision"
DRAINING: Final = "inferry.dev/draining"
"""Unix seconds since when the replica is out of rotation."""
MANAGED_BY: Final = "app.kubernetes.io/managed-by"
MANAGER: Final = "inferry"
FIELD_MANAGER: Final = "inferry-operator"


def deployment_labels(name: str) -> dict[str, str]:
    """On everything that belongs to the deployment of this name."""
    return {DEPLOYMENT: label_value(name), MANAGED_BY: MANAGER}


def replica_labels(name: str, revision: str) -> dict[str, str]:
    """On the replicas of one revision."""
    return {**deployment_labels(name), REVISION: revision}


def selector(name: str) -> str:
    """Finds all replicas of the deployment, as `status.selector` for the scale subresource."""
    return f"{DEPLOYMENT}={label_value(name)}"
