"""`python -m training transform`: score a whole table, one result row per input row, in order.

    model/                                         bundle; or input/data/model/<one model.tar.gz>
    input/data/transform/{data.parquet,dataset.json}
    input/config/transform.json                    TransformConfig
    output/progress.json                           TransformProgress, replaced after each chunk
    output/results.csv | results.parquet

In a SageMaker processing job these lie below /opt/ml/processing, and progress.json in progress/.

Result columns: row (from 1); label and probability_<class> for each class, or value; error. A row that cannot be
scored has its reason in `error` and nothing else. A table that can never fit the model fails the job at once.

Killed at any moment, the job goes on with the next chunk when it is started again in the same folder.
SIGTERM: the chunk under way is finished, exit 143.
"""

import hashlib
import math
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mlops_contracts.bundle import MANIFEST, Manifest
from mlops_contracts.metrics import metric_line
from mlops_contracts.transform import TransformConfig, TransformProgress
from training.arrow_cells import table_columns
from training.bundle import Bundle, BundleError, load, machine_threads
from training.cells import Field
from training.complaints import RowErrors
from training.data import read_report
from training.durable import replacing
from training.failure import JobError, JobStopped, guarded
from training.libraries import limit_threads
from training.model_archive import unpack_model
from training.numbers import Decimal
from training.paths import MlPaths
from training.responses import NOT_FINITE, decide, finite
from training.transform_input import ScoringTable
from training.transform_parts import Part, Parts

CHANNEL: Final = "transform"

Array = npt.NDArray[Any]


def main(_argv: Sequence[str]) -> int:
    """Run the job below MLOPS_ML_ROOT; returns 0, 1 (see output/failure) or 143 (stopped)."""
    paths = MlPaths.of_job()
    with _stoppable() as stop:
        return guarded(paths, lambda: transform(paths, stop))


@dataclass
class Stop:
    """Whether SIGTERM has come."""

    requested: bool = False

    def check(self) -> None:
        """Raises JobStopped when it has."""
        if self.requested:
            raise JobStopped


@contextmanager
def _stoppable() -> Iterator[Stop]:
    stop = Stop()

    def handle(_signum: int, _frame: FrameType | None) -> None:
        stop.requested = True

    before = signal.signal(signal.SIGTERM, handle)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGTERM, before)


def transform(paths: MlPaths, stop: Stop) -> None:
    """Score the table. Raises JobError (the user can mend it), JobStopped, or whatever went wrong."""
    limit_threads(machine_threads())
    config = _config(paths)
    unpack_model(paths)
    bundle = _bundle(paths.model)
    fields = tuple(Field.of(feature) for feature in bundle.manifest.features)
    source = _required(paths.channel(CHANNEL) / "data.parquet")
    decimal = _decimal(paths)
    table = ScoringTable(source, fields, decimal)
    parts = Parts(paths.checkpoints, _digest(paths), config.format)
    job = Job(Scorer(bundle, fields, decimal), table, parts, paths.progress, config.chunk_rows)
    job.run(stop)
    paths.output.mkdir(parents=True, exist_ok=True)
    parts.assemble(paths.output / f"results.{config.format}", result_schema(bundle.manifest), stop.check)
    parts.remove()
    print(f"phase=done rows={table.rows} failed={job.failed_rows}", flush=True)


def _config(paths: MlPaths) -> TransformConfig:
    return TransformConfig.model_validate_json(_required(paths.config / "transform.json").read_bytes())


def _decimal(paths: MlPaths) -> Decimal:
    """The mark that the table's numbers were written with, as `preprocess` found it."""
    return "," if read_report(paths.channel(CHANNEL)).decimal == "," else "."


def _bundle(folder: Path) -> Bundle:
    try:
        return load(folder)
    except BundleError as error:
        raise JobError(f"the model cannot be loaded: {error}") from error


def _required(path: Path) -> Path:
    if not path.is_file():
        raise JobError(f"{path.name} is missing from {path.parent.name}/; the job's folder is incomplete")
    return path


def _digest(paths: MlPaths) -> str:
    """Of all that decides the results: settings, model and table, the latter two by their own digests."""
    digest = hashlib.sha256()
    data = paths.channel(CHANNEL)
    for path in (paths.config / "transform.json", paths.model / MANIFEST, _required(data / "dataset.json")):
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    digest.update(str((data / "data.parquet").stat().st_size).encode())
    return digest.hexdigest()[:16]


def result_schema(manifest: Manifest) -> pa.Schema:
    """Columns of the results."""
    score = [("value", pa.float64())]
    if manifest.classes:
        score = [("label", pa.string()), *((f"probability_{name}", pa.float64()) for name in manifest.classes)]
    return pa.schema([("row", pa.int64()), *score, ("error", pa.string())])


@dataclass(frozen=True)
class Scorer:
    """Scores one chunk."""

    bundle: Bundle
    fields: Sequence[Field]
    decimal: Decimal = "."

    def results(self, chunk: pa.Table, first_row: int) -> tuple[pa.Table, int]:
        """Result rows of a chunk whose first row is number `first_row` of the table, and how many have an error."""
        sink = RowErrors()
        columns = table_columns(self.fields, chunk, sink, self.decimal)
        scores, unscored = finite(lambda: self.bundle.scores(columns))
        errors = dict.fromkeys(unscored, NOT_FINITE) | sink.errors
        failed = np.zeros(len(scores), dtype=bool)
        failed[list(errors)] = True
        rows = pa.array(np.arange(first_row, first_row + len(scores)))
        texts = pa.array(
            [errors.get(row) for row in range(len(scores))] if errors else [None] * len(scores), pa.string()
        )
        arrays = [rows, *self._score_columns(scores, failed), texts]
        return pa.table(arrays, schema=result_schema(self.bundle.manifest)), len(errors)

    def _score_columns(self, scores: Array, failed: Array) -> list[pa.Array]:
        manifest = self.bundle.manifest
        if not manifest.classes:
            return [pa.array(scores, mask=failed)]
        labels = pa.array(manifest.classes, pa.string()).take(pa.array(decide(manifest, scores), mask=failed))
        return [labels, *(pa.array(np.ascontiguousarray(column), mask=failed) for column in scores.T)]


@dataclass
class Job:
    """The chunks of one table: done ones are kept, the rest is scored."""

    scorer: Scorer
    table: ScoringTable
    parts: Parts
    progress: Path
    chunk_rows: int
    failed_rows: int = field(default=0, init=False)

    def run(self, stop: Stop) -> None:
        """Score what is not scored yet. Raises JobStopped after a chunk when asked to."""
        self.progress.mkdir(parents=True, exist_ok=True)
        done = self.parts.done()[: math.ceil(self.table.rows / self.chunk_rows)]
        self.failed_rows = sum(part.failed_rows for part in done)
        print(f"phase=scoring rows={self.table.rows} done={len(done) * self.chunk_rows if done else 0}", flush=True)
        self._report(len(done))
        for number, chunk in enumerate(self.table.chunks(self.chunk_rows, len(done)), len(done)):
            stop.check()
            self.failed_rows += self._score(number, chunk).failed_rows
            self._report(number + 1)
        stop.check()

    def _score(self, number: int, chunk: pa.Table) -> Part:
        results, failed = self.scorer.results(chunk, number * self.chunk_rows + 1)
        return self.parts.add(number, results, failed)

    def _report(self, chunks: int) -> None:
        done = min(chunks * self.chunk_rows, self.table.rows)
        progress = TransformProgress(rows=self.table.rows, done_rows=done, failed_rows=self.failed_rows)
        with replacing(self.progress / "progress.json") as partial:
            partial.write_text(progress.model_dump_json(), encoding="utf-8")
        print(metric_line("progress", done / self.table.rows if self.table.rows else 1.0), flush=True)
