"""What a validated version of a dataset measures, all of them of the dataset's name; and the alarms on it.

DatasetViolations     violations of the version; 0 when it is Ready
DatasetRows           its rows
DatasetCompleteness   share of its cells that hold a value, percent
DatasetAge            how old its newest time is, where a column has times
DatasetRowsChange     its rows, in percent of those of the version it was compared with
DatasetDrift          share of its compared columns that drifted, percent

What cannot be known of a version is not written: an alarm has no data then, which is not OK.
"""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from mlops_api.domain.errors import NotFound, PlatformError
from mlops_api.domain.monitoring import Unit
from mlops_api.domain.times import Clock, parse_rfc3339
from mlops_api.ports import Metric, MetricSink, ObjectStore, Point
from mlops_api.services.dataset_alarms import default_alarms
from mlops_api.services.dataset_records import DatasetFiles, StoredDataset
from mlops_api.services.measurements import Measurements
from mlops_api.services.policy import Policy
from mlops_contracts.comparison import COMPARISON, DatasetDifference
from mlops_contracts.dataset import DatasetReport, Profile

_LOG = logging.getLogger(__name__)

_Value = tuple[str, float, Unit]
_Shape = TypeVar("_Shape", bound=BaseModel)


class DatasetMeasurements:
    def __init__(self, *, metrics: MetricSink, objects: ObjectStore, policy: Policy, clock: Clock) -> None:
        self._metrics = metrics
        self._measurements = Measurements(metrics)
        self._files = DatasetFiles(objects)
        self._policy = policy
        self._clock = clock

    def record(self, dataset: StoredDataset) -> None:
        """Once the verdict is written. What fails is logged: a verdict does not wait for its measurements."""
        for step in (self._make_alarms, self._measure):
            try:
                step(dataset)
            except PlatformError as error:
                _LOG.warning("%s is not fully measured: %s", dataset.version, error.detail)

    # ---- values

    def _measure(self, dataset: StoredDataset) -> None:
        now, dimensions = self._clock(), {"dataset": dataset.name}
        values = self._values(dataset)
        self._measurements.record([Point(Metric(name, dimensions), value, unit, now) for name, value, unit in values])

    def _values(self, dataset: StoredDataset) -> Iterator[_Value]:
        yield "DatasetViolations", float(dataset.violation_count or 0), "Count"
        report = self._read(dataset, "dataset.json", DatasetReport)
        if report is not None and dataset.rows is not None:
            yield "DatasetRows", float(report.rows), "Count"
            yield from _completeness(report)
        if dataset.status == "Ready":
            yield from self._accepted(dataset, report)

    def _accepted(self, dataset: StoredDataset, report: DatasetReport | None) -> Iterator[_Value]:
        if report is not None and any(column.type == "datetime" for column in report.columns):
            profile = self._read(dataset, "profile.json", Profile)
            yield from _age(profile, self._clock()) if profile is not None else ()
        if dataset.compared_with is not None:
            found = self._read(dataset, COMPARISON, DatasetDifference)
            yield from _change(found) if found is not None else ()

    def _read(self, dataset: StoredDataset, name: str, shape: type[_Shape]) -> _Shape | None:
        """None when it was not written, or not as expected: preprocess may have broken down."""
        try:
            return shape.model_validate_json(self._files.table_file(dataset, name))
        except (NotFound, ValidationError):
            return None

    # ---- alarms

    def _make_alarms(self, dataset: StoredDataset) -> None:
        """Those that are missing; one that was changed stays as it is."""
        for alarm in default_alarms(dataset.name, self._policy):
            try:
                self._metrics.alarm(alarm.alarm)
            except NotFound:
                self._metrics.put_alarm(alarm)


def _completeness(report: DatasetReport) -> Iterator[_Value]:
    cells = report.rows * len(report.columns)
    if cells:
        missing = sum(column.missing for column in report.columns)
        yield "DatasetCompleteness", 100 * (1 - missing / cells), "Percent"


def _age(profile: Profile, now: datetime) -> Iterator[_Value]:
    """Times without an offset are taken as UTC; a newest time ahead of now is of age 0."""
    newest = [_moment(column.latest) for column in profile.columns if column.latest is not None]
    if newest:
        yield "DatasetAge", max(0.0, (now - max(newest)).total_seconds()), "Seconds"


def _moment(text: str) -> datetime:
    moment = parse_rfc3339(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _change(found: DatasetDifference) -> Iterator[_Value]:
    if found.reference_rows:
        yield "DatasetRowsChange", 100 * found.rows / found.reference_rows, "Percent"
    judged = [column for column in found.columns if column.statistic is not None]
    if judged:
        yield "DatasetDrift", 100 * sum(column.drifted for column in judged) / len(judged), "Percent"
