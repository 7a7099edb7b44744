"""Request counts and latency of predictions, of this process since it started. Constant memory."""

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from mlops_api.domain.errors import PlatformError

_WINDOW = 2048


@dataclass(frozen=True)
class ServingSnapshot:
    """`p50_ms` and `p95_ms` are of the last 2,048 requests; None before the first."""

    requests: int
    refused: int
    failed: int
    p50_ms: float | None
    p95_ms: float | None


class ServingFigures:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._latest: deque[float] = deque(maxlen=_WINDOW)
        self._requests = 0
        self._refused = 0
        self._failed = 0

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Counts what runs inside: refused for the caller's errors (4xx), failed for ours."""
        start = time.perf_counter()
        refused = failed = 0
        try:
            yield
        except PlatformError as error:
            refused, failed = (1, 0) if error.status < 500 else (0, 1)
            raise
        except BaseException:
            failed = 1
            raise
        finally:
            self._add(time.perf_counter() - start, refused, failed)

    def _add(self, seconds: float, refused: int, failed: int) -> None:
        with self._lock:
            self._requests += 1
            self._refused += refused
            self._failed += failed
            self._latest.append(seconds)

    def snapshot(self) -> ServingSnapshot:
        with self._lock:
            times = sorted(self._latest)
            counts = self._requests, self._refused, self._failed
        return ServingSnapshot(*counts, _quantile(times, 0.5), _quantile(times, 0.95))


def _quantile(times: list[float], share: float) -> float | None:
    return round(times[min(len(times) - 1, int(share * len(times)))] * 1000, 3) if times else None
