"""Batch transform: the served model over every object below a prefix, one `.out` object for each.

    split -> filter -> batch -> POST /invocations -> split -> join -> filter -> assemble

The container is started with SAGEMAKER_BATCH=true. Results are uploaded when all objects are done; DescribeTransformJob
tells nothing about progress.
"""

import json
import re
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.sagemaker_server.jobs import Job, JobFailed, Jobs
from tests.sagemaker_server.model_servers import Answer, Gone, ModelServer, NotHealthy
from tests.sagemaker_server.models import Models
from tests.sagemaker_server.record_filters import RecordFilter, joined
from tests.sagemaker_server.refusals import NotServed, ValidationException, refuse_members
from tests.sagemaker_server.s3 import S3Uri, relative_key
from tests.sagemaker_server.world import World, now

LOG_GROUP = "/aws/sagemaker/TransformJobs"

_DEFAULT_TIMEOUT = 600
_DEFAULT_RETRIES = 3
_DEFAULT_PAYLOAD = 6
_MOST_MEGABYTES = 100
_OWN_MEMBERS = (
    "MaxConcurrentTransforms",
    "ModelClientConfig",
    "MaxPayloadInMB",
    "BatchStrategy",
    "Environment",
    "TransformInput",
    "TransformOutput",
    "TransformResources",
    "DataProcessing",
)


@dataclass(frozen=True)
class Plan:
    """How the container is called: the request's wishes, else the container's /execution-parameters, else defaults."""

    payload_bytes: int
    concurrent: int
    single: bool

    @classmethod
    def of(cls, request: Mapping[str, Any], offered: Mapping[str, Any]) -> "Plan":
        chosen = dict(offered) | {name: request[name] for name in _OWN_MEMBERS[:5] if name in request}
        return cls(
            payload_bytes=int(chosen.get("MaxPayloadInMB", _DEFAULT_PAYLOAD)) * 2**20,
            concurrent=int(chosen.get("MaxConcurrentTransforms", 0)) or 1,
            single=str(chosen.get("BatchStrategy", "MultiRecord")).upper().replace("_", "") == "SINGLERECORD",
        )


class TransformJob(Job):
    """One job."""

    word = "Transform"

    def __init__(self, world: World, name: str, request: Mapping[str, Any], model: Mapping[str, Any]) -> None:
        super().__init__(world, name, request)
        instance = f"i-{world.serial():017x}"
        self._data_log = world.logs.stream(LOG_GROUP, f"{name}/{instance}/data-log")
        log = world.logs.stream(LOG_GROUP, f"{name}/{instance}")
        environment = {**request.get("Environment", {}), "SAGEMAKER_BATCH": "true"}
        self._server = ModelServer(world, model, name, log, **environment)

    def stop(self) -> None:
        super().stop()
        # A request that is under way must not hold the job up.
        self.world.spawn(f"abort-{self.name}", lambda: self._server.abort(self.world.options.stop_seconds))

    def work(self) -> None:
        if not self.world.faults.capacity(self.name):
            raise JobFailed("CapacityError: Unable to provision requested ML compute capacity.")
        source = S3Uri.parse(self.request["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"])
        keys = [key for key in self.world.storage.keys(source) if not key.endswith("/")]
        if not keys:
            raise JobFailed(f'ClientError: No S3 objects found under S3 URL "{source}".')
        self.started = now()
        try:
            self._server.start(self.world.options.health_seconds)
            self._transform(source, keys)
        except NotHealthy as error:
            self.check_stop()
            raise JobFailed("AlgorithmError: The primary container did not pass the ping health check.") from error
        finally:
            self._server.stop()

    def _transform(self, source: S3Uri, keys: list[str]) -> None:
        plan = Plan.of(self.request, _offered(self._server))
        results: list[tuple[Path, str]] = []
        for number, key in enumerate(keys):
            path = self.folder / "input" / str(number)
            self.world.storage.download(S3Uri(source.bucket, key), path)
            out = path.with_suffix(".out")
            self._transform_file(plan, path, out, S3Uri(source.bucket, key))
            results.append((out, relative_key(source.key, key) + ".out"))
        target = S3Uri.parse(self.request["TransformOutput"]["S3OutputPath"])
        for path, name in results:
            self.check_stop()
            self.world.storage.upload(path, target.below(name), self.request["TransformOutput"].get("KmsKeyId") or None)

    def _transform_file(self, plan: Plan, path: Path, out: Path, uri: S3Uri) -> None:
        records = Records(self.request)
        with out.open("wb") as target, ThreadPoolExecutor(plan.concurrent) as pool:
            batches = records.batches(path.read_bytes(), plan)
            for batch, answer in pool.map(lambda each: (each, self._ask(records.body(each), uri)), batches):
                for piece in records.results(batch, answer.body):
                    target.write(piece)

    def _ask(self, body: bytes, uri: S3Uri) -> Answer:
        """One POST with its retries. Raises JobFailed, JobStopped."""
        client = self.request.get("ModelClientConfig", {})
        attempts = 1 + client.get("InvocationsMaxRetries", _DEFAULT_RETRIES)
        for attempt in range(attempts):
            self.check_stop()
            try:
                answer = self._server.invoke(
                    body, self._headers(), client.get("InvocationsTimeoutInSeconds", _DEFAULT_TIMEOUT)
                )
            except (Gone, TimeoutError) as error:
                self._log(f"Bad connection to the algorithm: {error!r}", uri)
                time.sleep(0.1 * (attempt + 1))
                continue
            if answer.status < 400:
                return answer
            self._log(f"Bad HTTP status received from algorithm: {answer.status}", uri)
            self._log(answer.body.decode("utf-8", "replace")[:1024], uri)
            if answer.status < 500:
                raise JobFailed("ClientError: See job logs for more information")
        raise JobFailed("AlgorithmError: See job logs for more information")

    def _headers(self) -> dict[str, str]:
        accept = self.request["TransformOutput"].get("Accept", "*/*")
        kind = self.request["TransformInput"].get("ContentType")
        return {"Accept": accept} | ({"Content-Type": kind} if kind else {})

    def _log(self, text: str, uri: S3Uri) -> None:
        self._data_log.append(f"{now().isoformat(timespec='milliseconds')}:[sagemaker logs]: {uri}: {text}")

    def describe(self) -> dict[str, Any]:
        with self.world.lock:
            return {
                "TransformJobName": self.name,
                "TransformJobArn": self.arn,
                "TransformJobStatus": self.status,
                "FailureReason": self.failure_reason,
                "ModelName": self.request["ModelName"],
                "CreationTime": self.created,
                "TransformStartTime": self.started,
                "TransformEndTime": self.ended,
                **{name: self.request[name] for name in _OWN_MEMBERS if name in self.request},
            }


def _offered(server: ModelServer) -> dict[str, Any]:
    """The container's /execution-parameters; none when it has no such path."""
    try:
        answer = server.execution_parameters()
        return dict(json.loads(answer.body)) if answer.status == 200 else {}
    except (Gone, TimeoutError, ValueError):
        return {}


class Records:
    """How one object is cut up, and put together again."""

    def __init__(self, request: Mapping[str, Any]) -> None:
        processing = request.get("DataProcessing", {})
        self.kind = request["TransformInput"].get("ContentType", "")
        self.by_line = request["TransformInput"].get("SplitType", "None") == "Line"
        self.lines_out = request["TransformOutput"].get("AssembleWith", "None") == "Line"
        self.join = processing.get("JoinSource", "None") == "Input"
        self.input_filter = RecordFilter(processing.get("InputFilter", "$"))
        self.output_filter = RecordFilter(processing.get("OutputFilter", "$"))

    def batches(self, data: bytes, plan: Plan) -> Iterator[list[bytes]]:
        """Records of one request each. Raises JobFailed for a record that is larger than a request may be."""
        if not self.by_line:
            _check_payload(len(data), plan)
            yield [data]
            return
        batch: list[bytes] = []
        size = 0
        for line in data.removesuffix(b"\n").split(b"\n"):
            _check_payload(len(line) + 1, plan)
            if batch and (plan.single or size + len(line) + 1 > plan.payload_bytes):
                yield batch
                batch, size = [], 0
            batch.append(line)
            size += len(line) + 1
        yield batch

    def body(self, batch: list[bytes]) -> bytes:
        """What the container is sent for a batch."""
        return b"\n".join(self.input_filter.apply(each, self.kind) for each in batch)

    def results(self, batch: list[bytes], answer: bytes) -> Iterator[bytes]:
        """What is written for an answer. Raises JobFailed when it has not one line per record where it must."""
        if not (self.by_line and (self.join or not self.output_filter.whole)):
            yield answer
            if self.lines_out and not answer.endswith(b"\n"):
                yield b"\n"
            return
        lines = answer.removesuffix(b"\n").split(b"\n")
        if len(lines) != len(batch):
            raise JobFailed(f"ClientError: {len(batch)} records were sent, but {len(lines)} predictions came back")
        for record, line in zip(batch, lines, strict=True):
            result = joined(record, line, self.kind) if self.join else line
            yield self.output_filter.apply(result, self.kind) + b"\n"


def _check_payload(size: int, plan: Plan) -> None:
    if size > plan.payload_bytes + 1:
        raise JobFailed(f"ClientError: a record of {size} bytes is larger than MaxPayloadInMB allows")


class TransformJobs(Jobs[TransformJob]):
    """CreateTransformJob and its family."""

    taken = "Job Name must be unique within an AWS account and region, and a job with this name already exists ({arn})"
    unknown = "Could not find requested job with name: {name}"
    unknown_to_stop = "Could not find job to update with name: {name}"

    def __init__(self, world: World, models: Models) -> None:
        super().__init__(world, TransformJob)
        self._models = models

    def make(self, name: str, request: Mapping[str, Any]) -> TransformJob:
        return TransformJob(self.world, name, request, self._models.find(request["ModelName"]))

    def check(self, request: Mapping[str, Any]) -> None:
        refuse_members("CreateTransformJob", request, ("DataCaptureConfig", "ExperimentConfig"))
        self._models.find(request["ModelName"])
        _check_input(request["TransformInput"])
        Records(request)  # refuses filters it cannot apply
        payload = request.get("MaxPayloadInMB", _DEFAULT_PAYLOAD)
        if payload > _MOST_MEGABYTES or payload * max(1, request.get("MaxConcurrentTransforms", 1)) > _MOST_MEGABYTES:
            raise ValidationException("MaxConcurrentTransforms * MaxPayloadInMB must not exceed 100 MB.")
        if request.get("DataProcessing", {}).get("JoinSource") == "Input":
            _check_join(request)

    def summary(self, job: TransformJob) -> dict[str, Any]:
        return super().summary(job) | {"FailureReason": job.failure_reason}


def _check_input(source: Mapping[str, Any]) -> None:
    if source["DataSource"].get("S3DataSource", {}).get("S3DataType") != "S3Prefix":
        raise NotServed("transform inputs other than S3Prefix")
    if source.get("SplitType", "None") not in ("None", "Line") or source.get("CompressionType", "None") != "None":
        raise NotServed("transform inputs other than plain files, whole or by line")


def _check_join(request: Mapping[str, Any]) -> None:
    kind = request["TransformInput"].get("ContentType", "")
    if not re.match(r"text/csv|application/jsonlines|application/json", kind):
        raise ValidationException(
            "JoinSource requires the content type text/csv, application/jsonlines or application/json."
        )
    if request["TransformInput"].get("SplitType", "None") != request["TransformOutput"].get("AssembleWith", "None"):
        raise ValidationException("JoinSource requires SplitType and AssembleWith to be the same.")
