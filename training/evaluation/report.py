"""The whole of evaluation.json, put together."""

from mlops_contracts.evaluation import Evaluation
from training.evaluation.request import EvaluationInput


def evaluate(request: EvaluationInput) -> Evaluation:
    """Judge a fitted model on its held-out rows; deterministic for equal input.

    Figures that are undefined on these rows (such as auc when one class is absent) are left out of
    `metrics`; nothing is ever NaN.
    """
    raise NotImplementedError(request.target)
