"""help() and editors see what a caller gets, not the generators inside."""

import inspect
import pydoc
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from mlops_api.client import AsyncMLOps, MLOps
from mlops_api.client.resource import listing, operation
from mlops_api.domain.datasets import DatasetSummary, DatasetVersion
from mlops_api.domain.training import MetricPoint

RESOURCES = ("datasets", "training", "models", "inference", "batch", "pipelines", "dashboard", "monitoring")


def methods(client: Any) -> list[tuple[str, Any]]:
    found = [("health", client.health)]
    for resource in (getattr(client, name) for name in RESOURCES):
        for name, one in vars(type(resource)).items():
            if isinstance(one, operation | listing):
                found.append((name, getattr(resource, name)))
    return found


@pytest.mark.parametrize("kind", [MLOps, AsyncMLOps])
def test_every_method_has_its_name_and_a_signature_for_callers(kind: type) -> None:
    found = methods(kind("http://127.0.0.1:9", "t"))
    assert len(found) > 30
    for name, method in found:
        signature = inspect.signature(method)
        assert method.__name__ == name
        assert "self" not in signature.parameters
        assert "Generator" not in str(signature)
        assert "Effect" not in str(signature)


def test_what_comes_back_is_annotated() -> None:
    client, awaiting = MLOps("http://127.0.0.1:9", "t"), AsyncMLOps("http://127.0.0.1:9", "t")
    assert inspect.signature(client.datasets.upload).return_annotation is DatasetVersion
    assert inspect.signature(client.training.metrics).return_annotation == list[MetricPoint]
    assert inspect.signature(client.datasets.list).return_annotation == Iterator[DatasetSummary]
    assert inspect.signature(awaiting.datasets.list).return_annotation == AsyncIterator[DatasetSummary]
    assert inspect.iscoroutinefunction(awaiting.datasets.get)


def test_help_of_a_resource_lists_its_methods() -> None:
    text = pydoc.plain(pydoc.render_doc(MLOps("http://127.0.0.1:9", "t").datasets))
    assert "preview(self, version: str) -> mlops_contracts.dataset.Preview\n |      The first 100 rows." in text
