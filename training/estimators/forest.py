"""RandomForest by scikit-learn, and its trees as flat arrays.

Several hosts each grow a stretch of the trees on all rows, with the seeds these have on one host; the first one gets
the others' flat trees and has the forest that one host would have.
"""

import io
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

from mlops_contracts.hyperparameters import RandomForestHyperparameters
from training.estimators.base import FitTask, Fitted, Progress
from training.failure import JobStopped
from training.hosts import Hosts
from training.scorers.forest import ForestScorer

Array = npt.NDArray[Any]

BATCHES = 8
"""Times that progress is told. Each batch ends by waiting for its last tree, so more would cost time."""


def fit_forest(task: FitTask, chosen: RandomForestHyperparameters, progress: Progress) -> Fitted | None:
    """Grow the trees in batches; raises JobStopped between them. `estimator` has this host's trees only."""
    forest = _forest(task, chosen)
    own = task.hosts.rows(chosen.n_estimators)
    if own.start:
        # With trees before the first fit scikit-learn draws their seeds, and gives the next ones to those it grows.
        forest.estimators_ = [None] * own.start
    before = own.start
    for trees in _batches(own, task):
        if task.hosts.any(progress.stop_requested()):
            raise JobStopped
        if trees > before:
            forest.set_params(n_estimators=trees).fit(task.matrix, task.y, sample_weight=task.weight)
        before = trees
        grown = int(task.hosts.total(np.array([trees - own.start]))[0])
        progress.fit(grown / chosen.n_estimators)
        progress.say(f"phase=fit trees={grown} of={chosen.n_estimators}")
    scorer = merged(flatten(forest, task.threads, own.start), task.hosts)
    return None if scorer is None else Fitted(scorer, forest)


def _forest(task: FitTask, chosen: RandomForestHyperparameters) -> RandomForestClassifier | RandomForestRegressor:
    regression = task.problem_type == "regression"
    return (RandomForestRegressor if regression else RandomForestClassifier)(
        max_depth=chosen.max_depth,
        min_samples_leaf=chosen.min_samples_leaf,
        max_features=None if chosen.max_features == "all" else chosen.max_features,
        n_jobs=task.threads,
        random_state=task.seed,
        warm_start=True,
    )


def _batches(own: slice, task: FitTask) -> list[int]:
    """Number of the last tree of each batch, a multiple of the threads each.

    All hosts have as many batches, since they exchange something in each; the last ones may add nothing.
    """
    trees = own.stop - own.start
    size = max(1, round(trees / BATCHES / task.threads)) * task.threads
    ends = [own.start + each for each in (*range(size, trees, size), trees)]
    most = int(task.hosts.largest(np.array([len(ends)]))[0])
    return [*ends, *[own.stop] * (most - len(ends))]


def flatten(
    forest: RandomForestClassifier | RandomForestRegressor, threads: int, first: int = 0
) -> ForestScorer | None:
    """The scorer of a fitted forest's trees from number `first` on; None when there is none."""
    regression = isinstance(forest, RandomForestRegressor)
    trees = getattr(forest, "estimators_", [])[first:]
    parts = [_flat_tree(estimator.tree_, regression) for estimator in trees]
    if not parts:
        return None
    depth = np.array([estimator.tree_.max_depth for estimator in trees])
    return _joined(parts, depth, regression, threads)


def _joined(parts: list[dict[str, Array]], depth: Array, regression: bool, threads: int) -> ForestScorer:
    """One tree's arrays behind the other's. A part may hold several trees: then it has their roots."""
    sizes = np.array([len(part["left"]) for part in parts])
    offsets = np.cumsum(sizes) - sizes
    for part, offset in zip(parts, offsets, strict=True):
        part["left"] = part["left"] + offset
    arrays = {name: np.concatenate([part[name] for part in parts]) for name in _ARRAYS[:4]}
    roots = [part.get("root", np.zeros(1, np.intp)) + offset for part, offset in zip(parts, offsets, strict=True)]
    return ForestScorer(**arrays, root=np.concatenate(roots), depth=depth, regression=regression, threads=threads)


def merged(own: ForestScorer | None, hosts: Hosts) -> ForestScorer | None:
    """On the first host the trees of all, in the order of ranks; None on the others. The first one has trees itself."""
    if hosts.size == 1:
        return own
    sent = hosts.gathered(b"" if own is None else _packed(own))
    if own is None or not hosts.first:
        return None
    parts = [_unpacked(content) for content in sent if content]
    return _joined(parts, np.concatenate([part["depth"] for part in parts]), own.regression, own.threads)


_ARRAYS = ("feature", "threshold", "left", "value", "root", "depth")


def _packed(scorer: ForestScorer) -> bytes:
    file = io.BytesIO()
    np.savez(file, **{name: getattr(scorer, name) for name in _ARRAYS})
    return file.getvalue()


def _unpacked(content: bytes) -> dict[str, Array]:
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return {name: arrays[name] for name in _ARRAYS}


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
