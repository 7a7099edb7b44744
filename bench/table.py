"""The rows as a table, for a reader."""

from collections.abc import Sequence

from bench.figure import Row

HEADINGS = ("figure", "measured", "limit or peer", "ratio", "state")


def table(rows: Sequence[Row]) -> str:
    """Columns of equal width; notes follow in their row."""
    cells = [HEADINGS, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEADINGS))]
    notes = ["", *(row.note for row in rows)]
    return "\n".join(_line(line, widths, note) for line, note in zip(cells, notes, strict=True))


def _line(cells: Sequence[str], widths: Sequence[int], note: str) -> str:
    text = "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
    return f"{text}  {note}".rstrip()


def _cells(row: Row) -> tuple[str, ...]:
    least = "" if row.best is None else f" (min {_number(row.best)})"
    ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
    return row.figure, f"{_number(row.measured)} {row.unit}{least}", _against(row), ratio, row.state


def _against(row: Row) -> str:
    parts = []
    if row.limit is not None:
        parts.append(f"limit {_number(row.limit)} {row.unit}")
    if row.peer is not None:
        parts.append(f"{row.peer_is} {_number(row.peer)} {row.unit}")
    return "; ".join(parts)


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) >= 100 else f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"
