"""Every operation of the published schema, with what it allows and what it does not, over a real socket.

Seed and number of examples are fixed. Each example is sent as generated, again with ids that exist and again with
well-formed ids that do not, so that 200, 404 and 409 are seen besides 422.
"""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import APIOperation, Case, GenerationMode
from schemathesis.checks import (
    content_type_conformance,
    not_a_server_error,
    response_schema_conformance,
    status_code_conformance,
)

from mlops_api.domain.models import Approve, SetAlias
from mlops_contracts.data_contract import DataContract
from tests.support.local_storage import serving
from tests.support.platform import ANN, TOKEN, World, world

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
EXAMPLES = 8
UNKNOWN = {"job": "no-job", "version": "nobody:1", "execution": "nobody-v1"} | dict.fromkeys(
    ("model", "endpoint", "name", "alias"), "nobody"
)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder: Path = tmp_path_factory.mktemp("schemathesis")
    with world(folder) as opened:
        _fill(opened)
        yield opened


def _fill(here: World) -> None:
    """Something of everything, so that lists are not empty and ids lead somewhere."""
    first = here.approved(deploy=True)
    here.platform.registry.approve(ANN, here.trained().version, Approve(), None)
    here.platform.registry.set_alias(ANN, "flights", "challenger", SetAlias(version="flights:2"))
    here.start("flights:1")
    here.uploaded()
    here.create()
    job = here.batch(first.version).transform_job
    here.recipe()
    here.platform.contracts.put(ANN, "flights", DataContract(min_rows=1))
    here.transform.complete(job, b"value\n1\n", rows=1)
    here.tell("transform", job)


@pytest.fixture(scope="module")
def base_url(here: World) -> Iterator[str]:
    with serving(here.app()) as url:
        yield url


@pytest.fixture(scope="module")
def known(here: World) -> dict[str, str]:
    return {
        "job": here.platform.training.page(
            model=None, status=None, by_metric=False, descending=True, limit=1, token=None
        )
        .jobs[0]
        .job,
        "batch": here.platform.batch.page(status=None, limit=1, token=None).transform_jobs[0].transform_job,
        "version": "flights:1",
        "model": "flights",
        "name": "flights",
        "endpoint": "flights",
        "alias": "challenger",
        "execution": "flights-v1",
    }


def _operations() -> dict[str, APIOperation[Any, Any, Any, Any]]:
    """By method and path, from the schema as it is published."""
    with TemporaryDirectory() as folder, world(Path(folder)) as empty:
        schema = schemathesis.openapi.from_dict(empty.app().openapi())
    return {found.ok().label: found.ok() for found in schema.get_all_operations()}


OPERATIONS = _operations()


def test_all_operations_are_there() -> None:
    assert len(OPERATIONS) >= 38


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
@pytest.mark.parametrize("label", sorted(OPERATIONS))
def test_every_answer_is_as_the_schema_says(
    label: str, mode: GenerationMode, base_url: str, known: dict[str, str]
) -> None:
    operation = OPERATIONS[label]
    if mode is GenerationMode.NEGATIVE and not (operation.body or any(operation.iter_parameters())):
        pytest.skip("takes nothing that could be wrong")

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def every_example(case: Case) -> None:
        _check(case, base_url)
        if case.path_parameters:
            existing = known | {"job": known["batch"]} if "/inference/" in case.path else known
            for ids in (UNKNOWN, existing):
                case.path_parameters = {name: ids[name] for name in case.path_parameters}
                _check(case, base_url)

    every_example()


def _check(case: Case, base_url: str) -> None:
    wait = (case.query or {}).get("wait")
    if isinstance(wait, int | float) and 0 < wait <= 20:
        case.query["wait"] = 0.01  # allowed, but these checks are not about patience
    response = case.call(base_url=base_url, headers={"Authorization": f"Bearer {TOKEN}"}, allow_redirects=False)
    case.validate_response(response, checks=CHECKS)
