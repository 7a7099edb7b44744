"""`client.datasets`: upload tables and look at what validation found."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlops_api.client import calls, downloads, uploads
from mlops_api.client.effects import Flow, Items
from mlops_api.client.errors import Validation
from mlops_api.client.resource import M, Resource, listing, operation
from mlops_api.client.sources import Table, open_source
from mlops_api.domain.contracts import ContractPage, ContractVersion, DatasetContract
from mlops_api.domain.datasets import DatasetPage, DatasetStatus, DatasetSummary, DatasetVersion
from mlops_api.domain.models import DownloadUrl
from mlops_api.domain.naming import dataset_name
from mlops_api.domain.pipelines import DatasetRecipe, Recipe
from mlops_contracts.comparison import DatasetDifference
from mlops_contracts.data_contract import DataContract
from mlops_contracts.dataset import Preview, Profile, Quality


class Datasets(Resource[M]):
    @operation
    def upload(
        self,
        table: Table,
        *,
        name: str | None = None,
        filename: str | None = None,
        resume: str | None = None,
        wait: bool = True,
        timeout: float | None = 3600,
        progress: uploads.Progress | None = None,
    ) -> Flow[DatasetVersion]:
        """Upload a path, bytes, a DataFrame or a list of dicts as a new version of `name`.

        `name` may be left out for a path: it is made of the file's name. `resume` goes on with a version whose upload
        broke off. With `wait` the validated version is returned.

        Raises:
            Validation: the table was refused; `errors` names row and column.
            Timeout: validation outlasted `timeout` seconds.
        """
        source = open_source(table, filename or f"{name or 'table'}.csv")
        try:
            if resume is not None:
                created = yield from uploads.resume(source, resume)
            else:
                created = yield from uploads.begin(source, name or _name_of(table))
            yield from uploads.finish(source, created, progress)
        finally:
            source.close()
        return (yield from _validated(created.version, timeout) if wait else _get(created.version))

    @operation
    def get(self, version: str) -> Flow[DatasetVersion]:
        """`flights:2`, or `flights:latest` for the newest version that is Ready. Raises NotFound."""
        return _get(version)

    @listing
    def list(
        self, *, name: str | None = None, status: DatasetStatus | None = None, page_size: int | None = None
    ) -> Items[DatasetSummary]:
        """All versions, newest first."""
        return calls.pages(
            "/datasets", DatasetPage, lambda page: page.datasets, page_size=page_size, name=name, status=status
        )

    @operation
    def wait(self, version: str, *, timeout: float | None = 3600) -> Flow[DatasetVersion]:
        """Until it is Ready. Raises Validation when it was refused, Timeout."""
        return _validated(version, timeout)

    @operation
    def profile(self, version: str) -> Flow[Profile]:
        return calls.get(calls.path("datasets", version, "profile"), Profile)

    @operation
    def preview(self, version: str) -> Flow[Preview]:
        """The first 100 rows."""
        return calls.get(calls.path("datasets", version, "preview"), Preview)

    @operation
    def quality(self, version: str) -> Flow[Quality]:
        """Violations and warnings."""
        return calls.get(calls.path("datasets", version, "quality"), Quality)

    @operation
    def compare(self, version: str, other: str | None = None) -> Flow[DatasetDifference]:
        """What has changed since `other`, by default since the version before it. Raises NotFound, Conflict."""
        return calls.get(calls.path("datasets", version, "compare"), DatasetDifference, **{"with": other})

    @operation
    def download(
        self,
        version: str,
        to: str | os.PathLike[str] | None = None,
        *,
        overwrite: bool = False,
        progress: downloads.Progress | None = None,
    ) -> Flow[Path]:
        """The file as it was uploaded; `to` is a file or a folder. Raises Conflict when it exists."""
        dataset = yield from _get(version)
        target = downloads.target_path(to, Path(dataset.filename).name, overwrite=overwrite)
        found = yield from calls.get(calls.path("datasets", version, "download"), DownloadUrl)
        return (yield from downloads.download(found, target, progress))

    @operation
    def delete(self, version: str) -> Flow[None]:
        """Raises Conflict while a job was made from it."""
        return calls.delete(calls.path("datasets", version))

    @operation
    def contract(self, name: str, *, number: int | None = None) -> Flow[DatasetContract]:
        """The data contract that later versions of dataset `name` are held to, or an earlier one. Raises NotFound."""
        return calls.get(calls.path("datasets", name, "contract"), DatasetContract, number=number)

    @listing
    def contracts(self, name: str, *, page_size: int | None = None) -> Items[ContractVersion]:
        """Every data contract that dataset `name` ever had, newest first."""
        url = calls.path("datasets", name, "contract", "versions")
        return calls.pages(url, ContractPage, lambda page: page.contracts, page_size=page_size)

    @operation
    def suggest_contract(self, version: str) -> Flow[DataContract]:
        """A data contract that this version keeps: change it, and set it."""
        return calls.get(calls.path("datasets", version, "contract-suggestion"), DataContract)

    @operation
    def set_contract(
        self, name: str, contract: DataContract | Mapping[str, Any], *, revision: int | None = None
    ) -> Flow[DatasetContract]:
        """Hold later versions of dataset `name` to this contract.

        With the `revision` that was read it is set only if that still stands (0: there is none yet). Raises Validation
        naming the field, Conflict when the revision is another.
        """
        body = contract if isinstance(contract, DataContract) else calls.checked(DataContract, contract)
        return calls.write("PUT", calls.path("datasets", name, "contract"), DatasetContract, body, revision=revision)

    @operation
    def delete_contract(self, name: str, *, revision: int | None = None) -> Flow[None]:
        """Hold later versions to none. Raises NotFound when none is in force, Conflict as set_contract."""
        return calls.delete(calls.path("datasets", name, "contract"), revision=revision)

    @operation
    def recipe(self, name: str) -> Flow[DatasetRecipe]:
        """How new versions of dataset `name` are trained. Raises NotFound when they are not."""
        return calls.get(calls.path("datasets", name, "recipe"), DatasetRecipe)

    @operation
    def set_recipe(
        self, name: str, recipe: Recipe | Mapping[str, Any], *, revision: int | None = None
    ) -> Flow[DatasetRecipe]:
        """Train every new version of dataset `name` by this recipe, such as {"target": "late"}.

        `revision` as in set_contract. Raises Validation naming the field, Conflict when the revision is another.
        """
        body = recipe if isinstance(recipe, Recipe) else calls.checked(Recipe, recipe)
        return calls.write("PUT", calls.path("datasets", name, "recipe"), DatasetRecipe, body, revision=revision)

    @operation
    def delete_recipe(self, name: str, *, revision: int | None = None) -> Flow[None]:
        """New versions are validated only. Raises NotFound when there is none, Conflict as set_recipe."""
        return calls.delete(calls.path("datasets", name, "recipe"), revision=revision)


def _get(version: str) -> Flow[DatasetVersion]:
    return calls.get(calls.path("datasets", version), DatasetVersion)


def _validated(version: str, timeout: float | None) -> Flow[DatasetVersion]:
    dataset = yield from calls.poll(
        lambda: _get(version), lambda found: found.status in ("Ready", "Rejected"), f"Validation of {version}", timeout
    )
    if dataset.status == "Rejected":
        raise _refused(dataset)
    return dataset


def _refused(dataset: DatasetVersion) -> Validation:
    count, warnings = dataset.quality.violation_count, dataset.quality.warnings
    return Validation(
        f"{dataset.version} was refused: {count} violation{'s' * (count != 1)}.",
        errors=[finding.model_dump(exclude_none=True) for finding in dataset.quality.violations],
        extra={"version": dataset.version, "warnings": [item.model_dump(exclude_none=True) for item in warnings]},
    )


def _name_of(table: Table) -> str:
    if isinstance(table, str | os.PathLike):
        return dataset_name(Path(table).name)
    raise Validation("Say which dataset this is a version of: name='flights'.")
