"""Everything the operator knows of the cluster, kept up to date by reflectors. Lost with the process, and read anew."""

import logging
from collections.abc import Callable, Sequence

from inferry.api.labels import MANAGED_BY, MANAGER
from inferry.control.world import Key
from inferry.kubernetes import kinds, views
from inferry.kubernetes.cache import ByDeployment, Collected
from inferry.kubernetes.client import ApiClient, Collection
from inferry.kubernetes.deployments import Deployments
from inferry.kubernetes.inventory import Offered, offered
from inferry.kubernetes.reflector import Reflector, Watching
from inferry.kubernetes.views import ForeignPodView, NodeView, OwnedView, PodView, ReplicaSetView

log = logging.getLogger(__name__)

OURS = f"{MANAGED_BY}={MANAGER}"
NOT_OURS = f"{MANAGED_BY}!={MANAGER}"


class ClusterState:
    """`changed` is called with every deployment something about which differs, `nodes_changed` when other hardware is
    offered than before."""

    def __init__(self, changed: Callable[[Key], None], nodes_changed: Callable[[], None]) -> None:
        self._nodes_changed = nodes_changed
        self.deployments = Deployments()
        self.pods: ByDeployment[PodView] = ByDeployment(changed)
        self.sets: ByDeployment[ReplicaSetView] = ByDeployment(changed)
        self.owned: dict[Collection, ByDeployment[OwnedView]] = {kind: ByDeployment(changed) for kind in kinds.OWNED}
        self.nodes: Collected[NodeView] = Collected(self._look_at_nodes)
        self.staying: Collected[ForeignPodView] = Collected(self._look_at_nodes)
        self.offered: Offered = offered((), ())

    def reflectors(self, client: ApiClient, namespace: str) -> Sequence[Watching]:
        """For one namespace, or for all with ""."""
        return (
            Reflector(client, kinds.NODES.path(), views.node_view, self.nodes),
            Reflector(client, kinds.PODS.path(namespace), views.foreign_pod_view, self.staying, labels=NOT_OURS),
            Reflector(client, kinds.PODS.path(namespace), views.pod_view, self.pods, labels=OURS),
            Reflector(client, kinds.REPLICA_SETS.path(namespace), views.replica_set_view, self.sets, labels=OURS),
            *(
                Reflector(client, kind.path(namespace), views.owned_view, self.owned[kind], labels=OURS)
                for kind in kinds.OWNED
            ),
        )

    def _look_at_nodes(self) -> None:
        now = offered(self.nodes.items.values(), self.staying.items.values())
        if now != self.offered:
            self.offered = now
            self._nodes_changed()
