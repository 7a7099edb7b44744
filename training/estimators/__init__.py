"""Fitting. Each module fits one algorithm and gives a scorer that evaluates the same model without scikit-learn.

forest    RandomForest
linear    LogisticRegression
boosted   XGBoost
"""

from training.estimators.base import FitTask, Fitted, Progress
from training.estimators.dispatch import fit

__all__ = ["FitTask", "Fitted", "Progress", "fit"]
