"""How a program of the container ends: exit code, `output/failure`, and the trace in the log.

exit 0      done
exit 1      failed; the first line of output/failure is the cause and what to do (SageMaker's FailureReason)
exit 143    stopped by SIGTERM; no failure file
"""

import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from training.paths import MlPaths

MAX_REASON = 1024
STOPPED = 143
"""128 + SIGTERM, as a shell reports it."""


class JobError(Exception):
    """A failure that the user can mend. The message is the cause and what to do next, without a trace."""


class JobStopped(Exception):
    """The platform asked the job to end (SIGTERM)."""


def guarded(paths: MlPaths, work: Callable[[], None]) -> int:
    """Run `work` and return the exit code; a failure is written to `output/failure` and explained in the log."""
    try:
        work()
    except JobStopped:
        print("phase=stopped", flush=True)
        return STOPPED
    except Exception as error:  # noqa: BLE001 - the last resort: whatever it is becomes the job's failure reason
        fail(paths, error)
        return 1
    return 0


def fail(paths: MlPaths, error: Exception) -> None:
    """Write the reason to `output/failure`, and to stderr with the trace unless the user can mend it."""
    text = reason(error)
    if not isinstance(error, JobError):
        traceback.print_exception(error)
    print(f"error: {text}", file=sys.stderr, flush=True)
    write_reason(paths.failure, text)


def write_reason(path: Path, text: str) -> None:
    """Store at most 1,024 characters, on one line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(" ".join(text.split())[:MAX_REASON], encoding="utf-8")


def reason(error: Exception) -> str:
    """One line for the user: the cause and, where it is known, what to do about it."""
    if isinstance(error, JobError):
        return str(error)
    if isinstance(error, ValidationError):
        return _validation_reason(error)
    if isinstance(error, MemoryError):
        return "Out of memory. Use a larger instance type, fewer columns, or a smaller max_depth or n_estimators."
    return f"Unexpected {type(error).__name__}: {error}. This is a fault of the platform; the log holds the trace."


def _validation_reason(error: ValidationError) -> str:
    complaints = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
    return f"The job's configuration is not valid: {'; '.join(complaints)}."
