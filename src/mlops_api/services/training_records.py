"""The record of a training job, and what its runner is asked for."""

from collections.abc import Mapping
from typing import Any

from mlops_api.domain.ordering import sortable
from mlops_api.domain.times import parse_rfc3339
from mlops_api.domain.training import TERMINAL, TrainingJob
from mlops_api.ports import Index, JobState, Place, RecordStore, TrainingSpec
from mlops_api.services.collection import Collection
from mlops_api.services.dataset_records import table_prefix
from mlops_api.services.job_life import JobRecord
from mlops_api.services.tally import Card, Counts, Tally, attention
from mlops_contracts.hyperparameters import HYPERPARAMETERS
from mlops_contracts.job import JobConfig, encode
from mlops_contracts.metrics import OBJECTIVE, goodness

JOBS = "training-job"
OUTPUT_PREFIX = "training"
PATH = "/training/jobs"
RUNNING = "2-running"
"""A section of cards."""


class StoredJob(TrainingJob, JobRecord):
    """The record: the job as clients see it and what its spec needs."""

    dataset_sha256: str
    champion_key: str | None = None
    """Where the bundle of `champion` lies."""
    objective_value: float | None = None


def model_key(job: str) -> str:
    """Where the runner leaves the bundle."""
    return f"{OUTPUT_PREFIX}/{job}/output/model.tar.gz"


def job_collection(records: RecordStore) -> Collection[StoredJob]:
    def places(job: StoredJob) -> Mapping[Index, Place]:
        found: dict[Index, Place] = {
            "all": Place(JOBS, job.created_at),
            "group": Place(f"{JOBS}/{job.model}", job.created_at),
            "status": Place(f"{JOBS}/{job.status}", job.created_at),
            "group_status": Place(f"{JOBS}/{job.model}/{job.status}", job.created_at),
            "related": Place(f"dataset/{job.dataset}", job.created_at),
        }
        if job.objective_value is not None and job.problem_type is not None:
            found["rank"] = Place(
                f"{JOBS}/{job.model}", sortable(goodness(OBJECTIVE[job.problem_type][0], job.objective_value))
            )
        return found

    return Collection(
        records,
        "training-job",
        StoredJob,
        what="training job",
        key=lambda job: job.job,
        places=places,
        tally=Tally(_counts, _card),
    )


def _counts(job: StoredJob) -> Counts:
    counts = {"training_jobs": 1, f"training_jobs/{job.status}": 1}
    if job.status in TERMINAL and job.started_at is not None and job.ended_at is not None:
        taken = parse_rfc3339(job.ended_at) - parse_rfc3339(job.started_at)
        counts[f"training_ms@{job.ended_at[:10]}"] = round(taken.total_seconds() * 1000)
    return counts


def _card(job: StoredJob) -> Card | None:
    if job.status == "InProgress":
        return Card("now", f"{RUNNING}/{job.created_at}", {"job": job.job, "status": job.status})
    if job.status != "Failed":
        return None
    at = job.ended_at or job.created_at
    return attention("failed_job", job.job, job.failure_reason or "failed", at, f"{PATH}/{job.job}", days=7)


def spec_of(job: StoredJob) -> TrainingSpec:
    config = JobConfig(
        algorithm=job.algorithm,
        model=job.model,
        dataset=job.dataset,
        dataset_sha256=job.dataset_sha256,
        target=job.target,
        problem_type=job.problem_type,
        exclude=tuple(job.exclude),
        time_column=job.time_column,
        validation_fraction=job.validation_fraction,
        seed=job.seed,
        split=job.split,
        champion=job.champion,
    )
    name, _, number = job.dataset.partition(":")
    return TrainingSpec(
        job=job.job,
        hyperparameters=encode(config, HYPERPARAMETERS[job.algorithm].model_validate(job.hyperparameters)),
        data_prefix=table_prefix(name, int(number)),
        output_prefix=OUTPUT_PREFIX,
        max_runtime_seconds=job.max_runtime_seconds,
        instance_type=job.instance_type,
        instance_count=job.instance_count,
        spot=job.spot,
        champion_key=job.champion_key,
    )


def progress_of(state: JobState) -> dict[str, Any]:
    return {
        "secondary_status": state.secondary_status,
        "progress": state.progress,
        "metrics": dict(state.metrics),
        "failure_reason": state.failure_reason,
        "started_at": state.started_at,
        "ended_at": state.ended_at,
        "attempt": state.attempt,
    }


def visible(job: StoredJob) -> TrainingJob:
    return TrainingJob.model_validate(job.model_dump())
