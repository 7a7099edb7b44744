"""The local endpoint host: deployments, deaths of servers and of the API, and what a call costs."""

import os
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from mlops_api.adapters.local import procs
from mlops_api.adapters.local.endpoint_folder import EndpointFolder
from mlops_api.adapters.local.launch import Started
from mlops_api.adapters.local.server_client import ServerClient
from mlops_api.domain.errors import BadRequest, Conflict, Unavailable
from mlops_api.ports import EndpointState, Invocation
from tests.support.local_runners import Machine, running, variant
from tests.support.local_storage import wait_for

ROOT = Path(__file__).parents[3]


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    with running(tmp_path / "data") as machine:
        for name in ("one", "two"):
            machine.put_model(f"m/{name}", name=name)
        yield machine


def settled(machine: Machine, endpoint: str = "e", seconds: float = 10) -> EndpointState:
    wait_for(lambda: not machine.host.describe(endpoint).pending, seconds)
    return machine.host.describe(endpoint)


def deploy(machine: Machine, *keys: str) -> EndpointState:
    machine.host.deploy("e", [variant(key.rpartition("/")[2], key) for key in keys])
    return settled(machine)


def ask(machine: Machine, body: bytes = b"{}", *, variant: str | None = None) -> Invocation:
    return machine.host.invoke("e", body, content_type="application/json", accept="application/json", variant=variant)


def asked_again(machine: Machine, seconds: float = 10) -> Invocation:
    """The first answer there is, as a client that tries again gets it."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return ask(machine)
        except Unavailable:
            assert time.monotonic() < deadline, "the endpoint did not come back"
            time.sleep(0.01)


def servers(machine: Machine) -> list[int]:
    """Pids of the shepherds of all model servers."""
    folders = (machine.root / "endpoints/names").glob("*/servers/*")
    found = (Started.read(folder) for folder in folders)
    return [each.shepherd.pid for each in found if each is not None and each.shepherd.alive()]


def test_a_server_that_dies_is_started_again(machine: Machine) -> None:
    deploy(machine, "m/one")
    with pytest.raises(Unavailable) as refused:
        ask(machine, b"crash")
    assert refused.value.headers["Retry-After"] == "1"
    assert b'"one"' in asked_again(machine).body
    assert machine.host.describe("e").status == "InService"


def test_so_is_one_whose_shepherd_is_killed(machine: Machine) -> None:
    deploy(machine, "m/one")
    (shepherd,) = servers(machine)
    os.kill(shepherd, signal.SIGKILL)
    wait_for(lambda: servers(machine) not in ([], [shepherd]))
    assert b'"one"' in asked_again(machine).body


def test_no_request_is_lost_while_a_deployment_switches(machine: Machine) -> None:
    deploy(machine, "m/one")
    answers: Counter[bytes] = Counter()
    errors: list[Exception] = []
    stop = threading.Event()

    def hammer() -> None:
        while not stop.is_set():
            try:
                answers[ask(machine).body.split(b",")[0]] += 1
            except Exception as error:  # noqa: BLE001 - any error at all is what this test looks for
                errors.append(error)

    threads = [threading.Thread(target=hammer) for _ in range(4)]
    for thread in threads:
        thread.start()
    for key in ("m/two", "m/one", "m/two"):
        machine.host.deploy("e", [variant("v", key, version=key)])
        settled(machine)
    stop.set()
    for thread in threads:
        thread.join()
    assert errors == []
    assert set(answers) == {b'{"model": "one"', b'{"model": "two"'}
    wait_for(lambda: len(servers(machine)) == 1)


def test_a_deployment_under_way_gives_way_to_a_newer_one(machine: Machine) -> None:
    machine.put_model("m/slow", name="slow", load_seconds=30)
    machine.host.deploy("e", [variant("v", "m/slow")])
    wait_for(lambda: bool(servers(machine)))
    machine.host.deploy("e", [variant("v", "m/one")])
    assert settled(machine).status == "InService"
    assert b'"one"' in ask(machine).body
    wait_for(lambda: len(servers(machine)) == 1)


def test_a_change_of_weights_keeps_the_server(machine: Machine) -> None:
    deploy(machine, "m/one", "m/two")
    before = servers(machine)
    machine.host.deploy("e", [variant("one", "m/one", weight=9), variant("two", "m/two")])
    settled(machine)
    assert servers(machine) == before
    drawn = Counter(ask(machine).variant for _ in range(300))
    assert 240 <= drawn["one"] <= 295


def test_an_answer_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(path))
        silent.listen()
        client = ServerClient(tmp_path, "socket", timeout=0.1)
        with pytest.raises(Unavailable, match="did not answer"):
            client.request("GET", "/ping")
        client.close()


OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
BROKEN = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok"


@contextmanager
def scripted(folder: Path, *connections: Sequence[bytes]) -> Iterator[tuple[ServerClient, list[bytes]]]:
    """A client of a server that gives these answers, connection by connection, and then closes each; and the
    requests it saw. The answer b"" closes the connection instead, once the request has come."""
    seen: list[bytes] = []

    def serve() -> None:
        for answers in connections:
            try:
                connection, _ = listener.accept()
            except OSError:  # shut down: the test is over
                return
            with connection:
                for answer in answers:
                    seen.append(connection.recv(1 << 16))
                    connection.sendall(answer)

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "socket"))
        listener.listen()
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        client = ServerClient(folder, "socket", timeout=2)
        yield client, seen
        client.close()
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(timeout=5)


def test_a_kept_connection_that_was_closed_meanwhile(tmp_path: Path) -> None:
    with scripted(tmp_path, [OK], [OK]) as (client, seen):
        assert client.request("POST", "/x", b"1").body == b"ok"
        time.sleep(0.05)
        assert client.request("POST", "/x", b"2").body == b"ok"
    assert [request[-1:] for request in seen] == [b"1", b"2"]


def test_a_kept_connection_that_closes_under_the_request_is_replaced_once(tmp_path: Path) -> None:
    with scripted(tmp_path, [OK, b""], [OK]) as (client, seen):
        assert [client.request("POST", "/x", b"1").body for _ in range(2)] == [b"ok"] * 2
    assert len(seen) == 3


def test_a_new_connection_that_closes_is_not_tried_again(tmp_path: Path) -> None:
    with scripted(tmp_path, [b""], [OK]) as (client, seen), pytest.raises(Unavailable):
        client.request("POST", "/x", b"1")
    assert len(seen) == 1


def test_an_answer_that_breaks_off_is_not_asked_for_again(tmp_path: Path) -> None:
    with scripted(tmp_path, [OK, BROKEN], [OK]) as (client, seen):
        client.request("POST", "/x", b"1")
        with pytest.raises(Unavailable):
            client.request("POST", "/x", b"2")
    assert len(seen) == 2


def test_a_request_under_way_is_answered_by_the_server_it_went_to(machine: Machine) -> None:
    deploy(machine, "m/one")
    answers: list[Invocation] = []
    slow = threading.Thread(target=lambda: answers.append(ask(machine, b"sleep 0.8")))
    slow.start()
    time.sleep(0.2)
    machine.host.deploy("e", [variant("v", "m/two")])
    settled(machine)
    assert b'"two"' in ask(machine).body
    slow.join()
    assert b'"one"' in answers[0].body


def test_headers_cannot_be_smuggled(machine: Machine) -> None:
    deploy(machine, "m/one")
    with pytest.raises(BadRequest):
        machine.host.invoke("e", b"", content_type="text/csv\r\nX: y", accept="*/*")


def test_a_second_host_on_the_folder_is_refused(machine: Machine) -> None:
    second = Machine(machine.root)
    with pytest.raises(Conflict):
        second.host.start()
    second.engine.close()
    second.forks.close()


def test_close_ends_the_servers_and_start_brings_them_back(tmp_path: Path) -> None:
    with running(tmp_path / "data") as machine:
        machine.put_model("m/one", name="one")
        deploy(machine, "m/one")
    assert machine.processes() == []
    with running(tmp_path / "data") as machine:
        assert machine.host.describe("e").status == "InService"
        assert b'"one"' in asked_again(machine).body


def test_killed_with_the_api_gone_servers_live_on_and_are_adopted(tmp_path: Path) -> None:
    arguments = [sys.executable, "-m", "tests.support.killed_api", str(tmp_path / "data"), "host", "0"]
    api = subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert api.stdout is not None
    assert [api.stdout.readline().strip() for _ in range(2)] == ["ready", "in service"]
    api.kill()
    api.communicate()
    with running(tmp_path / "data") as machine:
        before = servers(machine)
        assert len(before) == 1
        assert b'"one"' in asked_again(machine).body
        assert servers(machine) == before
    wait_for(lambda: not list(procs.working_below(tmp_path)))


def test_a_deployment_cut_off_by_a_kill_goes_on(tmp_path: Path) -> None:
    first = Machine(tmp_path / "data").start()
    first.put_model("m/slow", name="slow", load_seconds=0.5)
    first.host.deploy("e", [variant("v", "m/slow")])
    wait_for(lambda: bool(servers(first)))
    abandon(first)
    with running(tmp_path / "data") as machine:
        assert settled(machine).status == "InService"
        assert b'"slow"' in ask(machine).body
        assert len(servers(machine)) == 1


def abandon(machine: Machine) -> None:
    """What kill -9 does to the host: nothing is told, nothing is stopped, the lock is free."""
    host = machine.host
    host._keeper.closed = True
    host._watcher.close()
    for server in host._keeper._known:
        server._client.close()
        server._pings.close()
    assert host._owner is not None
    os.close(host._owner)
    machine.engine.close()
    machine.forks.close()


def test_a_deletion_cut_off_by_a_kill_keeps_its_name_until_it_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(tmp_path / "data") as machine:
        machine.put_model("m/one", name="one")
        machine.host.deploy("e", [variant("a", "m/one")])
        settled(machine)
    folder = EndpointFolder(tmp_path / "data/endpoints/names/e")
    record = folder.read()
    assert record is not None
    folder.write(replace(record, deleting=True))  # the last thing that the killed host wrote
    go_on, remove = threading.Event(), EndpointFolder.remove
    monkeypatch.setattr(EndpointFolder, "remove", lambda folder: go_on.wait(10) and remove(folder))
    with running(tmp_path / "data") as machine:
        assert machine.host.describe("e").status == "Deleting"
        with pytest.raises(Conflict, match="being deleted"):
            machine.host.deploy("e", [variant("a", "m/one")])
        go_on.set()
        wait_for(lambda: machine.events_of("SageMaker Endpoint State Change")[-1:] != [])
        assert machine.events_of("SageMaker Endpoint State Change")[-1]["EndpointStatus"] == "DELETING"
        machine.host.deploy("e", [variant("a", "m/one")])
        assert settled(machine).status == "InService"
        assert folder.read() is not None


def test_unknown_servers_are_ended_at_start(tmp_path: Path) -> None:
    first = Machine(tmp_path / "data").start()
    first.put_model("m/one", name="one")
    deploy(first, "m/one")
    abandon(first)
    record = tmp_path / "data/endpoints/names/e/endpoint.json"
    folder = first.host._endpoints["e"].folder
    known = folder.read()
    assert known is not None
    record.write_text(record.read_text().replace(known.serving[0].server or "", "another"))
    orphan = servers(first)
    with running(tmp_path / "data") as machine:
        assert b'"one"' in asked_again(machine).body
        wait_for(lambda: not set(orphan) & set(servers(machine)))


def test_the_overhead_of_a_call_is_small(machine: Machine) -> None:
    """Against a bare socket that asks the same server; the budget is 0.25 ms."""
    deploy(machine, "m/one")
    for _ in range(50):
        ask(machine)
    whole = statistics.median(_timed(lambda: ask(machine)) for _ in range(300))
    (folder,) = (machine.root / "endpoints/names/e/servers").iterdir()
    with socket.socket(socket.AF_UNIX) as bare:
        address = os.open(folder, os.O_PATH)
        bare.connect(f"/proc/self/fd/{address}/socket")
        os.close(address)
        message = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
        alone = statistics.median(_timed(lambda: (bare.sendall(message), bare.recv(1 << 16))) for _ in range(300))
    print(f"call {whole * 1e6:.0f} us, bare {alone * 1e6:.0f} us")
    assert whole - alone < 0.25e-3


def _timed(act: Callable[[], object]) -> float:
    start = time.perf_counter()
    act()
    return time.perf_counter() - start
