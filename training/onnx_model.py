"""A tree model as an ONNX graph: `model.onnx` of the bundle, for fast answers to small requests.

One TreeEnsembleRegressor over the matrix of `features.Encoder`, float64 sums. Input `X` (n, width) float64, output
`Y` (n, k) float32: probabilities by class, or one column, which is P(classes[1]) of a boosted binary model or the
value of a regression. Made at training, where its agreement with the native model is checked; nothing here is
needed to serve it.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
import xgboost
from onnx import TensorProto, helper, numpy_helper

from training.scorers.base import Scorer
from training.scorers.boosted import BoostedScorer
from training.scorers.forest import ForestScorer

Array = npt.NDArray[Any]

MAX_NODES: Final = 300_000
"""Of all trees. Larger graphs take seconds to build and gain little: reading their nodes from memory takes the time."""

_IR_VERSION, _OPSET, _ML_OPSET = 9, 17, 3
_PRODUCER: Final = "mlops"


@dataclass(frozen=True)
class _Ensemble:
    """All nodes of all trees, in flat arrays (nodes,). `weight` (leaves, k) belongs to the nodes that are leaves.

    A cell that is missing goes the way of `missing_true`. `after`: the operator that makes probabilities of the sums.
    """

    tree: Array
    node: Array
    feature: Array
    threshold: Array
    true_child: Array
    false_child: Array
    leaf: Array
    missing_true: Array
    weight: Array
    target: Array
    mode: str
    outputs: int
    base: Array
    after: str = ""


def build(scorer: Scorer, width: int) -> bytes | None:
    """The serialised graph for matrices of `width` columns; None for a model that gains nothing by one."""
    if isinstance(scorer, BoostedScorer):
        ensemble = _of_booster(scorer.booster)
    elif isinstance(scorer, ForestScorer):
        ensemble = _of_forest(scorer) if len(scorer.left) <= MAX_NODES else None
    else:
        return None
    if ensemble is None or len(ensemble.node) > MAX_NODES:
        return None
    return bytes(_model(ensemble, width).SerializeToString())


# --------------------------------------------------------------------------- XGBoost


def _of_booster(booster: xgboost.Booster) -> _Ensemble | None:
    learner = json.loads(bytes(booster.save_raw("json")))["learner"]
    model = learner["gradient_booster"]["model"]
    if any(any(tree["split_type"]) for tree in model["trees"]):
        return None  # splits by sets of categories: the encoder makes none
    outputs = max(1, int(learner["learner_model_param"]["num_class"]))
    parts = [_of_tree(tree, number, group) for number, (tree, group) in enumerate(
        zip(model["trees"], model["tree_info"], strict=True)
    )]  # fmt: skip
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    tree, node, feature, value, left, right, default_left, target = columns
    leaf = left < 0
    objective = learner["objective"]["name"]
    return _Ensemble(
        tree, node, feature, np.where(leaf, 0, value), np.where(leaf, 0, left), np.where(leaf, 0, right), leaf,
        np.where(leaf, 0, default_left), value[leaf, None], target[leaf, None], "BRANCH_LT", outputs,
        _margin(objective, json.loads(learner["learner_model_param"]["base_score"]), outputs),
        {"binary:logistic": "Sigmoid", "multi:softprob": "Softmax"}.get(objective, ""),
    )  # fmt: skip


def _of_tree(tree: dict[str, Any], number: int, group: int) -> tuple[Array, ...]:
    nodes = len(tree["left_children"])
    return (
        np.full(nodes, number),
        np.arange(nodes),
        np.array(tree["split_indices"]),
        np.array(tree["split_conditions"], dtype=np.float32).astype(np.float64),
        np.array(tree["left_children"]),
        np.array(tree["right_children"]),
        np.array(tree["default_left"], dtype=np.int64),
        np.full(nodes, group),
    )


def _margin(objective: str, base: Any, outputs: int) -> Array:
    """What the sums start from: XGBoost keeps it as the prediction it stands for."""
    start = np.broadcast_to(np.array(base, dtype=np.float64), (outputs,))
    return np.log(start / (1 - start)) if objective == "binary:logistic" else start


# --------------------------------------------------------------------------- RandomForest


def _of_forest(forest: ForestScorer) -> _Ensemble:
    places = np.arange(len(forest.left))
    tree = np.searchsorted(forest.root, places, side="right") - 1
    first = forest.root[tree]
    leaf = forest.left == places
    outputs = forest.value.shape[1]
    leaves = int(leaf.sum())
    return _Ensemble(
        tree, places - first, np.where(leaf, 0, forest.feature), np.where(leaf, 0.0, forest.threshold),
        np.where(leaf, 0, forest.left - first), np.where(leaf, 0, forest.left + 1 - first), leaf,
        np.where(leaf, 0, 1), forest.value[leaf].astype(np.float64) / len(forest.root),
        np.tile(np.arange(outputs), (leaves, 1)), "BRANCH_LEQ", outputs, np.zeros(outputs),
    )  # fmt: skip


# --------------------------------------------------------------------------- the graph


def _model(ensemble: _Ensemble, width: int) -> onnx.ModelProto:
    sums = "sums" if ensemble.after else "Y"
    trees = onnx.NodeProto(op_type="TreeEnsembleRegressor", input=["X"], output=[sums], domain="ai.onnx.ml")
    trees.attribute.extend(_attributes(ensemble))
    nodes = [trees]
    if ensemble.after:
        # A node of its own: the ensemble's post_transform is not applied to float64 input.
        nodes.append(helper.make_node(ensemble.after, [sums], ["Y"]))
    graph = helper.make_graph(
        nodes,
        _PRODUCER,
        [helper.make_tensor_value_info("X", TensorProto.DOUBLE, [None, width])],
        [helper.make_tensor_value_info("Y", TensorProto.FLOAT, [None, ensemble.outputs])],
    )
    imports = [helper.make_opsetid("", _OPSET), helper.make_opsetid("ai.onnx.ml", _ML_OPSET)]
    return helper.make_model(graph, opset_imports=imports, ir_version=_IR_VERSION, producer_name=_PRODUCER)


def _attributes(ensemble: _Ensemble) -> Iterator[onnx.AttributeProto]:
    leaf, repeated = ensemble.leaf, ensemble.weight.shape[1]
    whole = {
        "n_targets": ensemble.outputs,
        "aggregate_function": "SUM",
        "base_values_as_tensor": _tensor(ensemble.base),
        "nodes_values_as_tensor": _tensor(ensemble.threshold),
        "target_weights_as_tensor": _tensor(ensemble.weight.ravel()),
    }
    yield from (helper.make_attribute(name, value) for name, value in whole.items())
    modes = np.where(leaf, b"LEAF", ensemble.mode.encode())
    yield onnx.AttributeProto(name="nodes_modes", type=onnx.AttributeProto.STRINGS, strings=modes.tolist())
    lists = {
        "nodes_treeids": ensemble.tree,
        "nodes_nodeids": ensemble.node,
        "nodes_featureids": np.where(leaf, 0, ensemble.feature),
        "nodes_truenodeids": ensemble.true_child,
        "nodes_falsenodeids": ensemble.false_child,
        "nodes_missing_value_tracks_true": ensemble.missing_true,
        "target_treeids": np.repeat(ensemble.tree[leaf], repeated),
        "target_nodeids": np.repeat(ensemble.node[leaf], repeated),
        "target_ids": ensemble.target.ravel(),
    }
    # Not by make_attribute, which looks at every entry of a list several times: seconds for a forest.
    yield from (
        onnx.AttributeProto(name=name, type=onnx.AttributeProto.INTS, ints=values.tolist())
        for name, values in lists.items()
    )


def _tensor(values: Array) -> onnx.TensorProto:
    return numpy_helper.from_array(np.ascontiguousarray(values, dtype=np.float64))
