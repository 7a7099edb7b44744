"""Runs figures and prints one table."""

import argparse
import json
import os
import platform
import signal
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

from bench import accuracy, batch, dynamodb_calls, lambda_cold_start, overhead, predict, preprocess, records, startup
from bench.figure import Row
from bench.program import Failed
from bench.table import table
from bench.world import World
from mlops_api.client import MLOpsError

FIGURES: dict[str, ModuleType] = {
    module.NAME: module
    for module in (startup, lambda_cold_start, dynamodb_calls, records, accuracy, predict, batch, overhead, preprocess)
}


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code: 0, or 1 when a promised figure is short."""
    options = _options(argv)
    if options.list:
        print("\n".join(f"{name:<12}{module.ABOUT}" for name, module in FIGURES.items()))
        return 0
    print(machine(), file=sys.stderr)
    with World(verbose=options.verbose) as world:
        rows = [row for name in options.names or FIGURES for row in _measured(name, world)]
    print(json.dumps(_document(rows), indent=2) if options.json else table(rows))
    return int(any(row.state == "short" for row in rows))


def _measured(name: str, world: World) -> list[Row]:
    """The figure's rows, or one that says why it could not be measured: the others still can."""
    world.say(f"{name}: {FIGURES[name].ABOUT}")
    began = time.monotonic()
    try:
        rows: list[Row] = FIGURES[name].measure(world)
    except (Failed, MLOpsError) as error:
        rows = [Row(name, "", None, "short", note=f"not measured: {error}")]
    world.say(f"  {time.monotonic() - began:.0f} s")
    return rows


def _document(rows: Sequence[Row]) -> dict[str, object]:
    when = datetime.now(UTC).isoformat(timespec="seconds")
    return {"machine": machine(), "measured_at": when, "figures": [row.document() for row in rows]}


def machine() -> str:
    """What the figures were measured on."""
    cores, system = len(os.sched_getaffinity(0)), f"{platform.system()} {platform.release()}"
    return f"{_processor()}, {cores} cores, {system}, Python {platform.python_version()}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help="figures to measure; all of them by default")
    parser.add_argument("--list", action="store_true", help="say what there is to measure")
    parser.add_argument("--json", action="store_true", help="JSON instead of a table")
    parser.add_argument("--verbose", action="store_true", help="also what takes the time")
    options = parser.parse_args(argv)
    unknown = [name for name in options.names if name not in FIGURES]
    if unknown:
        parser.error(f"there is no figure {unknown[0]!r}; there are: {', '.join(FIGURES)}")
    return options


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers end too
    sys.exit(main())
