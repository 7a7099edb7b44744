"""Which variant answers a request: seats by weight, replaced as one."""

import random
import threading
import time
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

from mlops_api.adapters.local.model_server import ModelServer
from mlops_api.ports import VariantSpec


class Seat:
    """A variant that serves, and the server that answers for it now; None while that is being started."""

    def __init__(self, spec: VariantSpec, server: ModelServer | None, *, new: bool = False) -> None:
        self.spec = spec
        self.server = server
        self.new = new
        self.failures = 0
        self.restarting = threading.Lock()
        self._since = time.monotonic()

    def same_model(self, spec: VariantSpec) -> bool:
        """Whether `spec` differs in its weight at most."""
        return (self.spec.model_version, self.spec.model_key) == (spec.model_version, spec.model_key)

    def reweighted(self, spec: VariantSpec) -> "Seat":
        """The same server under another weight."""
        return Seat(spec, self.server)

    def seat(self, server: ModelServer) -> None:
        self.server = server
        self._since = time.monotonic()

    def lost(self, server: ModelServer, *, healthy: float) -> None:
        """Its server died; after `healthy` seconds of service earlier deaths count no more."""
        if self.server is server:
            self.server = None
        self.failures = 1 if time.monotonic() - self._since >= healthy else self.failures + 1


class Route:
    """Immutable: a deployment swaps the whole route in one assignment."""

    def __init__(self, seats: Sequence[Seat]) -> None:
        self.seats = tuple(seats)
        self._upto = list(accumulate(seat.spec.weight for seat in self.seats))

    def draw(self, variant: str | None) -> Seat | None:
        """A seat by weight, or the one named; None when there is none of that name."""
        if variant is not None:
            return next((seat for seat in self.seats if seat.spec.variant == variant), None)
        if len(self.seats) == 1:
            return self.seats[0]
        point = random.random() * self._upto[-1]  # noqa: S311 - sharing out load is no secret
        return self.seats[min(bisect_right(self._upto, point), len(self.seats) - 1)]

    def servers(self) -> list[ModelServer]:
        return [seat.server for seat in self.seats if seat.server is not None]

    def seat_of(self, server: ModelServer) -> Seat | None:
        return next((seat for seat in self.seats if seat.server is server), None)
