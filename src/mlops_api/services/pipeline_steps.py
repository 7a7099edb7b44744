"""The work of each step, for both modes: the local runner and the state machine call it by services.tasks.

Every method is idempotent, takes the execution's name and returns plain data, which becomes the step's output. A job
has two halves: what is recorded before it runs, and what is written once it has ended. Between them it is run by
`preprocess` and `train` on one machine, and by the state machine itself on AWS.
"""

from dataclasses import asdict
from typing import Any

from mlops_api.domain.errors import StillRunning
from mlops_api.domain.pipelines import MAX_CAUSE, Candidate, DatasetRejected, NoCandidate
from mlops_api.domain.training import TERMINAL
from mlops_api.ports import NO_JOB, JobRequests, RecordStore
from mlops_api.services.collection import Stored
from mlops_api.services.contention import until_unbeaten
from mlops_api.services.dataset_records import StoredDataset
from mlops_api.services.dataset_validation import processing_job
from mlops_api.services.datasets import DatasetService
from mlops_api.services.pipeline_gate import PipelineGate
from mlops_api.services.pipeline_news import PipelineNews
from mlops_api.services.pipeline_plan import PipelinePlan
from mlops_api.services.pipeline_records import StoredExecution, execution_collection
from mlops_api.services.principal import Principal
from mlops_api.services.recipes import RecipeService
from mlops_api.services.training import TrainingService

Output = dict[str, Any]


class PipelineSteps:
    def __init__(
        self,
        *,
        records: RecordStore,
        datasets: DatasetService,
        training: TrainingService,
        recipes: RecipeService,
        plan: PipelinePlan,
        gate: PipelineGate,
        news: PipelineNews,
        requests: JobRequests | None = None,
    ) -> None:
        self._datasets = datasets
        self._training = training
        self._recipes = recipes
        self._gate = gate
        self._news = news
        self._requests = requests
        self._plan = plan
        self._executions = execution_collection(records)

    # ---- validation

    def prepare(self, execution: str) -> Output:
        """What is to be validated, and where the runner begins the job, with which request. Raises NotFound when the
        version was deleted meanwhile."""
        dataset = self._dataset(execution)
        found = {"dataset": dataset.version, "job": processing_job(dataset)}
        if self._requests is None:
            return found
        if dataset.status != "Validating":  # an execution asked for by hand
            return found | asdict(NO_JOB)
        spec = self._datasets.validation.spec(dataset)
        return found | asdict(self._requests.preprocess(spec, size_bytes=dataset.size_bytes))

    def preprocess(self, execution: str) -> Output:
        """Begin the processing job unless it was begun; `status` InProgress until the verdict is written."""
        dataset = self._dataset(execution)
        self._datasets.validation.carry_on(dataset)
        waits = self._dataset(execution).status == "Validating"
        return {"status": "InProgress" if waits else "Completed", "jobs": [processing_job(dataset)]}

    def check_quality(self, execution: str) -> Output:
        """`train`: the dataset has a recipe. Raises DatasetRejected; StillRunning while there is no verdict."""
        version = self._executions.get(execution).value.dataset
        self._datasets.validation.carry_on(self._dataset(execution))
        dataset = self._dataset(execution)
        if dataset.status == "Rejected":
            raise DatasetRejected(self._why(version))
        if dataset.status != "Ready":
            raise StillRunning(f"{version} is {dataset.status}: its validation has not ended.")
        figures = {"rows": dataset.rows, "columns": dataset.column_count, "warnings": dataset.warning_count}
        return {"dataset": version, **figures, "train": self._recipes.find(dataset.name) is not None}

    def _why(self, version: str) -> str:
        quality = self._datasets.quality(version)
        first = quality.violations[0]
        places = [("column", first.column), ("row", first.row), ("line", first.line)]
        place = ", ".join(f"{name} {value}" for name, value in places if value is not None)
        more = f" There are {quality.violation_count} violations." if quality.violation_count > 1 else ""
        where = f"{first.code} at {place}" if place else first.code
        return f"{version} was refused: {where}: {first.message}{more} All of it: mlops data show {version}"[:MAX_CAUSE]

    # ---- training

    def plan_training(self, execution: str) -> Output:
        """Record the training jobs of the recipe as it is now. Raises NotFound when it is gone, and Invalid for one
        that does not suit the table."""
        planned = until_unbeaten(lambda: self._planned(execution), what=execution)
        self._plan.record(planned)
        return {"candidates": [_named(candidate) for candidate in planned.candidates], "champion": planned.champion}

    def _planned(self, execution: str) -> StoredExecution:
        stored = self._executions.get(execution)
        if stored.value.recipe is not None:
            return stored.value
        found = self._recipes.get(stored.value.dataset_name)
        candidates = self._plan.candidates(stored.value, found.recipe)
        changes = {
            "recipe": found.recipe,
            "recipe_revision": found.revision,
            "champion": self._plan.champion(stored.value, found.recipe),
            "candidates": candidates,
        }
        return self._executions.save(stored.with_value(stored.value.model_copy(update=changes))).value

    def train(self, execution: str) -> Output:
        """Begin the jobs that were not begun; `status` InProgress until all have ended, one way or another."""
        jobs = [self._training.carry_on(candidate.job) for candidate in self._candidates(execution)]
        waiting = [job.job for job in jobs if job.status not in TERMINAL]
        outcomes = [{"job": job.job, "status": job.status, "model_version": job.model_version} for job in jobs]
        return {"status": "InProgress" if waiting else "Completed", "jobs": waiting, "candidates": outcomes}

    def prepare_candidate(self, execution: str, job: str) -> Output:
        """The request that the runner begins one candidate with, where it begins jobs itself."""
        self._executions.get(execution)
        found = {"job": job}
        return found | asdict(self._requests.train(self._training.spec(job))) if self._requests is not None else found

    def settle_candidate(self, execution: str, job: str) -> Output:
        """Write the end of one candidate. One that was never begun is begun. Raises StillRunning until it ends."""
        self._executions.get(execution)
        ended = self._training.carry_on(job)
        if ended.status not in TERMINAL:
            raise StillRunning(f"{job} is {ended.status}: it has not ended.")
        return {"job": job, "status": ended.status, "model_version": ended.model_version}

    # ---- judging

    def evaluate(self, execution: str) -> Output:
        """Choose the best candidate by the gate's metric and compare it with the champion.

        Raises NoCandidate when no job ended well, StillRunning while one has not ended.
        """
        stored = self._executions.get(execution).value
        candidates = [self._ended(candidate) for candidate in stored.candidates]
        if not any(candidate.model_version for candidate in candidates):
            reasons = "; ".join(f"{each.job}: {each.failure_reason or each.status}" for each in candidates)
            raise NoCandidate(f"No training job ended well. {reasons}"[:MAX_CAUSE])
        candidates, verdict = self._gate.judge(stored, candidates)
        changes = {
            "candidates": candidates,
            "comparison": verdict,
            "model_version": verdict.candidate,
            "passed": verdict.passed,
        }
        self._note(execution, **changes)
        values = [_named(candidate) | {"value": candidate.value} for candidate in candidates]
        return {"candidates": values, "comparison": verdict.model_dump(mode="json")}

    def _ended(self, candidate: Candidate) -> Candidate:
        job = self._training.settled(candidate.job)
        if job.status not in TERMINAL:
            raise StillRunning(f"{job.job} is {job.status}: it has not ended.")
        changes = {"status": job.status, "model_version": job.model_version, "failure_reason": job.failure_reason}
        return candidate.model_copy(update=changes)

    def register(self, execution: str) -> Output:
        """Approve the best candidate, and deploy it, where the gate says so; else it waits for a person."""
        outcome = self._gate.decide(self._executions.get(execution).value)
        self._note(execution, approval=outcome)
        return {"approval": outcome}

    # ---- telling

    def notify(self, execution: str) -> Output:
        """Say what came of it."""
        subject = self._news.succeeded(self._executions.get(execution).value)
        self._note(execution, notification=subject)
        return {"subject": subject}

    def record_failure(self, execution: str, error: str, cause: str) -> Output:
        """Write what ended it, stop what is left under way, and say so."""
        self._note(execution, error=error, cause=cause[:MAX_CAUSE])
        self.stop_jobs(execution, f"its pipeline failed: {error}")
        subject = self._news.failed(self._executions.get(execution).value)
        self._note(execution, notification=subject)
        return {"error": error, "cause": cause[:MAX_CAUSE], "subject": subject}

    def stop_jobs(self, execution: str, reason: str) -> None:
        """Ask every job that is left under way to stop; a version without a verdict gets one."""
        stored = self._executions.get(execution).value
        dataset = self._datasets.find(stored.dataset)
        if dataset is not None:
            self._datasets.validation.give_up(dataset, reason)
        for candidate in stored.candidates:
            self._training.abandon(Principal(stored.created_by), candidate.job)

    # ---- helpers

    def _dataset(self, execution: str) -> StoredDataset:
        return self._datasets.stored(self._executions.get(execution).value.dataset)

    def _candidates(self, execution: str) -> list[Candidate]:
        return self._executions.get(execution).value.candidates

    def _note(self, execution: str, **changes: Any) -> None:
        def write() -> Stored[StoredExecution]:
            stored = self._executions.get(execution)
            return self._executions.save(stored.with_value(stored.value.model_copy(update=changes)))

        until_unbeaten(write, what=execution)


def _named(candidate: Candidate) -> dict[str, Any]:
    return candidate.model_dump(mode="json", include={"job", "algorithm", "hyperparameters", "model_version"})
