"""Lists: filtered, sorted, cut into pages by a token that is bound to its query."""

import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from tests.sagemaker_server.refusals import ValidationException

Item = TypeVar("Item")

_DEFAULT_PAGE = 10


def page(items: Sequence[Item], params: Mapping[str, Any], key: Callable[[Item], str]) -> tuple[list[Item], str | None]:
    """The items behind the request's NextToken, at most MaxResults, and the next token.

    `key` tells items apart; the token holds the key of the last one, so that new items neither repeat nor hide any.
    Raises ValidationException for a token that this query did not give.
    """
    query = _digest(params)
    start = _start(items, params["NextToken"], query, key) if params.get("NextToken") else 0
    end = start + params.get("MaxResults", _DEFAULT_PAGE)
    token = _encode(query, key(items[end - 1])) if end < len(items) else None
    return list(items[start:end]), token


def _start(items: Sequence[Item], token: str, query: str, key: Callable[[Item], str]) -> int:
    try:
        given_query, last = json.loads(base64.urlsafe_b64decode(token))
    except (ValueError, binascii.Error) as error:
        raise ValidationException("Invalid pagination token.") from error
    keys = [key(each) for each in items]
    if given_query != query or last not in keys:
        raise ValidationException("Invalid pagination token.")
    return keys.index(last) + 1


def _encode(query: str, last: str) -> str:
    return base64.urlsafe_b64encode(json.dumps([query, last]).encode()).decode()


def _digest(params: Mapping[str, Any]) -> str:
    own = {name: str(value) for name, value in params.items() if name not in ("NextToken", "MaxResults")}
    return hashlib.sha256(json.dumps(own, sort_keys=True).encode()).hexdigest()[:12]


def selected(
    items: Iterable[Item], params: Mapping[str, Any], facts: Callable[[Item], Mapping[str, Any]]
) -> list[Item]:
    """Those that the List request's filters let through, in its order.

    `facts` gives `name`, `created`, `modified`, `status`. The order is by creation unless SortBy says otherwise, and
    ascending by default.
    """
    chosen = [each for each in items if _matches(facts(each), params)]
    by = {"Name": "name", "Status": "status", "LastModifiedTime": "modified"}.get(params.get("SortBy", ""), "created")
    chosen.sort(key=lambda each: (facts(each)[by], facts(each)["name"]))
    return chosen[::-1] if params.get("SortOrder") == "Descending" else chosen


def _matches(facts: Mapping[str, Any], params: Mapping[str, Any]) -> bool:
    return (
        params.get("NameContains", "").lower() in facts["name"].lower()
        and params.get("StatusEquals", facts["status"]) == facts["status"]
        and params.get("CreationTimeAfter", facts["created"]) <= facts["created"]
        and params.get("CreationTimeBefore", facts["created"]) >= facts["created"]
        and params.get("LastModifiedTimeAfter", facts["modified"]) <= facts["modified"]
        and params.get("LastModifiedTimeBefore", facts["modified"]) >= facts["modified"]
    )
