"""What a test may choose about the server."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

EventSink = Callable[[Mapping[str, Any]], None]
"""Takes one event in EventBridge's JSON shape. When it raises, the event is delivered again, as EventBridge does."""


@dataclass(frozen=True)
class Options:
    """Times are seconds. The defaults of `stop_seconds` and `drain_seconds` are SageMaker's own."""

    region: str = "eu-central-1"
    account: str = "123456789012"
    entry_point: tuple[str, ...] = (sys.executable, "-m", "training")
    """The image's ENTRYPOINT: `train`, `serve` or the request's arguments follow it."""
    image_environment: Mapping[str, str] = field(default_factory=lambda: {"PYTHONUNBUFFERED": "1"})
    stop_seconds: float = 120.0
    """Between SIGTERM and SIGKILL of a job."""
    drain_seconds: float = 30.0
    """Between SIGTERM and SIGKILL of a model server."""
    health_seconds: float = 60.0
    """How long a model server may take until /ping answers 200; SageMaker waits for minutes."""
    answer_seconds: float = 60.0
    """How long a model server may take to answer an invocation."""
    checkpoint_seconds: float = 0.5
    """Between two looks at the checkpoint folder."""
    events: EventSink | None = None
    events_per_change: int = 2
    """Each with an id of its own: SageMaker sends several for one change."""
