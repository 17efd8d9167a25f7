"""A real Kubernetes on one machine: built from source at pinned versions, started on loopback, without containers."""
