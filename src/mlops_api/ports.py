"""What services may ask of the outside world. Each docstring is the promise, failures included.

tests/contract proves every promise on every adapter. Adapters raise `domain.errors` only; a foreign error
they do not know passes through untouched.

    RecordStore       small JSON records: conditional writes, keyset pages
    ObjectStore       files: atomic, presigned
    ProcessingRunner  runs `preprocess` over an uploaded table
    TrainingRunner    runs `train`
    TransformRunner   runs batch scoring
    PipelineRunner    carries workflow executions from step to step
    JobRequests       what a PipelineRunner that begins jobs itself begins them with
    EndpointHost      keeps `serve` running behind a name
    ModelMirror       shows model versions in a registry outside
    MetricSink        numbers over time, and alarms on them
    Notifier          tells people
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, Protocol

if TYPE_CHECKING:  # a record can be read without the shapes of all that is trained and registered
    from mlops_api.domain.alerts import Severity
    from mlops_api.domain.models import ApprovalStatus
    from mlops_api.domain.monitoring import AlarmState, Comparison, Statistic, Unit
    from mlops_api.domain.pipelines import ExecutionStatus, Step
    from mlops_api.domain.training import JobStatus
    from mlops_contracts.transform import ResultFormat

# --------------------------------------------------------------------------- records

Index = Literal["all", "group", "status", "group_status", "rank", "related"]
"""The access patterns. One GSI each on DynamoDB; a record is in an index when `Record.indexes` has it.

all: everything of a kind, by time · group: by parent (a model's versions) · status · group_status · rank:
by a metric inside a parent · related: by what it was made from (the jobs of a dataset version).
"""


@dataclass(frozen=True)
class Place:
    """Where a record stands in an index: pages are read inside one partition, in byte order of `sort`."""

    partition: str
    sort: str


@dataclass(frozen=True)
class Record:
    """`data` is JSON (finite numbers only, at most 350 kB encoded). `revision` is 0 until stored, then 1, 2, ...

    `kind`, `key` and the places' `partition` and `sort` are text of at most 512 bytes of UTF-8; only `sort` may be
    empty. `sort`, `key` and `kind` have at most 1,000 bytes together, a NUL counting twice. A write raises Invalid
    for other data and BadRequest for other names.
    """

    kind: str
    key: str
    data: Mapping[str, Any]
    indexes: Mapping[Index, Place] = field(default_factory=dict)
    revision: int = 0
    expires_at: int | None = None
    """Epoch seconds after which reads no longer show the record and the store may drop it."""


@dataclass(frozen=True)
class Put:
    """Store `record`. `record.revision` 0: it must not exist; otherwise that revision must be the stored one."""

    record: Record


@dataclass(frozen=True)
class Overwrite:
    """Store `record` whatever stands there, `record.revision` aside; the stored revision grows.

    For records that nobody reads before writing them, such as entries that follow a record of their own in the same
    write. Not for records that Add has made.
    """

    record: Record


@dataclass(frozen=True)
class Add:
    """Add `deltas` to the numbers that are a record's data, and put it where `indexes` says.

    A record that is absent begins with nothing, and a number that it lacks with 0. Adding is never refused because
    others add too: whatever the order, the sum is right. All its data are whole numbers.
    """

    kind: str
    key: str
    deltas: Mapping[str, int]
    indexes: Mapping[Index, Place] = field(default_factory=dict)


@dataclass(frozen=True)
class Delete:
    """Remove a record at this revision; None: whatever its revision, and no error when it is absent."""

    kind: str
    key: str
    revision: int | None = None


@dataclass(frozen=True)
class Check:
    """Write nothing, but fail the whole write unless the record stands at this revision (0: absent)."""

    kind: str
    key: str
    revision: int


Write = Put | Overwrite | Add | Delete | Check

RecordName = tuple[str, str]
"""A record's kind and key."""


@dataclass(frozen=True)
class RecordPage:
    records: Sequence[Record]
    next_token: str | None


@dataclass(frozen=True)
class Count:
    """`exact` False: counting stopped at the cap, there are at least `value`."""

    value: int
    exact: bool


class RecordStore(Protocol):
    """Durable JSON records. A write that returned survives power loss; reads see every finished write.

    Any method raises Unavailable when the store is busy for longer than 5 s, StorageFull when a write found
    no space (reads go on working).
    """

    def get(self, kind: str, key: str) -> Record:
        """Raises NotFound."""

    def get_many(self, names: Sequence[RecordName]) -> Mapping[RecordName, Record]:
        """Those of `names` (at most 100, of whatever kinds) that exist. Each is as it was at some moment of the call,
        perhaps another one than the others': Check, in the write that follows, what has to hold together."""

    def put(self, record: Record) -> Record:
        """Store one record and return it with its new revision.

        Raises AlreadyExists (revision 0, but it exists) or RevisionMismatch (changed or gone since it was read).
        """

    def delete(self, kind: str, key: str, revision: int | None = None) -> None:
        """Raises RevisionMismatch as Delete says."""

    def write(self, writes: Sequence[Write]) -> None:
        """All or nothing, at most 25 writes on distinct keys, of at most 3.5 MB of data.

        Raises AlreadyExists or RevisionMismatch naming the first record that stood in the way; nothing is written then.
        """

    def query(
        self,
        index: Index,
        partition: str,
        *,
        descending: bool = False,
        limit: int = 100,
        token: str | None = None,
        after: str | None = None,
        before: str | None = None,
    ) -> RecordPage:
        """One page of at most `limit` (1..1000) records in byte order of (sort, key).

        `after` and `before` bound `sort` exclusively. `token` goes on behind the last page's end, and gives
        neither gap nor repeat for records that did not change meanwhile. A page may hold fewer than `limit`
        records and still have a `next_token`. Raises BadRequest for a token this query did not give.

        On DynamoDB an index follows its records within moments, one record after the other: a page may not show a
        write that has just returned, or show a part of it. Decide on what get and get_many read.
        """

    def count(self, index: Index, partition: str, *, cap: int = 10_000) -> Count:
        """Number of records in a partition, as query would show them; stops counting at `cap`, or earlier when
        counting takes too long."""

    def ready(self) -> None:
        """Raises Unavailable, saying why, when the store cannot be read."""


# --------------------------------------------------------------------------- objects


@dataclass(frozen=True)
class ObjectInfo:
    key: str
    size: int
    etag: str
    modified_at: str


@dataclass(frozen=True)
class ObjectVersion:
    """`id` tells the contents that one key has had apart."""

    id: str
    size: int


@dataclass(frozen=True)
class ObjectPage:
    objects: Sequence[ObjectInfo]
    next_token: str | None


@dataclass(frozen=True)
class SignedPart:
    part_number: int
    url: str
    headers: Mapping[str, str]
    size: int
    etag: str | None
    """Set when the part has arrived."""


@dataclass(frozen=True)
class SignedUpload:
    upload_id: str
    part_size: int
    expires_at: str
    parts: Sequence[SignedPart]


class ObjectStore(Protocol):
    """Files under keys such as `datasets/flights/1/raw/flights.csv.gz`.

    Keys are made by the server: 1..900 bytes of UTF-8, segments split by `/`, none of them empty, `.` or `..`,
    no NUL or control character; anything else raises BadRequest before the store is touched. A key may be the
    prefix of another (`a` and `a/b`). An object appears whole or not at all, is never changed in place, and
    survives power loss once the call returned. Raises StorageFull when there is no space.
    """

    def put(self, key: str, data: bytes | BinaryIO, *, sha256: str | None = None) -> ObjectInfo:
        """Store an object, replacing one of that key. Raises Invalid when `sha256` does not match the bytes."""

    def put_file(self, key: str, path: Path) -> ObjectInfo:
        """As put, from a local file; the file may be moved."""

    def read(self, key: str, *, offset: int = 0, length: int | None = None) -> bytes:
        """Bytes from `offset`, at most `length`; empty past the end. Raises NotFound."""

    def stream(self, key: str, *, chunk: int = 1 << 20) -> Iterator[bytes]:
        """Raises NotFound before the first chunk."""

    def info(self, key: str) -> ObjectInfo:
        """Raises NotFound."""

    def list(self, prefix: str, *, limit: int = 1000, token: str | None = None) -> ObjectPage:
        """Keys that start with `prefix`, in byte order; uploads under way and side files are never listed."""

    def delete(self, key: str) -> None:
        """No error when absent."""

    def versions(self, key: str) -> Sequence[ObjectVersion]:
        """What can still be read of the contents that `key` has had, in the order in which they were stored; none when
        there never was one. A store that keeps no old ones has the present one, and `id` is its etag."""

    def copy(self, source: str, key: str, *, version: str | None = None) -> ObjectInfo:
        """Store the content of `source` under `key` as put does; it does not pass through this process.

        `version`: the id of the content meant; the newest without. Raises NotFound when it cannot be read any more.
        """

    def start_upload(self, key: str, *, size: int, expires_in: int) -> SignedUpload:
        """URLs that take exactly `size` bytes in parts; nothing is visible under `key` until complete_upload.

        A part sent with another length, after expiry, or to a URL changed in any character is refused. A part
        may be sent again; the last one counts.
        """

    def resume_upload(self, upload_id: str, *, expires_in: int) -> SignedUpload:
        """Fresh URLs for the same upload, with the etag of each part that has arrived. Raises NotFound."""

    def complete_upload(self, upload_id: str, parts: Sequence[tuple[int, str]]) -> ObjectInfo:
        """Make the object visible. Raises Conflict naming the parts that are missing or whose etag differs;
        NotFound when the upload was aborted, swept or completed before. Of several calls at once at least one
        succeeds; each of the others does too, with the same object, or raises NotFound."""

    def abort_upload(self, upload_id: str) -> None:
        """Drop its parts; no error when absent."""

    def sweep_uploads(self, older_than: int) -> int:
        """Abort uploads started more than `older_than` seconds ago; the number aborted."""

    def download_url(self, key: str, *, filename: str, expires_in: int) -> tuple[str, str]:
        """(URL, expiry in RFC 3339). The answer is an attachment of that name. Raises NotFound."""


@dataclass(frozen=True)
class WatchedFile:
    """A file of a watched folder that nobody writes to any more, as it was read. `open` gives its bytes anew."""

    filename: str
    size: int
    sha256: str
    open: Callable[[], BinaryIO]


# --------------------------------------------------------------------------- jobs

StateChange = Callable[[Mapping[str, Any]], None]
"""Takes an event in AWS's JSON shape. It may be called again for the same change; it must not raise."""


@dataclass(frozen=True)
class JobState:
    """What a runner knows. `progress` in 0..1; `metrics` holds the last value of each."""

    status: "JobStatus"
    secondary_status: str
    failure_reason: str | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    progress: float = 0.0
    started_at: str | None = None
    ended_at: str | None = None
    attempt: int = 1


@dataclass(frozen=True)
class LogChunk:
    lines: Sequence[str]
    next_after: int


@dataclass(frozen=True)
class MetricValue:
    name: str
    value: float
    step: int | None


@dataclass(frozen=True)
class TrainingSpec:
    """`hyperparameters` is mlops_contracts.job.encode's map. `data_prefix`: objects that fill the data channel.
    `champion_key`: a model.tar.gz that becomes the one file of the channel `champion`; its name is in the
    hyperparameters."""

    job: str
    hyperparameters: Mapping[str, str]
    data_prefix: str
    output_prefix: str
    max_runtime_seconds: int
    instance_type: str | None = None
    instance_count: int = 1
    spot: bool = False
    champion_key: str | None = None


class TrainingRunner(Protocol):
    """Training jobs. When a job ends, its model is one object, `{output_prefix}/{job}/output/model.tar.gz`,
    and an event `SageMaker Training Job State Change` was handed to the platform."""

    def start(self, spec: TrainingSpec) -> None:
        """Idempotent by `spec.job`: a job that exists, in whatever state, is left as it is.

        Raises Invalid when it can never run as it is (its input is gone, no such instance type); others find that out
        later, and it fails. NameTaken when a job of that name is not this platform's. Unavailable when there is no
        room for it now.
        """

    def describe(self, job: str) -> JobState:
        """Raises NotFound for a job that was never started here."""

    def stop(self, job: str) -> None:
        """Ask it to stop: SIGTERM, SIGKILL after 120 s. No error when it has ended. Raises NotFound."""

    def logs(self, job: str, *, after: int = 0, limit: int = 1000) -> LogChunk:
        """Lines from position `after` (an opaque cursor, 0 at the start). Raises NotFound."""

    def metrics(self, job: str) -> Sequence[MetricValue]:
        """Every value reported, in order. Raises NotFound."""


@dataclass(frozen=True)
class ProcessingSpec:
    """Reads the object `input_key`; writes the files of mlops_contracts.dataset below `output_prefix`.

    `sha256`: what the object must have; empty: it is not known. `contract`: what the table is held to,
    mlops_contracts.data_contract.NumberedContract as JSON. `target`: what will be trained on it,
    mlops_contracts.dataset.TargetUse as JSON."""

    job: str
    input_key: str
    filename: str
    sha256: str
    output_prefix: str
    max_runtime_seconds: int
    contract: Mapping[str, Any] | None = None
    target: Mapping[str, Any] | None = None

    def config(self) -> dict[str, Any]:
        """preprocess.json, as mlops_contracts.dataset.PreprocessConfig has it."""
        own = {"filename": self.filename, "sha256": self.sha256}
        return own | {"contract": self.contract, "target": self.target}


class ProcessingRunner(Protocol):
    """Runs `preprocess`. Completed means that dataset.json was written, whether the table was accepted or not.
    When it ends, an event `SageMaker Processing Job State Change` was handed to the platform."""

    def start(self, spec: ProcessingSpec) -> None:
        """As TrainingRunner.start."""

    def describe(self, job: str) -> JobState:
        """Raises NotFound."""

    def stop(self, job: str) -> None:
        """As TrainingRunner.stop."""


@dataclass(frozen=True)
class TransformSpec:
    """Scores the table under `input_prefix` with the bundle at `model_key` (a model.tar.gz)."""

    job: str
    model_key: str
    input_prefix: str
    output_prefix: str
    format: "ResultFormat"
    max_runtime_seconds: int


@dataclass(frozen=True)
class TransformState:
    state: JobState
    rows: int | None
    done_rows: int
    failed_rows: int


class TransformRunner(Protocol):
    """Batch scoring. When a job is Completed, the results are one object, `{output_prefix}/{job}/results.{format}`:
    one row per input row, in order; a row that could not be scored has its reason in `error`.
    When it ends, an event `SageMaker Transform Job State Change` was handed to the platform, or `SageMaker Processing
    Job State Change` where it is run as one."""

    def start(self, spec: TransformSpec) -> None:
        """As TrainingRunner.start."""

    def describe(self, job: str) -> TransformState:
        """Raises NotFound."""

    def stop(self, job: str) -> None:
        """As TrainingRunner.stop."""


# --------------------------------------------------------------------------- pipelines


@dataclass(frozen=True)
class PipelineState:
    """`steps` in the order they were entered, those not reached left out. A failed one has `error` and `cause`."""

    status: "ExecutionStatus"
    started_at: str
    ended_at: str | None = None
    error: str | None = None
    cause: str | None = None
    steps: "Sequence[Step]" = ()


class PipelineRunner(Protocol):
    """Durable executions of the one workflow of domain.pipelines: whatever dies meanwhile, an execution goes on at the
    step it was in, and ends once. The steps' work is services.tasks; every task is idempotent, and may be called again.
    Unavailable and its like are tried again with back-off; any other error leads to RecordFailure and FAILED.
    When an execution ends, an event `Step Functions Execution Status Change` was handed to the platform."""

    def start(self, execution: str, input: Mapping[str, Any]) -> None:  # noqa: A002 - Step Functions' word
        """Idempotent by `execution`: one of that name, in whatever state, is left as it is.

        `input`: {"execution", "dataset"}. Raises Unavailable when there is no room for it now.
        """

    def describe(self, execution: str) -> PipelineState:
        """Raises NotFound for one that was never started here."""

    def stop(self, execution: str, cause: str) -> None:
        """End it as ABORTED: no further step begins. No error when it has ended. Raises NotFound.

        The jobs it waits for are the caller's to stop, unless the runner runs them itself.
        """

    def retry(self, execution: str) -> None:
        """Go on at the step that failed, or was left when it was stopped; steps that succeeded are not repeated.

        Raises Conflict unless it is FAILED, TIMED_OUT or ABORTED; NotFound.
        """


@dataclass(frozen=True)
class JobRequest:
    """`request`: passed on to the engine as it is."""

    engine: Literal["sagemaker", "glue", "none"]
    request: Mapping[str, Any]


NO_JOB = JobRequest("none", {})
"""There is nothing to begin."""


class JobRequests(Protocol):
    """For a PipelineRunner that begins jobs itself: what it begins them with. A job so begun is the one that the
    ProcessingRunner or the TrainingRunner describes, stops and would have begun."""

    def preprocess(self, spec: ProcessingSpec, *, size_bytes: int) -> JobRequest:
        """What else the job reads is stored before this returns. Raises NameTaken when a job of that name exists that
        is not this platform's."""

    def train(self, spec: TrainingSpec) -> JobRequest:
        """Raises NameTaken as above."""


# --------------------------------------------------------------------------- endpoints


@dataclass(frozen=True)
class VariantSpec:
    variant: str
    model_version: str
    model_key: str
    weight: float


HostStatus = Literal["Creating", "InService", "Updating", "Failed", "Deleting"]


@dataclass(frozen=True)
class EndpointState:
    """`serving` is what answers now; `failure_reason` why the last deploy failed, if it did.

    `changed_at`: when its last deploy began or ended, by the host's clock; never empty, and good only for being
    compared with itself: the same failure seen again has the same.
    """

    status: HostStatus
    serving: Sequence[VariantSpec]
    pending: Sequence[VariantSpec] = ()
    failure_reason: str | None = None
    changed_at: str = field(kw_only=True)


@dataclass(frozen=True)
class Invocation:
    """The container's answer, error statuses included (4xx: the body says what is wrong with the request).

    `variant` and `model_version` are empty for an error on AWS, which does not say whose it is, unless the variant
    was named in the request.
    """

    status: int
    body: bytes
    content_type: str
    variant: str
    model_version: str


class EndpointHost(Protocol):
    """Model servers behind a name. When a deploy ends, either way, an event
    `SageMaker Endpoint State Change` was handed to the platform."""

    def deploy(self, endpoint: str, variants: Sequence[VariantSpec]) -> None:
        """Begin to replace what serves. Returns at once. The old variants answer until all new ones are loaded;
        when a new one fails to load, the old ones go on serving and the state says why. Idempotent for what
        is serving or pending already.

        Raises Invalid when they can never be deployed, such as versions of another model than the one the endpoint is
        named after; Unavailable when something else has to end first. Nothing has changed then.
        """

    def describe(self, endpoint: str) -> EndpointState:
        """Raises NotFound."""

    def invoke(
        self, endpoint: str, body: bytes, *, content_type: str, accept: str, variant: str | None = None
    ) -> Invocation:
        """Score with a variant drawn by weight, or the one named.

        Raises NotFound (no endpoint or variant of that name), Conflict (never yet in service), Unavailable
        (server is gone or restarting, or its queue is full), TooLarge (over 6 MB).
        """

    def delete(self, endpoint: str) -> None:
        """Stop serving; no error when absent."""


# --------------------------------------------------------------------------- registry outside


@dataclass(frozen=True)
class MirroredVersion:
    """A model version as it is to be shown. `comment`: of its last decision."""

    version: str
    model: str
    number: int
    bundle_key: str
    evaluation_key: str
    approval_status: "ApprovalStatus"
    comment: str = ""


@dataclass(frozen=True)
class OutsideVersion:
    """What the registry outside says of a version. `by`: who changed it last, empty when it does not say."""

    version: str
    approval_status: "ApprovalStatus"
    by: str
    comment: str


class ModelMirror(Protocol):
    """Shows model versions in a registry outside, where people may decide too; the records stay authoritative.
    When something changes there, an event `SageMaker Model Package State Change` was handed to the platform."""

    def show(self, version: MirroredVersion) -> None:
        """Make it show this version with this status. Idempotent. What was decided there already stays so when the
        status is PendingManualApproval, to which nothing can return."""

    def read(self, reference: str) -> OutsideVersion | None:
        """What it says of the version that an event's reference means; None when that is none of this platform."""


# --------------------------------------------------------------------------- metrics


@dataclass(frozen=True)
class Metric:
    """A series of numbers, and of what: another set of dimensions is another metric, not a part of this one.

    Names and values are 1 to 255 characters of printable ASCII, not all blank; no name begins with a colon, and no
    dimension is named as the metric is. At most 30 dimensions.
    """

    name: str
    dimensions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Point:
    """`value` is finite; `at` is aware, at most 14 days ago and at most 2 hours ahead. A metric keeps to one unit."""

    metric: Metric
    value: float
    unit: "Unit"
    at: datetime


@dataclass(frozen=True)
class PeriodValue:
    """The statistic over the period that begins at `at`."""

    at: datetime
    value: float


@dataclass(frozen=True)
class Alarm:
    """Watches one metric: in ALARM when at least `datapoints_to_alarm` of the last `evaluation_periods` periods breach
    the threshold, by the statistic over each.

    `period` in seconds: a multiple of 60, at most a day. All periods together are at most a day, or a week when a
    period is at least an hour. Periods without data are left out, or breach when `missing_breaches`. `alarm` is its
    name, 1 to 140 characters of printable ASCII without blanks.
    """

    alarm: str
    metric: Metric
    statistic: "Statistic"
    comparison: "Comparison"
    threshold: float
    period: int
    evaluation_periods: int = 1
    datapoints_to_alarm: int = 1
    missing_breaches: bool = False
    description: str = ""


@dataclass(frozen=True)
class AlarmStatus:
    """`since`: when it came into this state; `reason` says why, in a sentence."""

    alarm: Alarm
    state: "AlarmState"
    reason: str
    since: datetime


@dataclass(frozen=True)
class AlarmPage:
    alarms: Sequence[AlarmStatus]
    next_token: str | None


class MetricSink(Protocol):
    """Numbers over time, and alarms on them. When an alarm's state changes, an event `CloudWatch Alarm State Change`
    was handed to the platform.

    Any method raises BadRequest for what the dataclasses rule out, and Unavailable when the store does not answer.
    """

    def write(self, points: Sequence[Point]) -> None:
        """Keep at most 1,000 points; they survive the process once this returned. Raises StorageFull.

        A point written twice may count twice. On AWS a point is seen some seconds later.
        """

    def series(
        self, metric: Metric, *, start: datetime, end: datetime, period: int, statistic: "Statistic"
    ) -> Sequence[PeriodValue]:
        """The statistic over each period from `start` to before `end`, oldest first. Periods begin at multiples of
        `period` seconds, and the first is the one that `start` lies in. One without points is left out: it is not zero.

        `period`: a multiple of 60, at most a day; of 300 when `start` is over 15 days ago, of 3,600 over 63 days.
        Raises BadRequest for more than 1,440 periods.
        """

    def put_alarm(self, alarm: Alarm) -> None:
        """Make or change an alarm. A new one is INSUFFICIENT_DATA until it was evaluated, at most a few minutes later;
        putting the same again changes nothing."""

    def delete_alarm(self, alarm: str) -> None:
        """No error when absent."""

    def alarm(self, alarm: str) -> AlarmStatus:
        """Raises NotFound.

        Without data it is never OK: once all periods it looks at are empty, it is INSUFFICIENT_DATA, or ALARM when
        `missing_breaches`. CloudWatch looks a few periods further back than asked before it says so.
        """

    def alarms(self, *, limit: int = 100, token: str | None = None) -> AlarmPage:
        """One page of at most `limit` (1..100) alarms, by name. Raises BadRequest for a token this did not give."""

    def alarm_of_event(self, reference: str) -> AlarmStatus | None:
        """As alarm, for the name in an event; None when it is none of this platform, or is gone."""


# --------------------------------------------------------------------------- people outside


@dataclass(frozen=True)
class Notice:
    """What people are told. `key` names what happened: the same thing told again has the same key. `kind` is a word
    to filter by, such as `training.failed`; `path`: where on this platform to look; `at` in RFC 3339.

    `key` and `kind` are 1 to 200 characters of printable ASCII without blanks; `subject` is one line of at most 200
    characters; `body` has at most 20,000.
    """

    key: str
    kind: str
    severity: "Severity"
    subject: str
    body: str
    at: str
    path: str | None = None


@dataclass(frozen=True)
class Receipt:
    """`channel`: which way it went, such as `sns`; `reference`: the receiver's own name for it, empty without one."""

    channel: str
    reference: str = ""


class Notifier(Protocol):
    """Hands notices to whatever tells people. One call is one attempt; services.alerts keeps trying, so that a notice
    arrives at least once. A receiver tells a repeat by the key, which comes with every notice as it was given."""

    def send(self, notice: Notice) -> Receipt:
        """Returns once the receiver has taken it for good. Ends within a minute.

        Raises BadRequest for a notice out of bounds; Unavailable when the receiver cannot be reached or did not take
        it; Invalid when it never will as things are configured, saying which setting to mend.
        """
