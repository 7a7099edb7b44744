"""Containers as processes: the real program, in an /opt/ml tree that MLOPS_ML_ROOT relocates.

Process 1 of a container gets the signals, and when it ends the kernel ends the rest: here the process group.
"""

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.sagemaker_server.guardian import Guardian
from tests.sagemaker_server.log_groups import LogStream

REPOSITORY = Path(__file__).parents[2]
"""The image's WORKDIR."""

OPT_ML = "/opt/ml"


def relocated(text: str, root: Path) -> str:
    """A path below /opt/ml as it lies on this machine; any other text as it is."""
    return str(root) + text.removeprefix(OPT_ML) if text == OPT_ML or text.startswith(OPT_ML + "/") else text


class Container:
    """One running program. `exit_code` is None while it runs, then what Docker would report."""

    def __init__(
        self,
        argv: Sequence[str],
        root: Path,
        environment: Mapping[str, str],
        log: LogStream,
        guardian: Guardian,
        *,
        on_line: Callable[[str], None] | None = None,
        on_exit: Callable[[], None] | None = None,
        pass_fds: Sequence[int] = (),
    ) -> None:
        self.root = root
        self.exit_code: int | None = None
        self._log, self._on_line, self._on_exit = log, on_line, on_exit
        self._process = subprocess.Popen(
            [relocated(each, root) for each in argv],
            cwd=REPOSITORY,
            env=_environment(root, environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=pass_fds,
        )
        self._guardian = guardian
        guardian.begun(self._process.pid)
        self._pid_is_ours = threading.Lock()
        self._reaped = False
        self._reader = threading.Thread(target=self._read, name=f"log-{self._process.pid}", daemon=True)
        self._waiter = threading.Thread(target=self._wait, name=f"wait-{self._process.pid}", daemon=True)
        self._reader.start()
        self._waiter.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def signal(self, number: int) -> None:
        """To process 1; none when it has ended."""
        with self._pid_is_ours:
            if not self._reaped:
                os.kill(self._process.pid, number)

    def kill(self) -> None:
        """SIGKILL to process 1; the rest follows."""
        self.signal(signal.SIGKILL)

    def wait(self, seconds: float | None = None) -> bool:
        """Whether it has ended within that time, its log complete."""
        self._waiter.join(seconds)
        return not self._waiter.is_alive()

    def end(self, grace: float) -> None:
        """SIGTERM, SIGKILL after `grace` seconds, and wait."""
        self.signal(signal.SIGTERM)
        if not self.wait(grace):
            self.kill()
            self.wait()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                text = line.decode("utf-8", "replace").rstrip("\r\n")
                self._log.append(text)
                if self._on_line is not None:
                    self._on_line(text)

    def _wait(self) -> None:
        # Not reaped yet, the leader keeps its pid, so the group's id cannot belong to anybody else.
        os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
        with self._pid_is_ours:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._guardian.ended(self._process.pid)
            code = self._process.wait()
            self._reaped = True
        self._reader.join()
        self.exit_code = code if code >= 0 else 128 - code
        if self._on_exit is not None:
            self._on_exit()


def _environment(root: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """Nothing of the test's own environment but what a process needs to start."""
    temporary = root.parent / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    base = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(root.parent), "TMPDIR": str(temporary)}
    own = {name: relocated(value, root) for name, value in environment.items()}
    return base | own | {"MLOPS_ML_ROOT": str(root)}
