"""Following something that lasts: a bar on a terminal, a line per change elsewhere."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from mlops_api.cli.output import number
from mlops_api.cli.session import Session


@contextmanager
def following(session: Session, title: str) -> Iterator[Callable[[Any], None]]:
    """A callback for `wait(progress=...)`: takes a job with status, progress and, perhaps, metrics."""
    if not session.shows_progress:
        yield _changes(session, title)
        return
    with _bar(session) as bar:
        task = bar.add_task(title, total=1.0, detail="")
        yield lambda job: bar.update(task, completed=job.progress, detail=_detail(job))


@contextmanager
def transferring(session: Session, title: str) -> Iterator[Callable[[int, int], None] | None]:
    """A callback for uploads and downloads; None where nobody watches."""
    if not session.shows_progress:
        yield None
        return
    with _bar(session) as bar:
        task = bar.add_task(title, total=1.0, detail="")
        yield lambda done, total: bar.update(task, completed=done / max(total, 1))


def _bar(session: Session) -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[detail]}", markup=False),
        console=Console(stderr=True, no_color=session.no_color or None),
    )


def _changes(session: Session, title: str) -> Callable[[Any], None]:
    last = ""

    def tell(job: Any) -> None:
        nonlocal last
        state = " ".join(dict.fromkeys(filter(None, [job.status, getattr(job, "secondary_status", "")])))
        if state != last:
            session.say(f"{title}: {state}")
            last = state

    return tell


def _detail(job: Any) -> str:
    metrics = getattr(job, "metrics", {})
    shown = [f"{name.removeprefix('validation:')} {number(value)}" for name, value in _validation(metrics)]
    return " ".join([getattr(job, "secondary_status", job.status), *shown])


def _validation(metrics: dict[str, float]) -> list[tuple[str, float]]:
    return [(name, value) for name, value in metrics.items() if name.startswith("validation:")][:2]
