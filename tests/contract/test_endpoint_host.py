"""What ports.EndpointHost promises, on every adapter."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mlops_api.domain.errors import Conflict, Invalid, NotFound, TooLarge, Unavailable
from mlops_api.ports import EndpointState, Invocation, VariantSpec
from tests.support.emulators import Emulators
from tests.support.local_runners import variant
from tests.support.local_storage import wait_for
from tests.support.runner_adapters import MACHINES, AnyMachine, ends_of

LIMIT = 6 * 1024 * 1024


@pytest.fixture(params=sorted(MACHINES))
def machine(request: pytest.FixtureRequest, tmp_path: Path, emulators: Emulators) -> Iterator[AnyMachine]:
    with MACHINES[request.param](tmp_path, emulators) as machine:
        for name in ("one", "two"):
            machine.put_model(f"m/{name}", name=name)
        machine.put_model("m/broken", name="broken", fail="forest.npz does not match its sha256")
        yield machine


def deploy(machine: AnyMachine, *variants: VariantSpec) -> EndpointState:
    machine.host.deploy("e", variants)
    wait_for(lambda: not machine.host.describe("e").pending)
    return machine.host.describe("e")


def ask(machine: AnyMachine, body: bytes = b"{}", **options: Any) -> Invocation:
    return machine.host.invoke("e", body, content_type="application/json", accept="text/csv", **options)


def test_deploy_invoke_describe(machine: AnyMachine) -> None:
    one = variant("a", "m/one", version="e:7")
    state = deploy(machine, one)
    assert state == EndpointState("InService", (one,), changed_at=state.changed_at)
    found = ask(machine, b'{"instances": []}')
    assert (found.status, found.variant, found.model_version) == (200, "a", "e:7")
    assert found.content_type == "application/json"
    answer = json.loads(found.body)
    assert answer["model"] == "one"
    assert (answer["content_type"], answer["accept"], answer["bytes"]) == ("application/json", "text/csv", 17)
    wait_for(lambda: ends_of(machine, "Endpoint") == [("e", "IN_SERVICE")])


def test_the_first_deployment_is_creating_and_answers_nothing_yet(machine: AnyMachine) -> None:
    machine.put_model("m/slow", name="slow", load_seconds=0.4)
    machine.host.deploy("e", [variant("a", "m/slow")])
    assert machine.host.describe("e").status == "Creating"
    with pytest.raises(Conflict):
        ask(machine)
    wait_for(lambda: machine.host.describe("e").status == "InService")


def test_a_failed_first_deployment(machine: AnyMachine) -> None:
    state = deploy(machine, variant("a", "m/broken"))
    assert (state.status, state.serving) == ("Failed", ())
    assert "forest.npz does not match" in (state.failure_reason or "")
    with pytest.raises(Conflict, match="does not match"):
        ask(machine)
    wait_for(lambda: ends_of(machine, "Endpoint") == [("e", "FAILED")])


def test_a_failed_deployment_leaves_the_old_one_serving(machine: AnyMachine) -> None:
    one = variant("a", "m/one")
    deploy(machine, one)
    machine.host.deploy("e", [variant("a", "m/two", version="e:2"), variant("b", "m/broken")])
    assert machine.host.describe("e").status == "Updating"
    assert json.loads(ask(machine).body)["model"] == "one"
    wait_for(lambda: not machine.host.describe("e").pending)
    state = machine.host.describe("e")
    assert (state.status, state.serving) == ("InService", (one,))
    assert "forest.npz" in (state.failure_reason or "")
    assert json.loads(ask(machine).body)["model"] == "one"


def test_a_second_failure_is_told_from_the_first(machine: AnyMachine) -> None:
    deploy(machine, variant("a", "m/one"))
    first = deploy(machine, variant("a", "m/broken"))
    assert machine.host.describe("e") == first
    second = deploy(machine, variant("a", "m/broken"))
    assert second.failure_reason is not None
    assert "" != second.changed_at != first.changed_at


def test_a_model_that_is_not_there_fails_the_deployment(machine: AnyMachine) -> None:
    assert "absent" in refusal(machine, variant("a", "m/absent"))


def refusal(machine: AnyMachine, *variants: VariantSpec) -> str:
    """Why a deployment that cannot work does not: told at once, or by its end."""
    try:
        state = deploy(machine, *variants)
    except Invalid as error:
        return error.detail
    assert state.status == "Failed"
    return str(state.failure_reason)


def test_deploy_is_idempotent(machine: AnyMachine) -> None:
    one = variant("a", "m/one")
    deploy(machine, one)
    pid = json.loads(ask(machine).body)["pid"]
    assert deploy(machine, one).status == "InService"
    assert json.loads(ask(machine).body)["pid"] == pid
    wait_for(lambda: ends_of(machine, "Endpoint") == [("e", "IN_SERVICE")])


def test_variants_are_drawn_by_weight_or_by_name(machine: AnyMachine) -> None:
    deploy(machine, variant("a", "m/one", weight=3), variant("b", "m/two", version="e:2"))
    drawn = Counter(ask(machine).model_version for _ in range(400))
    assert 240 <= drawn["e:1"] <= 355  # 300 expected; five standard deviations
    assert {ask(machine, variant="b").variant for _ in range(20)} == {"b"}
    with pytest.raises(NotFound, match="a, b"):
        ask(machine, variant="c")


def test_the_containers_refusals_are_passed_on(machine: AnyMachine) -> None:
    deploy(machine, variant("a", "m/one"))
    found = ask(machine, b"bad")
    assert (found.status, found.body) == (422, b'{"error": "bad row"}')


def test_a_full_queue_is_unavailable(machine: AnyMachine) -> None:
    deploy(machine, variant("a", "m/one"))
    with pytest.raises(Unavailable):
        ask(machine, b"full")


def test_six_megabytes_and_one_byte_more(machine: AnyMachine) -> None:
    deploy(machine, variant("a", "m/one"))
    assert json.loads(ask(machine, b"x" * LIMIT).body)["bytes"] == LIMIT
    with pytest.raises(TooLarge):
        ask(machine, b"x" * (LIMIT + 1))


def test_delete(machine: AnyMachine) -> None:
    deploy(machine, variant("a", "m/one"))
    machine.host.delete("e")
    wait_for(lambda: _absent(machine))
    machine.host.delete("e")
    with pytest.raises(NotFound):
        ask(machine)
    assert deploy(machine, variant("a", "m/two")).status == "InService"


def _absent(machine: AnyMachine) -> bool:
    try:
        machine.host.describe("e")
    except NotFound:
        return True
    return False


def test_what_cannot_be_deployed(machine: AnyMachine) -> None:
    twice = [variant("a", "m/one"), variant("a", "m/two")]
    for variants in ([], twice, [variant("a", "m/one", weight=0)]):
        with pytest.raises(Invalid):
            machine.host.deploy("e", variants)
    with pytest.raises(NotFound):
        machine.host.describe("e")
