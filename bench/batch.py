"""Batch scoring of the flights table through the platform."""

import time

from bench.figure import Row, Samples, informational
from bench.program import Failed
from bench.world import ALGORITHMS, World

NAME = "batch"
ABOUT = "rows/s of batch scoring flights through the platform, from POST /inference/batch to Completed"
TIMES = 2


def measure(world: World, times: int = TIMES) -> list[Row]:
    return [row for name in ALGORITHMS for row in _of_algorithm(world, name, times)]


def _of_algorithm(world: World, name: str, times: int) -> list[Row]:
    world.deploy(name)
    runs = [_scored(world) for _ in range(times)]
    seconds, rows = Samples([taken for taken, _ in runs]), runs[0][1]
    note = f"{rows:,} rows in {seconds.median:.2f} s"
    return [informational(f"batch, {name}", "rows/s", rows / seconds.median, note=note)]


def _scored(world: World) -> tuple[float, int]:
    """(seconds, rows)."""
    began = time.perf_counter()
    job = world.client.batch.start(model="flights", input=world.flights)
    while job.status == "InProgress":
        time.sleep(0.02)
        job = world.client.batch.get(job.transform_job)
    if job.status != "Completed" or job.failed_rows:
        raise Failed(f"{job.transform_job}: {job.status}, {job.failed_rows} rows failed; {job.failure_reason}")
    return time.perf_counter() - began, job.done_rows
