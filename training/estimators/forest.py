"""RandomForest by scikit-learn, and its trees as flat arrays."""

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

from mlops_contracts.hyperparameters import RandomForestHyperparameters
from training.estimators.base import FitTask, Fitted, Progress
from training.failure import JobStopped
from training.scorers.forest import ForestScorer

Array = npt.NDArray[Any]

BATCHES = 8
"""Times that progress is told. Each batch ends by waiting for its last tree, so more would cost time."""


def fit_forest(task: FitTask, chosen: RandomForestHyperparameters, progress: Progress) -> Fitted:
    """Grow the trees in batches; raises JobStopped between them."""
    regression = task.problem_type == "regression"
    forest = (RandomForestRegressor if regression else RandomForestClassifier)(
        max_depth=chosen.max_depth,
        min_samples_leaf=chosen.min_samples_leaf,
        max_features=None if chosen.max_features == "all" else chosen.max_features,
        n_jobs=task.threads,
        random_state=task.seed,
        warm_start=True,
    )
    for trees in _batches(chosen.n_estimators, task.threads):
        if progress.stop_requested():
            raise JobStopped
        forest.set_params(n_estimators=trees).fit(task.matrix, task.y, sample_weight=task.weight)
        progress.fit(trees / chosen.n_estimators)
        progress.say(f"phase=fit trees={trees} of={chosen.n_estimators}")
    return Fitted(flatten(forest, task.threads), forest)


def _batches(trees: int, threads: int) -> list[int]:
    """Cumulative numbers of trees, each batch a multiple of the threads."""
    size = max(1, round(trees / BATCHES / threads)) * threads
    return [*range(size, trees, size), trees]


def flatten(forest: RandomForestClassifier | RandomForestRegressor, threads: int) -> ForestScorer:
    """The scorer of a fitted forest."""
    regression = isinstance(forest, RandomForestRegressor)
    parts = [_flat_tree(estimator.tree_, regression) for estimator in forest.estimators_]
    sizes = np.array([len(part["left"]) for part in parts])
    root = np.cumsum(sizes) - sizes
    for part, offset in zip(parts, root, strict=True):
        part["left"] += offset
    merged = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    depth = np.array([estimator.tree_.max_depth for estimator in forest.estimators_])
    return ForestScorer(**merged, root=root, depth=depth, regression=regression, threads=threads)


def _flat_tree(tree: Any, regression: bool) -> dict[str, Array]:
    """One tree renumbered so that a right child is behind its left sibling."""
    inner = np.flatnonzero(tree.children_left >= 0)
    number = np.zeros(tree.node_count, dtype=np.intp)
    number[tree.children_left[inner]] = 1 + 2 * np.arange(len(inner))
    number[tree.children_right[inner]] = 2 + 2 * np.arange(len(inner))
    flat = {
        "feature": np.zeros(tree.node_count, dtype=np.intp),
        "threshold": np.full(tree.node_count, np.inf, dtype=np.float32),
        "left": np.arange(tree.node_count),
        "value": np.empty((tree.node_count, tree.value.shape[2]), np.float64 if regression else np.float32),
    }
    flat["feature"][number[inner]] = tree.feature[inner]
    flat["threshold"][number[inner]] = _rounded_down(tree.threshold[inner])
    flat["left"][number[inner]] = number[tree.children_left[inner]]
    flat["value"][number] = tree.value[:, 0, :]
    return flat


def _rounded_down(threshold: Array) -> Array:
    """Largest float32 not above each float64: a float32 is `<=` the one exactly when it is `<=` the other."""
    near = threshold.astype(np.float32)
    return np.where(near > threshold, np.nextafter(near, np.float32(-np.inf)), near)
