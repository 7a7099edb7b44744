"""Processing jobs: inputs from S3 to local paths, the container's own entry point, outputs back to S3."""

import json
import re
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.sagemaker_server import channels
from tests.sagemaker_server.containers import OPT_ML
from tests.sagemaker_server.jobs import Job, JobFailed, Jobs, JobStopped, read_reason
from tests.sagemaker_server.refusals import NotServed, ValidationException, refuse_members
from tests.sagemaker_server.s3 import Mirror, S3Uri
from tests.sagemaker_server.world import World, now

LOG_GROUP = "/aws/sagemaker/ProcessingJobs"

_DEFAULT_MAX_RUNTIME = 86_400

_ECHOED = (
    "ProcessingInputs",
    "ProcessingOutputConfig",
    "ProcessingResources",
    "StoppingCondition",
    "AppSpecification",
    "Environment",
    "NetworkConfig",
    "RoleArn",
)


class ProcessingJob(Job):
    """One job. FailureReason never tells what the container wrote: ExitMessage does, from output/message."""

    word = "Processing"

    def __init__(self, world: World, name: str, request: Mapping[str, Any]) -> None:
        super().__init__(world, name, request)
        self.exit_message: str | None = None

    @property
    def hosts(self) -> list[str]:
        count = self.request["ProcessingResources"]["ClusterConfig"].get("InstanceCount", 1)
        return [f"algo-{number}" for number in range(1, count + 1)]

    def work(self) -> None:
        if not self.world.faults.capacity(self.name):
            raise JobFailed("CapacityError: Unable to provision requested ML compute capacity.")
        roots = [self._lay_out(number, host) for number, host in enumerate(self.hosts)]
        mirrors = self._continuous(roots[0])
        self.check_stop()
        self.started = now()
        self.containers = [self._launch(host, root) for host, root in zip(self.hosts, roots, strict=True)]
        self._watch(mirrors)
        self.exit_message = read_reason(roots[0] / "output" / "message") or None
        self._settle()
        for root in roots:
            self._upload(root)

    def _watch(self, mirrors: list[Mirror]) -> None:
        stopping = self.request.get("StoppingCondition", {})
        deadline = time.monotonic() + stopping.get("MaxRuntimeInSeconds", _DEFAULT_MAX_RUNTIME)
        while time.monotonic() < deadline:
            until = min(deadline, time.monotonic() + self.world.options.checkpoint_seconds)
            settled = self.wait_for(self._settled, until)
            for mirror in mirrors:
                mirror.sync()
            if settled:
                return
        self.end_containers()
        raise JobStopped

    def _settled(self) -> bool:
        codes = [each.exit_code for each in self.containers]
        return self.stop_asked or None not in codes or any(codes)

    def _settle(self) -> None:
        failed = [each for each in self.containers if each.exit_code]
        stopped = self.stop_asked
        self.end_containers()
        if stopped:
            raise JobStopped
        if failed:
            raise JobFailed("AlgorithmError: See job logs for more information")

    def _lay_out(self, number: int, host: str) -> Path:
        root = self.folder / host / "ml"
        shutil.rmtree(root, ignore_errors=True)
        for name in ("config", "output", "processing"):
            (root / name).mkdir(parents=True)
        own = {name: self.request[name] for name in _ECHOED if name in self.request}
        own |= {"ProcessingJobArn": self.arn, "ProcessingJobName": self.name}
        (root / "config" / "processingjobconfig.json").write_text(json.dumps(own))
        resources = {"current_host": host, "hosts": sorted(self.hosts)}
        (root / "config" / "resourceconfig.json").write_text(json.dumps(resources))
        for each in self.request.get("ProcessingInputs", []):
            source = each["S3Input"]
            channels.fill(self.world.storage, source, _local(root, source["LocalPath"]), number, len(self.hosts))
        for each in self._outputs():
            _local(root, each["LocalPath"]).mkdir(parents=True, exist_ok=True)
        return root

    def _launch(self, host: str, root: Path) -> Any:
        app = self.request["AppSpecification"]
        entry = app.get("ContainerEntrypoint", self.world.options.entry_point)
        stream = self.world.logs.stream(LOG_GROUP, f"{self.name}/{host}-{int(time.time())}{self.world.serial():03d}")
        environment = {"AWS_REGION": self.world.options.region, **self.request.get("Environment", {})}
        argv = [*entry, *app.get("ContainerArguments", [])]
        return self.world.launch(argv, root, environment, stream, on_exit=self.wake)

    def _outputs(self) -> list[Mapping[str, Any]]:
        return [each["S3Output"] for each in self.request.get("ProcessingOutputConfig", {}).get("Outputs", [])]

    def _continuous(self, root: Path) -> list[Mirror]:
        """Of the first host's outputs that are uploaded while the job runs."""
        return [
            Mirror(self.world.storage, _local(root, each["LocalPath"]), S3Uri.parse(each["S3Uri"]))
            for each in self._outputs()
            if each["S3UploadMode"] == "Continuous"
        ]

    def _upload(self, root: Path) -> None:
        kms = self.request.get("ProcessingOutputConfig", {}).get("KmsKeyId") or None
        for each in self._outputs():
            if each["S3UploadMode"] == "EndOfJob":
                uri = S3Uri.parse(each["S3Uri"])
                self.world.storage.upload_folder(_local(root, each["LocalPath"]), uri, kms)

    def describe(self) -> dict[str, Any]:
        with self.world.lock:
            return {
                "ProcessingJobName": self.name,
                "ProcessingJobArn": self.arn,
                "ProcessingJobStatus": self.status,
                "FailureReason": self.failure_reason,
                "ExitMessage": self.exit_message,
                "CreationTime": self.created,
                "ProcessingStartTime": self.started,
                "ProcessingEndTime": self.ended,
                "LastModifiedTime": self.modified,
                **{name: self.request[name] for name in _ECHOED if name in self.request},
            }


def _local(root: Path, path: str) -> Path:
    return root / path.removeprefix(OPT_ML).lstrip("/")


class ProcessingJobs(Jobs[ProcessingJob]):
    """CreateProcessingJob and its family."""

    taken = "Job Name must be unique within an AWS account and region, and a job with this name already exists ({arn})"
    unknown = "Could not find requested job with name: {name}"
    unknown_to_stop = "Could not find job to update with name: {name}"

    def __init__(self, world: World) -> None:
        super().__init__(world, ProcessingJob)

    def check(self, request: Mapping[str, Any]) -> None:
        refuse_members("CreateProcessingJob", request, ("ExperimentConfig",))
        image = request["AppSpecification"]["ImageUri"]
        if not re.fullmatch(channels.IMAGE, image):
            raise ValidationException(f"Invalid image URI {image}.")
        for each in request.get("ProcessingInputs", []):
            _check_input(each)
        for each in request.get("ProcessingOutputConfig", {}).get("Outputs", []):
            if "S3Output" not in each or "LocalPath" not in each["S3Output"]:
                raise NotServed("outputs other than S3Output with a LocalPath")
            _check_local(each["S3Output"]["LocalPath"])


def _check_input(each: Mapping[str, Any]) -> None:
    source = each.get("S3Input")
    if source is None or source["S3DataType"] != "S3Prefix" or "LocalPath" not in source:
        raise NotServed("inputs other than S3Input of type S3Prefix with a LocalPath")
    if source.get("S3InputMode", "File") != "File" or source.get("S3CompressionType", "None") != "None":
        raise NotServed("inputs other than uncompressed files")
    _check_local(source["LocalPath"])


def _check_local(path: str) -> None:
    if not path.startswith("/opt/ml/processing"):
        raise ValidationException(f"LocalPath {path} must start with /opt/ml/processing.")
