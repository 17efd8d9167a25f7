"""Annotations and names on what is made for a deployment."""

from typing import Final

FULL_NAME: Final = "inferry.dev/name"
"""Name of the deployment: a label has no room for the longest ones."""

APPLIED: Final = "inferry.dev/applied"
"""Digest of the manifest as it was applied, the number of replicas left out."""

DELETION_COST: Final = "controller.kubernetes.io/pod-deletion-cost"
"""Of equally ready pods the ReplicaSet controller ends the cheapest first."""

FIRST_TO_GO: Final = "-1000"

CONTAINER: Final = "serve"
"""Name of the container that serves the model; anything else in the pod was put there by somebody else."""
