"""Training jobs: CreateTrainingJob to model.tar.gz.

    Starting -> Downloading -> Training -> Uploading -> Completed
                                  |  '-> Stopping | MaxRuntimeExceeded | MaxWaitTimeExceeded -> Stopped
                                  '-> Interrupted -> Starting    a spot instance was taken away

Several hosts are several processes, each with an /opt/ml of its own; their model folders are merged. They find each
other by MLOPS_COORDINATOR, since the names of all of them would be this machine's. Checkpoints go back to every host;
those of the first one are kept.
"""

import json
import re
import shutil
import socket
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.sagemaker_server import channels, training_checks
from tests.sagemaker_server.jobs import Job, JobFailed, Jobs, JobStopped, read_reason
from tests.sagemaker_server.s3 import Mirror, S3Uri, files, pack
from tests.sagemaker_server.world import World, now

LOG_GROUP = "/aws/sagemaker/TrainingJobs"

CAPACITY = (
    "CapacityError: Unable to provision requested ML compute capacity. Please retry using a different ML instance "
    "type or after some time."
)

_ECHOED = (
    "HyperParameters",
    "AlgorithmSpecification",
    "RoleArn",
    "InputDataConfig",
    "OutputDataConfig",
    "ResourceConfig",
    "VpcConfig",
    "EnableNetworkIsolation",
    "EnableInterContainerTrafficEncryption",
    "EnableManagedSpotTraining",
    "CheckpointConfig",
    "Environment",
)


class TrainingJob(Job):
    """One job over all its attempts."""

    word = "Training"

    def __init__(self, world: World, name: str, request: Mapping[str, Any]) -> None:
        super().__init__(world, name, request)
        self.secondary = "Starting"
        self.transitions: list[dict[str, Any]] = [_transition("Starting", self.created)]
        self.metrics: dict[str, tuple[float, datetime]] = {}
        self.interrupt_asked = False
        self.attempts = 0
        self.trained_seconds = 0.0
        stopping = request.get("StoppingCondition", {})
        self.max_runtime = stopping.get("MaxRuntimeInSeconds", training_checks.DEFAULT_MAX_RUNTIME)
        self.max_wait = stopping.get("MaxWaitTimeInSeconds")
        self._patterns = [(each["Name"], re.compile(each["Regex"])) for each in self._algorithm_metrics()]

    @property
    def spot(self) -> bool:
        return bool(self.request.get("EnableManagedSpotTraining"))

    @property
    def hosts(self) -> list[str]:
        return [f"algo-{number}" for number in range(1, self.request["ResourceConfig"].get("InstanceCount", 1) + 1)]

    @property
    def output(self) -> S3Uri:
        """Where this job's archives go."""
        return S3Uri.parse(self.request["OutputDataConfig"]["S3OutputPath"]).below(self.name, "output")

    def interrupt(self) -> None:
        """Take the instances away. Raises ValueError unless it is a spot job that trains."""
        with self.changed:
            if not self.spot or self.secondary != "Training":
                raise ValueError(f"{self.name} is no spot job that trains: {self.secondary}, spot {self.spot}")
            self.interrupt_asked = True
            self.changed.notify_all()

    # ---------------------------------------------------------------- work

    def work(self) -> None:
        """All attempts."""
        if not self.world.faults.capacity(self.name):
            raise JobFailed(CAPACITY)
        try:
            while not self._attempt():
                self._move("Interrupted", "Interrupted by the spot market; waiting for capacity")
                self._move("Starting", "Preparing the instances for training")
        except JobStopped:
            self._upload_model(even_when_empty=False)
            raise
        self._upload_model(even_when_empty=True)
        self._upload_output_data()

    def _attempt(self) -> bool:
        """Whether the containers came to their end; False after a spot interruption. Raises JobFailed, JobStopped."""
        self.check_stop()
        self.attempts += 1
        self.interrupt_asked = False
        self._move("Downloading", "Downloading input data")
        roots = [self._lay_out(number, host) for number, host in enumerate(self.hosts)]
        mirror = self._checkpoints(roots)
        self.check_stop()
        self._move("Training", "Training image download completed. Training in progress.")
        self.started = self.started or now()
        began = time.monotonic()
        try:
            meeting = _coordinator() if len(roots) > 1 else {}
            self.containers = [self._launch(host, root, meeting) for host, root in zip(self.hosts, roots, strict=True)]
            return self._watch(began, mirror)
        finally:
            self.trained_seconds += time.monotonic() - began
            if mirror is not None:
                mirror.sync()

    def _watch(self, began: float, mirror: Mirror | None) -> bool:
        deadline, secondary = self._deadline(began)
        while not self._settled():
            until = min(deadline, time.monotonic() + self.world.options.checkpoint_seconds)
            if self.wait_for(self._settled, until):
                break
            if mirror is not None:
                mirror.sync()
            if time.monotonic() >= deadline:
                self._move(secondary, "The job is out of time", status="Stopping")
                self.end_containers()
                raise JobStopped(secondary)
        return self._settle()

    def _settled(self) -> bool:
        codes = [each.exit_code for each in self.containers]
        return self.stop_asked or self.interrupt_asked or None not in codes or any(codes)

    def _settle(self) -> bool:
        """What came to an end, and how."""
        failed = [each for each in self.containers if each.exit_code]
        stopped, interrupted = self.stop_asked, self.interrupt_asked
        self.end_containers()
        if stopped:
            raise JobStopped
        if interrupted:
            return False
        if failed:
            text = read_reason(failed[0].root / "output" / "failure")
            raise JobFailed(f"AlgorithmError: {text}, exit code: {failed[0].exit_code}")
        return True

    def _deadline(self, began: float) -> tuple[float, str]:
        """When this attempt must end (time.monotonic), and the secondary status that says why."""
        runtime = began + self.max_runtime - self.trained_seconds
        if self.max_wait is None:
            return runtime, "MaxRuntimeExceeded"
        waited = (now() - self.created).total_seconds()
        wait = time.monotonic() + self.max_wait - waited
        return min((runtime, "MaxRuntimeExceeded"), (wait, "MaxWaitTimeExceeded"))

    # ---------------------------------------------------------------- container

    def _lay_out(self, number: int, host: str) -> Path:
        """A fresh /opt/ml of one host, channels included. Returns its root."""
        root = self.folder / host / "ml"
        shutil.rmtree(root, ignore_errors=True)
        for name in ("input/config", "input/data", "model", "output/data", "checkpoints"):
            (root / name).mkdir(parents=True)
        mode = self.request["AlgorithmSpecification"]["TrainingInputMode"]
        data = self.request.get("InputDataConfig", [])
        resources = {"current_host": host, "hosts": sorted(self.hosts), "network_interface_name": "eth0"}
        _write(root, "hyperparameters", self.request.get("HyperParameters", {}))
        _write(root, "inputdataconfig", channels.input_data_config(data, mode))
        _write(root, "resourceconfig", resources | {"current_instance_type": self._instance_type()})
        for channel in data:
            folder = root / "input" / "data" / channel["ChannelName"]
            source = channels.s3_source(channel, mode)
            channels.fill(self.world.storage, source, folder, number, len(self.hosts))
        return root

    def _checkpoints(self, roots: list[Path]) -> Mirror | None:
        """The mirror of the first host's checkpoints; those of S3 are restored on all."""
        config = self.request.get("CheckpointConfig")
        if config is None:
            return None
        local = config.get("LocalPath", "/opt/ml/checkpoints").removeprefix("/opt/ml/")
        mirrors = [Mirror(self.world.storage, root / local, S3Uri.parse(config["S3Uri"])) for root in roots]
        for mirror in mirrors:
            mirror.restore()
        return mirrors[0]

    def _launch(self, host: str, root: Path, meeting: Mapping[str, str]) -> Any:
        algorithm = self.request["AlgorithmSpecification"]
        entry = algorithm.get("ContainerEntrypoint", self.world.options.entry_point)
        stream = self.world.logs.stream(LOG_GROUP, f"{self.name}/{host}-{int(time.time())}{self.world.serial():03d}")
        environment = {
            "TRAINING_JOB_NAME": self.name,
            "TRAINING_JOB_ARN": self.arn,
            "AWS_REGION": self.world.options.region,
            **meeting,
            **self.request.get("Environment", {}),
        }
        argv = [*entry, *algorithm.get("ContainerArguments", ["train"])]
        return self.world.launch(argv, root, environment, stream, on_line=self._read_metrics, on_exit=self.wake)

    def _instance_type(self) -> str:
        return str(self.request["ResourceConfig"].get("InstanceType", "ml.m5.large"))

    # ---------------------------------------------------------------- what comes out

    def _algorithm_metrics(self) -> list[Mapping[str, str]]:
        return list(self.request["AlgorithmSpecification"].get("MetricDefinitions", []))

    def _read_metrics(self, line: str) -> None:
        """Apply the request's regular expressions to a line of the log: the first group is the value."""
        for name, pattern in self._patterns:
            for found in pattern.finditer(line):
                with self.world.lock:
                    self.metrics[name] = (float(found[1]), now())

    def _upload_model(self, *, even_when_empty: bool) -> None:
        """What the hosts left in model/, merged: also that of a stopped job, if it left anything."""
        folders = [self.folder / host / "ml" / "model" for host in self.hosts]
        if self.world.closing.is_set() or not (even_when_empty or any(any(files(each)) for each in folders)):
            return
        self._move("Uploading", "Uploading generated training model")
        if self.request["OutputDataConfig"].get("CompressionType") == "NONE":
            for folder in folders:
                self.world.storage.upload_folder(folder, self.output.below("model"), self._kms())
        else:
            self._upload_archive(folders, "model.tar.gz")

    def _upload_output_data(self) -> None:
        folders = [self.folder / host / "ml" / "output" / "data" for host in self.hosts]
        if any(any(files(each)) for each in folders):
            self._upload_archive(folders, "output.tar.gz")

    def _upload_archive(self, folders: list[Path], name: str) -> None:
        archive = self.folder / name
        pack(folders, archive)
        self.world.storage.upload(archive, self.output.below(name), self._kms())

    def _kms(self) -> str | None:
        return self.request["OutputDataConfig"].get("KmsKeyId") or None

    # ---------------------------------------------------------------- state

    def stop(self) -> None:
        with self.world.lock:
            self._append("Stopping", "Stopping the training job")
        super().stop()

    def _move(self, secondary: str, message: str, *, status: str | None = None) -> None:
        with self.world.lock:
            self.status = status or self.status
            self._append(secondary, message)
        self.tell()

    def _append(self, secondary: str, message: str | None) -> None:
        moment = now()
        self.modified = self.transitions[-1]["EndTime"] = moment
        self.secondary = secondary
        self.transitions.append(_transition(secondary, moment, message))

    def on_end(self, secondary: str) -> None:
        self._append(secondary, self.failure_reason)
        self.transitions[-1]["EndTime"] = self.ended

    def describe(self) -> dict[str, Any]:
        with self.world.lock:
            return {
                "TrainingJobName": self.name,
                "TrainingJobArn": self.arn,
                "TrainingJobStatus": self.status,
                "SecondaryStatus": self.secondary,
                "FailureReason": self.failure_reason,
                "ModelArtifacts": {"S3ModelArtifacts": self._artifacts()},
                "StoppingCondition": self._stopping_condition(),
                "CreationTime": self.created,
                "TrainingStartTime": self.started,
                "TrainingEndTime": self.ended,
                "LastModifiedTime": self.modified,
                "SecondaryStatusTransitions": [dict(each) for each in self.transitions],
                "FinalMetricDataList": self._final_metrics() or None,
                **self._seconds(),
                **{name: self.request[name] for name in _ECHOED if name in self.request},
            }

    def _artifacts(self) -> str:
        name = "model/" if self.request["OutputDataConfig"].get("CompressionType") == "NONE" else "model.tar.gz"
        return str(self.output.below(name))

    def _stopping_condition(self) -> dict[str, int]:
        return {"MaxRuntimeInSeconds": self.max_runtime} | (
            {} if self.max_wait is None else {"MaxWaitTimeInSeconds": self.max_wait}
        )

    def _final_metrics(self) -> list[dict[str, Any]]:
        found = self.metrics.items()
        return [{"MetricName": name, "Value": value, "Timestamp": at} for name, (value, at) in found]

    def _seconds(self) -> dict[str, int]:
        if self.started is None or self.ended is None:
            return {}
        seconds = max(1, round((self.ended - self.started).total_seconds()))
        return {"TrainingTimeInSeconds": seconds, "BillableTimeInSeconds": max(1, round(self.trained_seconds))}


def _coordinator() -> dict[str, str]:
    """Where the hosts of one attempt meet: a port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return {"MLOPS_COORDINATOR": f"127.0.0.1:{server.getsockname()[1]}"}


def _transition(status: str, moment: datetime, message: str | None = None) -> dict[str, Any]:
    return {"Status": status, "StartTime": moment, "EndTime": None, "StatusMessage": message or status}


def _write(root: Path, name: str, content: Mapping[str, Any]) -> None:
    (root / "input" / "config" / f"{name}.json").write_text(json.dumps(content))


class TrainingJobs(Jobs[TrainingJob]):
    """CreateTrainingJob and its family."""

    taken = (
        "Training job names must be unique within an AWS account and region, and a training job with this name "
        "already exists ({arn})"
    )
    unknown = "Requested resource not found."
    unknown_to_stop = "Requested resource not found."

    def __init__(self, world: World) -> None:
        super().__init__(world, TrainingJob)

    def check(self, request: Mapping[str, Any]) -> None:
        training_checks.check(request)
        for channel in request.get("InputDataConfig", []):
            source = channels.s3_source(channel, request["AlgorithmSpecification"]["TrainingInputMode"])
            channels.check_s3_prefix(self.world.storage, source["S3Uri"], request["RoleArn"], self.world.options.region)

    def summary(self, job: TrainingJob) -> dict[str, Any]:
        return super().summary(job) | {"SecondaryStatus": job.secondary}
