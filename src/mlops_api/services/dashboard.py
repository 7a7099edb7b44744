"""The dashboard's figures, each with the path of the list behind it: two pages of small records, whatever there is.

What they show is written together with what they tell of (ledger), and mended by recount.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from mlops_api.domain.dashboard import Attention, ChampionFigure, DashboardStats, Figure, RunningJob
from mlops_api.domain.times import Clock, rfc3339
from mlops_api.ports import Record, RecordStore
from mlops_api.services.endpoint_records import PATH as ENDPOINT_PATH
from mlops_api.services.endpoint_records import SECTION as ENDPOINTS
from mlops_api.services.ledger import ATTENTION, CARDS, FIGURES, NOW, every_figure
from mlops_api.services.model_records import CHAMPIONS
from mlops_api.services.pipeline_records import PATH as PIPELINES_PATH
from mlops_api.services.recount import RECOUNT
from mlops_api.services.serving_figures import ServingFigures
from mlops_api.services.training import TrainingService
from mlops_api.services.training_records import PATH as TRAINING_PATH
from mlops_api.services.training_records import RUNNING

_LISTED = 20
"""Of each kind."""

_CHAMPIONS = 200
_CARDS_READ = 800
_ATTENTION_READ = 400
_DAYS = 30

_COUNTS = {
    "datasets": ("datasets", "/datasets"),
    "datasets_ready": ("datasets/Ready", "/datasets?status=Ready"),
    "pipelines": ("pipelines", PIPELINES_PATH),
    "pipelines_running": ("pipelines/RUNNING", f"{PIPELINES_PATH}?status=RUNNING"),
    "training_jobs": ("training_jobs", TRAINING_PATH),
    "training_jobs_running": ("training_jobs/InProgress", f"{TRAINING_PATH}?status=InProgress"),
    "training_jobs_failed": ("training_jobs/Failed", f"{TRAINING_PATH}?status=Failed"),
    "model_versions": ("model_versions", "/models"),
    "pending_approval": (
        "model_versions/PendingManualApproval",
        "/models?approval_status=PendingManualApproval",
    ),
    "endpoints": ("endpoints", ENDPOINT_PATH),
    "batch_jobs": ("batch_jobs", "/inference/batch"),
}
"""The figure that is counted, and the list behind it."""


class DashboardService:
    def __init__(
        self, *, records: RecordStore, training: TrainingService, figures: ServingFigures, clock: Clock
    ) -> None:
        self._records = records
        self._training = training
        self._figures = figures
        self._clock = clock

    def stats(self) -> DashboardStats:
        now = self._clock()
        stands = self._records.query("all", NOW, limit=_CARDS_READ).records
        attention = self._records.query("all", ATTENTION, descending=True, limit=_ATTENTION_READ).records
        sums = every_figure(record for record in stands if record.kind == FIGURES)
        exact = any(record.kind == RECOUNT for record in stands)
        endpoints = _section(stands, ENDPOINTS)
        return DashboardStats(
            generated_at=rfc3339(now),
            counts={
                name: Figure(value=sums.get(figure, 0), path=path, exact=exact)
                for name, (figure, path) in _COUNTS.items()
            },
            needs_attention=_needs_attention([record.data for record in attention], endpoints),
            running=self._running(_section(stands, RUNNING)),
            champions=_champions(_section(stands, CHAMPIONS), endpoints),
            serving=self._serving(),
            cost={"training_seconds": _training_seconds(sums, now, exact)},
            storage={
                "datasets": Figure(value=sums.get("dataset_bytes", 0), path="/datasets", unit="bytes", exact=exact),
                "models": Figure(value=sums.get("model_bytes", 0), path="/models", unit="bytes", exact=exact),
            },
        )

    def _running(self, cards: Sequence[Mapping[str, Any]]) -> list[RunningJob]:
        """The newest."""
        newest = list(reversed(cards))[:_LISTED]
        return [
            RunningJob(
                job=card["job"],
                status=card["status"],
                progress=self._training.progress(card["job"]),
                path=f"{TRAINING_PATH}/{card['job']}",
            )
            for card in newest
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
            name: Figure(value=value, path=ENDPOINT_PATH, unit=unit)
            for name, (value, unit) in values.items()
            if value is not None
        }


def _section(records: Sequence[Record], section: str) -> list[Mapping[str, Any]]:
    return [
        record.data
        for record in records
        if record.kind == CARDS and record.indexes["all"].sort.startswith(f"{section}/")
    ]


def _needs_attention(cards: Sequence[Mapping[str, Any]], endpoints: Sequence[Mapping[str, Any]]) -> list[Attention]:
    """Newest first; of each kind the newest few."""
    items = [Attention.model_validate(card) for card in cards]
    items += [_failed_endpoint(card) for card in endpoints if card["failure_reason"] is not None]
    kinds = Counter[str]()
    newest = []
    for item in sorted(items, key=lambda item: item.at, reverse=True):
        kinds[item.kind] += 1
        if kinds[item.kind] <= _LISTED:
            newest.append(item)
    return newest


def _failed_endpoint(card: Mapping[str, Any]) -> Attention:
    return Attention(
        kind="failed_endpoint",
        id=card["endpoint"],
        message=card["failure_reason"],
        at=card["updated_at"],
        path=f"{ENDPOINT_PATH}/{card['endpoint']}",
    )


def _champions(cards: Sequence[Mapping[str, Any]], endpoints: Sequence[Mapping[str, Any]]) -> list[ChampionFigure]:
    statuses = {card["endpoint"]: card["status"] for card in endpoints}
    return [
        ChampionFigure(**card, endpoint_status=statuses.get(card["model"]), path=f"/models/{card['version']}")
        for card in cards[:_CHAMPIONS]
    ]


def _training_seconds(sums: Mapping[str, int], now: datetime, exact: bool) -> Figure:
    """Of jobs that ended today or on one of the days before it."""
    days = [(now - timedelta(days=ago)).date().isoformat() for ago in range(_DAYS)]
    milliseconds = sum(sums.get(f"training_ms@{day}", 0) for day in days)
    unit = f"seconds in {_DAYS} days"
    return Figure(value=round(milliseconds / 1000, 1), path=TRAINING_PATH, unit=unit, exact=exact)
