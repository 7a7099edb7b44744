"""The engine, the runners and the host over a folder, with the fake container program or the real one."""

import io
import json
import tarfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlops_api.adapters.local import procs
from mlops_api.adapters.local.file_objects import FileObjects
from mlops_api.adapters.local.fork_client import ForkServer
from mlops_api.adapters.local.hosting import LocalEndpointHost
from mlops_api.adapters.local.job_kind import JobLimits
from mlops_api.adapters.local.jobs import JobEngine
from mlops_api.adapters.local.processing import LocalProcessingRunner
from mlops_api.adapters.local.server_keeper import HostLimits
from mlops_api.adapters.local.signing import UrlSigner
from mlops_api.adapters.local.training import LocalTrainingRunner
from mlops_api.adapters.local.transform import LocalTransformRunner
from mlops_api.domain.training import TERMINAL
from mlops_api.ports import JobState, ObjectStore, TrainingRunner, TrainingSpec, VariantSpec

FAKE = "tests.support.fake_container"


@dataclass
class Machine:
    """One local platform below `root`. Opening a second one on the same folder is what a restart does."""

    root: Path
    program: str = FAKE
    preload: str = FAKE
    grace: float = 0.5
    slots: Mapping[str, int] = field(default_factory=lambda: {"training": 2, "processing": 1, "transform": 1})
    adopt: bool = True
    deaf: bool = False
    """Whether the receiver of events raises."""
    events: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.root.mkdir(exist_ok=True)
        self.objects = FileObjects(self.root / "store", UrlSigner(b"secret"), lambda: "http://localhost")
        self.forks = ForkServer(self.root / "fork.log", program=self.program, preload=self.preload)
        limits = JobLimits(slots=self.slots, grace=self.grace)
        self.engine = JobEngine(self.root / "jobs", self.forks, self._tell, limits=limits, adopt=self.adopt)
        self.training = LocalTrainingRunner(self.engine, self.objects)
        self.processing = LocalProcessingRunner(self.engine, self.objects)
        self.transform = LocalTransformRunner(self.engine, self.objects)
        host_limits = HostLimits(load=10, answer=5, drain=5, grace=2)
        self.host = LocalEndpointHost(
            self.root / "endpoints", self.forks, self.objects, self._tell, limits=host_limits, adopt=self.adopt
        )

    def start(self) -> "Machine":
        self.forks.start()
        self.engine.start()
        self.host.start()
        return self

    def close(self, *, stop_jobs: bool = True) -> None:
        self.engine.close(stop_jobs=stop_jobs)
        self.host.close()
        self.forks.close()

    def train(self, job: str, do: str, *, max_runtime: int = 60) -> None:
        """Start a fake training job that does the steps of `do`."""
        start_fake_training(self.objects, self.training, TrainingSpec(job, {"do": do}, "data", "models", max_runtime))

    def put_model(self, key: str, **model: Any) -> None:
        """A fake model bundle: model.json with `name`, and how its server behaves."""
        put_fake_model(self.objects, key, model)

    def events_of(self, detail_type: str) -> list[Mapping[str, Any]]:
        return [event["detail"] for event in self.events if event["detail-type"] == detail_type]

    def processes(self) -> list[int]:
        """Everything that still works below this folder."""
        return list(procs.working_below(self.root))

    def _tell(self, event: Mapping[str, Any]) -> None:
        if self.deaf:
            raise RuntimeError("the receiver is down")
        self.events.append(dict(event))


@contextmanager
def running(root: Path, **options: Any) -> Iterator[Machine]:
    machine = Machine(root, **options).start()
    try:
        yield machine
    finally:
        machine.close()


def start_fake_training(objects: ObjectStore, runner: TrainingRunner, spec: TrainingSpec) -> None:
    if not objects.list(f"{spec.data_prefix}/").objects:
        objects.put(f"{spec.data_prefix}/rows.csv", b"1\n2\n")
    runner.start(spec)


def put_fake_model(objects: ObjectStore, key: str, model: Mapping[str, Any]) -> None:
    objects.put(key, tar_of({"model.json": json.dumps(model).encode()}))


def tar_of(files: Mapping[str, bytes]) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return target.getvalue()


def variant(name: str, key: str, *, weight: float = 1.0, version: str = "e:1") -> VariantSpec:
    return VariantSpec(name, version, key, weight)


def ended(describe: Any, job: str, seconds: float = 20) -> Any:
    """The state of a job once it is terminal."""
    deadline = time.monotonic() + seconds
    while True:
        found = describe(job)
        state: JobState = getattr(found, "state", found)
        if state.status in TERMINAL:
            return found
        assert time.monotonic() < deadline, f"{job} is still {state}"
        time.sleep(0.005)


def journal(machine: Machine, job: str, kind: str = "training") -> list[str]:
    """The words a job's programs noted, without pids."""
    for place in ("active", "done"):
        path = machine.root / "jobs" / kind / place / job / "journal"
        if path.exists():
            return [line.split()[0] for line in path.read_text().splitlines()]
    return []
