"""Tags of resources, by ARN."""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.sagemaker_server.pages import page
from tests.sagemaker_server.refusals import ResourceNotFound, ValidationException

_MOST = 50

Tag = Mapping[str, str]


class Tags:
    """Only ARNs that `own` has seen can be tagged."""

    def __init__(self) -> None:
        self._by_arn: dict[str, dict[str, str]] = {}
        self._lock = threading.Lock()
        self.operations: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
            "AddTags": self._add_tags,
            "ListTags": self._list_tags,
            "DeleteTags": self._delete_tags,
        }

    def own(self, arn: str, tags: Sequence[Tag] = ()) -> None:
        """A new resource and its tags. Raises ValidationException when a key comes twice."""
        keys = [each["Key"] for each in tags]
        if len(set(keys)) < len(keys):
            raise ValidationException("Duplicate Tag Keys Found. Tag keys must be unique.")
        with self._lock:
            self._by_arn[arn] = {each["Key"]: each["Value"] for each in tags}

    def disown(self, arn: str) -> None:
        with self._lock:
            self._by_arn.pop(arn, None)

    def of(self, arn: str) -> dict[str, str]:
        """Raises ResourceNotFound."""
        with self._lock:
            if arn not in self._by_arn:
                raise ResourceNotFound(f'Could not find resource "{arn}".')
            return self._by_arn[arn]

    def _add_tags(self, params: Mapping[str, Any]) -> dict[str, Any]:
        tags = self.of(params["ResourceArn"])
        added = tags | {each["Key"]: each["Value"] for each in params["Tags"]}
        if len(added) > _MOST:
            raise ValidationException(f"The number of tags exceeds the limit of {_MOST} tags per resource.")
        tags.update(added)
        return {"Tags": _listed(tags)}

    def _list_tags(self, params: Mapping[str, Any]) -> dict[str, Any]:
        listed = _listed(self.of(params["ResourceArn"]))
        chosen, token = page(listed, {"MaxResults": _MOST, **params}, lambda each: each["Key"])
        return {"Tags": chosen, "NextToken": token}

    def _delete_tags(self, params: Mapping[str, Any]) -> dict[str, Any]:
        tags = self.of(params["ResourceArn"])
        for key in params["TagKeys"]:
            tags.pop(key, None)
        return {}


def _listed(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]
