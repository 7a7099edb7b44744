"""One plausible answer of each shape, for tests that only need one."""

from mlops_api.domain.alerts import Alert, DeliveryAttempt
from mlops_api.domain.contracts import DatasetContract
from mlops_api.domain.dashboard import Attention, ChampionFigure, DashboardStats, Figure, RunningJob
from mlops_api.domain.datasets import DatasetSummary, DatasetVersion
from mlops_api.domain.inference import Endpoint, TransformJob, Variant
from mlops_api.domain.models import (
    Comparison,
    Decision,
    Difference,
    Lineage,
    LineageEdge,
    LineageNode,
    MetricDifference,
    ModelVersion,
    SchemaDifference,
)
from mlops_api.domain.monitoring import AlarmView, MetricValues, PeriodPoint
from mlops_api.domain.pipelines import Candidate, DatasetRecipe, Execution, GateVerdict, Recipe, Step
from mlops_api.domain.training import TrainingJob
from mlops_contracts.bundle import Feature
from mlops_contracts.comparison import ColumnDifference, DatasetDifference
from mlops_contracts.data_contract import ColumnRule, DataContract
from mlops_contracts.dataset import (
    Column,
    ColumnProfile,
    Finding,
    NumericProfile,
    Preview,
    Profile,
    Quality,
    ValueCount,
)
from mlops_contracts.evaluation import Evaluation, EvaluationWarning, Importance

NOW = "2026-11-22T19:45:01.123456Z"
SHA = "ab" * 32


def dataset(version: str = "flights:1", status: str = "Ready", quality: Quality | None = None) -> DatasetVersion:
    name, _, number = version.partition(":")
    columns = [Column(name="carrier", type="categorical", missing=0, distinct=16)]
    return DatasetVersion(
        version=version, name=name, number=int(number), status=status, filename="flights.csv", size_bytes=1234,
        sha256=SHA, rows=100, column_count=1, created_at=NOW, created_by="ann", columns=columns,
        quality=quality or Quality(warnings=(Finding(code="constant", message="one value", column="carrier"),)),
    )  # fmt: skip


def dataset_summary(version: str = "flights:1") -> DatasetSummary:
    return DatasetSummary.model_validate(dataset(version).model_dump())


def profile() -> Profile:
    numeric = NumericProfile(min=-1, max=9.5, mean=3, std=1, quantiles={"0.5": 2.5}, histogram=())
    top = (ValueCount(value="UA", count=60),)
    return Profile(
        rows=100,
        columns=(
            ColumnProfile(name="distance", type="numeric", missing=3, distinct=90, numeric=numeric),
            ColumnProfile(name="carrier", type="categorical", missing=0, distinct=2, top_values=top),
        ),
    )


def preview() -> Preview:
    return Preview(columns=("carrier", "distance"), rows=(("UA", 1400.0), (None, 187.5)))


def contract() -> DatasetContract:
    rules = (ColumnRule(name="carrier", type="categorical", allowed=("UA", "AA")), ColumnRule(name="tail"))
    return DatasetContract(
        dataset="flights", number=2, contract=DataContract(columns=rules, min_rows=10), in_force=True, revision=3,
        created_at=NOW, created_by="ann",
    )  # fmt: skip


def difference() -> DatasetDifference:
    columns = (
        ColumnDifference(
            name="carrier", change="same", type="categorical", type_before="categorical", missing_rate=0.0,
            missing_rate_before=0.1, missing_p_adjusted=0.001, statistic="chi_square", p_value=1e-9, p_adjusted=1e-8,
            effect=0.31, psi=0.2, threshold=0.1, drifted=True, new_categories=("ZZ",), new_category_count=1,
            new_category_share=0.04,
        ),
        ColumnDifference(name="origin", change="lost", type_before="text"),
    )  # fmt: skip
    return DatasetDifference(
        version="flights:2", reference="flights:1", rows=90, reference_rows=100, status="CompletedWithViolations",
        columns=columns, findings=(Finding(code="drift", message="It has shifted. Look at it.", column="carrier"),),
    )  # fmt: skip


def job(name: str = "flights-xgboost-1", status: str = "Completed", **fields: object) -> TrainingJob:
    known = {
        "job": name, "status": status, "secondary_status": status, "progress": 1.0, "model": "flights",
        "metrics": {"validation:auc": 0.7312}, "algorithm": "xgboost", "dataset": "flights:1", "target": "late",
        "validation_fraction": 0.2, "seed": 0, "max_runtime_seconds": 3600, "created_at": NOW, "created_by": "ann",
        "started_at": NOW, "ended_at": NOW, "model_version": "flights:1" if status == "Completed" else None,
        "hyperparameters": {"max_depth": 6},
    }  # fmt: skip
    return TrainingJob.model_validate(known | fields)


def model(version: str = "flights:1", **fields: object) -> ModelVersion:
    name, _, number = version.partition(":")
    known = {
        "version": version, "model": name, "number": int(number), "approval_status": "Approved",
        "algorithm": "xgboost", "problem_type": "binary", "objective": "auc", "metrics": {"auc": 0.7312},
        "aliases": ["champion"], "dataset": "flights:1", "training_job": "flights-xgboost-1", "created_at": NOW,
        "created_by": "ann", "target": "late", "size_bytes": 7, "bundle_sha256": SHA, "deployment": "InService",
        "signature": [Feature(name="carrier", type="categorical", required=True, categories=("UA",), example="UA")],
        "decisions": [Decision(at=NOW, by="bob", action="Approved", comment="good")],
    }  # fmt: skip
    return ModelVersion.model_validate(known | fields)


def evaluation() -> Evaluation:
    return Evaluation(
        problem_type="binary", objective="auc", metrics={"auc": 0.7312}, baseline={"auc": 0.5}, training_rows=80,
        validation_rows=20, split="stratified", importance=(Importance(feature="carrier", mean=0.1, std=0.01),),
        warnings=(EvaluationWarning(code="few_rows", message="only 100 rows"),),
    )  # fmt: skip


def lineage() -> Lineage:
    nodes = [
        LineageNode(id="flights:1", kind="dataset", status="Ready", path="/datasets/flights:1"),
        LineageNode(id="flights-xgboost-1", kind="training_job", status="Completed", path="/training/jobs/x"),
    ]
    return Lineage(nodes=nodes, edges=[LineageEdge(source="flights:1", target="flights-xgboost-1")])


def comparison() -> Comparison:
    return Comparison(
        left="flights:1", right="flights:2", importance=[], same_dataset=False,
        metrics=[MetricDifference(name="auc", left=0.7, right=0.8, change=0.1, better="right")],
        parameters=[Difference(name="max_depth", left=6, right=3)],
        schema_changes=[SchemaDifference(feature="origin", change="added", breaking=True, detail="required")],
    )  # fmt: skip


def recipe() -> DatasetRecipe:
    return DatasetRecipe(dataset="flights", revision=1, recipe=Recipe(target="late"), updated_at=NOW, updated_by="ann")


def execution(status: str = "SUCCEEDED", **fields: object) -> Execution:
    step = Step(name="CheckQuality", status="SUCCEEDED", entered_at=NOW, exited_at=NOW, output={"rows": 100})
    candidate = Candidate(
        job="flights-v1-xgboost-1", algorithm="xgboost", status="Completed", model_version="flights:1"
    )
    verdict = GateVerdict(metric="auc", candidate="flights:1", candidate_value=0.7, margin=0.0, passed=True)
    known = {
        "execution": "flights-v1", "dataset": "flights:1", "status": status, "created_at": NOW, "created_by": "ann",
        "steps": [step], "candidates": [candidate], "comparison": verdict, "recipe": Recipe(target="late"),
    }  # fmt: skip
    return Execution.model_validate(known | fields)


def endpoint(status: str = "InService", **fields: object) -> Endpoint:
    known = {
        "endpoint": "flights", "model": "flights", "status": status, "created_at": NOW, "updated_at": NOW,
        "variants": [Variant(variant="v1", model_version="flights:1", weight=1.0)],
    }  # fmt: skip
    return Endpoint.model_validate(known | fields)


def transform(status: str = "Completed", name: str = "flights-batch-1", **fields: object) -> TransformJob:
    known = {
        "transform_job": name, "status": status, "model_version": "flights:1", "input": "flights:1", "format": "csv",
        "progress": 1.0, "rows": 100, "done_rows": 100, "failed_rows": 2, "created_at": NOW, "created_by": "ann",
    }  # fmt: skip
    return TransformJob.model_validate(known | fields)


def stats() -> DashboardStats:
    return DashboardStats(
        generated_at=NOW, counts={"datasets": Figure(value=3, path="/datasets", exact=False)},
        needs_attention=[Attention(kind="failed_job", id="x", message="no", at=NOW, path="/training/jobs/x")],
        running=[RunningJob(job="y", status="InProgress", progress=0.5, path="/training/jobs/y")],
        champions=[ChampionFigure(model="flights", version="flights:1", objective="auc", value=0.7, path="/models/x")],
        serving={}, cost={}, storage={"models": Figure(value=12.5, path="/models", unit="bytes")},
    )  # fmt: skip


def alarm() -> AlarmView:
    return AlarmView(
        alarm="dataset-flights-rows", description="flights has far fewer rows than before.", state="ALARM", since=NOW,
        reason="1 of 1 periods are under 50 (Minimum 12 last).", metric="DatasetRowsChange",
        dimensions={"dataset": "flights"}, statistic="Minimum", comparison="LessThanThreshold", threshold=50,
        period_seconds=86_400, evaluation_periods=1, datapoints_to_alarm=1, missing_breaches=False,
    )  # fmt: skip


def alert() -> Alert:
    return Alert(
        alert="training-failed-x", kind="training.failed", severity="error", subject="Training of flights failed: x",
        body="no", path="/training/jobs/x", at=NOW, delivery="Failed",
        attempts=[DeliveryAttempt(at=NOW, error="The webhook did not take the notice.")],
    )  # fmt: skip


def series() -> MetricValues:
    return MetricValues(
        metric="DatasetRows", dimensions={"dataset": "flights"}, statistic="Average", period_seconds=3600,
        points=[PeriodPoint(at=NOW, value=1200)],
    )  # fmt: skip
