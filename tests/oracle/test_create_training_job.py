"""Our CreateTrainingJob request beside the one that AWS's own SDK makes for the same job.

Every difference is in DIFFERENCES with its reason, and each of them must be there in some case: none appears or goes
unseen. docs/adr/0009 tells of it.
"""

import fcntl
import json
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mlops_api.adapters.aws.sagemaker_common import AwsSageMaker
from mlops_api.adapters.aws.sagemaker_training import training_request
from mlops_api.ports import TrainingSpec
from mlops_contracts.metrics import METRIC_DEFINITIONS
from tests.support.aws_runners import IMAGE, ROLE

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv-oracle/bin/python"
KEY = "arn:aws:kms:eu-central-1:123456789012:key/1"
CONFIG = AwsSageMaker(role_arn=ROLE, image_uri=IMAGE, bucket="objects")
SPEC = TrainingSpec(
    "flights-xgboost-20261122-194501-k3f9",
    {"job_target": '"late"', "n_estimators": "300"},
    "datasets/flights/1/table",
    "training",
    3600,
)

SPELT_OUT = "AWS's default, said aloud: a request shows what was decided."
UNUSED = "The SDK turns it on by itself; nothing in our container or on our pages uses it, and it writes to the bucket."
DIFFERENCES = {
    "EnableManagedSpotTraining: False | absent": SPELT_OUT,
    "EnableNetworkIsolation: False | absent": SPELT_OUT,
    "EnableInterContainerTrafficEncryption: False | absent": SPELT_OUT,
    "CheckpointConfig.LocalPath: /opt/ml/checkpoints | absent": SPELT_OUT,
    "DebugHookConfig: absent | {'S3OutputPath': 's3://objects/training', 'CollectionConfigurations': []}": UNUSED,
    "ProfilerConfig: absent | {'S3OutputPath': 's3://objects/training', 'DisableProfiler': False}": UNUSED,
}
"""`path: ours | the SDK's` -> reason."""

CASES = [
    (SPEC, CONFIG),
    (replace(SPEC, spot=True), CONFIG),
    (replace(SPEC, instance_count=3, instance_type="ml.c5.2xlarge"), CONFIG),
    (SPEC, replace(CONFIG, kms_key_id=KEY)),
    (SPEC, replace(CONFIG, network_isolation=False)),
]


@pytest.fixture(scope="session")
def oracle() -> None:
    """Makes .venv-oracle, once for all the processes of a test run; skips where that cannot be done."""
    with (ROOT / ".venv/.oracle.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = subprocess.run([ROOT / "scripts/setup.sh", "oracle"], capture_output=True, text=True, check=False)
    if made.returncode != 0:
        pytest.skip(f"the SageMaker SDK cannot be installed into .venv-oracle: {made.stderr[-300:]}")


def as_estimator(spec: TrainingSpec, config: AwsSageMaker) -> dict[str, Any]:
    """The same job in the words of sagemaker.estimator.Estimator and its fit."""
    estimator: dict[str, Any] = {
        "image_uri": config.image_uri,
        "role": config.role_arn,
        "instance_count": spec.instance_count,
        "instance_type": spec.instance_type or config.training_instance_type,
        "volume_size": config.volume_gb,
        "volume_kms_key": config.kms_key_id,
        "output_path": "s3://objects/training",
        "output_kms_key": config.kms_key_id,
        "max_run": spec.max_runtime_seconds,
        "hyperparameters": dict(spec.hyperparameters),
        "metric_definitions": [{"Name": name, "Regex": regex} for name, regex in METRIC_DEFINITIONS],
        "enable_network_isolation": config.network_isolation,
        "encrypt_inter_container_traffic": spec.instance_count > 1,
        "environment": {"PYTHONUNBUFFERED": "1"},
        "tags": [{"Key": "mlops:platform", "Value": "mlops"}, {"Key": "mlops:job", "Value": spec.job}],
    }
    if spec.spot:
        estimator |= {
            "use_spot_instances": True,
            "max_wait": 7200,
            "checkpoint_s3_uri": f"s3://objects/training/{spec.job}/checkpoints",
        }
    data = {"s3_data": "s3://objects/datasets/flights/1/table/", "input_mode": "File"}
    return {"region": "eu-central-1", "name": spec.job, "estimator": estimator, "input": data}


def sdk_requests(jobs: list[dict[str, Any]], folder: Path) -> list[dict[str, Any]]:
    """What the SDK sends for them."""
    (folder / "none.yaml").write_text("SchemaVersion: '1.0'\n")
    environment = {
        "SAGEMAKER_USER_CONFIG_OVERRIDE": str(folder / "sagemaker.yaml"),
        "SAGEMAKER_ADMIN_CONFIG_OVERRIDE": str(folder / "none.yaml"),
        "HOME": str(folder),
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    command = [PYTHON, ROOT / "tests/oracle/estimator_request.py"]
    done = subprocess.run(command, input=json.dumps(jobs), capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found: list[dict[str, Any]] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def differences(ours: Any, theirs: Any, path: str = "") -> Iterator[str]:
    """`path: ours | theirs` for each leaf that is not the same; the order of lists counts."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for name in sorted(ours.keys() | theirs.keys()):
            yield from differences(ours.get(name, "absent"), theirs.get(name, "absent"), f"{path}.{name}".strip("."))
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for place, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            yield from differences(one, other, f"{path}[{place}]")
    elif ours != theirs:
        yield f"{path}: {ours} | {theirs}"


@pytest.mark.slow
@pytest.mark.aws
@pytest.mark.usefixtures("oracle")
def test_our_requests_are_the_sdks(tmp_path: Path) -> None:
    theirs = sdk_requests([as_estimator(*case) for case in CASES], tmp_path)
    pairs = zip([training_request(*case) for case in CASES], theirs, strict=True)
    assert {line for ours, other in pairs for line in differences(ours, other)} == DIFFERENCES.keys()
