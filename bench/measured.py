"""`python -m bench.measured ARGV...`: runs a program and prints its wall and CPU seconds and its peak resident memory.

From a small process of its own, because Linux counts the memory of the one that forks as the child's until it executes.
"""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.program import ROOT, Failed, environment


@dataclass(frozen=True)
class Measured:
    seconds: float
    cpu_seconds: float
    peak_mb: float


def run(argv: Sequence[str], environ: Mapping[str, str]) -> Measured:
    """Raises Failed with the program's last words when it does not end with 0."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.measured", *argv],
        cwd=ROOT,
        env=environment() | dict(environ),
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise Failed(f"{' '.join(argv[:4])} ended with {done.returncode}: {done.stderr.strip()[-500:]}")
    return Measured(**json.loads(done.stdout))


def main(argv: Sequence[str]) -> int:
    began = time.perf_counter()
    code = subprocess.run(argv, stdout=subprocess.DEVNULL).returncode
    seconds = time.perf_counter() - began
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = used.ru_utime + used.ru_stime
    print(json.dumps({"seconds": seconds, "cpu_seconds": cpu, "peak_mb": used.ru_maxrss / 1024}), flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
