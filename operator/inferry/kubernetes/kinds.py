"""The kinds of objects the operator reads or makes."""

from typing import Final

from inferry.api.model_deployment import GROUP, VERSION
from inferry.kubernetes.client import Collection

DEPLOYMENTS: Final = Collection(group=GROUP, version=VERSION, plural="modeldeployments")
PODS: Final = Collection(group="", version="v1", plural="pods")
NODES: Final = Collection(group="", version="v1", plural="nodes")
REPLICA_SETS: Final = Collection(group="apps", version="v1", plural="replicasets")
CONFIG_MAPS: Final = Collection(group="", version="v1", plural="configmaps")
SERVICES: Final = Collection(group="", version="v1", plural="services")
SERVICE_ACCOUNTS: Final = Collection(group="", version="v1", plural="serviceaccounts")
DISRUPTION_BUDGETS: Final = Collection(group="policy", version="v1", plural="poddisruptionbudgets")
NETWORK_POLICIES: Final = Collection(group="networking.k8s.io", version="v1", plural="networkpolicies")

OWNED: Final = (CONFIG_MAPS, SERVICES, SERVICE_ACCOUNTS, DISRUPTION_BUDGETS, NETWORK_POLICIES)
"""Everything that is made for a deployment besides ReplicaSets and their pods."""
