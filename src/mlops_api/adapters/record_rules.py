"""What every RecordStore refuses before it writes, so that adapters agree on it."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from mlops_api.domain.errors import AlreadyExists, BadRequest, Invalid, RevisionMismatch
from mlops_api.ports import Add, Check, Delete, Index, Overwrite, Place, Put, Record, RecordName, Write

MAX_DATA_BYTES = 350_000
"""Below DynamoDB's 400 kB an item, which counts names and index copies too."""

MAX_NAME_BYTES = 512
"""Of kind, key, partition and sort each."""

MAX_PLACE_BYTES = 1000
"""Of sort, key and kind together, NULs twice: they are one sort key of DynamoDB, which takes 1,024 bytes."""

MAX_WRITE_DATA_BYTES = 3_500_000
"""Below the 4 MB that DynamoDB takes in one transaction, names included."""

MAX_DELTA = 2**53
"""So that sums of many still are whole numbers in JSON."""

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


def encode_writes(writes: Sequence[Write]) -> list[bytes]:
    """The data of each Put and Overwrite, nothing for others.

    Raises as encode_data does, and Invalid when it is too much at once.
    """
    encoded = [encode_data(write.record) if isinstance(write, Put | Overwrite) else b"" for write in writes]
    size = sum(map(len, encoded))
    if size > MAX_WRITE_DATA_BYTES:
        raise Invalid(f"One write holds at most {MAX_WRITE_DATA_BYTES} bytes, not {size}. Write the records in turns.")
    return encoded


def check_writes(writes: Sequence[Write]) -> None:
    """Raises BadRequest for too many writes, two on one record, or a name out of bounds; Invalid for what is no whole
    number to add."""
    if len(writes) > MAX_WRITES:
        raise BadRequest(f"One write holds at most {MAX_WRITES} records, not {len(writes)}. Write them in turns.")
    names = [target(write) for write in writes]
    if len(set(names)) < len(names):
        raise BadRequest("One write may name each record only once.")
    for write in writes:
        _check_names(write)
        if isinstance(write, Add):
            _check_deltas(write)


def check_page(limit: int) -> None:
    if not 1 <= limit <= MAX_PAGE:
        raise BadRequest(f"limit is {limit}; it must be between 1 and {MAX_PAGE}.")


def check_get_many(names: Sequence[RecordName]) -> None:
    if len(names) > MAX_GET_MANY:
        raise BadRequest(f"At most {MAX_GET_MANY} records can be read at once, not {len(names)}. Read them in turns.")


def subject_of(write: Write) -> Record | Add | Delete | Check:
    """What of a write names its record."""
    return write.record if isinstance(write, Put | Overwrite) else write


def target(write: Write) -> RecordName:
    """The record a write is about."""
    subject = subject_of(write)
    return subject.kind, subject.key


def label(subject: Record | Add | Delete | Check) -> str:
    return f"{subject.kind} {subject.key}"


def already_exists(record: Record) -> AlreadyExists:
    return AlreadyExists(f"{label(record)} exists already.", kind=record.kind, key=record.key)


def revision_mismatch(subject: Record | Delete | Check, wanted: int, stored: int) -> RevisionMismatch:
    """`stored`: the revision it stands at, 0 when it is absent."""
    now = f"is at revision {stored}" if stored else "does not exist"
    return RevisionMismatch(
        f"{label(subject)} {now}; revision {wanted} was expected. Read it again and repeat the change.",
        kind=subject.kind,
        key=subject.key,
    )


def check_name(name: str, *, least: int = 1) -> None:
    """Raises BadRequest unless `name` may be a kind, key or partition; `least` 0: a sort."""
    size = _size(name)
    if not least <= size <= MAX_NAME_BYTES:
        raise BadRequest(f"{name[:80]!r} cannot name a record: {size} bytes, not {least} to {MAX_NAME_BYTES}.")


def _check_names(write: Write) -> None:
    for name in target(write):
        check_name(name)
    for place in _places(write).values():
        _check_place(write, place)


def _check_deltas(write: Add) -> None:
    for name, delta in write.deltas.items():
        check_name(name)
        if type(delta) is not int or abs(delta) > MAX_DELTA:
            raise Invalid(f"{label(write)} cannot be counted: {name} needs a whole number to add, not {delta!r}.")


def _places(write: Write) -> Mapping[Index, Place]:
    subject = subject_of(write)
    return subject.indexes if isinstance(subject, Record | Add) else {}


def _check_place(write: Write, place: Place) -> None:
    check_name(place.partition)
    check_name(place.sort, least=0)
    kind, key = target(write)
    names = (place.sort, key, kind)
    size = sum(_size(name) + name.count("\0") for name in names)
    if size > MAX_PLACE_BYTES:
        raise BadRequest(
            f"{label(subject_of(write))[:80]!r} cannot stand in an index: sort, key and kind have {size} bytes "
            f"together, and {MAX_PLACE_BYTES} are allowed."
        )


def _size(name: str) -> int:
    try:
        return len(name.encode())
    except UnicodeEncodeError as error:
        raise BadRequest(f"{name[:80]!a} cannot name a record: it is not valid Unicode.") from error


def _finite(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, Mapping):
        return all(_finite(item) for item in value.values())
    return not isinstance(value, list | tuple) or all(_finite(item) for item in value)
