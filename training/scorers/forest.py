"""forest.npz: all trees of a random forest in flat arrays, walked by numpy, one level of every tree at a time.

feature (nodes,) int16 or int32   column that the node splits on; 0 in a leaf
threshold (nodes,) float32        go right when the value is greater; +inf in a leaf
left (nodes,) int32               left child, the right one is behind it; a leaf points at itself
value (nodes, k) float            class probabilities or the predicted number; of use in leaves only
root (trees,) int32               each tree's first node
depth (trees,) int32              levels below the root

A leaf leads to itself, so the walk needs no test for having arrived. A row that is NaN stays left; the encoder
fills missing values before.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from training.scorers.base import ModelFileError

Array = npt.NDArray[Any]

_NAMES = ("feature", "threshold", "left", "value", "root", "depth")
_TOGETHER_UP_TO = 1_500
"""Rows up to which all trees are walked at once; beyond, tree by tree, so that a tree stays in the cache."""
_BLOCK = 8192
_PRUNE_FROM, _PRUNE_EVERY = 1_000, 4
"""Walkers from which those that have arrived in a leaf are set aside, every so many levels."""


@dataclass(frozen=True)
class ForestScorer:
    file: ClassVar[str] = "forest.npz"

    feature: Array
    threshold: Array
    left: Array
    value: Array
    root: Array
    depth: Array
    regression: bool
    threads: int = 1

    def scores(self, matrix: Array) -> Array:
        """Mean of the trees' leaves: (n, k) probabilities, or (n,) values for regression; float64."""
        mean = self._totals(np.ascontiguousarray(matrix)) / len(self.root)
        return mean[:, 0] if self.regression else mean

    def _totals(self, matrix: Array) -> Array:
        """Rows are shared out to the threads; numpy lets go of the interpreter lock while it gathers."""
        if len(matrix) <= _TOGETHER_UP_TO:
            return self._all_trees(matrix)
        if self.threads == 1 or len(matrix) < _BLOCK:
            return self._tree_by_tree(matrix)
        with ThreadPoolExecutor(self.threads) as pool:
            return np.concatenate(list(pool.map(self._tree_by_tree, np.array_split(matrix, self.threads))))

    def _all_trees(self, matrix: Array) -> Array:
        trees = len(self.root)
        row = np.repeat(np.arange(len(matrix)), trees)
        leaves = self._leaves(matrix, row, np.tile(self.root, len(matrix)), int(self.depth.max()))
        values = self.value.take(leaves, axis=0).reshape(len(matrix), trees, -1)
        total: Array = values.sum(axis=1, dtype=np.float64)
        return total

    def _tree_by_tree(self, matrix: Array) -> Array:
        total = np.zeros((len(matrix), self.value.shape[1]))
        for begin in range(0, len(matrix), _BLOCK):
            block = matrix[begin : begin + _BLOCK]
            row = np.arange(len(block))
            for root, depth in zip(self.root, self.depth, strict=True):
                leaves = self._leaves(block, row, np.full(len(block), root), int(depth))
                total[begin : begin + _BLOCK] += self.value.take(leaves, axis=0)
        return total

    def _leaves(self, matrix: Array, row: Array, node: Array, depth: int) -> Array:
        """Leaf that each walker ends in, `depth` levels below `node` (walkers,); `row` is the one it looks at."""
        cells, start = matrix.ravel(), row * matrix.shape[1]
        arrived, walking = np.empty_like(node), np.arange(len(node))
        prune = len(node) >= _PRUNE_FROM
        for level in range(1, depth + 1):
            right = cells.take(self.feature.take(node) + start) > self.threshold.take(node)
            node = self.left.take(node) + right
            if prune and level % _PRUNE_EVERY == 0:
                on = self.left.take(node) != node
                arrived[walking[~on]] = node[~on]
                node, start, walking = node[on], start[on], walking[on]
        arrived[walking] = node
        return arrived

    def save(self, folder: Path) -> None:
        arrays = {name: getattr(self, name) for name in _NAMES}
        arrays["left"], arrays["root"] = self.left.astype(np.int32), self.root.astype(np.int32)
        arrays["feature"] = self.feature.astype(np.int16 if self.feature.max(initial=0) < 2**15 else np.int32)
        np.savez(folder / self.file, **arrays)

    @classmethod
    def load(cls, folder: Path, width: int, classes: int, threads: int = 1) -> "ForestScorer":
        """Raises ModelFileError when the file does not fit a matrix of `width` columns and so many classes."""
        try:
            # np.load leaves a file open that it was given by name and that is no zip archive.
            with (folder / cls.file).open("rb") as file, np.load(file, allow_pickle=False) as content:
                arrays = {name: content[name] for name in _NAMES}
        except (KeyError, ValueError, OSError, EOFError, BadZipFile) as error:
            raise ModelFileError(f"not a forest: {error}") from error
        return cls._checked(arrays, width, classes, threads)

    @classmethod
    def _checked(cls, arrays: dict[str, Array], width: int, classes: int, threads: int) -> "ForestScorer":
        nodes = len(arrays["left"])
        same = all(len(arrays[name]) == nodes for name in ("feature", "threshold", "value"))
        indices = _within(arrays["left"], nodes) and _within(arrays["root"], nodes)
        if not (nodes and same and indices and _within(arrays["feature"], width)):
            raise ModelFileError("its nodes do not fit together or name features the manifest lacks")
        if arrays["value"].shape != (nodes, classes or 1) or len(arrays["depth"]) != len(arrays["root"]):
            raise ModelFileError("its shapes do not fit the manifest's classes")
        return cls(
            # take() converts any other index type on each call
            **{name: arrays[name].astype(np.intp) for name in ("feature", "left", "root", "depth")},
            threshold=arrays["threshold"],
            value=arrays["value"],
            regression=not classes,
            threads=threads,
        )


def _within(indices: Array, size: int) -> bool:
    return indices.ndim == 1 and len(indices) > 0 and int(indices.min()) >= 0 and int(indices.max()) < size
