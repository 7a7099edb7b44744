"""Judges how an attempt ended: the job's final status, or None for another attempt."""

import signal
from dataclasses import dataclass
from pathlib import Path

from mlops_api.adapters.local.job_folder import JobFolder
from mlops_api.adapters.local.job_log import last_line
from mlops_api.adapters.local.launch import Ended
from mlops_api.domain.training import JobStatus

MAX_REASON = 1024
_SIGNALLED = {128 + signal.SIGKILL: signal.SIGKILL, 128 + signal.SIGTERM: signal.SIGTERM}


@dataclass(frozen=True)
class Ending:
    status: JobStatus
    secondary_status: str
    failure_reason: str | None


def judge(folder: JobFolder, attempt: int, ended: Ended, max_attempts: int) -> Ending | None:
    """None: the attempt died without a fault of its own making, and may be repeated."""
    if ended.reason == "stopped" or (folder.stop_asked() and _died(ended)):
        return Ending("Stopped", "Stopped", None)
    if ended.reason == "max_runtime":
        return Ending("Stopped", "MaxRuntimeExceeded", "The job ran longer than its max_runtime_seconds.")
    if _died(ended):
        return None if attempt < max_attempts else Ending("Failed", "Failed", _all_died(folder, attempt))
    if ended.code != 0 or ended.error:
        return Ending("Failed", "Failed", ended.error or failure_of(folder, attempt))
    return Ending("Completed", "Completed", None)


def failure_of(folder: JobFolder, attempt: int) -> str:
    """Why this attempt failed, at most 1,024 characters."""
    ended = folder.ended(attempt)
    if ended is not None and _died(ended):
        return f"Attempt {attempt}: {_death(ended)}."
    return _written(folder.ml / "output" / "failure") or _unsaid(ended, last_line(folder.log))


def _died(ended: Ended) -> bool:
    return ended.reason == "lost" or (ended.reason == "finished" and _signal(ended) is not None)


def _all_died(folder: JobFolder, attempts: int) -> str:
    deaths = [_death(ended) for number in range(1, attempts + 1) if (ended := folder.ended(number))]
    if len(set(deaths)) == 1:
        return f"In {len(deaths)} of {len(deaths)} attempts {deaths[0]}. The log may show where it was."
    return " ".join(f"Attempt {number}: {death}." for number, death in enumerate(deaths, 1))


def _death(ended: Ended) -> str:
    signum = _signal(ended)
    if signum is None:
        return "the process and its supervisor were killed, or the machine went down"
    hint = ", perhaps because memory ran out" if signum == signal.SIGKILL else ""
    return f"the process was killed by signal {signum} ({_name(signum)}){hint}"


def _signal(ended: Ended) -> int | None:
    """A program that ends itself on SIGTERM reports it as a shell does, 128 + 15."""
    return ended.signal if ended.signal is not None else _SIGNALLED.get(ended.code or 0)


def _name(signum: int) -> str:
    try:
        return signal.Signals(signum).name
    except ValueError:
        return "unknown"


def _written(path: Path) -> str:
    try:
        with path.open(encoding="utf-8", errors="replace") as failure:
            return failure.read(MAX_REASON).strip()
    except FileNotFoundError:
        return ""


def _unsaid(ended: Ended | None, last: str) -> str:
    """Of a program that could write no reason: its disk was full, say, or it is not one of ours."""
    code = f"The program ended with status {ended.code if ended else 'unknown'}"
    return f"{code}; the last line of its log: {last}"[:MAX_REASON] if last else f"{code} and said nothing."
