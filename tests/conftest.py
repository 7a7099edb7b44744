"""Figures: what a fault test measured is printed at the end of the run, also under xdist."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest

_FIGURE = "figure"


@pytest.fixture
def figure(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Call it with a line for the summary."""
    return lambda line: record_property(_FIGURE, line)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    lines = list(_figures(terminalreporter.stats))
    if lines:
        terminalreporter.section("figures")
        for line in lines:
            terminalreporter.write_line(line)


def _figures(stats: dict[str, list[Any]]) -> Iterable[str]:
    reports = (report for group in stats.values() for report in group if getattr(report, "when", None) == "call")
    for report in reports:
        yield from (value for name, value in report.user_properties if name == _FIGURE)
