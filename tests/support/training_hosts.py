"""Several hosts of one training job on this machine: a process and an /opt/ml each."""

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from tests.support.training_data import write_job

SECONDS = 120


class TrainingHosts:
    """`roots` and `processes`, by rank."""

    def __init__(self, folder: Path, count: int) -> None:
        self.names = [f"algo-{number}" for number in range(1, count + 1)]
        self.roots = [folder / name for name in self.names]
        self.processes: list[subprocess.Popen[bytes]] = []
        self.port = _free_port()

    def lay_out(self, table: pa.Table, hyperparameters: dict[str, Any], **config: Any) -> None:
        for name, root in zip(self.names, self.roots, strict=True):
            shutil.rmtree(root / "input", ignore_errors=True)
            write_job(root, table, hyperparameters, **config)
            resources = {"current_host": name, "hosts": self.names, "network_interface_name": "lo"}
            (root / "input/config/resourceconfig.json").write_text(json.dumps(resources))

    def start(
        self, ranks: Sequence[int] | None = None, inside: Sequence[list[str]] | None = None, **variables: str
    ) -> None:
        """All hosts, or those of these ranks. `inside`: for each what its command line begins with, on a network where
        they find each other by name."""
        if inside is None:
            variables = {"MLOPS_COORDINATOR": f"127.0.0.1:{self.port}", **variables}
        chosen = ranks or range(len(self.roots))
        self.processes = [self._started(self.roots[rank], inside[rank] if inside else [], variables) for rank in chosen]

    def _started(self, root: Path, before: list[str], variables: Mapping[str, str]) -> "subprocess.Popen[bytes]":
        own = {"MLOPS_ML_ROOT": str(root), "MLOPS_THREADS": "1"}
        with (root / "log").open("wb") as log:
            return subprocess.Popen(
                [*before, sys.executable, "-u", "-m", "training", "train"],
                env=os.environ | own | variables,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def ended(self, seconds: float = SECONDS) -> list[int]:
        """The exit codes; fails when a host goes on for longer."""
        return [each.wait(seconds) for each in self.processes]

    def log(self, rank: int) -> str:
        return (self.roots[rank] / "log").read_text()

    def failure(self, rank: int) -> str:
        return (self.roots[rank] / "output/failure").read_text()

    def close(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()


@contextmanager
def training_hosts(folder: Path, count: int) -> Iterator[TrainingHosts]:
    hosts = TrainingHosts(folder, count)
    try:
        yield hosts
    finally:
        hosts.close()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
