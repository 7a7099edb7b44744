"""Validation of an uploaded table by a processing job, and the verdict when it ends.

Validating --job Completed, no violations--> Ready
           '-otherwise--------------------> Rejected
"""

import re
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from mlops_api.domain.errors import Invalid, NameTaken, NotFound
from mlops_api.domain.names import version_id
from mlops_api.domain.training import TERMINAL
from mlops_api.ports import JobState, ObjectStore, ProcessingRunner, ProcessingSpec, RecordStore, Write
from mlops_api.services.activity import ActivityLog
from mlops_api.services.contention import until_unbeaten
from mlops_api.services.contracts import ContractService
from mlops_api.services.dataset_comparison import DatasetComparison
from mlops_api.services.dataset_measurements import DatasetMeasurements
from mlops_api.services.dataset_records import (
    DATASETS,
    DatasetFiles,
    StoredDataset,
    dataset_collection,
    raw_key,
    table_prefix,
)
from mlops_api.services.dataset_versions import DatasetNames
from mlops_api.services.found import Found
from mlops_api.services.policy import Policy
from mlops_api.services.principal import PLATFORM
from mlops_api.services.repair import each
from mlops_contracts.dataset import DatasetReport, TargetUse

if TYPE_CHECKING:
    from mlops_api.services.recipes import RecipeService

_JOB = re.compile(r"(?P<name>.+)-v(?P<number>[1-9][0-9]{0,8})", re.ASCII)


def processing_job(dataset: StoredDataset) -> str:
    return f"{dataset.name}-v{dataset.number}"


class DatasetValidation:
    def __init__(
        self,
        *,
        records: RecordStore,
        objects: ObjectStore,
        processing: ProcessingRunner,
        activity: ActivityLog,
        policy: Policy,
        contracts: ContractService,
        recipes: Callable[[], "RecipeService"],
        measurements: DatasetMeasurements,
    ) -> None:
        self._recipes = recipes
        self._measurements = measurements
        self._contracts = contracts
        self.comparison = DatasetComparison(records, objects)
        self._records = records
        self._processing = processing
        self._activity = activity
        self._policy = policy
        self._datasets = dataset_collection(records)
        self._names = DatasetNames(records)
        self._files = DatasetFiles(objects)

    def carry_on(self, dataset: StoredDataset) -> None:
        """Begin the job of a Validating version unless it was begun; write the verdict if it has ended."""
        if dataset.status == "Validating":
            self.start(dataset)
            self.settle(dataset.version)

    def start(self, dataset: StoredDataset) -> None:
        """Harmless when repeated. A dataset that the runner will never take is Rejected."""
        try:
            self._processing.start(self.spec(dataset))
        except (Invalid, NameTaken) as error:
            self._end(dataset.version, _broken(error.detail[:1024]))

    def spec(self, dataset: StoredDataset) -> ProcessingSpec:
        """The job, held to the contract in force now (its report says which that was), for the recipe there is now."""
        contract = self._contracts.in_force(dataset.name)
        recipe = self._recipes().find(dataset.name)
        return ProcessingSpec(
            job=processing_job(dataset),
            input_key=raw_key(dataset.name, dataset.number),
            filename=dataset.filename,
            sha256=dataset.sha256,
            output_prefix=table_prefix(dataset.name, dataset.number),
            max_runtime_seconds=self._policy.processing_seconds,
            contract=contract.model_dump(mode="json", exclude_defaults=True) if contract else None,
            target=recipe.recipe.model_dump(mode="json", include=set(TargetUse.model_fields)) if recipe else None,
        )

    def stop(self, dataset: StoredDataset) -> None:
        """No error when it has ended or was never started."""
        with suppress(NotFound):
            self._processing.stop(processing_job(dataset))

    def give_up(self, dataset: StoredDataset, reason: str) -> None:
        """A version that has no verdict is Rejected for this reason, and its job is stopped. No error otherwise."""
        if dataset.status == "Validating":
            self.stop(dataset)
            self._end(dataset.version, _broken(f"It was not validated: {reason}"[:1024]))

    def on_processing_change(self, job: str) -> None:
        """React to a processing job's event: once it has ended, write the verdict. Repeats change nothing."""
        match = _JOB.fullmatch(job)
        if match is not None:
            self.settle(version_id(match["name"], int(match["number"])))

    def reconcile(self) -> None:
        """Make good what a crash left undone: every ended job has its verdict. Its pipeline begins it."""
        each([dataset.version for dataset in self.under_way()], self.settle)

    def under_way(self) -> list[StoredDataset]:
        return list(self._datasets.every("status", f"{DATASETS}/Validating"))

    def settle(self, version: str) -> None:
        """Write the verdict if the job has ended; nothing while it runs, or was not begun."""
        stored = self._datasets.find(version)
        if stored is None or stored.value.status != "Validating":
            return
        try:
            state = self._processing.describe(processing_job(stored.value))
        except NotFound:
            return
        if state.status in TERMINAL:
            self._end(version, self._verdict(stored.value, state))

    def _end(self, version: str, verdict: dict[str, Any]) -> None:
        # The same event, delivered twice at once, or another version of this name may come between.
        until_unbeaten(lambda: self._end_once(version, verdict), what=version)

    def _end_once(self, version: str, verdict: dict[str, Any]) -> None:
        name = version.partition(":")[0]
        read = Found.read(self._records, [self._datasets.name_of(version), self._names.name_of(name)])
        stored = read.find(self._datasets, version)
        if stored is None or stored.value.status != "Validating":
            return
        dataset = stored.value.model_copy(update=verdict)
        entry = self._activity.entry(
            PLATFORM, f"dataset.{dataset.status.lower()}", version, path=f"/datasets/{version}"
        )
        writes: list[Write] = [self._datasets.to_put(stored.with_value(dataset)), entry]
        if dataset.status == "Ready":
            writes.append(self._names.with_ready(self._names.of(read, name), dataset.number))
        self._records.write(writes)
        self._measurements.record(dataset)

    def _verdict(self, dataset: StoredDataset, state: JobState) -> dict[str, Any]:
        if state.status != "Completed":
            return _broken(state.failure_reason or "validation was stopped")
        try:
            report = self._files.report(dataset)
        except (NotFound, ValidationError) as error:
            return _broken(f"Validation ended well, but its verdict cannot be read: {error}"[:1024])
        if report.quality.violations:
            return {"status": "Rejected", **_figures(dataset, report)}
        return {"status": "Ready", **_figures(dataset, report), **self._compared(dataset, report)}

    def _compared(self, dataset: StoredDataset, report: DatasetReport) -> dict[str, Any]:
        found = self.comparison.with_the_one_before(dataset)
        if found is None:
            return {}
        warnings = len(report.quality.warnings) + len(found.findings)
        return {"compared_with": found.reference, "warning_count": warnings}


def _figures(dataset: StoredDataset, report: DatasetReport) -> dict[str, Any]:
    return {
        "sha256": dataset.sha256 or report.sha256,
        "rows": report.rows,
        "column_count": len(report.columns),
        "violation_count": report.quality.violation_count,
        "warning_count": len(report.quality.warnings),
        "contract": report.contract,
    }


def _broken(reason: str) -> dict[str, Any]:
    return {"status": "Rejected", "failure_reason": reason, "violation_count": 1}
