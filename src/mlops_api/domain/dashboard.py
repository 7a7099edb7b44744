"""What the dashboard shows. Every figure carries the path of the list behind it."""

from typing import Literal

from pydantic import Field

from mlops_api.domain.base import Answer, Page


class Figure(Answer):
    value: float
    path: str
    exact: bool = Field(True, description="False: at least this many; counting stopped at its cap.")
    unit: str | None = None


class Attention(Answer):
    kind: Literal[
        "failed_job", "rejected_dataset", "failed_pipeline", "pending_approval", "failed_endpoint", "failed_batch"
    ]
    id: str
    message: str
    at: str
    path: str


class ChampionFigure(Answer):
    model: str
    version: str
    objective: str
    value: float | None
    previous_version: str | None = None
    previous_value: float | None = None
    endpoint_status: str | None = None
    path: str


class RunningJob(Answer):
    job: str
    status: str
    progress: float
    path: str


class DashboardStats(Answer):
    generated_at: str
    counts: dict[str, Figure]
    needs_attention: list[Attention]
    running: list[RunningJob]
    champions: list[ChampionFigure]
    serving: dict[str, Figure]
    cost: dict[str, Figure]
    storage: dict[str, Figure]


class Activity(Answer):
    id: str
    at: str
    by: str
    action: str
    subject: str
    detail: str = ""
    path: str | None = None


class ActivityPage(Page):
    activity: list[Activity]
