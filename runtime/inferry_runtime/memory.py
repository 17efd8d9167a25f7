"""How much memory one replica needs: weights + KV cache + compute buffers, from facts alone."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Bytes, per replica, over all its devices together."""

    weights_bytes: int
    kv_cache_bytes: int
    compute_bytes: int
    """Activations, graph and scratch buffers."""
    overhead_bytes: int
    """The engine's own code and libraries, before a model is loaded."""

    @property
    def total_bytes(self) -> int:
        """Sum of all parts."""
        return self.weights_bytes + self.kv_cache_bytes + self.compute_bytes + self.overhead_bytes
