"""`preprocess`: reads an uploaded table strictly, finds its types, profiles it and writes typed Parquet.

    input/config/preprocess.json   PreprocessConfig
    input/data/raw/<one file>      CSV (, ; tab |, gzipped or not) or Parquet, told by content
    output/dataset.json            always when the exit code is 0
    output/profile.json, preview.json, statistics.json, constraints.json, data.parquet     accepted tables only

In a SageMaker processing job these lie below /opt/ml/processing. See job.py for the steps, plan.py for the SQL.
"""

from collections.abc import Sequence

from training.failure import guarded
from training.paths import MlPaths


def main(argv: Sequence[str] = ()) -> int:
    """Run the job; `argv` must be empty. Exit code 0: verdict written; 1: could not run, see output/failure."""
    if argv:
        raise SystemExit(f"preprocess takes no arguments, got {list(argv)}")
    paths = MlPaths.of_job()
    return guarded(paths, lambda: _run(paths))


def _run(paths: MlPaths) -> None:
    from training.preprocess.job import run  # the SQL engine and Arrow are imported only when the job runs

    report = run(paths)
    quality = report.quality
    verdict = "rejected" if quality.violation_count else "accepted"
    print(
        f"verdict={verdict} rows={report.rows} columns={len(report.columns)} "
        f"violations={quality.violation_count} warnings={len(quality.warnings)}",
        flush=True,
    )
