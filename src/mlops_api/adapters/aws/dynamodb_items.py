"""Records as DynamoDB items, and back.

An index orders its entries by one string, so sort, key and kind are joined such that the joined strings compare as
the three do: a NUL inside becomes NUL SOH, and NUL NUL ends a part. What ends is less than whatever goes on.

    ("a", "k")    a  NUL NUL  k ...
    ("a\\0", "k")  a  NUL SOH  NUL NUL  k ...
    ("ab", "k")   a  b  NUL NUL  k ...
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from mlops_api.adapters.aws.table import INDEXES, TIME_TO_LIVE
from mlops_api.ports import Add, Index, Place, Record

Item = Mapping[str, Any]
"""Attribute name -> {type letter: value}, as the low-level client speaks."""

END = "\0\0"
BEHIND_END = "\0\1"
"""Greater than END and whatever follows it, less than any longer part."""

SUM = "sum_"
"""Begins the names of attributes that Add counts up: DynamoDB adds to numbers, not inside the text of `data`."""


@dataclass(frozen=True)
class Position:
    """Where an entry stands inside a partition of an index."""

    sort: str
    key: str
    kind: str

    def joined(self) -> str:
        return END.join(map(escaped, (self.sort, self.key, self.kind)))


def escaped(part: str) -> str:
    return part.replace("\0", BEHIND_END)


def item_key(kind: str, key: str) -> dict[str, Any]:
    return {"pk": {"S": key}, "sk": {"S": kind}}


def to_item(record: Record, data: bytes, write_id: str) -> dict[str, Any]:
    """The item of the record's next revision. `data`: encoded content."""
    return (
        item_key(record.kind, record.key)
        | {"revision": {"N": str(record.revision + 1)}}
        | content(record, data, write_id)
    )


def content(record: Record, data: bytes, write_id: str) -> dict[str, Any]:
    """What an item holds beside its key and revision."""
    item = {"data": {"S": data.decode()}, "write_id": {"S": write_id}} | index_entries(record)
    if record.expires_at is not None:
        item[TIME_TO_LIVE] = {"N": str(record.expires_at)}
    return item


def index_entries(subject: Record | Add) -> dict[str, Any]:
    entries: dict[str, Any] = {}
    for index, place in subject.indexes.items():
        entries[f"{index}_pk"] = {"S": place.partition}
        entries[f"{index}_sk"] = {"S": Position(place.sort, subject.key, subject.kind).joined()}
    return entries


def to_record(item: Item) -> Record:
    return Record(
        kind=item["sk"]["S"],
        key=item["pk"]["S"],
        data=_data(item),
        indexes={
            index: Place(item[f"{index}_pk"]["S"], _sort(item, index)) for index in INDEXES if _is_in(item, index)
        },
        revision=revision(item),
        expires_at=_expires_at(item),
    )


def _data(item: Item) -> dict[str, Any]:
    """What was put, and what was added to it since."""
    data: dict[str, Any] = orjson.loads(item["data"]["S"]) if "data" in item else {}
    added = {name.removeprefix(SUM): int(value["N"]) for name, value in item.items() if name.startswith(SUM)}
    return data | {name: data.get(name, 0) + number for name, number in added.items()}


def position(item: Item, index: Index) -> Position:
    return Position(_sort(item, index), item["pk"]["S"], item["sk"]["S"])


def revision(item: Item) -> int:
    return int(item["revision"]["N"])


def is_live(item: Item, now: int) -> bool:
    """`now`: epoch seconds."""
    expires_at = _expires_at(item)
    return expires_at is None or expires_at > now


def _expires_at(item: Item) -> int | None:
    return int(item[TIME_TO_LIVE]["N"]) if TIME_TO_LIVE in item else None


def _is_in(item: Item, index: Index) -> bool:
    return f"{index}_pk" in item


def _sort(item: Item, index: Index) -> str:
    joined: str = item[f"{index}_sk"]["S"]
    return joined.partition(END)[0].replace(BEHIND_END, "\0")
