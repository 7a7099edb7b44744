"""Columns that know too much about the target.

leakage         one column alone, reduced to groups learned on training rows, predicts held-out rows almost perfectly
target_derived  every value of the column belongs to one value of the target
id_like         a number or code of each row's own: it cannot be known for rows to come
"""

from collections.abc import Iterator

from mlops_contracts.bundle import Feature
from mlops_contracts.evaluation import EvaluationWarning
from training.evaluation.derived import target_derived
from training.evaluation.grouping import group
from training.evaluation.identifiers import id_like
from training.evaluation.request import LabelledRows
from training.evaluation.single_column import FEWEST_ROWS, Sample, draw, power

BINS = 64
AUC_LIMIT = 0.99
R2_LIMIT = 0.95


def leakage_warnings(request: LabelledRows) -> list[EvaluationWarning]:
    """All three kinds, in the order of the features; none on fewer than FEWEST_ROWS rows."""
    if len(request.y_train) + len(request.y_valid) < FEWEST_ROWS:
        return []
    sample = draw(request)
    return [warning for feature in request.features for warning in _warnings(sample, feature)]


def _warnings(sample: Sample, feature: Feature) -> Iterator[EvaluationWarning]:
    name, target = feature.name, sample.request.target
    grouping = group(feature, sample.columns_train[name], BINS)
    alone = power(sample, grouping)
    if alone is not None and alone >= (R2_LIMIT if sample.regression else AUC_LIMIT):
        figure = f"R2 {alone:.3f}" if sample.regression else f"AUC {alone:.3f}"
        yield EvaluationWarning(
            code="leakage",
            column=name,
            message=f"{name} alone predicts {target} almost perfectly on held-out rows ({figure}). If it is not known "
            f"when a prediction is made, exclude it and train again.",
        )
    if target_derived(sample, grouping):
        yield EvaluationWarning(
            code="target_derived",
            column=name,
            message=f"Every value of {name} belongs to one value of {target}: it seems to be computed from the "
            "target, or the other way round. Exclude it unless it is known when a prediction is made.",
        )
    if id_like(sample.request, feature):
        yield EvaluationWarning(
            code="id_like",
            column=name,
            message=f"{name} has a value of its own in almost every row, like an identifier: what the model learns "
            "from it does not carry over to new rows. Exclude it.",
        )
