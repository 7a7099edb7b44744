"""The log of a training job: phases for a reader, `#metric` lines for the platform."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from mlops_contracts.metrics import METRIC_NAMES, metric_line
from training.stopping import StopRequest

FIT_FROM, FIT_TO = 0.05, 0.85
"""Share of the job's progress at the start and the end of the fit."""


class Reporter:
    """Prints and flushes each line at once, since the platform follows the log live."""

    def __init__(self, stop: StopRequest, *, metrics: bool = True) -> None:
        """`metrics` False: on a host that does not speak for the job."""
        self._stop = stop
        self._metrics = metrics

    def say(self, text: str) -> None:
        """A line for the reader of the log; line breaks in it, say in a column's name, are escaped."""
        print(text.replace("\r", "\\r").replace("\n", "\\n"), flush=True)

    @contextmanager
    def phase(self, name: str, **figures: object) -> Iterator[None]:
        """Says when a phase starts and how long it took."""
        self.say(" ".join([f"phase={name}", *(f"{key}={value}" for key, value in figures.items())]))
        began = time.monotonic()
        yield
        self.say(f"phase={name} seconds={time.monotonic() - began:.2f}")

    def progress(self, share: float) -> None:
        self._tell([metric_line("progress", share)])

    def fit(self, share: float, **metrics: float) -> None:
        """See estimators.Progress. One line holds all, so that a plot finds them at the same round."""
        named = {"progress": round(FIT_FROM + share * (FIT_TO - FIT_FROM), 4)}
        named |= {name.replace("_", ":", 1): value for name, value in metrics.items()}
        self._tell([metric_line(name, value) for name, value in named.items()])

    def _tell(self, lines: list[str]) -> None:
        if self._metrics:
            self.say(" ".join(lines))

    def final(self, metrics: Mapping[str, float]) -> None:
        """The held-out rows' metrics, those that a regex reads."""
        for name, value in metrics.items():
            if f"validation:{name}" in METRIC_NAMES:
                self.say(metric_line(f"validation:{name}", value))

    def stop_requested(self) -> bool:
        return self._stop.requested()
