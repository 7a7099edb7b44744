"""Requests and replies against botocore's own service models, so that this server cannot drift from the API.

botocore's ParamValidator knows types, required members, unknown members and lower bounds. Patterns, enumerations
and upper bounds stand in the same models, but only the service enforces them: `violations` does.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

import botocore.session
from botocore.model import ListShape, MapShape, OperationModel, ServiceModel, Shape, StructureShape
from botocore.validate import ParamValidator

from tests.sagemaker_server.refusals import ValidationException

_VALIDATOR = ParamValidator()


class ReplyInvalid(AssertionError):
    """This server was about to answer what SageMaker never would: a fault of the server."""


@cache
def service(name: str) -> ServiceModel:
    """The model of `sagemaker`, `sagemaker-runtime` or `logs`."""
    return botocore.session.get_session().get_service_model(name)


def operation(service_name: str, name: str) -> OperationModel:
    """Raises botocore's OperationNotFoundError."""
    return service(service_name).operation_model(name)


def parsed(shape: Shape, value: Any) -> Any:
    """JSON as the API means it: times become datetimes, nulls are absent."""
    match shape:
        case StructureShape() if isinstance(value, Mapping):
            members = {name: (shape.members.get(name), each) for name, each in value.items() if each is not None}
            return {name: each if kind is None else parsed(kind, each) for name, (kind, each) in members.items()}
        case ListShape() if isinstance(value, list):
            return [parsed(shape.member, each) for each in value]
        case MapShape() if isinstance(value, Mapping):
            return {name: parsed(shape.value, each) for name, each in value.items()}
        case _ if shape.type_name == "timestamp" and isinstance(value, int | float):
            return datetime.fromtimestamp(value, UTC)
    return value


def rendered(shape: Shape, value: Any) -> Any:
    """The JSON of a reply: times are epoch seconds with milliseconds, absent members are left out."""
    match shape:
        case StructureShape():
            return {name: rendered(shape.members[name], each) for name, each in value.items() if each is not None}
        case ListShape():
            return [rendered(shape.member, each) for each in value]
        case MapShape():
            return {name: rendered(shape.value, each) for name, each in value.items()}
    return round(value.timestamp(), 3) if isinstance(value, datetime) else value


def check_request(model: OperationModel, params: Mapping[str, Any]) -> None:
    """Raises ValidationException in SageMaker's words, listing at most ten violations."""
    if model.input_shape is None:
        return
    found = list(violations(model.input_shape, params, ""))
    if found:
        count = f"{len(found)} validation error{'s' if len(found) > 1 else ''} detected"
        raise ValidationException(f"{count}: {'; '.join(found[:10])}")
    report = _VALIDATOR.validate(params, model.input_shape)
    if report.has_errors():
        raise ValidationException(f"1 validation error detected: {report.generate_report()}")


def check_reply(model: OperationModel, reply: Mapping[str, Any]) -> None:
    """Raises ReplyInvalid."""
    if model.output_shape is None:
        if reply:
            raise ReplyInvalid(f"{model.name} answers nothing, but got {sorted(reply)}")
        return
    without_absent = _present(reply)
    report = _VALIDATOR.validate(without_absent, model.output_shape)
    found = list(violations(model.output_shape, without_absent, ""))
    if report.has_errors() or found:
        raise ReplyInvalid(f"{model.name}: {report.generate_report()} {'; '.join(found)}")


def _present(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _present(each) for name, each in value.items() if each is not None}
    return [_present(each) for each in value] if isinstance(value, list | tuple) else value


def violations(shape: Shape, value: Any, path: str) -> Iterator[str]:
    """Sentences on missing members, patterns, enumerations and bounds."""
    if isinstance(shape, StructureShape) and isinstance(value, Mapping):
        yield from _in_structure(shape, value, path)
    elif isinstance(shape, ListShape) and isinstance(value, list | tuple):
        yield from _beyond(shape, len(value), value, path)
        for place, each in enumerate(value, 1):
            yield from violations(shape.member, each, f"{path}.{place}.member")
    elif isinstance(shape, MapShape) and isinstance(value, Mapping):
        yield from _beyond(shape, len(value), value, path)
        for key, each in value.items():
            yield from violations(shape.key, key, f"{path}.key")
            yield from violations(shape.value, each, f"{path}.{key}.member")
    else:
        yield from _in_scalar(shape, value, path)


def _in_structure(shape: StructureShape, value: Mapping[str, Any], path: str) -> Iterator[str]:
    for name in shape.required_members:
        if value.get(name) is None:
            yield f"Value null at '{_below(path, name)}' failed to satisfy constraint: Member must not be null"
    for name, each in value.items():
        if name in shape.members and each is not None:
            yield from violations(shape.members[name], each, _below(path, name))


def _in_scalar(shape: Shape, value: Any, path: str) -> Iterator[str]:
    if isinstance(value, str):
        yield from _beyond(shape, len(value), value, path)
        enum = shape.metadata.get("enum")
        if enum and value not in enum:
            yield _complaint(value, path, f"Member must satisfy enum value set: [{', '.join(enum)}]")
        text = shape.metadata.get("pattern")
        if text and not pattern(text).fullmatch(value):
            yield _complaint(value, path, f"Member must satisfy regular expression pattern: {text}")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield from _out_of_range(shape, value, path)


def _beyond(shape: Shape, length: int, value: Any, path: str) -> Iterator[str]:
    most, least = shape.metadata.get("max"), shape.metadata.get("min")
    if most is not None and length > most:
        yield _complaint(value, path, f"Member must have length less than or equal to {most}")
    if least is not None and length < least:
        yield _complaint(value, path, f"Member must have length greater than or equal to {least}")


def _out_of_range(shape: Shape, value: float, path: str) -> Iterator[str]:
    most, least = shape.metadata.get("max"), shape.metadata.get("min")
    if most is not None and value > most:
        yield _complaint(value, path, f"Member must have value less than or equal to {most}")
    if least is not None and value < least:
        yield _complaint(value, path, f"Member must have value greater than or equal to {least}")


def _complaint(value: Any, path: str, constraint: str) -> str:
    shown = repr(value) if isinstance(value, Mapping | list) else f"'{value}'"
    return f"Value {shown[:300]} at '{path}' failed to satisfy constraint: {constraint}"


def _below(path: str, name: str) -> str:
    own = name[:1].lower() + name[1:]
    return f"{path}.{own}" if path else own


# --------------------------------------------------------------------------- patterns

_NAMED = {"Alnum": "a-zA-Z0-9", "ASCII": r"\x00-\x7f", "Print": r"\x20-\x7e"}


@cache
def pattern(text: str) -> "re.Pattern[str]":
    """A Java regular expression of a service model; the whole value must match it."""
    # Two shapes end in `${1,128}`, which the service reads as a length that their `max` gives already.
    text = re.sub(r"\$\{\d+,\d+\}", "", text).replace(r"\z", r"\Z")
    outside_brackets = r"\\p\{(\w+)\}(?![^\[]*\])"
    text = re.sub(outside_brackets, lambda found: f"[{_members(found[1])}]", text)
    return re.compile(re.sub(r"\\p\{(\w+)\}", lambda found: _members(found[1]), text))


@cache
def _members(category: str) -> str:
    """The characters of a Unicode category as the inside of a character class (basic plane only)."""
    if category in _NAMED:
        return _NAMED[category]
    return "".join(f"\\u{first:04x}-\\u{last:04x}" for first, last in _ranges(category))


def _ranges(category: str) -> Iterator[tuple[int, int]]:
    first = None
    for code in range(0x10001):
        inside = code < 0x10000 and unicodedata.category(chr(code)).startswith(category)
        if inside and first is None:
            first = code
        elif not inside and first is not None:
            yield first, code - 1
            first = None
