"""What a figure measures and how it is told."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol

State = Literal["ok", "short", "info"]


@dataclass(frozen=True)
class Row:
    """One line of the table. `measured` is a median unless `figure` says otherwise; `best` the least of the samples.

    `limit` and `peer` are in `unit`; `ratio` is measured / peer, or measured / limit when there is no peer.
    `state` is info when nothing was promised. `measured` is None when it could not be measured; `note` says why.
    """

    figure: str
    unit: str
    measured: float | None
    state: State
    best: float | None = None
    limit: float | None = None
    peer: float | None = None
    peer_is: str = ""
    ratio: float | None = None
    note: str = ""

    def document(self) -> dict[str, Any]:
        return asdict(self)


class Figure(Protocol):
    """A module of this package that measures: NAME, ABOUT and measure(world)."""

    NAME: str
    ABOUT: str
    measure: Callable[..., list[Row]]


@dataclass(frozen=True)
class Samples:
    """Repeated measurements of one thing, in one unit."""

    values: Sequence[float]

    @property
    def best(self) -> float:
        return min(self.values)

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def quantile(self, share: float) -> float:
        """Value below which about `share` of the samples lie."""
        ordered = sorted(self.values)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    def scaled(self, factor: float) -> "Samples":
        return Samples([value * factor for value in self.values])


def state_of(kept: bool) -> State:
    return "ok" if kept else "short"


def at_most(figure: str, unit: str, samples: Samples, limit: float, **more: Any) -> Row:
    """A row whose median must not exceed `limit`."""
    ratio = more.pop("ratio", samples.median / limit)
    state = state_of(samples.median <= limit)
    return Row(figure, unit, samples.median, state, best=samples.best, limit=limit, ratio=ratio, **more)


def informational(figure: str, unit: str, measured: float, **more: Any) -> Row:
    """A row that keeps or breaks no promise."""
    return Row(figure, unit, measured, "info", **more)
