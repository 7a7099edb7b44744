"""Models, endpoints and invocations of the SageMaker server, with boto3 on the wire."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.local_runners import tar_of
from tests.support.sagemaker import IMAGE, ROLE, Studio, refused

CHANGE = "SageMaker Endpoint State Change"
MEGABYTES = 1024 * 1024


def add_model(studio: Studio, name: str, **model: Any) -> None:
    """A fake bundle, and the model of the same name."""
    studio.put(f"m/{name}.tar.gz", tar_of({"model.json": json.dumps({"name": name, **model}).encode()}))
    studio.model(name, f"m/{name}.tar.gz")


def serve(studio: Studio, **models: float) -> dict[str, Any]:
    """Endpoint `e` over these models and weights."""
    for name in models:
        add_model(studio, name)
    studio.config("c", **models)
    studio.api.create_endpoint(EndpointName="e", EndpointConfigName="c")
    return studio.endpoint("e")


def ask(studio: Studio, body: bytes = b"{}", **more: Any) -> tuple[dict[str, Any], str]:
    found = studio.runtime.invoke_endpoint(
        EndpointName="e", Body=body, ContentType="application/json", Accept="text/csv", **more
    )
    return json.loads(found["Body"].read()), found["InvokedProductionVariant"]


def model_error(studio: Studio, body: bytes) -> dict[str, Any]:
    with pytest.raises(ClientError) as caught:
        ask(studio, body)
    return dict(caught.value.response)


def test_an_endpoint_serves_the_real_container(studio: Studio) -> None:
    found = serve(studio, one=1.0)
    assert (found["EndpointStatus"], found["EndpointConfigName"]) == ("InService", "c")
    assert [each["VariantName"] for each in found["ProductionVariants"]] == ["one"]
    answer, variant = ask(studio, b'{"instances": []}')
    assert (answer["model"], answer["bytes"], variant) == ("one", 17, "one")
    assert (answer["content_type"], answer["accept"]) == ("application/json", "text/csv")
    told = [each["EndpointStatus"] for each in studio.events(CHANGE)]
    assert told == ["CREATING", "CREATING", "IN_SERVICE", "IN_SERVICE"]


def test_variants_are_drawn_by_weight_or_by_name(studio: Studio) -> None:
    serve(studio, one=3.0, two=1.0)
    drawn = Counter(ask(studio)[1] for _ in range(200))
    assert 110 <= drawn["one"] <= 185  # 150 expected; six standard deviations
    assert {ask(studio, TargetVariant="two")[1] for _ in range(5)} == {"two"}
    code, message = refused(studio.runtime.invoke_endpoint, EndpointName="e", Body=b"{}", TargetVariant="three")
    assert (code, message) == ("ValidationError", "Variant three not found for endpoint e.")


def test_weights_change_without_new_containers(studio: Studio) -> None:
    serve(studio, one=1.0, two=0.0)
    pids = studio.server.pids
    weights = [{"VariantName": "one", "DesiredWeight": 0.0}, {"VariantName": "two", "DesiredWeight": 1.0}]
    studio.api.update_endpoint_weights_and_capacities(EndpointName="e", DesiredWeightsAndCapacities=weights)
    found = studio.endpoint("e")
    assert [each["CurrentWeight"] for each in found["ProductionVariants"]] == [0.0, 1.0]
    assert {ask(studio)[1] for _ in range(10)} == {"two"}
    assert studio.server.pids == pids


def test_the_containers_errors_come_as_model_errors(studio: Studio) -> None:
    serve(studio, one=1.0)
    found = model_error(studio, b"bad")
    assert found["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert found["Error"]["Code"] == "ModelError"
    assert found["Error"]["Message"].startswith(
        'Received client error (422) from primary with message "{"error": "bad row"}". See https://'
    )
    assert (found["OriginalStatusCode"], found["OriginalMessage"]) == (422, '{"error": "bad row"}')
    assert "/aws/sagemaker/Endpoints/e:log-stream:one/i-" in found["LogStreamArn"]
    assert model_error(studio, b"full")["Error"]["Message"].startswith("Received server error (503)")


def test_a_container_that_takes_too_long(studio: Studio) -> None:
    object.__setattr__(studio.server.options, "answer_seconds", 0.3)
    serve(studio, one=1.0)
    found = model_error(studio, b"sleep 5")
    assert (found["OriginalStatusCode"], found["ResponseMetadata"]["HTTPStatusCode"]) == (0, 424)


def test_a_container_that_dies_is_started_again(studio: Studio) -> None:
    serve(studio, one=1.0)
    first = ask(studio)[0]["pid"]
    assert model_error(studio, b"crash")["Error"]["Code"] == "ServiceUnavailable"
    deadline = time.monotonic() + 20
    while (found := _pid(studio)) is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert found != first


def _pid(studio: Studio) -> int | None:
    try:
        return int(ask(studio)[0]["pid"])
    except ClientError:
        return None


def test_the_payload_limit(studio: Studio) -> None:
    serve(studio, one=1.0)
    assert ask(studio, b"x" * 6 * MEGABYTES)[0]["bytes"] == 6 * MEGABYTES
    code, message = refused(studio.runtime.invoke_endpoint, EndpointName="e", Body=b"x" * (6 * MEGABYTES + 1))
    assert code == "ValidationError"
    assert "length less than or equal to 6291456" in message


def test_serverless(studio: Studio) -> None:
    add_model(studio, "one")
    serverless = {"MemorySizeInMB": 2048, "MaxConcurrency": 5}
    variant = {"VariantName": "v", "ModelName": "one", "ServerlessConfig": serverless}
    studio.api.create_endpoint_config(EndpointConfigName="c", ProductionVariants=[variant])
    studio.api.create_endpoint(EndpointName="e", EndpointConfigName="c")
    (found,) = studio.endpoint("e")["ProductionVariants"]
    assert found["CurrentServerlessConfig"] == serverless
    assert refused(studio.runtime.invoke_endpoint, EndpointName="e", Body=b"x" * (4 * MEGABYTES + 1))[0] == (
        "ValidationError"
    )
    for wrong in (serverless | {"MemorySizeInMB": 1500}, serverless):
        both = {"InstanceType": "ml.m5.large"} if wrong is serverless else {}
        variants = [variant | {"ServerlessConfig": wrong} | both]
        code, _ = refused(studio.api.create_endpoint_config, EndpointConfigName="d", ProductionVariants=variants)
        assert code == "ValidationException"


# --------------------------------------------------------------------------- deployments


def test_an_update_replaces_without_a_gap(studio: Studio) -> None:
    serve(studio, one=1.0)
    add_model(studio, "two", load_seconds=0.5)
    studio.config("c2", two=1.0)
    failures: list[Exception] = []
    asked, done = [0], threading.Event()

    def keep_asking() -> None:
        while not done.is_set():
            try:
                ask(studio)
                asked[0] += 1
            except Exception as error:  # noqa: BLE001 - whatever it is, the test must see it
                failures.append(error)

    caller = threading.Thread(target=keep_asking)
    caller.start()
    studio.api.update_endpoint(EndpointName="e", EndpointConfigName="c2")
    while_updating = studio.api.describe_endpoint(EndpointName="e")
    found = studio.endpoint("e")
    done.set()
    caller.join()
    assert while_updating["EndpointStatus"] == "Updating"
    assert while_updating["EndpointConfigName"] == "c"
    assert while_updating["PendingDeploymentSummary"]["EndpointConfigName"] == "c2"
    assert (found["EndpointStatus"], found["EndpointConfigName"]) == ("InService", "c2")
    assert not failures
    assert asked[0] > 5
    assert ask(studio)[0]["model"] == "two"
    studio.until(lambda: {"pids": studio.server.pids}, lambda now: len(now["pids"]) == 1)


def test_what_is_under_way_is_answered_before_a_container_goes(studio: Studio) -> None:
    object.__setattr__(studio.server.options, "drain_seconds", 20)
    serve(studio, one=1.0)
    add_model(studio, "two")
    studio.config("c2", two=1.0)
    answers: list[str] = []
    caller = threading.Thread(target=lambda: answers.append(ask(studio, b"sleep 3")[0]["model"]))
    caller.start()
    studio.api.update_endpoint(EndpointName="e", EndpointConfigName="c2")
    assert ask_until(studio, "two")
    assert not answers, "the update took longer than the request: nothing was proved"
    caller.join()
    assert answers == ["one"]


def ask_until(studio: Studio, model: str) -> bool:
    deadline = time.monotonic() + 20
    while ask(studio)[0]["model"] != model:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return True


def test_a_failed_update_leaves_the_old_configuration(studio: Studio) -> None:
    serve(studio, one=1.0)
    add_model(studio, "broken", fail="forest.npz does not match")
    studio.config("c2", one=1.0, broken=1.0)
    studio.api.update_endpoint(EndpointName="e", EndpointConfigName="c2")
    found = studio.endpoint("e")
    assert (found["EndpointStatus"], found["EndpointConfigName"]) == ("InService", "c")
    assert found["FailureReason"] == (
        "The primary container for production variant broken did not pass the ping health check. Please check "
        "CloudWatch logs for this endpoint."
    )
    assert ask(studio)[0]["model"] == "one"
    studio.until_logged("/aws/sagemaker/Endpoints/e", "forest.npz does not match")
    assert len(studio.server.pids) == 1


def test_a_failed_first_deployment(studio: Studio) -> None:
    add_model(studio, "broken", fail="no")
    studio.config("c", broken=1.0)
    studio.api.create_endpoint(EndpointName="e", EndpointConfigName="c")
    assert studio.endpoint("e")["EndpointStatus"] == "Failed"
    assert refused(studio.runtime.invoke_endpoint, EndpointName="e", Body=b"{}") == (
        "ValidationError",
        "Endpoint e of account 123456789012 not found.",
    )
    code, message = refused(studio.api.update_endpoint, EndpointName="e", EndpointConfigName="c")
    assert (code, message.split(' "')[0]) == ("ValidationException", "Cannot update failed endpoint")
    studio.api.delete_endpoint(EndpointName="e")


def test_a_model_that_never_answers_the_ping(studio: Studio) -> None:
    object.__setattr__(studio.server.options, "health_seconds", 0.5)
    add_model(studio, "slow", load_seconds=30)
    studio.config("c", slow=1.0)
    studio.api.create_endpoint(EndpointName="e", EndpointConfigName="c")
    assert studio.endpoint("e")["EndpointStatus"] == "Failed"
    assert studio.server.pids == []


def test_an_archive_that_leads_out_of_its_folder(studio: Studio) -> None:
    studio.put("m/evil.tar.gz", tar_of({"../../escaped": b"x"}))
    studio.model("evil", "m/evil.tar.gz")
    studio.config("c", evil=1.0)
    studio.api.create_endpoint(EndpointName="e", EndpointConfigName="c")
    assert "Unable to extract" in studio.endpoint("e")["FailureReason"]


def test_nothing_changes_while_a_deployment_is_under_way(studio: Studio) -> None:
    add_model(studio, "slow", load_seconds=0.6)
    studio.config("c", slow=1.0)
    studio.api.create_endpoint(EndpointName="e", EndpointConfigName="c")
    words = f'Cannot update in-progress endpoint "{studio.endpoint_arn("e")}".'
    assert refused(studio.api.update_endpoint, EndpointName="e", EndpointConfigName="c")[1] == words
    assert refused(studio.api.delete_endpoint, EndpointName="e")[1] == words
    code, message = refused(studio.api.create_endpoint, EndpointName="e", EndpointConfigName="c")
    assert (code, message[:38]) == ("ValidationException", "Cannot create already existing endpoin")
    assert refused(studio.runtime.invoke_endpoint, EndpointName="e", Body=b"{}")[0] == "ValidationError"
    assert studio.endpoint("e")["EndpointStatus"] == "InService"


def test_delete_frees_the_name_and_ends_the_containers(studio: Studio) -> None:
    serve(studio, one=1.0)
    (pid,) = studio.server.pids
    studio.api.delete_endpoint(EndpointName="e")
    assert refused(studio.runtime.invoke_endpoint, EndpointName="e", Body=b"{}")[0] == "ValidationError"
    deadline = time.monotonic() + 10
    while _exists(studio):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert not Path(f"/proc/{pid}").exists()
    assert refused(studio.api.delete_endpoint, EndpointName="e")[1] == (
        f'Could not find endpoint "{studio.endpoint_arn("e")}".'
    )
    studio.api.create_endpoint(EndpointName="e", EndpointConfigName="c")
    assert studio.endpoint("e")["EndpointStatus"] == "InService"


def _exists(studio: Studio) -> bool:
    try:
        studio.api.describe_endpoint(EndpointName="e")
    except ClientError:
        return False
    return True


# --------------------------------------------------------------------------- models and configurations


def test_records_have_names_that_are_used_once(studio: Studio) -> None:
    add_model(studio, "one")
    studio.config("c", one=1.0)
    again = {"ModelName": "one", "PrimaryContainer": {"Image": IMAGE}, "ExecutionRoleArn": ROLE}
    assert refused(studio.api.create_model, **again)[1].startswith("Cannot create already existing model ")
    found = studio.api.describe_model(ModelName="one")
    assert found["PrimaryContainer"]["ModelDataUrl"] == studio.uri("m/one.tar.gz")
    assert [each["ModelName"] for each in studio.api.list_models(NameContains="on")["Models"]] == ["one"]
    studio.api.delete_endpoint_config(EndpointConfigName="c")
    studio.api.delete_model(ModelName="one")
    assert refused(studio.api.describe_model, ModelName="one")[1].startswith("Could not find model ")
    unknown = refused(studio.api.describe_endpoint_config, EndpointConfigName="c")
    assert unknown[1].startswith("Could not find endpoint configuration ")


def test_a_model_must_have_its_data_and_a_private_image(studio: Studio) -> None:
    with pytest.raises(ClientError, match="Could not access model data at s3://"):
        studio.model("absent", "m/absent.tar.gz")
    with pytest.raises(ClientError, match="non-ECR image"):
        studio.model("public", "m/x", PrimaryContainer={"Image": "python:3.11"})


def test_configurations_are_checked(studio: Studio) -> None:
    add_model(studio, "one")
    with pytest.raises(ClientError, match="Could not find model"):
        studio.config("c", never=1.0)
    with pytest.raises(ClientError, match="sum of the weights"):
        studio.config("c", one=0.0)


def test_containers_end_with_a_server_that_is_killed(tmp_path: Path) -> None:
    program = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from tests.sagemaker_server.log_groups import LogGroups\n"
        "from tests.sagemaker_server.containers import Container\n"
        "from tests.sagemaker_server.guardian import Guardian\n"
        "stream = LogGroups('r', '1').stream('g', 's')\n"
        "argv = [sys.executable, '-c', 'import time; time.sleep(60)']\n"
        "print(Container(argv, Path(sys.argv[1]) / 'ml', {}, stream, Guardian()).pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    argv = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, cwd=Path(__file__).parents[3]) as server:
        assert server.stdout is not None
        pid = int(server.stdout.readline())
        assert _works(pid)
        server.kill()
    deadline = time.monotonic() + 10
    while _works(pid):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _works(pid: int) -> bool:
    """Whether there is such a process, and it is no zombie that nobody has waited for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_leaving_the_server_ends_what_runs(studio: Studio) -> None:
    serve(studio, one=1.0)
    (pid,) = studio.server.pids
    os.kill(pid, signal.SIGSTOP)
    assert studio.server.pids == [pid]  # the fixture asserts that none is left, even of one that cannot be asked
