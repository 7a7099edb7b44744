"""What a Step Functions state may ask for: {"task": name, ...}. The answer is the object as the HTTP API shows it.

A failure is raised by its name in domain.errors, so that a state's Retry can name Unavailable and its Catch Conflict.
Approving is not among the tasks: that is a person's, or a gate's that a person set.
"""

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mlops_api.domain.errors import BadRequest, Invalid
from mlops_api.domain.inference import StartBatch
from mlops_api.domain.pipelines import plain_cause
from mlops_api.domain.training import StartTraining
from mlops_api.services.platform import Platform
from mlops_api.services.principal import PLATFORM


class _Task(BaseModel):
    model_config = ConfigDict(extra="forbid")

    task: str


class _Chore(_Task):
    pass


class _Dataset(_Task):
    version: str


class _Job(_Task):
    job: str


class _Endpoint(_Task):
    endpoint: str


class _StartTraining(_Task):
    """`key`: the execution's id; the same key again starts nothing new, however often a state is retried."""

    key: str = Field(min_length=1, max_length=200)
    request: StartTraining


class _StartBatch(_Task):
    key: str = Field(min_length=1, max_length=200)
    request: StartBatch


class _Step(_Task):
    """A step of a pipeline execution; what else the state machine's input holds is passed over."""

    model_config = ConfigDict(extra="ignore")

    execution: str


class _Candidate(_Step):
    job: str


class _Failure(_Step):
    """`cause`: as Step Functions hands it over: a Lambda function's error is a JSON document."""

    error: str
    cause: str = ""


class _Ending(_Failure):
    """`failed_at`: how often it had been redriven when it failed; `redrives`: by now."""

    failed_at: int
    redrives: int


class Tasks:
    def __init__(self, platform: Platform) -> None:
        steps = platform.pipelines.steps
        self._tasks: dict[str, tuple[type[_Task], Callable[[Any], BaseModel | Mapping[str, Any] | None]]] = {
            "prepare": (_Step, lambda asked: steps.prepare(asked.execution)),
            "preprocess": (_Step, lambda asked: steps.preprocess(asked.execution)),
            "check_quality": (_Step, lambda asked: steps.check_quality(asked.execution)),
            "plan_training": (_Step, lambda asked: steps.plan_training(asked.execution)),
            "train": (_Step, lambda asked: steps.train(asked.execution)),
            "prepare_candidate": (_Candidate, lambda asked: steps.prepare_candidate(asked.execution, asked.job)),
            "settle_candidate": (_Candidate, lambda asked: steps.settle_candidate(asked.execution, asked.job)),
            "evaluate": (_Step, lambda asked: steps.evaluate(asked.execution)),
            "register": (_Step, lambda asked: steps.register(asked.execution)),
            "notify": (_Step, lambda asked: steps.notify(asked.execution)),
            "record_failure": (
                _Failure,
                lambda asked: steps.record_failure(asked.execution, asked.error, plain_cause(asked.cause)),
            ),
            "fail": (_Ending, _fail),
            "tidy": (_Chore, lambda _: platform.tidy()),
            "dataset": (_Dataset, lambda asked: platform.datasets.get(asked.version)),
            "start_training": (
                _StartTraining,
                lambda asked: platform.training.start(PLATFORM, asked.request, asked.key),
            ),
            "training_job": (_Job, lambda asked: platform.training.get(asked.job)),
            "start_batch": (_StartBatch, lambda asked: platform.batch.start(PLATFORM, asked.request, asked.key)),
            "batch_job": (_Job, lambda asked: platform.batch.get(asked.job)),
            "endpoint": (_Endpoint, lambda asked: platform.endpoints.get(asked.endpoint)),
        }

    @staticmethod
    def ending(event: Mapping[str, Any]) -> None:
        """The task `fail`, which needs no platform."""
        _fail(_Ending.model_validate(event))

    def run(self, event: Mapping[str, Any]) -> dict[str, Any] | None:
        """Raises BadRequest for an unknown task, Invalid for wrong members, and what the service raises."""
        name = event["task"]
        if name not in self._tasks:
            raise BadRequest(f"Unknown task {name!r}; known: {', '.join(self._tasks)}.")
        shape, action = self._tasks[name]
        answer = action(_read(shape, event))
        if isinstance(answer, BaseModel):
            return answer.model_dump(mode="json")
        return dict(answer) if answer is not None else None


def _read(shape: type[_Task], event: Mapping[str, Any]) -> _Task:
    try:
        return shape.model_validate(event)
    except ValidationError as error:
        places = [(".".join(map(str, item["loc"])), item["msg"]) for item in error.errors(include_input=False)]
        errors = [{"field": field, "message": message} for field, message in places]
        raise Invalid(f"Task {event['task']}: {'; '.join(': '.join(place) for place in places)}", errors) from error


def _fail(asked: _Ending) -> None:
    """Raise what was caught, by its name; not when the execution was redriven since, so that it goes on."""
    if asked.redrives <= asked.failed_at:
        # `States.` is kept for what Step Functions itself reports.
        name = asked.error.removeprefix("States.") or "Failed"
        raise type(name, (Exception,), {})(plain_cause(asked.cause))
