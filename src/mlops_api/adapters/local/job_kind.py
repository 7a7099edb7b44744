"""What the engine is told: the kinds of jobs there are, and how many of each may run."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlops_api.ports import JobState


@dataclass(frozen=True)
class JobTask:
    """One job, as its kind sees it: `spec` as it was accepted (JSON), `ml` the root of its /opt/ml."""

    name: str
    spec: Mapping[str, Any]
    ml: Path


def _no_report(_ml: Path) -> Mapping[str, Any]:
    return {}


@dataclass(frozen=True)
class JobKind:
    """What differs between training, processing and batch scoring. `spec` holds `max_runtime_seconds` always.

    prepare: lays out /opt/ml; called for each attempt, and again after a crash in its middle.
    collect: stores the outputs of a program that ended well; it may be called again with some stored already.
    Both raise PlatformError to fail the job. report: what describe adds; `progress` (0..1) in it wins over the
    metric of that name. event: the state change in AWS's shape.
    """

    name: str
    argv: tuple[str, ...]
    name_variable: str
    prepare: Callable[[JobTask], None]
    collect: Callable[[JobTask], None]
    event: Callable[[str, JobState], Mapping[str, Any]]
    report: Callable[[Path], Mapping[str, Any]] = _no_report
    pack_model: bool = False


@dataclass(frozen=True)
class JobLimits:
    """`slots`: jobs at once, by kind. `grace`: seconds between SIGTERM and SIGKILL."""

    slots: Mapping[str, int] = field(default_factory=lambda: default_slots())
    max_attempts: int = 2
    grace: float = 120.0


def default_slots(training: int | None = None) -> dict[str, int]:
    """Half the processors train; validation and batch scoring never wait behind training."""
    return {"training": training or max(1, processors() // 2), "processing": 1, "transform": 1}


def processors() -> int:
    """Those this process may use."""
    return len(os.sched_getaffinity(0))
