"""How one reconcile ended. The dispatcher alone acts on it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Done:
    """Nothing is to be done until something changes."""


@dataclass(frozen=True, slots=True)
class AgainAfter:
    seconds: float


@dataclass(frozen=True, slots=True)
class Retry:
    """It failed in a way that time may heal."""

    error: Exception
    at_least_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class GiveUp:
    """It failed and will again until something changes."""

    error: Exception


@dataclass(frozen=True, slots=True)
class Gone:
    """The deployment and its replicas are no more."""


Outcome = Done | AgainAfter | Retry | GiveUp | Gone
