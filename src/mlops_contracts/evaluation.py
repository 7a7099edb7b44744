"""evaluation.json: how good a model is on rows it has not seen, and what to distrust.

Every list is capped by the writer so that the file stays below 1 MB whatever the table.
"""

from typing import Literal

from pydantic import Field

from mlops_contracts.base import Contract
from mlops_contracts.hyperparameters import ProblemType

SplitKind = Literal["stratified", "random", "time", "hash"]


class Point(Contract):
    """One point of a curve; `threshold` where the curve has one."""

    x: float
    y: float
    threshold: float | None = None


class ThresholdCounts(Contract):
    """Confusion counts of a binary model at one threshold, positive class = classes[1]."""

    threshold: float
    true_positives: int
    false_positives: int
    true_negatives: int
    false_negatives: int


class CalibrationBin(Contract):
    mean_predicted: float
    observed_rate: float
    rows: int


class ClassFigures(Contract):
    label: str
    precision: float
    recall: float
    f1: float
    support: int
    auc: float | None = Field(None, description="One against the rest; empty when the held-out rows lack the class.")


class Importance(Contract):
    """Permutation importance on held-out rows: loss of the objective metric when the column is shuffled."""

    feature: str
    mean: float
    std: float


class Slice(Contract):
    """A part of the held-out rows on which the model does worse than on the whole."""

    feature: str
    condition: str = Field(description='Readable, such as "carrier = UA" or "12.5 <= distance < 300".')
    rows: int
    metric: float
    overall: float


class Residuals(Contract):
    """Regression only. Points are a sample; quantiles are of predicted - actual."""

    points: tuple[Point, ...] = Field(description="x actual, y predicted.")
    error_quantiles: dict[str, float]


class EvaluationWarning(Contract):
    code: Literal[
        "leakage",
        "id_like",
        "target_derived",
        "class_imbalance",
        "few_rows",
        "uneven_split",
        "ignored_column",
        "no_better_than_dummy",
    ]
    message: str
    column: str | None = None


class Champion(Contract):
    """Another version on the same held-out rows; `reason` says why it could not be judged on them."""

    version: str
    rows: int = 0
    metrics: dict[str, float] = Field(default_factory=dict)
    unseen: bool = Field(
        False, description="Whether it is known that none of these rows trained it; else it may look better than it is."
    )
    reason: str | None = None


class Evaluation(Contract):
    problem_type: ProblemType
    objective: str = Field(description="Key of `metrics` that ranks versions.")
    metrics: dict[str, float]
    baseline: dict[str, float] = Field(description="The same metrics of a dummy that ignores the features.")
    training_rows: int
    validation_rows: int
    split: SplitKind
    classes: tuple[str, ...] = ()
    class_balance: dict[str, int] = Field(default_factory=dict, description="Rows per class, the whole table.")
    confusion: tuple[tuple[int, ...], ...] = Field((), description="Rows actual, columns predicted, order of classes.")
    thresholds: tuple[ThresholdCounts, ...] = ()
    roc: tuple[Point, ...] = Field((), description="x false positive rate, y true positive rate.")
    precision_recall: tuple[Point, ...] = Field((), description="x recall, y precision.")
    calibration: tuple[CalibrationBin, ...] = Field(
        (), description="binary: P(classes[1]); multiclass: P of the likeliest class against how often it was right."
    )
    per_class: tuple[ClassFigures, ...] = ()
    residuals: Residuals | None = None
    importance: tuple[Importance, ...] = ()
    importance_rows: int = Field(0, description="Held-out rows the importance was measured on.")
    slices: tuple[Slice, ...] = ()
    slice_metric: str = Field("", description="Key of `metrics` that slices are measured by.")
    warnings: tuple[EvaluationWarning, ...] = ()
    champion: Champion | None = None
