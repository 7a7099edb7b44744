"""The requests that write, and what their refusals mean.

Each revision carries the `write_id` of the call that wrote it. When an answer is lost, botocore sends the request
again, and the condition then fails on what the first sending wrote: the id tells that this is no conflict.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from mlops_api.adapters.aws.dynamodb_items import (
    SUM,
    Item,
    content,
    index_entries,
    is_live,
    item_key,
    revision,
    to_item,
)
from mlops_api.adapters.aws.errors import code_of
from mlops_api.adapters.aws.table import INDEXES, TIME_TO_LIVE
from mlops_api.adapters.record_rules import already_exists, revision_mismatch, target
from mlops_api.domain.errors import Conflict
from mlops_api.ports import Add, Check, Delete, Overwrite, Put, Write

CONDITION_FAILED = "ConditionalCheckFailed"
_CONTENDED_REASONS = frozenset({"TransactionConflict", "ProvisionedThroughputExceeded", "ThrottlingError"})
_CONTENDED_CODES = frozenset({"TransactionConflictException", "TransactionInProgressException"})

_LIVE = "(attribute_not_exists(#expires) OR #expires > :now)"
_ABSENT = "(attribute_not_exists(pk) OR #expires <= :now)"


def put_request(write: Put, data: bytes, write_id: str, now: int) -> dict[str, Any]:
    """What PutItem takes, table aside. `now`: epoch seconds."""
    return {"Item": to_item(write.record, data, write_id)} | _condition(write.record.revision, now)


def transact_item(write: Write, data: bytes, table: str, write_id: str, now: int) -> dict[str, Any]:
    """One of TransactWriteItems' items."""
    if isinstance(write, Put):
        return {"Put": {"TableName": table} | put_request(write, data, write_id, now)}
    request = {"TableName": table, "Key": item_key(*target(write))}
    if isinstance(write, Overwrite):
        return {"Update": request | _update(content(write.record, data, write_id), {})}
    if isinstance(write, Add):
        return {"Update": request | _update(index_entries(write) | {"write_id": {"S": write_id}}, write.deltas)}
    if isinstance(write, Check):
        return {"ConditionCheck": request | _condition(write.revision, now)}
    return {"Delete": request | ({} if write.revision is None else _condition(write.revision, now))}


def _update(kept: Mapping[str, Any], deltas: Mapping[str, int]) -> dict[str, Any]:
    """What Update takes to leave the item with these attributes, sums counted up and without other index entries."""
    movable = [TIME_TO_LIVE, *(f"{index}_{part}" for index in INDEXES for part in ("pk", "sk"))]
    numbers = {f"{SUM}{name}": {"N": str(delta)} for name, delta in deltas.items()} | {"revision": {"N": "1"}}
    names = {name: f"#a{number}" for number, name in enumerate(dict.fromkeys([*kept, *numbers, *movable]))}
    values = {name: f":{place[1:]}" for name, place in names.items()}
    given = {**kept, **numbers}
    expression = [
        "SET " + ", ".join(f"{names[name]} = {values[name]}" for name in kept),
        "ADD " + ", ".join(f"{names[name]} {values[name]}" for name in numbers),
        "REMOVE " + ", ".join(names[name] for name in movable if name not in kept),
    ]
    return {
        "UpdateExpression": " ".join(expression),
        "ExpressionAttributeNames": {place: name for name, place in names.items()},
        "ExpressionAttributeValues": {values[name]: value for name, value in given.items()},
    }


def is_contended(error: ClientError) -> bool:
    """Nothing was written, because somebody else was writing: the same request may succeed in a moment."""
    codes = {reason.get("Code") for reason in _reasons(error)} - {"None", None}
    return code_of(error) in _CONTENDED_CODES or (bool(codes) and codes <= _CONTENDED_REASONS)


def refusal(error: ClientError, writes: Sequence[Write], now: int) -> Conflict | None:
    """AlreadyExists or RevisionMismatch for the first record in the way.

    None when no condition failed. Ask `was_written` first.
    """
    for write, reason in zip(writes, _reasons(error), strict=False):
        if reason.get("Code") == CONDITION_FAILED:
            return _in_the_way(write, reason.get("Item"), now)
    return None


def was_written(error: ClientError, write_id: str) -> bool:
    """The condition failed on what an earlier sending of this very request wrote."""
    return any(reason.get("Item", {}).get("write_id") == {"S": write_id} for reason in _reasons(error))


def _reasons(error: ClientError) -> Sequence[Mapping[str, Any]]:
    """Of a transaction, one for each write; of a single write, one."""
    if code_of(error) == "ConditionalCheckFailedException":
        return [{"Code": CONDITION_FAILED, "Item": error.response.get("Item", {})}]
    reasons: Sequence[Mapping[str, Any]] = error.response.get("CancellationReasons", [])
    return reasons


def _in_the_way(write: Write, found: Item | None, now: int) -> Conflict:
    if isinstance(write, Put) and write.record.revision == 0:
        return already_exists(write.record)
    stored = revision(found) if found and is_live(found, now) else 0
    if isinstance(write, Put):
        return revision_mismatch(write.record, write.record.revision, stored)
    if isinstance(write, Delete | Check):
        return revision_mismatch(write, write.revision or 0, stored)
    raise TypeError(f"{type(write).__name__} has no condition that could fail")


def _condition(wanted: int, now: int) -> dict[str, Any]:
    """That the record stands at this revision; 0: that it is absent or has expired."""
    names = {"#expires": "expires_at"}
    values = {":now": {"N": str(now)}}
    if wanted:
        names["#revision"] = "revision"
        values[":wanted"] = {"N": str(wanted)}
    return {
        "ConditionExpression": f"#revision = :wanted AND {_LIVE}" if wanted else _ABSENT,
        "ExpressionAttributeNames": names,
        "ExpressionAttributeValues": values,
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
