"""RecordStore on one DynamoDB table, see table."""

import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from mlops_api.adapters.aws.clients import Client
from mlops_api.adapters.aws.dynamodb_items import Item, is_live, item_key, position, to_record
from mlops_api.adapters.aws.dynamodb_pages import Span, span
from mlops_api.adapters.aws.dynamodb_writes import is_contended, put_request, refusal, transact_item, was_written
from mlops_api.adapters.aws.errors import translated, unavailable
from mlops_api.adapters.record_rules import (
    check_get_many,
    check_name,
    check_page,
    check_writes,
    encode_writes,
    label,
    subject_of,
)
from mlops_api.domain.errors import NotFound, Unavailable
from mlops_api.ports import Count, Delete, Index, Put, Record, RecordName, RecordPage, Write

_PAGE_CALLS = 10
"""Of 1 MB each: then a page ends early, and its token goes on."""

_COUNT_CALLS = 20
_BATCH_CALLS = 5
"""In a row that bring nothing."""

_PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8)
"""Longest pauses between attempts, in seconds; the real ones are random below them."""

_LIVE = "attribute_not_exists(#expires) OR #expires > :now"
_RANDOM = secrets.SystemRandom()


class DynamoRecords:
    """As ports.RecordStore promises; safe to use from many threads.

    Reads of records are strongly consistent; indexes follow within moments. `now`: epoch seconds.
    """

    def __init__(self, client: Client, table: str, *, now: Callable[[], float] = time.time) -> None:
        self._client = client
        self._table = table
        self._now = now

    # ---- one record

    def get(self, kind: str, key: str) -> Record:
        _check_names(kind, key)
        with translated(f"{kind} {key} cannot be read"):
            item = self._client.get_item(TableName=self._table, Key=item_key(kind, key), ConsistentRead=True).get(
                "Item"
            )
        if item is None or not is_live(item, self._epoch()):
            raise NotFound(f"There is no {kind} {key!r}.", kind=kind, key=key)
        return to_record(item)

    def get_many(self, names: Sequence[RecordName]) -> Mapping[RecordName, Record]:
        check_get_many(names)
        _check_names(*(part for name in names for part in name))
        wanted = [item_key(kind, key) for kind, key in dict.fromkeys(names)]
        with translated(f"{len(wanted)} records cannot be read"):
            items = [item for item in self._batches(wanted) if is_live(item, self._epoch())]
        return {(record.kind, record.key): record for record in map(to_record, items)}

    def put(self, record: Record) -> Record:
        self.write([Put(record)])
        return replace(record, revision=record.revision + 1)

    def delete(self, kind: str, key: str, revision: int | None = None) -> None:
        self.write([Delete(kind, key, revision)])

    # ---- writes

    def write(self, writes: Sequence[Write]) -> None:
        check_writes(writes)
        encoded = encode_writes(writes)
        if not writes:
            return
        with translated(f"{_subject(writes)} cannot be written"):
            self._write_when_alone(writes, encoded)

    def _write_when_alone(self, writes: Sequence[Write], encoded: Sequence[bytes]) -> None:
        """Try again while other writers hold these records. Raises Unavailable when they go on doing so."""
        write_id = secrets.token_hex(8)
        for pause in (*_PAUSES, None):
            try:
                return self._send(writes, encoded, write_id)
            except ClientError as error:
                if was_written(error, write_id):
                    return None
                refused = refusal(error, writes, self._epoch())
                if refused is not None:
                    raise refused from error
                if not is_contended(error):
                    raise
                if pause is None:
                    raise unavailable(f"{_subject(writes)} cannot be written", "others keep writing it") from error
            time.sleep(_RANDOM.uniform(0, pause))
        return None

    def _send(self, writes: Sequence[Write], encoded: Sequence[bytes], write_id: str) -> None:
        """One write alone needs no transaction, which costs twice; but a conditional delete or an addition, sent twice,
        does: DynamoDB answers a repeated transaction as it did the first time, adds once, and a deleted record carries
        no id."""
        now = self._epoch()
        first = writes[0]
        if len(writes) == 1 and isinstance(first, Put):
            self._client.put_item(TableName=self._table, **put_request(first, encoded[0], write_id, now))
        elif len(writes) == 1 and isinstance(first, Delete) and first.revision is None:
            self._client.delete_item(TableName=self._table, Key=item_key(first.kind, first.key))
        else:
            items = [
                transact_item(write, data, self._table, write_id, now)
                for write, data in zip(writes, encoded, strict=True)
            ]
            self._client.transact_write_items(TransactItems=items)

    # ---- pages

    def query(
        self,
        index: Index,
        partition: str,
        *,
        descending: bool = False,
        limit: int = 100,
        token: str | None = None,
        after: str | None = None,
        before: str | None = None,
    ) -> RecordPage:
        check_page(limit)
        wanted = span(index, partition, descending=descending, after=after, before=before)
        with translated(f"Records of {partition} cannot be read"):
            return self._page(wanted if token is None else wanted.after_token(token), limit)

    def _page(self, wanted: Span, limit: int) -> RecordPage:
        found: list[Item] = []
        now = self._epoch()
        rest: Span | None = wanted
        for _ in range(_PAGE_CALLS):
            if rest is None or rest.empty or len(found) > limit:
                break
            items, rest = self._some(rest, limit + 1 - len(found))
            found += [item for item in items if is_live(item, now)]
        records = [to_record(item) for item in found[:limit]]
        if len(found) > limit:
            return RecordPage(records, wanted.token(position(found[limit - 1], wanted.index)))
        if rest is None or rest.empty or rest.seen is None:
            return RecordPage(records, None)
        return RecordPage(records, wanted.token(rest.seen))

    def _some(self, wanted: Span, limit: int) -> tuple[Sequence[Item], Span | None]:
        """What one call brings, and what is left behind it; None: nothing."""
        answer = self._client.query(TableName=self._table, **wanted.request(limit))
        items = wanted.unseen(answer["Items"])
        if "LastEvaluatedKey" not in answer:
            return items, None
        return items, wanted.behind(position(items[-1], wanted.index)) if items else wanted

    def count(self, index: Index, partition: str, *, cap: int = 10_000) -> Count:
        request = span(index, partition, descending=False, after=None, before=None).request(cap + 1)
        request["Select"] = "COUNT"
        request["FilterExpression"] = _LIVE
        request["ExpressionAttributeNames"]["#expires"] = "expires_at"
        request["ExpressionAttributeValues"][":now"] = {"N": str(self._epoch())}
        with translated(f"Records of {partition} cannot be counted"):
            return self._count(request, cap)

    def _count(self, request: dict[str, Any], cap: int) -> Count:
        found = 0
        for _ in range(_COUNT_CALLS):
            answer = self._client.query(TableName=self._table, **request)
            found += answer["Count"]
            if "LastEvaluatedKey" not in answer or found > cap:
                return Count(min(found, cap), exact=found <= cap)
            request = request | {"ExclusiveStartKey": answer["LastEvaluatedKey"]}
        return Count(found, exact=False)

    # ---- the store

    def ready(self) -> None:
        try:
            self._client.get_item(TableName=self._table, Key=item_key("ready", "ready"))
        except (ClientError, BotoCoreError) as error:
            raise Unavailable(f"The DynamoDB table {self._table} cannot be read: {error}") from error

    def _batches(self, keys: Sequence[Mapping[str, Any]]) -> Iterator[Item]:
        """What exists of `keys`. DynamoDB answers at most 16 MB at once, and less when it is busy."""
        idle = 0
        while keys:
            request = {self._table: {"Keys": keys, "ConsistentRead": True}}
            answer = self._client.batch_get_item(RequestItems=request)
            yield from answer["Responses"].get(self._table, [])
            left = answer.get("UnprocessedKeys", {}).get(self._table, {}).get("Keys", [])
            idle = idle + 1 if len(left) == len(keys) else 0
            if idle == _BATCH_CALLS:
                raise unavailable(f"{len(left)} records cannot be read", "DynamoDB is throttling")
            if left:
                time.sleep(_RANDOM.uniform(0, _PAUSES[idle]))
            keys = left

    def _epoch(self) -> int:
        return int(self._now())


def _check_names(*names: str) -> None:
    for name in names:
        check_name(name)


def _subject(writes: Sequence[Write]) -> str:
    first = label(subject_of(writes[0]))
    return first if len(writes) == 1 else f"{first} and {len(writes) - 1} more"
