"""The recipe's target: what keeps a table from being trained on refuses it, what will mislead a model is a warning.

Counts of classes are of all rows. What one column tells of the target is measured on at most MOST_ROWS rows from all
over the table, by the rules that judge a trained model.
"""

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mlops_contracts.data_contract import NumberedContract
from mlops_contracts.dataset import Column, DatasetReport, TargetUse
from mlops_contracts.hyperparameters import MAX_CLASSES
from mlops_contracts.job import JobConfig
from training.data import choose_features
from training.evaluation.cautions import imbalance
from training.evaluation.leakage import leakage_warnings
from training.evaluation.request import LabelledRows
from training.failure import JobError
from training.features import columns_from_table, fit_features
from training.preprocess.findings import Findings, shown
from training.preprocess.typed_rows import Places
from training.split import split
from training.target import read_target

MOST_ROWS = 20_000
MOST_GROUPS = 20
"""Row groups that are read for them."""
HELD_OUT = 0.2


class Rows(Protocol):
    """What a check asks of the table; see typed_rows."""

    def missing(self, column: str) -> Places: ...
    def value_counts(self, column: str, most: int) -> Sequence[tuple[str, int]]: ...


class TargetCheck:
    """One table, described by `report`, whose typed rows are the Parquet file `path`."""

    def __init__(
        self,
        use: TargetUse,
        report: DatasetReport,
        path: Path,
        rows: Rows,
        contract: NumberedContract | None,
        findings: Findings,
    ) -> None:
        self._use, self._report, self._path, self._rows = use, report, path, rows
        self._contract, self._findings = contract, findings

    def run(self) -> None:
        """Add what is wrong with the target; what is strange about it only when nothing is wrong."""
        column = next((each for each in self._report.columns if each.name == self._use.target), None)
        if column is None:
            self._violate_absent()
            return
        before = self._findings.count
        self._check(column)
        if self._findings.count == before:
            self._warn(column)

    # ---------------------------------------------------------------- violations

    def _violate_absent(self) -> None:
        name, names = self._use.target, [each.name for each in self._report.columns]
        close = difflib.get_close_matches(name, names, n=1)
        hint = f"Did you mean {shown(close[0])}? " if close else ""
        self._findings.violate(
            "target_missing",
            f"The column {shown(name)}, which the recipe predicts, is absent. {hint}Add it, or change the recipe's "
            "target.",
            column=name,
        )

    def _check(self, column: Column) -> None:
        if column.missing < self._report.rows and column.type in ("text", "datetime"):
            self._findings.violate(
                "target_type",
                f"The column is {column.type}, and the recipe predicts it; a target is numeric, boolean or "
                "categorical. Choose another target in the recipe.",
                column=column.name,
            )
        elif column.distinct == 1:
            self._findings.violate(
                "target_one_class",
                "The recipe predicts this column, and every present cell holds the same value: there is nothing to "
                "learn. Upload rows of other classes too.",
                column=column.name,
            )
        if column.missing > self._allowed_missing() * self._report.rows:
            self._violate_missing(column)

    def _allowed_missing(self) -> float:
        """Rows without a label are left out of training; that they are meant has to be said in the contract."""
        rules = self._contract.contract.columns if self._contract else ()
        return next((rule.max_missing or 0.0 for rule in rules if rule.name == self._use.target), 0.0)

    def _violate_missing(self, column: Column) -> None:
        found = self._rows.missing(column.name)
        for place in found.first:
            self._findings.violate(
                "target_labels_missing",
                f"Row {place.row:,} has no value in {shown(column.name)}, which the recipe predicts. Fill or remove "
                "such rows, or allow them by max_missing of the column in the data contract.",
                column=column.name,
                row=place.row,
            )
        self._findings.count_more(found.count - len(found.first))

    # ---------------------------------------------------------------- warnings

    def _warn(self, column: Column) -> None:
        try:
            labelled = self._labelled(column)
        except JobError as error:
            self._findings.warn("target_unsuitable", str(error), column=column.name)
            return
        if labelled.problem_type != "regression":
            self._warn_imbalance(column)
        for warning in leakage_warnings(labelled):
            if warning.code != "id_like":  # said of every table, whatever is predicted
                self._findings.warn(warning.code, warning.message, column=warning.column)

    def _warn_imbalance(self, column: Column) -> None:
        message = imbalance(dict(self._rows.value_counts(column.name, MAX_CLASSES)))
        if message is not None:
            self._findings.warn("class_imbalance", message, column=column.name)

    def _labelled(self, column: Column) -> LabelledRows:
        """A sample, split and encoded as `train` does it. Raises JobError as `train` does."""
        config = JobConfig(algorithm="random_forest", model="", dataset="", **self._use.model_dump())
        names, _ = choose_features(self._report, config)
        table = self._sample([*names, column.name])
        values = table[column.name]
        target = read_target(values, column.name, column.type, self._use.problem_type, config.algorithm)
        parts = split(target, HELD_OUT, config.seed)
        train, valid = (table.select(names).take(pa.array(rows)) for rows in (parts.train, parts.valid))
        features = fit_features(train, self._report, names, algorithm=config.algorithm)
        return LabelledRows(
            problem_type=target.problem_type,
            target=column.name,
            features=features,
            y_train=target.y[parts.train],
            y_valid=target.y[parts.valid],
            columns_train=columns_from_table(train, features),
            columns_valid=columns_from_table(valid, features),
            classes=target.classes,
        )

    def _sample(self, names: Sequence[str]) -> pa.Table:
        """Rows that have a target, in equal steps."""
        texts = [each.name for each in self._report.columns if each.name in names and each.type == "categorical"]
        with pq.ParquetFile(self._path, read_dictionary=texts) as file:
            groups = _evenly(file.num_row_groups, MOST_GROUPS)
            most = MOST_ROWS // len(groups)
            parts = [_thinned(file.read_row_group(int(group), columns=list(names)), most) for group in groups]
        table = pa.concat_tables(parts).unify_dictionaries()
        return table.filter(pc.is_valid(table[self._use.target]))


def _thinned(table: pa.Table, most: int) -> pa.Table:
    return table.take(pa.array(_evenly(table.num_rows, most)))


def _evenly(count: int, most: int) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    """At most so many of the numbers from 0 to `count`, in equal steps."""
    if count <= most:
        return np.arange(count)
    return (np.arange(most) * count) // most
