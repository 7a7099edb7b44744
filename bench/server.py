"""A real server in a process of its own, as `mlops up` starts it, and the processes that live below its folder."""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from bench.program import Program, free_port
from mlops_api.client import MLOps


class Server(Program):
    """`mlops up` on a data folder. Leaves nothing running: jobs and model servers end with it."""

    def __init__(self, data_dir: Path) -> None:
        data_dir.mkdir(parents=True, exist_ok=True)
        self.data_dir = data_dir
        port = free_port()
        super().__init__([*_mlops(), "up", "--data-dir", str(data_dir), "--port", str(port)], port, data_dir / "out")

    def client(self) -> MLOps:
        return MLOps(data_dir=self.data_dir, timeout=600)

    def info(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.data_dir / "server.json").read_text())
        return found

    def stop(self) -> None:
        super().stop()
        end_all(self.data_dir)


def _mlops() -> list[str]:
    """The command as a user starts it."""
    script = Path(sys.executable).with_name("mlops")
    return [str(script)] if script.exists() else [sys.executable, "-m", "mlops_api"]


def processes_of(data_dir: Path) -> list[int]:
    """Pids of living processes whose folder, arguments or environment lie below `data_dir`."""
    wanted = os.fsencode(data_dir.resolve())
    found = (entry for entry in Path("/proc").iterdir() if entry.name.isdigit() and int(entry.name) != os.getpid())
    return [int(entry.name) for entry in found if _works_in(entry, wanted)]


def _works_in(entry: Path, wanted: bytes) -> bool:
    try:
        if (entry / "stat").read_text().rpartition(")")[2].split()[0] == "Z":
            return False
        places = (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes()
        return wanted in places or os.fsencode((entry / "cwd").readlink()).startswith(wanted)
    except OSError:
        return False  # it ended meanwhile, or is another user's


def end_all(data_dir: Path) -> None:
    """End, by pid, what still works below a folder of this benchmark's own."""
    for pid in processes_of(data_dir):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
