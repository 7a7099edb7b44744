"""The main job, end to end, on real tables, through the client: the same steps a user takes.

Tests of this module run in order and build on each other, like the loop they follow.
"""

import csv
import gzip
import io
import math
from pathlib import Path

import pytest

from mlops_api.client import Conflict, MLOps, NotFound, Validation
from tests.support.server import FLIGHTS, PENGUINS, Server

ALGORITHMS = ("logistic_regression", "random_forest", "xgboost")
FLOORS = {"logistic_regression": 0.698 - 0.01, "random_forest": 0.733 - 0.01, "xgboost": 0.731 - 0.01}


def flight_rows() -> list[dict[str, str]]:
    with gzip.open(FLIGHTS, "rt") as file:
        return list(csv.DictReader(file))


def instance(row: dict[str, str]) -> dict[str, float | str | None]:
    """A row of the table as a request's object: features only, numbers as numbers, empty cells missing."""
    numbers = {"sched_hour", "distance", "plane_year", "plane_seats", "temp", "dewp", "humid"}
    numbers |= {"wind_speed", "precip", "visib", "pressure"}
    kept = {name: value for name, value in row.items() if name not in ("date", "month", "late")}
    return {name: (float(value) if name in numbers else value) if value != "" else None for name, value in kept.items()}


def test_upload_is_validated_and_profiled(client: MLOps) -> None:
    dataset = client.datasets.upload(FLIGHTS, name="flights")
    assert (dataset.version, dataset.status, dataset.rows) == ("flights:1", "Ready", 65470)
    types = {column.name: column.type for column in dataset.columns}
    assert types["distance"] == types["late"] == "numeric"
    assert types["carrier"] == "categorical"
    assert types["date"] == "datetime"
    rows = flight_rows()
    missing = {column.name: column.missing for column in dataset.columns}
    assert missing == {name: sum(row[name] == "" for row in rows) for name in rows[0]}
    profile = {column.name: column for column in client.datasets.profile("flights:1").columns}
    distances = [float(row["distance"]) for row in rows]
    assert profile["distance"].numeric is not None
    assert profile["distance"].numeric.mean == pytest.approx(sum(distances) / len(distances))
    assert profile["distance"].numeric.max == max(distances)
    assert client.datasets.preview("flights:1").rows[0][4] == "UA"


def test_three_algorithms_train_and_reach_the_reference(client: MLOps) -> None:
    jobs = {
        name: client.training.start(
            dataset="flights:1", target="late", algorithm=name, model="flights", exclude=["date", "month"]
        )
        for name in ALGORITHMS
    }
    for name, started in jobs.items():
        job = client.training.wait(started.job, timeout=280)
        assert job.metrics["validation:auc"] >= FLOORS[name], name
        assert job.model_version is not None
        version = client.models.get(job.model_version)
        assert version.training_job == job.job
        assert version.metrics["auc"] == job.metrics["validation:auc"]
    numbers = sorted(version.number for version in client.models.list(model="flights"))
    assert numbers == [1, 2, 3]


def test_job_has_log_and_metric_series(client: MLOps) -> None:
    job = next(job for job in client.training.jobs(model="flights") if job.algorithm == "xgboost")
    assert any("#metric validation:auc=" in line for line in client.training.logs(job.job))
    curve = [point for point in client.training.metrics(job.job) if point.name == "validation:logloss"]
    steps = [point.step for point in curve if point.step is not None]
    assert len(steps) > 10
    assert steps == sorted(steps)
    assert curve[-1].value < curve[0].value
    assert job.progress == 1.0


def test_evaluation_says_what_the_model_is_worth(client: MLOps) -> None:
    evaluation = client.models.evaluation(best(client))
    assert evaluation.baseline["auc"] == pytest.approx(0.5)
    assert sum(sum(row) for row in evaluation.confusion) == evaluation.validation_rows
    assert len(evaluation.importance) == 15
    assert evaluation.importance[0].mean > 0
    assert {"roc", "precision_recall", "calibration", "slices"} <= {
        name for name, value in evaluation.model_dump().items() if value
    }
    assert "flights" in client.models.card(best(client)).markdown


def best(client: MLOps) -> str:
    ranked = client.models.list(model="flights", sort="metric", order="desc")
    return next(iter(ranked)).version


def test_an_unapproved_version_does_not_serve(client: MLOps) -> None:
    with pytest.raises((Conflict, NotFound), match="approve"):
        client.inference.predict("flights", [instance(flight_rows()[0])])
    with pytest.raises(Conflict, match="PendingManualApproval"):
        client.models.set_alias("flights", "champion", best(client))


def test_approve_and_deploy(client: MLOps) -> None:
    version = best(client)
    approved = client.models.approve(version, comment="best AUC", deploy=True)
    assert approved.approval_status == "Approved"
    endpoint = client.inference.wait("flights", timeout=60)
    assert [variant.model_version for variant in endpoint.variants] == [version]
    assert client.models.get(version).aliases == ["champion"]
    assert client.models.get("flights:champion").decisions[0].comment == "best AUC"
    with pytest.raises(Conflict, match=r"Approved.*Rejected"):
        client.models.approve(version)


def test_predictions_come_in_row_order_with_their_version(client: MLOps) -> None:
    rows = [instance(row) for row in flight_rows()[:200]]
    answer = client.inference.predict("flights", rows)
    assert answer.model_version == best(client)
    assert len(answer.predictions) == 200
    one_by_one = [client.inference.predict("flights", [row]).predictions[0] for row in rows[:5]]
    for single, together in zip(one_by_one, answer.predictions, strict=False):
        assert single.probabilities == pytest.approx(together.probabilities, abs=1e-6)
        assert math.isclose(sum(single.probabilities.values()), 1, abs_tol=1e-6)


def test_csv_and_columns_give_the_same_answer(client: MLOps, server: Server) -> None:
    row = instance(flight_rows()[3])
    expected = client.inference.predict("flights", [row]).predictions
    with server.http() as http:
        body = {"model": "flights", "columns": list(row), "rows": [list(row.values())]}
        by_columns = http.post("/inference/predict", json=body).json()["predictions"]
        text = io.StringIO()
        csv.writer(text).writerows([list(row), ["" if value is None else value for value in row.values()]])
        by_csv = http.post(
            "/inference/predict?model=flights", content=text.getvalue(), headers={"Content-Type": "text/csv"}
        ).json()["predictions"]
    assert by_columns == by_csv == [prediction.model_dump() for prediction in expected]


def test_bad_rows_are_refused_by_row_and_column(client: MLOps) -> None:
    good = instance(flight_rows()[0])
    with pytest.raises(Validation) as refused:
        client.inference.predict("flights", [good, {**good, "distance": "far", "colour": "red"}])
    places = {(error.get("row"), error.get("column")) for error in refused.value.errors}
    assert places == {(1, "distance"), (1, "colour")}
    lacking = {name: value for name, value in good.items() if name != "distance"}
    with pytest.raises(Validation, match="distance"):
        client.inference.predict("flights", [lacking])


def test_batch_scores_every_row(client: MLOps, tmp_path: Path) -> None:
    job = client.batch.start(model="flights", input="flights:1")
    done = client.batch.wait(job.transform_job, timeout=120)
    assert (done.rows, done.done_rows, done.failed_rows) == (65470, 65470, 0)
    path = client.batch.results(job.transform_job, tmp_path / "scored.csv")
    with path.open(newline="") as file:
        scored = list(csv.DictReader(file))
    assert [row["row"] for row in scored] == [str(number) for number in range(1, 65471)]
    first = client.inference.predict("flights", [instance(flight_rows()[0])]).predictions[0]
    assert float(scored[0]["probability_1"]) == pytest.approx(first.probabilities["1"], abs=1e-6)


def test_second_champion_and_rollback(client: MLOps) -> None:
    first = client.models.get("flights:champion").version
    second = next(version.version for version in client.models.list(model="flights") if version.version != first)
    client.models.approve(second, deploy=True)
    client.inference.wait("flights", timeout=60)
    assert client.models.get("flights:champion").version == second
    row = [instance(flight_rows()[0])]
    assert client.inference.predict("flights", row).model_version == second
    with pytest.raises(Conflict, match="not behind the endpoint"):
        client.inference.predict(first, row)
    client.models.rollback("flights", comment="worse")
    client.inference.wait("flights", timeout=60)
    assert client.models.get("flights:champion").version == first
    assert client.inference.predict("flights", row).model_version == first
    with pytest.raises(Conflict, match="champion"):
        client.models.reject(first)
    with pytest.raises(Conflict, match="no earlier"):
        client.models.rollback("flights")


def test_two_variants_share_the_traffic(client: MLOps) -> None:
    approved = [version.version for version in client.models.list(model="flights", approval_status="Approved")]
    assert len(approved) == 2
    client.inference.put_endpoint(
        "flights",
        [{"variant": f"v{n}", "model_version": version, "weight": 1} for n, version in enumerate(approved)],
    )
    client.inference.wait("flights", timeout=60)
    row = [instance(flight_rows()[0])]
    answered = {client.inference.predict("flights", row).model_version for _ in range(60)}
    assert answered == set(approved)
    assert client.inference.predict(approved[0], row).model_version == approved[0]


def test_compare_and_lineage(client: MLOps) -> None:
    versions = [version.version for version in client.models.list(model="flights")]
    comparison = client.models.compare(versions[0], versions[1])
    assert comparison.same_dataset
    auc = next(metric for metric in comparison.metrics if metric.name == "auc")
    assert auc.change == pytest.approx((auc.right or 0) - (auc.left or 0))
    assert "algorithm" in {parameter.name for parameter in comparison.parameters}
    assert comparison.schema_changes == []
    lineage = client.models.lineage("flights:champion")
    assert {node.kind for node in lineage.nodes} >= {"dataset", "training_job", "model_version", "transform_job"}


def test_penguins_three_classes(client: MLOps) -> None:
    dataset = client.datasets.upload(PENGUINS, name="penguins")
    job = client.training.start(dataset=dataset.version, target="species", algorithm="random_forest", model="penguins")
    done = client.training.wait(job.job, timeout=120)
    assert done.problem_type == "multiclass"
    assert done.metrics["validation:auc"] >= 0.99


def test_regression(client: MLOps) -> None:
    job = client.training.start(dataset="penguins:1", target="body_mass_g", algorithm="xgboost", model="mass")
    done = client.training.wait(job.job, timeout=120)
    assert done.problem_type == "regression"
    assert done.metrics["validation:r2"] > 0.7
    client.models.approve("mass:1", deploy=True)
    client.inference.wait("mass", timeout=60)
    answer = client.inference.predict(
        "mass",
        [{"species": "Gentoo", "island": "Biscoe", "bill_length_mm": 47.0, "bill_depth_mm": 15.0,
          "flipper_length_mm": 217.0, "sex": "male", "year": 2008}],
    )  # fmt: skip
    assert 4500 < answer.predictions[0].value < 6500


def test_same_seed_same_metrics(client: MLOps) -> None:
    jobs = [
        client.training.start(dataset="penguins:1", target="species", algorithm="xgboost", model="again", seed=7)
        for _ in range(2)
    ]
    first, second = [client.training.wait(job.job, timeout=120) for job in jobs]
    assert first.metrics == second.metrics


def test_bundle_is_data_only(client: MLOps, tmp_path: Path) -> None:
    import tarfile

    path = client.models.download("flights:champion", tmp_path / "model.tar.gz")
    with tarfile.open(path) as archive:
        names = set(archive.getnames())
    assert "manifest.json" in names
    assert {Path(name).suffix for name in names if "." in name} <= {".json", ".md", ".npz", ".onnx", ".ubj"}


def test_dashboard_counts_what_happened(client: MLOps) -> None:
    stats = client.dashboard.stats()
    assert stats.counts["datasets"].value == 2
    assert stats.counts["model_versions"].value == 7
    assert {champion.model for champion in stats.champions} == {"flights", "mass"}
    assert stats.serving["requests"].value > 60
    assert {item.kind for item in stats.needs_attention} == {"pending_approval"}
    actions = [entry.action for entry in client.dashboard.activity()]
    assert actions.count("training.start") == 7
    assert "model.rollback" in actions


def test_a_used_dataset_cannot_be_deleted(client: MLOps) -> None:
    with pytest.raises(Conflict, match="used by"):
        client.datasets.delete("flights:1")
    spare = client.datasets.upload(PENGUINS, name="spare")
    client.datasets.delete(spare.version)
    with pytest.raises(NotFound):
        client.datasets.get(spare.version)
