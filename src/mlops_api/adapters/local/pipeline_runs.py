"""What the local runner keeps of an execution: one record, changed by compare-and-set at every step."""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, Field

from mlops_api.adapters.local.pipeline_states import following
from mlops_api.domain.errors import Conflict, NotFound
from mlops_api.domain.pipelines import ENDED, MAX_CAUSE, ON_FAILURE, ExecutionStatus, Step
from mlops_api.ports import PipelineState, Place, Record, RecordStore

_KIND = "pipeline-run"


class Run(BaseModel):
    """`steps` as they were entered; the last one is under way while it is RUNNING. `error` and `cause` are set before
    RecordFailure begins."""

    execution: str
    input: dict[str, Any]
    status: ExecutionStatus = "RUNNING"
    started_at: str
    resumed_at: str = Field(description="When it was started, or retried last: its time counts from here.")
    ended_at: str | None = None
    error: str | None = None
    cause: str | None = None
    steps: list[Step] = Field(default_factory=list)
    revision: int = Field(0, exclude=True)

    @property
    def current(self) -> Step | None:
        """The step under way."""
        return self.steps[-1] if self.steps and self.steps[-1].status == "RUNNING" else None

    def next_name(self) -> str | None:
        """The state to enter next; None: it has ended."""
        if self.error is not None:
            return None if self._was_recorded() else ON_FAILURE
        last = self.steps[-1] if self.steps else None
        return following(last.name, last.output) if last else following(None, None)

    def _was_recorded(self) -> bool:
        return bool(self.steps) and self.steps[-1].name == ON_FAILURE and self.steps[-1].status == "SUCCEEDED"

    # ---- moves

    def entered(self, name: str, now: str) -> "Run":
        failure = {"error": self.error or "", "cause": self.cause or ""} if name == ON_FAILURE else {}
        attempt = 1 + sum(step.name == name for step in self.steps)
        step = Step(name=name, status="RUNNING", entered_at=now, input=self.input | failure, attempt=attempt)
        return self._with(steps=[*self.steps, step])

    def succeeded(self, output: dict[str, Any], now: str) -> "Run":
        return self._exited(now, status="SUCCEEDED", output=output)

    def tried(self) -> "Run":
        """The step under way is tried again."""
        return self._step(attempt=self.steps[-1].attempt + 1)

    def failed(self, error: str, cause: str, now: str) -> "Run":
        """The step under way failed; RecordFailure is next."""
        kept = cause[:MAX_CAUSE]
        return self._exited(now, status="FAILED", error=error, cause=kept)._with(error=error, cause=kept)

    def ended(self, status: ExecutionStatus, now: str, error: str | None = None, cause: str | None = None) -> "Run":
        """A step under way ends with it."""
        left = self._exited(now, status=status, error=error, cause=cause) if self.current else self
        return left._with(status=status, ended_at=now, error=error or self.error, cause=cause or self.cause)

    def retried(self, now: str) -> "Run":
        """Go on at the step that failed or was left. Raises Conflict unless it ended, and not well."""
        if self.status not in ENDED or self.status == "SUCCEEDED":
            raise Conflict(
                f"{self.execution} is {self.status}: there is no step to go on from.", status_now=self.status
            )
        kept = [step for step in self.steps if step.status == "SUCCEEDED" and step.name != ON_FAILURE]
        left = next((step for step in self.steps if step.status not in ("SUCCEEDED", "RUNNING")), None)
        changed = self._with(steps=kept, status="RUNNING", ended_at=None, error=None, cause=None, resumed_at=now)
        return changed if left is None else changed._again(left, now)

    def _again(self, left: Step, now: str) -> "Run":
        step = Step(name=left.name, status="RUNNING", entered_at=now, input=left.input, attempt=left.attempt + 1)
        return self._with(steps=[*self.steps, step])

    def _exited(self, now: str, **changes: Any) -> "Run":
        return self._step(exited_at=now, **changes)

    def _step(self, **changes: Any) -> "Run":
        return self._with(steps=[*self.steps[:-1], self.steps[-1].model_copy(update=changes)])

    def _with(self, **changes: Any) -> "Run":
        return self.model_copy(update=changes)

    def state(self) -> PipelineState:
        return PipelineState(self.status, self.started_at, self.ended_at, self.error, self.cause, tuple(self.steps))


class Runs:
    """The records of executions."""

    def __init__(self, records: RecordStore) -> None:
        self._records = records

    def get(self, execution: str) -> Run:
        """Raises NotFound."""
        try:
            return _read(self._records.get(_KIND, execution))
        except NotFound as error:
            raise NotFound(f"There is no execution {execution!r}.") from error

    def save(self, run: Run) -> Run:
        """Raises AlreadyExists or RevisionMismatch when another was quicker."""
        place = {"status": Place(f"{_KIND}/{run.status}", run.started_at)}
        data = run.model_dump(mode="json")
        return _read(self._records.put(Record(_KIND, run.execution, data, place, run.revision)))  # type: ignore[arg-type]

    def under_way(self) -> Iterator[str]:
        token: str | None = None
        while True:
            page = self._records.query("status", f"{_KIND}/RUNNING", limit=200, token=token)
            yield from (record.key for record in page.records)
            token = page.next_token
            if token is None:
                return


def _read(record: Record) -> Run:
    return Run(**record.data, revision=record.revision)
