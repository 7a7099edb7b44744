"""The dashboard's figures, each with the path of the list behind it. Bounded work whatever the platform holds."""

from datetime import timedelta

from mlops_api.domain.dashboard import Attention, ChampionFigure, DashboardStats, Figure, RunningJob
from mlops_api.domain.names import CHAMPION, version_id
from mlops_api.domain.times import Clock, parse_rfc3339, rfc3339
from mlops_api.ports import Count, RecordStore
from mlops_api.services.batch import transform_collection
from mlops_api.services.dataset_records import dataset_collection
from mlops_api.services.endpoint_records import endpoint_collection
from mlops_api.services.model_records import MODELS, ModelRecord, ModelResolver, StoredVersion
from mlops_api.services.serving_figures import ServingFigures
from mlops_api.services.training import TrainingService
from mlops_api.services.training_records import StoredJob, job_collection

_LISTED = 20
_SUMMED = 1000
_CHAMPIONS = 200
_RECENT = timedelta(days=7)
_MONTH = timedelta(days=30)


class DashboardService:
    def __init__(
        self, *, records: RecordStore, training: TrainingService, figures: ServingFigures, clock: Clock
    ) -> None:
        self._records = records
        self._training = training
        self._figures = figures
        self._clock = clock
        self._datasets = dataset_collection(records)
        self._jobs = job_collection(records)
        self._endpoints = endpoint_collection(records)
        self._transforms = transform_collection(records)
        self._resolver = ModelResolver(records)

    def stats(self) -> DashboardStats:
        return DashboardStats(
            generated_at=rfc3339(self._clock()),
            counts=self._counts(),
            needs_attention=self._needs_attention(),
            running=self._running(),
            champions=self._champions(),
            serving=self._serving(),
            cost=self._cost(),
            storage=self._storage(),
        )

    def _counts(self) -> dict[str, Figure]:
        asked = {
            "datasets": ("all", "dataset", "/datasets"),
            "datasets_ready": ("status", "dataset/Ready", "/datasets?status=Ready"),
            "training_jobs": ("all", "training-job", "/training/jobs"),
            "training_jobs_running": ("status", "training-job/InProgress", "/training/jobs?status=InProgress"),
            "training_jobs_failed": ("status", "training-job/Failed", "/training/jobs?status=Failed"),
            "model_versions": ("all", "model-version", "/models"),
            "pending_approval": (
                "status",
                "model-version/PendingManualApproval",
                "/models?approval_status=PendingManualApproval",
            ),
            "endpoints": ("all", "endpoint", "/inference/endpoints"),
            "batch_jobs": ("all", "transform-job", "/inference/batch"),
        }
        return {
            name: _figure(self._records.count(index, partition), path)  # type: ignore[arg-type]  # literals above
            for name, (index, partition, path) in asked.items()
        }

    # ---- what needs a person

    def _needs_attention(self) -> list[Attention]:
        since = rfc3339(self._clock() - _RECENT)
        found = self._failed_jobs(since) + self._rejected(since) + self._pending() + self._failed_endpoints()
        found += self._failed_batches(since)
        return sorted(found, key=lambda item: item.at, reverse=True)

    def _failed_jobs(self, since: str) -> list[Attention]:
        page = self._jobs.page("status", "training-job/Failed", limit=_LISTED, after=since)
        return [
            Attention(
                kind="failed_job",
                id=job.job,
                message=job.failure_reason or "failed",
                at=job.ended_at or job.created_at,
                path=f"/training/jobs/{job.job}",
            )
            for job in page.values
        ]

    def _rejected(self, since: str) -> list[Attention]:
        page = self._datasets.page("status", "dataset/Rejected", limit=_LISTED, after=since)
        return [
            Attention(
                kind="rejected_dataset",
                id=value.version,
                message=value.failure_reason or f"{value.violation_count} violations",
                at=value.created_at,
                path=f"/datasets/{value.version}/quality",
            )
            for value in page.values
        ]

    def _pending(self) -> list[Attention]:
        page = self._resolver.versions.page("status", "model-version/PendingManualApproval", limit=_LISTED)
        return [
            Attention(
                kind="pending_approval",
                id=value.version,
                message=f"{value.objective} {value.objective_value}",
                at=value.created_at,
                path=f"/models/{value.version}",
            )
            for value in page.values
        ]

    def _failed_endpoints(self) -> list[Attention]:
        page = self._endpoints.page("status", "endpoint/Failed", limit=_LISTED)
        return [
            Attention(
                kind="failed_endpoint",
                id=value.endpoint,
                message=value.failure_reason or "failed",
                at=value.updated_at,
                path=f"/inference/endpoints/{value.endpoint}",
            )
            for value in page.values
        ]

    def _failed_batches(self, since: str) -> list[Attention]:
        page = self._transforms.page("status", "transform-job/Failed", limit=_LISTED, after=since)
        return [
            Attention(
                kind="failed_batch",
                id=job.transform_job,
                message=job.failure_reason or "failed",
                at=job.ended_at or job.created_at,
                path=f"/inference/batch/{job.transform_job}",
            )
            for job in page.values
        ]

    # ---- what goes on

    def _running(self) -> list[RunningJob]:
        page = self._training.page(
            model=None, status="InProgress", by_metric=False, descending=True, limit=_LISTED, token=None
        )
        return [
            RunningJob(job=job.job, status=job.status, progress=job.progress, path=f"/training/jobs/{job.job}")
            for job in page.jobs
        ]

    def _champions(self) -> list[ChampionFigure]:
        crowned = self._resolver.models.page("status", f"{MODELS}/crowned", descending=False, limit=_CHAMPIONS).values
        numbers = [version_id(model.model, number) for model in crowned for number in _last_two(model)]
        versions = self._resolver.versions.find_many(numbers)
        endpoints = self._endpoints.find_many([model.model for model in crowned])
        return [
            _champion(model, versions, endpoints[model.model].status if model.model in endpoints else None)
            for model in crowned
        ]

    def _serving(self) -> dict[str, Figure]:
        now = self._figures.snapshot()
        values = {
            "requests": (now.requests, "requests since start"),
            "refused": (now.refused, "requests since start"),
            "failed": (now.failed, "requests since start"),
            "p50": (now.p50_ms, "ms"),
            "p95": (now.p95_ms, "ms"),
        }
        return {
            name: Figure(value=value, path="/inference/endpoints", unit=unit)
            for name, (value, unit) in values.items()
            if value is not None
        }

    def _cost(self) -> dict[str, Figure]:
        since = rfc3339(self._clock() - _MONTH)
        page = self._jobs.page("all", "training-job", limit=_SUMMED, after=since)
        seconds = sum(_seconds(job) for job in page.values)
        exact = page.next_token is None
        figure = Figure(value=round(seconds, 1), path="/training/jobs", unit="seconds in 30 days", exact=exact)
        return {"training_seconds": figure}

    def _storage(self) -> dict[str, Figure]:
        datasets = self._datasets.page("all", "dataset", limit=_SUMMED)
        versions = self._resolver.versions.page("all", "model-version", limit=_SUMMED)
        return {
            "datasets": Figure(
                value=sum(value.size_bytes for value in datasets.values),
                path="/datasets",
                unit="bytes",
                exact=datasets.next_token is None,
            ),
            "models": Figure(
                value=sum(value.size_bytes for value in versions.values),
                path="/models",
                unit="bytes",
                exact=versions.next_token is None,
            ),
        }


def _figure(count: Count, path: str) -> Figure:
    return Figure(value=count.value, path=path, exact=count.exact)


def _last_two(model: ModelRecord) -> list[int]:
    earlier = [number for number in model.champions if number != model.aliases[CHAMPION]]
    return [model.aliases[CHAMPION], *earlier[-1:]]


def _champion(model: ModelRecord, versions: dict[str, StoredVersion], endpoint: str | None) -> ChampionFigure:
    now, *before = [versions[version_id(model.model, number)] for number in _last_two(model)]
    return ChampionFigure(
        model=model.model,
        version=now.version,
        objective=now.objective,
        value=now.objective_value,
        previous_version=before[0].version if before else None,
        previous_value=before[0].objective_value if before else None,
        endpoint_status=endpoint,
        path=f"/models/{now.version}",
    )


def _seconds(job: StoredJob) -> float:
    if job.started_at is None or job.ended_at is None:
        return 0.0
    return (parse_rfc3339(job.ended_at) - parse_rfc3339(job.started_at)).total_seconds()
