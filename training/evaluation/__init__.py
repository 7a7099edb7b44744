"""How good a model is on rows it has not seen, and what to distrust.

request      EvaluationInput: what `train` hands over
report       evaluate(): the whole of evaluation.json
metrics      figures of one set of scores
ranking      areas under the ROC curve, many at once
curves       ROC, precision-recall, thresholds, calibration
classes      confusion, figures of each class
residuals    regression errors
grouping     rows by category or by quantile bin of one column
importance   permutation importance
slices       parts of the rows where the model is significantly worse
leakage      columns that know too much
cautions     few rows, imbalance, no better than a dummy
"""

from training.evaluation.report import evaluate
from training.evaluation.request import ColumnMap, EvaluationInput

__all__ = ["ColumnMap", "EvaluationInput", "evaluate"]
