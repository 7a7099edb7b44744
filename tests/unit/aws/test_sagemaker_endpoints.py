"""Endpoints on the SageMaker test server: what SageMaker leaves behind, refuses, and does not say."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mlops_api.adapters.aws.sagemaker_endpoints import SageMakerEndpoints
from mlops_api.domain.errors import BadRequest, TooLarge, Unavailable
from mlops_api.ports import Invocation, VariantSpec
from tests.support.aws_runners import AwsMachine, sagemaker
from tests.support.emulators import Cloud
from tests.support.local_runners import variant
from tests.support.local_storage import wait_for


@pytest.fixture
def machine(moto: Cloud, tmp_path: Path) -> Iterator[AwsMachine]:
    with sagemaker(moto, tmp_path) as machine:
        for name in ("one", "two"):
            machine.put_model(f"m/{name}", name=name)
        machine.put_model("m/broken", name="broken", fail="forest.npz does not match its sha256")
        yield machine


def deployed(machine: AwsMachine, *variants: VariantSpec) -> None:
    machine.host.deploy("e", variants)
    wait_for(lambda: machine.host.describe("e").status in ("InService", "Failed"))


def ask(machine: AwsMachine, body: bytes = b"{}", variant: str | None = None) -> Invocation:
    return machine.host.invoke("e", body, content_type="application/json", accept="text/csv", variant=variant)


def parts(machine: AwsMachine) -> tuple[list[str], list[str]]:
    api = machine.clients.sagemaker
    configs = [each["EndpointConfigName"] for each in api.list_endpoint_configs()["EndpointConfigs"]]
    return configs, [each["ModelName"] for each in api.list_models()["Models"]]


def test_what_no_deployment_needs_is_removed_at_the_next_one(machine: AwsMachine) -> None:
    for number, model in enumerate(("one", "two", "one", "two"), 1):
        deployed(machine, variant("a", f"m/{model}", version=f"e:{number}"))
    configs, models = parts(machine)
    assert (len(configs), len(models)) == (2, 2)  # what serves, and what served before


def test_a_deletion_leaves_nothing(machine: AwsMachine) -> None:
    deployed(machine, variant("a", "m/one"), variant("b", "m/two", version="e:2"))
    machine.host.delete("e")
    assert parts(machine) == ([], [])


def test_an_endpoint_whose_name_begins_the_same_keeps_its_parts(machine: AwsMachine) -> None:
    machine.host.deploy("e-1", [variant("a", "m/one", version="e-1:1")])
    deployed(machine, variant("a", "m/one"))
    wait_for(lambda: machine.host.describe("e-1").status == "InService")
    machine.host.delete("e")
    configs, models = parts(machine)
    assert (len(configs), len(models)) == (1, 1)


def test_after_a_failed_first_deployment_the_next_one_serves(machine: AwsMachine) -> None:
    deployed(machine, variant("a", "m/broken"))
    assert machine.host.describe("e").status == "Failed"
    deployed(machine, variant("a", "m/one", version="e:2"))
    assert ask(machine).model_version == "e:2"


def test_one_deployment_at_a_time(machine: AwsMachine) -> None:
    machine.put_model("m/slow", name="slow", load_seconds=0.6)
    machine.host.deploy("e", [variant("a", "m/slow")])
    with pytest.raises(Unavailable, match="Creating"):
        machine.host.deploy("e", [variant("a", "m/two", version="e:2")])
    with pytest.raises(Unavailable, match="Creating"):
        machine.host.delete("e")
    machine.host.deploy("e", [variant("a", "m/slow")])
    wait_for(lambda: machine.host.describe("e").status == "InService")
    assert json.loads(ask(machine).body)["model"] == "slow"


def test_while_it_is_updated_both_sides_are_told(machine: AwsMachine) -> None:
    one = variant("a", "m/one")
    deployed(machine, one)
    machine.put_model("m/slow", name="slow", load_seconds=0.6)
    slow = variant("a", "m/slow", version="e:2", weight=0.5)
    machine.host.deploy("e", [slow])
    state = machine.host.describe("e")
    assert (state.status, state.serving, state.pending) == ("Updating", (one,), (slow,))
    assert ask(machine).model_version == "e:1"
    wait_for(lambda: machine.host.describe("e").status == "InService")
    assert machine.host.describe("e").serving == (slow,)


def test_a_named_variant_is_found_after_an_update_too(machine: AwsMachine) -> None:
    deployed(machine, variant("a", "m/one"))
    assert ask(machine, variant="a").model_version == "e:1"
    deployed(machine, variant("a", "m/two", version="e:2"))
    assert ask(machine, variant="a").model_version == "e:2"


def test_a_refusal_names_the_variant_only_when_it_was_asked_for(machine: AwsMachine) -> None:
    deployed(machine, variant("a", "m/one"))
    assert ask(machine, b"bad").variant == ""
    named = ask(machine, b"bad", variant="a")
    assert (named.status, named.variant, named.model_version) == (422, "a", "e:1")


def test_serverless(machine: AwsMachine) -> None:
    machine.host = SageMakerEndpoints(machine.clients, replace(machine.config, endpoint_instance_type=None))
    deployed(machine, variant("a", "m/one"))
    (request,) = machine.server.requests_of("CreateEndpointConfig")
    assert "ServerlessConfig" in request["ProductionVariants"][0]
    assert ask(machine).status == 200
    with pytest.raises(TooLarge, match="4194304"):
        ask(machine, b"x" * (4 * 1024 * 1024 + 1))


def test_headers_that_break_out_are_refused(machine: AwsMachine) -> None:
    with pytest.raises(BadRequest):
        machine.host.invoke("e", b"", content_type="text/csv\r\nX: y", accept="text/csv")


def test_throttled_invocations_are_not_repeated(machine: AwsMachine) -> None:
    deployed(machine, variant("a", "m/one"))
    machine.server.faults.throttle(1, "InvokeEndpoint")
    with pytest.raises(Unavailable):
        ask(machine)
    assert ask(machine).status == 200
