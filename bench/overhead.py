"""What the platform adds to training: from POST /training/start to Completed, against a script without a platform."""

import json
import os
import re
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.bare_training import Plan
from bench.figure import Row, Samples, at_most, informational
from bench.program import ROOT, Failed, environment
from bench.tables import TARGET, mixed, write_parquet
from bench.world import ALGORITHMS, World
from mlops_api.domain.training import TrainingJob
from training.estimators.stopping_rows import STOPPING_SHARE
from training.split import stratified

NAME = "overhead"
ABOUT = "training on 200,000 x 30 through the platform, beside a script of one's own"
ROWS = 200_000
FACTOR, ALLOWANCE = 1.15, 1.0
SEED, FRACTION = 0, 0.2
TIMES = {"logistic_regression": 3, "xgboost": 3, "random_forest": 2}
HYPERPARAMETERS: dict[str, dict[str, int]] = {"random_forest": {"n_estimators": 40}}
"""Fewer trees than by default, to be done in time; what the platform adds weighs the more."""
_POLL_SECONDS = 0.02
_NICENESS = 5
"""The platform's jobs give way to its API. The script does too, so that what else the machine does meets both alike."""
_MOST_SECONDS = 600


@dataclass(frozen=True)
class Run:
    """Seconds of one training: from start to end as its caller sees it, and of the fit alone."""

    whole: float
    fit: float
    auc: float
    phases: dict[str, float]
    rounds: int | None
    """Of boosting."""


def measure(world: World, rows: int = ROWS) -> list[Row]:
    parquet = write_parquet(mixed(rows, target=True), world.scratch / "mixed.parquet")
    table_rows = _rows_of_the_split(world.scratch / "rows.npz", parquet)
    dataset = world.client.datasets.upload(parquet, name="mixed").version
    found: list[Row] = []
    for algorithm in ALGORITHMS:
        bare, ours = [], []
        for _ in range(TIMES[algorithm]):
            run, plan = _through_platform(world, dataset, algorithm, parquet, table_rows)
            ours.append(run)
            bare.append(_by_script(plan, world.scratch))
        found += _rows(algorithm, ours, bare)
        world.say(f"  {algorithm}: " + ", ".join(f"{name} {seconds:.2f}" for name, seconds in ours[-1].phases.items()))
    return found


def _rows(algorithm: str, ours: list[Run], bare: list[Run]) -> list[Row]:
    whole, script = Samples([run.whole for run in ours]), Samples([run.whole for run in bare])
    fit, script_fit = Samples([run.fit for run in ours]), Samples([run.fit for run in bare])
    return [
        at_most(
            f"training, {algorithm}",
            "s",
            whole,
            FACTOR * script.median + ALLOWANCE,
            peer=script.median,
            peer_is="bare script",
            ratio=whole.median / script.median,
            note=f"AUC {ours[-1].auc:.3f}, bare {bare[-1].auc:.3f}{_rounds(ours[-1], bare[-1])}",
        ),
        informational(
            f"its fit alone, {algorithm}",
            "s",
            fit.median,
            best=fit.best,
            peer=script_fit.median,
            peer_is="bare script",
            ratio=fit.median / script_fit.median,
        ),
    ]


def _rounds(ours: Run, bare: Run) -> str:
    return "" if ours.rounds is None else f"; {ours.rounds} rounds, bare {bare.rounds}"


def _rows_of_the_split(path: Path, parquet: Path) -> Path:
    """The very rows the platform trains, stops and validates on, so that both fit the same table."""
    import pyarrow.parquet as pq

    y = pq.read_table(parquet, columns=[TARGET])[TARGET].to_numpy().astype(int)
    parts = stratified(y, FRACTION, SEED)
    stop = stratified(y[parts.train], STOPPING_SHARE, SEED + 1)
    np.savez(
        path, train=parts.train, valid=parts.valid, fitted=parts.train[stop.train], stopping=parts.train[stop.valid]
    )
    return path


# ---- the two contestants


def _through_platform(world: World, dataset: str, algorithm: str, parquet: Path, rows: Path) -> tuple[Run, Plan]:
    """The run, and the plan by which a script does the same."""
    client = world.client
    began = time.perf_counter()
    job = client.training.start(
        dataset=dataset,
        target=TARGET,
        algorithm=algorithm,
        model="mixed",
        hyperparameters=HYPERPARAMETERS.get(algorithm),
        seed=SEED,
        validation_fraction=FRACTION,
    )
    while job.status == "InProgress":
        time.sleep(_POLL_SECONDS)
        job = client.training.get(job.job)
    whole = time.perf_counter() - began
    if job.status != "Completed":
        raise Failed(f"{job.job} is {job.status}: {job.failure_reason}")
    log = list(client.training.logs(job.job))
    phases = _phases(log)
    threads = int(_said(log, r"phase=fit .*threads=(\d+)") or 1)
    plan = Plan(algorithm, str(parquet), str(rows), TARGET, threads, _estimator(job, log))
    rounds = _said(log, r"phase=fit rounds=(\d+)")
    return Run(whole, phases["fit"], job.metrics["validation:auc"], phases, int(rounds) if rounds else None), plan


def _phases(log: list[str]) -> dict[str, float]:
    """Seconds of each phase, as the job's log gives them."""
    found = (re.fullmatch(r"phase=(\w+) seconds=([\d.]+)", line) for line in log)
    return {match[1]: float(match[2]) for match in found if match}


def _said(log: list[str], pattern: str) -> str | None:
    return next((match[1] for line in log if (match := re.search(pattern, line))), None)


def _estimator(job: TrainingJob, log: list[str]) -> dict[str, Any]:
    """Arguments of the library's own estimator, from what the job was given and what it chose itself."""
    given = {name: value for name, value in job.hyperparameters.items() if name != "class_weight"}
    if job.algorithm == "xgboost":
        return given | {"tree_method": "hist", "random_state": job.seed, "eval_metric": "logloss"}
    if job.algorithm == "logistic_regression":
        return given | {"solver": _said(log, r"solver=(\S+)")}
    return given | {"random_state": job.seed}


def _by_script(plan: Plan, scratch: Path) -> Run:
    file = scratch / "bare-training.json"
    file.write_text(json.dumps(asdict(plan)))
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "bench.bare_training", str(file)],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=_MOST_SECONDS,
        preexec_fn=lambda: os.nice(_NICENESS),
    )
    whole = time.perf_counter() - began
    if done.returncode:
        raise Failed(f"the bare script broke: {done.stderr.strip()[-500:]}")
    said = json.loads(done.stdout)
    return Run(whole, said["fit"], said["auc"], {}, said["rounds"])
