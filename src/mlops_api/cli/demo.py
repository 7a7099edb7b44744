"""`mlops demo`: upload, train, compare, approve, serve, score, on real data, through the client alone."""

import csv
import gzip
import time
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mlops_api.cli.demo_server import running_server
from mlops_api.cli.errors import FAILURE, OK, UsageProblem
from mlops_api.cli.output import Outcome, number
from mlops_api.cli.session import Session
from mlops_api.client.location import data_folder

if TYPE_CHECKING:
    from mlops_api.client import MLOps
    from mlops_api.domain.models import ModelVersion

FLIGHTS: Final = "flights.csv.gz"
PENGUINS: Final = "penguins.csv"
REFERENCE: Final = {"logistic_regression": 0.698, "random_forest": 0.733, "xgboost": 0.731}
"""AUC of flights `late` without `date` and `month`, from examples/data/README.md: 5-fold, at most 20,000 rows."""
PENGUINS_REFERENCE: Final = 1.0
TOLERANCE: Final = 0.01


@dataclass(frozen=True)
class Trained:
    """One row of the comparison. `seconds` of training, by the job's own start and end."""

    algorithm: str
    version: str
    auc: float
    reference: float
    dummy: float | None
    seconds: float

    @property
    def short(self) -> bool:
        return self.auc < self.reference - TOLERANCE


def run_demo(session: Session, file: Path | None = None) -> Outcome:
    """Run the main job. Raises UsageProblem when the data is not found."""
    flights = file or _example(FLIGHTS)
    began = time.monotonic()
    folder = data_folder(session.data_dir)
    session.say(f"Using the server on {folder}, or starting one ...")
    with running_server(folder) as client:
        demo = _Demo(session, client)
        trained = demo.flights(flights)
        batch = demo.serve(max(trained, key=lambda one: one.auc), flights, folder)
        penguins = demo.penguins(flights.with_name(PENGUINS))
    seconds = time.monotonic() - began
    everything = [*trained, *penguins]
    short = [one.version for one in everything if one.short]
    session.say(_closing(session, folder, short, seconds))
    data = {
        "models": [asdict(one) for one in everything],
        "batch": batch,
        "short_of_reference": short,
        "seconds": seconds,
    }
    return Outcome(data, exit_code=FAILURE if short else OK)


class _Demo:
    def __init__(self, session: Session, client: "MLOps") -> None:
        self._session = session
        self._client = client
        self._step = 0

    def flights(self, file: Path) -> list[Trained]:
        """Upload, look, train three algorithms at once, compare."""
        dataset = self._upload(file, "flights")
        self._title("Train three algorithms at once (target late; date and month left out)")
        jobs = [
            self._client.training.start(
                dataset=dataset, target="late", algorithm=algorithm, model="flights", exclude=["date", "month"]
            ).job
            for algorithm in REFERENCE
        ]
        trained = [self._ended(job, reference) for job, reference in zip(jobs, REFERENCE.values(), strict=True)]
        self._title("Compare, on rows held out")
        self._compare(trained)
        return trained

    def _upload(self, file: Path, name: str) -> str:
        self._title(f"Upload and validate {file.name}")
        dataset = self._client.datasets.upload(file, name=name)
        self._tell(f"{dataset.version}: {dataset.rows} rows, {len(dataset.columns)} columns, {dataset.status}")
        profile = self._client.datasets.profile(dataset.version)
        gaps = sorted((column for column in profile.columns if column.missing), key=lambda c: -c.missing)
        missing = ", ".join(f"{c.name} {100 * c.missing / profile.rows:.1f} %" for c in gaps[:4])
        self._tell(f"missing values in {len(gaps)} columns: {missing}")
        for warning in dataset.quality.warnings[:3]:
            self._tell(f"warning: {warning.message}")
        return dataset.version

    def _ended(self, job: str, reference: float) -> Trained:
        from mlops_api.domain.times import parse_rfc3339

        ended = self._client.training.wait(job, timeout=600)
        version, start, end = ended.model_version or "", ended.started_at or "", ended.ended_at or ""
        evaluation = self._client.models.evaluation(version)
        seconds = (parse_rfc3339(end) - parse_rfc3339(start)).total_seconds()
        one = Trained(
            ended.algorithm,
            version,
            evaluation.metrics["auc"],
            reference,
            evaluation.baseline.get("auc"),
            seconds,
        )
        self._tell(f"{one.version}: {one.algorithm}, AUC {one.auc:.3f}, {one.seconds:.1f} s")
        return one

    def _compare(self, trained: list[Trained]) -> None:
        if self._session.json:
            return
        headings = ["version", "algorithm", "AUC", "reference", "difference", "dummy", "seconds"]
        rows = [_row(one) for one in trained]
        self._session.printer.table(headings, rows)

    def serve(self, best: Trained, file: Path, folder: Path) -> dict[str, Any]:
        """Approve the best, predict a few rows online, then all of them in a batch."""
        self._title(f"Approve and deploy the best: {best.version} ({best.algorithm})")
        self._client.models.approve(best.version, comment="best of the demo", deploy=True)
        endpoint = self._client.inference.wait("flights")
        self._tell(f"endpoint {endpoint.endpoint}: {endpoint.status}")
        self._predict(self._client.models.get(best.version), file)
        return self._batch(best, folder)

    def _predict(self, version: "ModelVersion", file: Path) -> None:
        self._title("Predict three rows of the file")
        rows = _rows(file, [feature.name for feature in version.signature], version.target)
        header, *lines = rows
        content = "\n".join(",".join(row[:-1]) for row in [header, *lines]).encode()
        found = self._client.inference.predict_csv("flights", content)
        for row, one in zip(lines, found.predictions, strict=True):
            late = getattr(one, "probabilities", {}).get("1", 0.0)
            shown = ", ".join(f"{name} {value}" for name, value in list(zip(header, row, strict=True))[:5])
            self._tell(f"{shown}: P(late) {number(late)}, in truth {'late' if row[-1] == '1' else 'in time'}")

    def _batch(self, best: Trained, folder: Path) -> dict[str, Any]:
        self._title("Score every row in a batch")
        dataset = self._client.models.get(best.version).dataset
        job = self._client.batch.start(model="flights", input=dataset)
        ended = self._client.batch.wait(job.transform_job, timeout=600)
        path = self._client.batch.results(job.transform_job, folder / f"{job.transform_job}.csv", overwrite=True)
        self._tell(f"{ended.rows} rows, {ended.failed_rows} of them failed")
        self._tell(f"results: {path}")
        return {
            "transform_job": job.transform_job,
            "rows": ended.rows,
            "failed_rows": ended.failed_rows,
            "path": str(path),
        }

    def penguins(self, file: Path) -> list[Trained]:
        """Three classes, one algorithm."""
        if not file.exists():
            return []
        dataset = self._upload(file, "penguins")
        self._title("Three classes: train on species")
        job = self._client.training.start(
            dataset=dataset, target="species", algorithm="random_forest", model="penguins"
        ).job
        trained = [self._ended(job, PENGUINS_REFERENCE)]
        self._compare(trained)
        return trained

    def _title(self, text: str) -> None:
        self._step += 1
        self._session.say(f"\n{self._step}. {text}")

    def _tell(self, text: str) -> None:
        self._session.say(f"   {text}")


def _row(one: Trained) -> list[Any]:
    difference = f"{one.auc - one.reference:+.3f}" + (" SHORT" if one.short else "")
    return [
        one.version,
        one.algorithm,
        f"{one.auc:.3f}",
        f"{one.reference:.3f}",
        difference,
        one.dummy,
        f"{one.seconds:.1f}",
    ]


def _example(name: str) -> Path:
    for parent in Path(__file__).resolve().parents:
        found = parent / "examples" / "data" / name
        if found.exists():
            return found
    raise UsageProblem(f"examples/data/{name} is not here. Say where it is: mlops demo --file PATH")


def _rows(file: Path, columns: list[str], target: str) -> list[list[str]]:
    """Header and three rows from the middle of the file; the target comes last."""
    with gzip.open(file, "rt", newline="") as text:
        reader = csv.DictReader(text)
        wanted = [*columns, target]
        return [wanted, *([row[name] for name in wanted] for row in islice(reader, 30_000, 60_000, 12_000))]


def _closing(session: Session, folder: Path, short: list[str], seconds: float) -> str:
    place = f" --data-dir {folder}" if session.data_dir else ""
    verdict = f"SHORT of the reference: {', '.join(short)}" if short else "Every figure holds its reference"
    return (
        f"\n{verdict}. {seconds:.0f} s in all.\n\nWhere to look next:\n"
        f"   mlops up{place}              keep it running; it prints its address, and /docs there has the API\n"
        f"   mlops models list{place}\n   mlops models evaluation{place} flights:champion\n"
        f"   mlops stats{place}"
    )
