"""What carries workflow executions, by adapter name, with a script in the place of the platform's tasks."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlops_api.adapters.aws.step_functions import StepFunctionsPipelines
from mlops_api.adapters.local.pipeline import WORKERS, LocalPipelineRunner
from mlops_api.adapters.local.sqlite_records import SqliteRecords
from mlops_api.adapters.local.watcher import Watcher
from mlops_api.domain.times import utc_now
from mlops_api.ports import PipelineRunner
from tests.support.emulators import Emulators
from tests.support.scripted_tasks import Script


@dataclass
class Carried:
    runner: PipelineRunner
    script: Script


@contextmanager
def local(folder: Path, _: Emulators) -> Iterator[Carried]:
    script = Script(folder)
    with (
        closing(SqliteRecords(folder / "records.sqlite3")) as records,
        closing(Watcher("pipelines", WORKERS)) as workers,
    ):
        runner = LocalPipelineRunner(records, workers, utc_now, seconds=3600)
        runner.attach(script.run, script.tell)
        yield Carried(runner, script)


@contextmanager
def step_functions(folder: Path, emulators: Emulators) -> Iterator[Carried]:
    workflow, scripts = emulators.scripted_workflow
    runner: Any = StepFunctionsPipelines(emulators.ministack.clients, workflow.arn)
    yield Carried(runner, Script(scripts))


PIPELINE_RUNNERS: dict[str, Callable[[Path, Emulators], AbstractContextManager[Carried]]] = {
    "local": local,
    "step_functions": step_functions,
}
