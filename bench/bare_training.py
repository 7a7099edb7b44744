"""`python -m bench.bare_training PLAN`: what a training job does at the least, as a script of one's own would do it.

Import, read the Parquet file, encode, fit the same estimator on the same rows, AUC on the held-out ones. Prints JSON:
{"fit": seconds, "auc": AUC, "rounds": of boosting or null}. Its wall time from outside, interpreter and imports
included, is what training through the platform is compared with.
"""

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from sklearn.metrics import roc_auc_score

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Plan:
    """`rows`: an npz file with row numbers `train`, `valid`, and `fitted` and `stopping`, which share out `train`.

    `estimator` are arguments of the library's own class.
    """

    algorithm: str
    parquet: str
    rows: str
    target: str
    threads: int
    estimator: dict[str, Any]


@dataclass(frozen=True)
class Done:
    """`seconds` of the fit; `scores` of the held-out rows."""

    seconds: float
    scores: Array
    rounds: int | None = None


def main(argv: Sequence[str]) -> None:
    plan = Plan(**json.loads(Path(argv[0]).read_text()))
    table = pq.read_table(plan.parquet)
    rows = dict(np.load(plan.rows))
    y = table[plan.target].to_numpy()
    fit = {"xgboost": _xgboost, "random_forest": _forest, "logistic_regression": _logistic}[plan.algorithm]
    done = fit(plan, table.drop([plan.target]), y, rows)
    auc = float(roc_auc_score(y[rows["valid"]], done.scores))
    print(json.dumps({"fit": done.seconds, "auc": auc, "rounds": done.rounds}))


def _xgboost(plan: Plan, table: pa.Table, y: Array, rows: dict[str, Array]) -> Done:
    import xgboost

    X = _ordinal(table).astype(np.float32)
    model = xgboost.XGBClassifier(**plan.estimator, n_jobs=plan.threads)
    began = time.perf_counter()
    stopping = [(X[rows["stopping"]], y[rows["stopping"]])]
    model.fit(X[rows["fitted"]], y[rows["fitted"]], eval_set=stopping, verbose=False)
    seconds = time.perf_counter() - began
    return Done(seconds, model.predict_proba(X[rows["valid"]])[:, 1], model.get_booster().num_boosted_rounds())


def _forest(plan: Plan, table: pa.Table, y: Array, rows: dict[str, Array]) -> Done:
    from sklearn.ensemble import RandomForestClassifier

    X = _filled(_ordinal(table), rows["train"]).astype(np.float32)
    model = RandomForestClassifier(**plan.estimator, n_jobs=plan.threads)
    began = time.perf_counter()
    model.fit(X[rows["train"]], y[rows["train"]])
    seconds = time.perf_counter() - began
    return Done(seconds, model.predict_proba(X[rows["valid"]])[:, 1])


def _logistic(plan: Plan, table: pa.Table, y: Array, rows: dict[str, Array]) -> Done:
    import scipy.sparse
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    texts = [name for name in table.column_names if pa.types.is_string(table.schema.field(name).type)]
    numbers = _filled(_ordinal(table.drop(texts)), rows["train"])
    codes = _ordinal(table.select(texts))
    scaler, one_hot = StandardScaler().fit(numbers[rows["train"]]), OneHotEncoder().fit(codes[rows["train"]])
    X = scipy.sparse.hstack([scaler.transform(numbers), one_hot.transform(codes)], format="csr")
    X = X.toarray() if plan.estimator["solver"] == "newton-cholesky" else X
    model = LogisticRegression(**plan.estimator)
    began = time.perf_counter()
    model.fit(X[rows["train"]], y[rows["train"]])
    seconds = time.perf_counter() - began
    return Done(seconds, model.predict_proba(X[rows["valid"]])[:, 1])


def _ordinal(table: pa.Table) -> Array:
    """(n, d) float64: numbers, NaN for missing; texts as codes in order of appearance."""
    return np.column_stack([_column(values) for values in table.columns])


def _column(values: pa.ChunkedArray) -> Array:
    if pa.types.is_string(values.type):
        values = pc.dictionary_encode(values).combine_chunks().indices
    return np.asarray(values.cast(pa.float64()).to_numpy(zero_copy_only=False))


def _filled(X: Array, train: Array) -> Array:
    """Missing values become the training rows' median."""
    return np.where(np.isnan(X), np.nanmedian(X[train], axis=0), X)


if __name__ == "__main__":
    main(sys.argv[1:])
