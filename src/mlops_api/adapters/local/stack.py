"""All local adapters over one data folder, wired and started together."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from mlops_api.adapters.local.data_folder import DataFolder
from mlops_api.adapters.local.file_objects import FileObjects
from mlops_api.adapters.local.fork_client import ForkServer
from mlops_api.adapters.local.hosting import LocalEndpointHost
from mlops_api.adapters.local.job_kind import JobLimits, default_slots
from mlops_api.adapters.local.jobs import JobEngine
from mlops_api.adapters.local.pipeline import WORKERS, LocalPipelineRunner, Task
from mlops_api.adapters.local.processing import LocalProcessingRunner
from mlops_api.adapters.local.schedule import Schedule
from mlops_api.adapters.local.signing import UrlSigner
from mlops_api.adapters.local.sqlite_metrics import SqliteMetrics
from mlops_api.adapters.local.sqlite_records import SqliteRecords
from mlops_api.adapters.local.storage_app import StorageApp
from mlops_api.adapters.local.training import LocalTrainingRunner
from mlops_api.adapters.local.transform import LocalTransformRunner
from mlops_api.adapters.local.watched_folder import LOOK_SECONDS
from mlops_api.adapters.local.watcher import Watcher
from mlops_api.domain.times import utc_now
from mlops_api.ports import StateChange

_CHORE_SECONDS = 60.0
_ALARM_SECONDS = 60.0
"""CloudWatch looks once a minute too."""


class LocalStack:
    """Built without starting anything; `start` begins work, `close` ends it and leaves jobs running."""

    def __init__(
        self,
        folder: DataFolder,
        url: str,
        *,
        training_slots: int | None,
        stop_grace_seconds: float,
        pipeline_seconds: int,
        metric_days: int,
        adopt: bool,
    ) -> None:
        self._tell: StateChange | None = None
        signer = UrlSigner(folder.secret)
        self.records = SqliteRecords(folder.records)
        self.metrics = SqliteMetrics(folder.metrics, keep=timedelta(days=metric_days))
        self.objects = FileObjects(folder.objects, signer, lambda: url)
        self.storage_app = StorageApp(self.objects, signer)
        self._forks = ForkServer(folder.path / "forkserver.log")
        self._engine = JobEngine(
            folder.jobs,
            self._forks,
            self._deliver,
            limits=JobLimits(slots=default_slots(training_slots), grace=stop_grace_seconds),
            adopt=adopt,
        )
        self.training = LocalTrainingRunner(self._engine, self.objects)
        self.processing = LocalProcessingRunner(self._engine, self.objects)
        self.transform = LocalTransformRunner(self._engine, self.objects)
        self.hosting = LocalEndpointHost(folder.endpoints, self._forks, self.objects, self._deliver, adopt=adopt)
        self._adopt = adopt
        self._workers = Watcher("pipelines", WORKERS)
        self.pipelines = LocalPipelineRunner(self.records, self._workers, utc_now, seconds=pipeline_seconds)
        self._schedules: list[Schedule] = []

    def start(
        self, *, tell: StateChange, task: Task, chore: Callable[[], object], look: Callable[[], object] | None = None
    ) -> None:
        """Take over what a killed server left. `task`: of pipelines; `chore` runs now and on a schedule, and so does
        `look`, at the watched folder."""
        self._tell = tell
        self.pipelines.attach(task, self._deliver)
        self._forks.start()
        self._engine.start()
        self.hosting.start()
        self._schedules = [
            Schedule("chore", _CHORE_SECONDS, lambda: self._tidy(chore)),
            Schedule("alarms", _ALARM_SECONDS, lambda: self.metrics.evaluate(tell)),
        ]
        if look is not None:
            self._schedules.append(Schedule("watched folder", LOOK_SECONDS, look))
        for schedule in self._schedules:
            schedule.start()

    def _tidy(self, chore: Callable[[], object]) -> None:
        if self._adopt:
            self.pipelines.resume()
        chore()

    def close(self) -> None:
        for schedule in self._schedules:
            schedule.close()
        self._workers.close()
        self.hosting.close()
        self._engine.close()
        self._forks.close()
        self.metrics.close()
        self.records.close()

    def _deliver(self, event: Mapping[str, Any]) -> None:
        if self._tell is not None:
            self._tell(event)
        self.pipelines.on_event(event)
