"""The statements that read pages: one range of the key of `entries`, whatever the size of the partition."""

from collections.abc import Sequence

from mlops_api.adapters.page_tokens import read_token, write_token
from mlops_api.ports import Index, Record

_Bound = tuple[str, tuple[str, ...]]
"""An SQL condition and its values."""

_PAGE = """
SELECT r.kind, r.key, r.revision, r.data, r.places, r.expires_at
FROM entries AS e JOIN records AS r ON r.id = e.record
WHERE e.idx = ? AND e.partition = ? {bounds} AND (e.expires_at IS NULL OR e.expires_at > ?)
ORDER BY e.sort {order}, e.key {order}, e.kind {order}
LIMIT ?
"""

_COUNT = """
SELECT count(*) FROM (
    SELECT 1 FROM entries WHERE idx = ? AND partition = ? AND (expires_at IS NULL OR expires_at > ?) LIMIT ?
)
"""


def count_statement() -> str:
    """Takes index, partition, now (epoch seconds), and the number to stop at."""
    return _COUNT


def page_statement(
    index: Index, partition: str, *, descending: bool, token: str | None, after: str | None, before: str | None
) -> tuple[str, Sequence[str]]:
    """The statement of a page, and its first values; now (epoch seconds) and the limit come behind them.

    Raises BadRequest for a token of another query.
    """
    position = read_token(_query(index, partition, descending), token, length=3) if token is not None else None
    near, far = (before, after) if descending else (after, before)
    conditions = [_start(near, position, descending), _end(far, descending)]
    bounds = " ".join(condition for condition, _ in conditions)
    values = [value for _, some in conditions for value in some]
    order = "DESC" if descending else "ASC"
    return _PAGE.format(bounds=bounds, order=order), (index, partition, *values)


def next_token(index: Index, partition: str, descending: bool, last: Record) -> str:
    """The token for the page behind `last`."""
    return write_token(_query(index, partition, descending), (last.indexes[index].sort, last.key, last.kind))


def _query(index: Index, partition: str, descending: bool) -> Sequence[str]:
    return (index, partition, "descending" if descending else "ascending")


def _start(near: str | None, position: Sequence[str] | None, descending: bool) -> _Bound:
    """Where a page begins: behind the last page's end, or behind the bound if that lies further on."""
    sign = "<" if descending else ">"
    if position is not None and (near is None or _passed(near, position[0], descending)):
        return f"AND (e.sort, e.key, e.kind) {sign} (?, ?, ?)", tuple(position)
    return (f"AND e.sort {sign} ?", (near,)) if near is not None else ("", ())


def _end(far: str | None, descending: bool) -> _Bound:
    return (f"AND e.sort {'>' if descending else '<'} ?", (far,)) if far is not None else ("", ())


def _passed(near: str, sort: str, descending: bool) -> bool:
    return sort.encode() < near.encode() if descending else sort.encode() > near.encode()
