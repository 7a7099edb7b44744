"""`train`: from the data channel to a model bundle.

    read -> split -> features -> fit -> evaluate -> write

Several hosts share the fit (hosts/); the first one evaluates and writes. The layout is SageMaker's (paths.py).
Exit 0 when model/ holds a bundle, 1 with output/failure, 143 on SIGTERM.
"""

import platform
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mlops_contracts.bundle import EVALUATION, GRAPH, MODEL_CARD, Manifest
from mlops_contracts.evaluation import Champion, Evaluation
from mlops_contracts.hyperparameters import Hyperparameters
from mlops_contracts.job import JobConfig
from training import bundle, data
from training.accelerate import Graph, accelerate
from training.baseline import write_baseline
from training.champion import judge_champion
from training.estimators import Fitted, fit
from training.estimators.base import Array
from training.evaluation import EvaluationInput, evaluate
from training.failure import JobError, guarded
from training.features import ColumnMap
from training.hosts import Hosts, Place, together
from training.hosts.group import leave
from training.job_input import read_config
from training.libraries import limit_threads, versions
from training.model_card import render
from training.paths import MlPaths
from training.prepared import Prepared, prepare
from training.reporter import FIT_FROM, FIT_TO, Reporter
from training.stopping import StopRequest
from training.target import Target

ROWS_PER_HOST = 50
"""Fewer training rows are not worth a host, and would leave some without rows to stop early by."""
THRESHOLD = 0.5
"""Of a binary model. Class weights move the probabilities instead of the threshold."""


def main(argv: Sequence[str]) -> int:
    """Run one training job below MLOPS_ML_ROOT; returns the exit code."""
    if argv:
        print(f"train takes no arguments, but got: {' '.join(argv)}")
        return 2
    paths, stop = MlPaths.from_env(), StopRequest()
    stop.install()
    try:
        code = guarded(paths, lambda: run(paths, stop, bundle.machine_threads()))
    finally:
        stop.remove()
    return leave(code)


def run(paths: MlPaths, stop: StopRequest, threads: int) -> None:
    """Train one model. Raises JobError for what the user can mend, JobStopped when asked to end."""
    config, hyperparameters = read_config(paths.hyperparameters)
    place = Place.read(paths.resource_config)
    report = Reporter(stop, metrics=place.first)
    limit_threads(threads)
    report.progress(0.0)
    with together(place, paths, stop, report.say) as hosts:
        prepared = ready(paths, config, hyperparameters, report, hosts)
        report.progress(FIT_FROM)
        with report.phase("fit", algorithm=config.algorithm, rows=len(prepared.split.train), threads=threads):
            fitted = fit(prepared.task(hyperparameters, config.seed, threads, paths, hosts), report)
        report.progress(FIT_TO)
    if fitted is None:
        report.say("phase=done the first host evaluates the model and writes it")
        return
    with report.phase("evaluate", rows=len(prepared.split.valid)):
        evaluation = judge(fitted, prepared, config)
        champion = judge_champion(paths, prepared, threads)
        evaluation = evaluation.model_copy(update={"champion": champion})
    tell_champion(champion, evaluation, report)
    report.final(evaluation.metrics)
    with report.phase("accelerate"):
        graph = accelerate(
            fitted.scorer, prepared.encoder, prepared.columns_valid, len(prepared.target.classes), report
        )
    with report.phase("write"):
        write(paths.model, fitted, prepared, evaluation, hyperparameters, graph)
    report.progress(1.0)


# --------------------------------------------------------------------------- judgement and bundle


def ready(
    paths: MlPaths, config: JobConfig, hyperparameters: Hyperparameters, report: Reporter, hosts: Hosts
) -> Prepared:
    """The rows of the data channel, prepared alike on all hosts."""
    with report.phase("read", dataset=config.dataset, target=config.target):
        loaded = data.load(paths.channel("training"), config)
    prepared = prepare(loaded, config, hyperparameters, report)
    hosts.agree(prepared.facts())
    rows = len(prepared.split.train)
    if hosts.size > 1 and rows < hosts.size * ROWS_PER_HOST:
        raise JobError(
            f"{rows:,} training rows are too few for {hosts.size} hosts; use at most {max(1, rows // ROWS_PER_HOST)}."
        )
    return prepared


def judge(fitted: Fitted, prepared: Prepared, config: JobConfig) -> Evaluation:
    """Evaluate what will be served: the scorer, not the library's estimator."""

    def predict(columns: ColumnMap) -> Array:
        return fitted.scorer.scores(prepared.encoder.matrix(columns))

    return evaluate(
        EvaluationInput(
            algorithm=config.algorithm,
            problem_type=prepared.target.problem_type,
            target=config.target,
            features=prepared.features,
            y_train=prepared.y_train,
            y_valid=prepared.y_valid,
            scores=predict(prepared.columns_valid),
            predict=predict,
            columns_train=prepared.columns_train,
            columns_valid=prepared.columns_valid,
            split=prepared.split.kind,
            classes=prepared.target.classes,
            threshold=_threshold(prepared.target),
            ignored=prepared.data.ignored,
            seed=config.seed,
            asked_share=config.validation_fraction,
        )
    )


def tell_champion(champion: Champion | None, evaluation: Evaluation, report: Reporter) -> None:
    """A line of the log about the comparison, if there was to be one."""
    if champion is None:
        return
    if champion.reason is not None:
        report.say(f"warning: the champion {champion.version} is not compared: {champion.reason}")
        return
    name = evaluation.objective
    mine, other = evaluation.metrics.get(name), champion.metrics.get(name)
    report.say(f"phase=champion version={champion.version} metric={name} champion={other} model={mine}")


def _threshold(target: Target) -> float | None:
    return THRESHOLD if target.problem_type == "binary" else None


def write(
    folder: Path,
    fitted: Fitted,
    prepared: Prepared,
    evaluation: Evaluation,
    hyperparameters: Hyperparameters,
    graph: Graph | None,
) -> None:
    """Write the whole bundle; manifest.json comes last."""
    shutil.rmtree(folder, ignore_errors=True)  # of an attempt that was killed here
    folder.mkdir(parents=True)
    manifest = describe(prepared, evaluation, hyperparameters.model_dump())
    write_baseline(folder, prepared.table_train, prepared.features)
    (folder / EVALUATION).write_text(evaluation.model_dump_json(), encoding="utf-8")
    (folder / MODEL_CARD).write_text(render(manifest, evaluation), encoding="utf-8")
    if graph is not None:
        (folder / GRAPH).write_bytes(graph.content)
        manifest = manifest.model_copy(update={"accelerated": graph.facts})
    bundle.write(folder, manifest, fitted.scorer)


def _unused(loaded: data.TrainingData, config: JobConfig) -> dict[str, str]:
    """Every column of the dataset that is no feature -> why."""
    time = {config.time_column: "it is the time column"} if config.time_column else {}
    left_out = dict.fromkeys(config.exclude, "it was left out in training")
    return {**loaded.ignored, **left_out, **time, config.target: "it is the target"}


def describe(prepared: Prepared, evaluation: Evaluation, hyperparameters: dict[str, Any]) -> Manifest:
    """The manifest, but for the digests of the files."""
    config, target = prepared.config, prepared.target
    return Manifest(
        algorithm=config.algorithm,
        problem_type=target.problem_type,
        target=config.target,
        features=prepared.features,
        classes=target.classes,
        threshold=_threshold(target),
        dataset=config.dataset,
        dataset_sha256=prepared.dataset_sha256,
        seed=config.seed,
        validation_fraction=config.validation_fraction,
        time_column=config.time_column,
        excluded=config.exclude,
        ignored=_unused(prepared.data, config),
        split=prepared.split.kind,
        split_key=prepared.data.hashes.key if prepared.data.hashes else "",
        validation_rows_sha256=prepared.validation_digest,
        training_rows=len(prepared.split.train),
        validation_rows=len(prepared.split.valid),
        hyperparameters=hyperparameters,
        libraries={"python": platform.python_version(), "numpy": np.__version__, **versions(config.algorithm)},
        metrics=evaluation.metrics,
        importance={each.feature: each.mean for each in evaluation.importance},
        files={},
    )
