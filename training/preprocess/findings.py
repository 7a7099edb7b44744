"""What was found wrong with a table: violations refuse it, warnings do not."""

from collections.abc import Mapping

from mlops_contracts.codes import VIOLATIONS, WARNINGS
from mlops_contracts.dataset import Finding, Quality

KEPT = 100
_SHOWN = 60


class Refused(Exception):
    """The table cannot be read on from here; `finding` says why."""

    def __init__(
        self, code: str, message: str, *, column: str | None = None, row: int | None = None, line: int | None = None
    ) -> None:
        super().__init__(message)
        self.finding = Finding(code=code, message=message, column=column, row=row, line=line)


class Findings:
    """Keeps the violations that come first in the table and counts all of them."""

    def __init__(self) -> None:
        self._violations: list[Finding] = []
        self._warnings: list[Finding] = []
        self._counts: dict[tuple[str, str | None], int] = {}
        self.count = 0

    def violate(
        self, code: str, message: str, *, column: str | None = None, row: int | None = None, line: int | None = None
    ) -> None:
        """Add one violation; of one code and column at most KEPT are kept, all are counted."""
        self.add(Finding(code=code, message=message, column=column, row=row, line=line))

    def add(self, finding: Finding) -> None:
        """As violate."""
        _check_known(finding.code, VIOLATIONS)
        self.count += 1
        key = (finding.code, finding.column)
        self._counts[key] = self._counts.get(key, 0) + 1
        if self._counts[key] <= KEPT:
            self._violations.append(finding)

    def count_more(self, number: int) -> None:
        """Count violations that are not listed one by one."""
        self.count += number

    def warn(
        self, code: str, message: str, *, column: str | None = None, row: int | None = None, line: int | None = None
    ) -> None:
        """Add one warning."""
        _check_known(code, WARNINGS)
        self._warnings.append(Finding(code=code, message=message, column=column, row=row, line=line))

    def quality(self) -> Quality:
        """All that was found: violations in row order, those of the whole table or the header first."""
        ordered = sorted(self._violations, key=lambda each: (each.row or 0, each.line or 0))
        return Quality(violations=tuple(ordered[:KEPT]), violation_count=self.count, warnings=tuple(self._warnings))


def _check_known(code: str, known: Mapping[str, str]) -> None:
    """Codes are promised: one that the list lacks is a defect of this program."""
    if code not in known:
        raise KeyError(f"{code} is not in mlops_contracts.codes")


def shown(value: str) -> str:
    """Return a value quoted for a message: on one line, at most 60 characters."""
    clipped = value if len(value) <= _SHOWN else value[:_SHOWN] + "..."
    return ascii(clipped) if not clipped.isprintable() else f"'{clipped}'"


def plural(number: int, noun: str) -> str:
    """`1 cell`, `2 cells`, `65,470 rows`."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
