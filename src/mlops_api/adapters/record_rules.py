"""What every RecordStore refuses before it writes, so that adapters agree on it."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from mlops_api.domain.errors import BadRequest, Invalid
from mlops_api.ports import Check, Delete, Put, Record, Write

MAX_DATA_BYTES = 350_000
"""Below DynamoDB's 400 kB an item, which counts names and index copies too."""

MAX_NAME_BYTES = 512
"""Of kind, key, partition and sort each; DynamoDB takes 1,024 for a sort key, which may hold two of them."""

MAX_WRITES = 25
MAX_GET_MANY = 100
MAX_PAGE = 1000

_STRICT = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_SUBCLASS


def encode_data(record: Record) -> bytes:
    """`record.data` as JSON. Raises Invalid when it is no JSON, not finite, or over MAX_DATA_BYTES."""
    try:
        encoded = orjson.dumps(dict(record.data), option=_STRICT)
    except orjson.JSONEncodeError as error:
        raise Invalid(f"{label(record)} cannot be stored: its data is not JSON ({error}).") from error
    # orjson writes NaN and infinity as null.
    if b"null" in encoded and not _finite(record.data):
        raise Invalid(f"{label(record)} cannot be stored: NaN and infinity are not JSON. Leave such values out.")
    if len(encoded) > MAX_DATA_BYTES:
        raise Invalid(
            f"{label(record)} cannot be stored: {len(encoded)} bytes, and {MAX_DATA_BYTES} are allowed. "
            "Keep large content as an object."
        )
    return encoded


def check_writes(writes: Sequence[Write]) -> None:
    """Raises BadRequest for too many writes, two on one record, or a name out of bounds."""
    if len(writes) > MAX_WRITES:
        raise BadRequest(f"One write holds at most {MAX_WRITES} records, not {len(writes)}. Write them in turns.")
    names = [target(write) for write in writes]
    if len(set(names)) < len(names):
        raise BadRequest("One write may name each record only once.")
    for write in writes:
        _check_names(write)


def check_page(limit: int) -> None:
    if not 1 <= limit <= MAX_PAGE:
        raise BadRequest(f"limit is {limit}; it must be between 1 and {MAX_PAGE}.")


def check_get_many(keys: Sequence[str]) -> None:
    if len(keys) > MAX_GET_MANY:
        raise BadRequest(f"At most {MAX_GET_MANY} records can be read at once, not {len(keys)}. Read them in turns.")


def target(write: Write) -> tuple[str, str]:
    """(kind, key) of the record a write is about."""
    subject = write.record if isinstance(write, Put) else write
    return subject.kind, subject.key


def label(subject: Record | Delete | Check) -> str:
    return f"{subject.kind} {subject.key}"


def _check_names(write: Write) -> None:
    for name in target(write):
        _check_name(name, least=1)
    for place in write.record.indexes.values() if isinstance(write, Put) else ():
        _check_name(place.partition, least=1)
        _check_name(place.sort, least=0)


def _check_name(name: str, *, least: int) -> None:
    try:
        size = len(name.encode())
    except UnicodeEncodeError as error:
        raise BadRequest(f"{name[:80]!a} cannot name a record: it is not valid Unicode.") from error
    if not least <= size <= MAX_NAME_BYTES:
        raise BadRequest(f"{name[:80]!r} cannot name a record: {size} bytes, not {least} to {MAX_NAME_BYTES}.")


def _finite(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, Mapping):
        return all(_finite(item) for item in value.values())
    return not isinstance(value, list | tuple) or all(_finite(item) for item in value)
