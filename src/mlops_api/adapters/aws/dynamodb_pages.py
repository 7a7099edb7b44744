"""Which part of an index a page reads. Bounds are positions, never ExclusiveStartKey: a record may go meanwhile."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from mlops_api.adapters.aws.dynamodb_items import BEHIND_END, END, Item, Position, escaped, position
from mlops_api.adapters.page_tokens import read_token, write_token
from mlops_api.adapters.record_rules import check_name
from mlops_api.ports import Index


@dataclass(frozen=True)
class Span:
    """The entries of a partition from `low` to `high` (joined positions, both included; None: no bound).

    `seen`: the position at the near end when it was read before; it is no bound by itself when descending, since no
    string is the last one before another.
    """

    index: Index
    partition: str
    descending: bool
    low: str | None = None
    high: str | None = None
    seen: Position | None = None

    @property
    def empty(self) -> bool:
        """DynamoDB refuses such a range."""
        return self.low is not None and self.high is not None and self.low > self.high

    def behind(self, place: Position) -> "Span":
        """What comes behind `place` in reading order."""
        joined = place.joined()
        if self.descending:
            high = joined if self.high is None else min(joined, self.high)
            return replace(self, high=high, seen=place)
        low = joined + "\0"
        return replace(self, low=low if self.low is None else max(low, self.low), seen=place)

    def request(self, limit: int) -> dict[str, Any]:
        """What Query takes, to read `limit` entries that were not seen."""
        condition, values = self._condition()
        return {
            "IndexName": self.index,
            "KeyConditionExpression": f"#partition = :partition{condition}",
            "ExpressionAttributeNames": {"#partition": f"{self.index}_pk"}
            | ({"#sort": f"{self.index}_sk"} if condition else {}),
            "ExpressionAttributeValues": {":partition": {"S": self.partition}} | values,
            "ScanIndexForward": not self.descending,
            "Limit": limit + (1 if self.descending and self.seen else 0),
        }

    def unseen(self, items: Sequence[Item]) -> list[Item]:
        return [item for item in items if position(item, self.index) != self.seen]

    def token(self, last: Position) -> str:
        return write_token(self._query(), (last.sort, last.key, last.kind))

    def after_token(self, token: str) -> "Span":
        """Raises BadRequest for a token of another query."""
        return self.behind(Position(*read_token(self._query(), token, length=3)))

    def _query(self) -> Sequence[str]:
        return (self.index, self.partition, "descending" if self.descending else "ascending")

    def _condition(self) -> tuple[str, dict[str, Any]]:
        low, high = ":low", ":high"
        if self.low is not None and self.high is not None:
            return " AND #sort BETWEEN :low AND :high", {low: {"S": self.low}, high: {"S": self.high}}
        if self.low is not None:
            return " AND #sort >= :low", {low: {"S": self.low}}
        if self.high is not None:
            return " AND #sort <= :high", {high: {"S": self.high}}
        return "", {}


def span(index: Index, partition: str, *, descending: bool, after: str | None, before: str | None) -> Span:
    """Entries whose sort is greater than `after` and less than `before`. Raises BadRequest for what is no sort."""
    check_name(partition)
    return Span(
        index,
        partition,
        descending,
        low=None if after is None else _bound(after) + BEHIND_END,
        high=None if before is None else _bound(before) + END,
    )


def _bound(sort: str) -> str:
    check_name(sort, least=0)
    return escaped(sort)
