"""What figures share, each part made when it is first asked for: scratch space, a server, trained flights models."""

import shutil
import sys
import tempfile
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path

from bench.program import ROOT
from bench.server import Server
from mlops_api.client import MLOps
from mlops_api.domain.training import TrainingJob

ALGORITHMS = ("logistic_regression", "random_forest", "xgboost")
FLIGHTS = ROOT / "examples" / "data" / "flights.csv.gz"
PENGUINS = ROOT / "examples" / "data" / "penguins.csv"


class World:
    """`scratch` is on the disk of the repository, so that an fsync is one; it is removed at the end."""

    def __init__(self, *, verbose: bool = False, below: Path | None = None) -> None:
        self.verbose = verbose
        self._below = below or ROOT / "build"
        self._open = ExitStack()

    def __enter__(self) -> "World":
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def say(self, text: str) -> None:
        """Progress, beside the table."""
        print(text, file=sys.stderr, flush=True)

    @cached_property
    def scratch(self) -> Path:
        self._below.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix="bench-", dir=self._below))
        self._open.callback(shutil.rmtree, folder, ignore_errors=True)
        return folder

    @cached_property
    def server(self) -> Server:
        return self._open.enter_context(Server(self.scratch / "data"))  # type: ignore[return-value] # Program's enter

    @cached_property
    def client(self) -> MLOps:
        return self._open.enter_context(self.server.client())

    @cached_property
    def flights(self) -> str:
        """Dataset version."""
        self.say("  uploading flights")
        return self.client.datasets.upload(FLIGHTS, name="flights").version

    @cached_property
    def trained(self) -> dict[str, TrainingJob]:
        """A completed job on flights by algorithm, with default hyperparameters."""
        self.say("  training three algorithms on flights")
        started = {
            name: self.client.training.start(
                dataset=self.flights, target="late", algorithm=name, model="flights", exclude=["date", "month"]
            )
            for name in ALGORITHMS
        }
        return {name: self.client.training.wait(job.job, timeout=600) for name, job in started.items()}

    def deploy(self, algorithm: str) -> str:
        """Have the endpoint `flights` served by that algorithm's model; its version."""
        version = self.trained[algorithm].model_version or ""
        if self.client.models.get(version).approval_status != "Approved":
            self.client.models.approve(version)
        self.client.inference.put_endpoint("flights", [{"variant": "only", "model_version": version}])
        self.client.inference.wait("flights", timeout=120)
        return version
