"""The files by which the API and a shepherd speak about one process. They outlive both.

    launch.json     written by the API: what to run, and under which limits
    process.json    written by the shepherd before it forks the program: who it is
    exit.json       written by the shepherd when all is over, its last act
    socket          servers only: where the program listens

Everything is relative to the run's folder unless `Launch` says otherwise. Only the standard library.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from mlops_api.adapters.local.durable import write_file
from mlops_api.adapters.local.procs import ProcessId

LAUNCH = "launch.json"
PROCESS = "process.json"
EXIT = "exit.json"
SOCKET = "socket"
PACKING = "packing"

EndReason = Literal["finished", "stopped", "max_runtime", "owner_gone", "lost"]


@dataclass(frozen=True)
class Launch:
    """What a shepherd is to run. Paths are absolute; times are seconds."""

    argv: tuple[str, ...]
    ml_root: str
    log: str
    lock: str
    """Held by the shepherd and all its descendants: two runs with the same lock never overlap."""
    stop: str
    """As soon as this file exists, the program is asked to stop."""
    environ: Mapping[str, str] = field(default_factory=dict)
    threads: int = 1
    niceness: int = 0
    max_runtime: float | None = None
    grace: float = 120.0
    pack_model: bool = False
    listen: bool = False
    owner_lock: str | None = None
    """Servers: end when nobody has held this lock for `owner_absent` seconds."""
    owner_absent: float = 600.0

    def write(self, run: Path) -> None:
        write_file(run / LAUNCH, json.dumps(asdict(self)).encode())

    @classmethod
    def read(cls, run: Path) -> "Launch":
        data = json.loads((run / LAUNCH).read_bytes())
        return cls(**{**data, "argv": tuple(data["argv"])})


@dataclass(frozen=True)
class Started:
    """process.json: the shepherd, and when it began."""

    shepherd: ProcessId
    started_at: str

    def write(self, run: Path) -> None:
        write_file(run / PROCESS, json.dumps(self.shepherd.to_json() | {"started_at": self.started_at}).encode())

    @classmethod
    def read(cls, run: Path) -> "Started | None":
        data = _read(run / PROCESS)
        return None if data is None else cls(ProcessId.from_json(data), str(data["started_at"]))


@dataclass(frozen=True)
class Ended:
    """exit.json. Exactly one of `code` and `signal` is set when the program ran to an end.

    `error`: what the shepherd itself could not do afterwards. reason lost: written by the API in the name of
    a shepherd that died, so that a late one finds the place taken.
    """

    reason: EndReason
    ended_at: str
    code: int | None = None
    signal: int | None = None
    error: str | None = None

    def write(self, run: Path) -> None:
        write_file(run / EXIT, json.dumps(asdict(self)).encode())

    @classmethod
    def read(cls, run: Path) -> "Ended | None":
        data = _read(run / EXIT)
        return None if data is None else cls(**data)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        data: dict[str, Any] = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    return data
