"""A process that writes without end, says what was acknowledged, and is killed without warning."""

import os
import signal
import subprocess
import sys
import time


def acknowledged_until_killed(program: str, *arguments: str, seconds: float) -> list[str]:
    """The lines that `program` (Python source) printed before SIGKILL, `seconds` after its first line."""
    process = subprocess.Popen([sys.executable, "-c", program, *arguments], stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process.stdout as output:
        first = output.readline()
        assert first, "the writer ended before it wrote"
        time.sleep(seconds)
        os.kill(process.pid, signal.SIGKILL)
        rest = output.read()
    assert process.wait(10) == -signal.SIGKILL, "the writer ended by itself, so nothing was proved"
    lines = (first + rest).decode().split("\n")
    # The last piece has no newline behind it, so it was not said.
    return lines[:-1]
