"""From an algorithm's name to its fit; only the libraries of that algorithm are imported."""

from mlops_contracts.hyperparameters import (
    LogisticRegressionHyperparameters,
    RandomForestHyperparameters,
    XGBoostHyperparameters,
)
from training.estimators.base import FitTask, Fitted, Progress


def fit(task: FitTask, progress: Progress) -> Fitted | None:
    """Fit `task`; None on a host that is not the first. Raises JobStopped when `progress` asks any host for it and the
    algorithm can stop by itself."""
    chosen = task.hyperparameters
    if isinstance(chosen, XGBoostHyperparameters):
        from training.estimators.boosted import fit_boosted

        return fit_boosted(task, chosen, progress)
    if isinstance(chosen, RandomForestHyperparameters):
        from training.estimators.forest import fit_forest

        return fit_forest(task, chosen, progress)
    if isinstance(chosen, LogisticRegressionHyperparameters):
        if task.hosts.size > 1:
            from training.estimators.linear_hosts import fit_linear_on_hosts

            return fit_linear_on_hosts(task, chosen, progress)
        from training.estimators.linear import fit_linear

        return fit_linear(task, chosen, progress)
    raise TypeError(type(chosen))
