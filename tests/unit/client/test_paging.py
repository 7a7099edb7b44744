"""Lists are read to their end, whatever the pages look like."""

import httpx
import pytest

from mlops_api.client import ServerError
from tests.support import samples

LISTS = {
    "datasets": (lambda c: c.datasets.list(), "/datasets", lambda n: samples.dataset_summary(f"d:{n}"), "version"),
    "jobs": (lambda c: c.training.jobs(), "/training/jobs", lambda n: samples.job(f"j{n}"), "job"),
    "models": (lambda c: c.models.list(), "/models", lambda n: samples.model(f"m:{n}"), "version"),
    "endpoints": (
        lambda c: c.inference.endpoints(),
        "/inference/endpoints",
        lambda n: samples.endpoint(endpoint=f"e{n}"),
        "endpoint",
    ),
    "transform_jobs": (
        lambda c: c.batch.list(),
        "/inference/batch",
        lambda n: samples.transform(name=f"t{n}"),
        "transform_job",
    ),
}
"""By the list's key in the answer: the call, its path, an item, and the item's identity."""


def paged(path: str, key: str, items: list, size: int):
    """Pages of `size`, every third one empty, as keyset pages may be."""
    chunks = [items[start : start + size] for start in range(0, len(items), size)]
    chunks = [chunk for number, one in enumerate(chunks) for chunk in ([one, []] if number % 3 == 0 else [one])]

    def handler(request: httpx.Request) -> httpx.Response:
        assert request.url.path == path
        number = int(request.url.params.get("next_token", "0"))
        token = str(number + 1) if number + 1 < len(chunks) else None
        return httpx.Response(200, json={key: [one.model_dump() for one in chunks[number]], "next_token": token})

    return handler


@pytest.mark.parametrize("name", LISTS)
def test_every_item_of_every_page_arrives_in_order(wire, name) -> None:
    use, path, make, identity = LISTS[name]
    items = [make(number) for number in range(1, 124)]
    found = wire.run(paged(path, name, items, 10), use)
    assert [getattr(one, identity) for one in found] == [getattr(one, identity) for one in items]
    assert len(found) == 123


def test_filters_go_along_with_every_page(wire) -> None:
    handler = paged("/training/jobs", "jobs", [samples.job(f"j{n}") for n in range(30)], 10)
    wire.run(
        handler, lambda c: c.training.jobs(status="Failed", model="flights", sort="metric", order="asc", page_size=7)
    )
    for request in wire.seen:
        params = dict(request.url.params)
        params.pop("next_token", None)
        assert params == {"status": "Failed", "model": "flights", "sort": "metric", "order": "asc", "limit": "7"}


def test_nothing_is_fetched_before_it_is_asked_for() -> None:
    from tests.unit.client.conftest import Wire

    wire = Wire("blocking")
    handler = paged("/models", "models", [samples.model(f"m:{n}") for n in range(1, 100)], 10)
    wire.run(handler, lambda c: next(c.models.list()))
    assert len(wire.seen) == 1


def test_a_list_that_turns_in_a_circle_is_refused(wire) -> None:
    handler = lambda _: httpx.Response(200, json={"models": [], "next_token": "same"})  # noqa: E731
    with pytest.raises(ServerError, match="twice"):
        wire.run(handler, lambda c: c.models.list())
    assert len(wire.seen) == 2
