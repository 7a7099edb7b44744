"""Recipes: how every new version of a dataset is trained. One per dataset name; it may be there before the dataset."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from mlops_api.domain.errors import Invalid, NotFound, PreconditionFailed
from mlops_api.domain.pipelines import DatasetRecipe, Recipe
from mlops_api.domain.times import Clock, rfc3339
from mlops_api.ports import Delete, Index, Place, RecordName, RecordStore
from mlops_api.services.activity import ActivityLog
from mlops_api.services.collection import Collection, Stored
from mlops_api.services.contention import until_unbeaten
from mlops_api.services.found import Found
from mlops_api.services.principal import Principal
from mlops_contracts.hyperparameters import HYPERPARAMETERS

_KIND = "recipe"


class StoredRecipe(BaseModel):
    dataset: str
    recipe: Recipe
    updated_at: str
    updated_by: str


class RecipeService:
    def __init__(self, *, records: RecordStore, activity: ActivityLog, clock: Clock) -> None:
        self._records = records
        self._activity = activity
        self._clock = clock

        def places(value: StoredRecipe) -> Mapping[Index, Place]:
            return {"all": Place(_KIND, value.dataset)}

        self._recipes = Collection(
            records, _KIND, StoredRecipe, what="recipe of dataset", key=lambda value: value.dataset, places=places
        )

    def name_of(self, dataset: str) -> RecordName:
        """For reading it with other records; then `in_` finds it there."""
        return self._recipes.name_of(dataset)

    def in_(self, read: Found, dataset: str) -> DatasetRecipe:
        """Raises NotFound saying how to set one."""
        stored = read.find(self._recipes, dataset)
        if stored is None:
            raise _none(dataset)
        return _answer(stored)

    def get(self, dataset: str) -> DatasetRecipe:
        """Raises NotFound saying how to set one."""
        found = self.find(dataset)
        if found is None:
            raise _none(dataset)
        return found

    def find(self, dataset: str) -> DatasetRecipe | None:
        stored = self._recipes.find(dataset)
        return _answer(stored) if stored else None

    def put(self, by: Principal, dataset: str, recipe: Recipe, revision: int | None = None) -> DatasetRecipe:
        """Set it, whatever was there; with `revision` only if that is what was there (0: nothing).

        Raises PreconditionFailed, and Invalid naming the hyperparameter that cannot be.
        """
        check_hyperparameters(recipe)
        return until_unbeaten(lambda: self._put_once(by, dataset, recipe, revision), what=f"the recipe of {dataset}")

    def _put_once(self, by: Principal, dataset: str, recipe: Recipe, revision: int | None) -> DatasetRecipe:
        found = self._recipes.find(dataset)
        before = found.revision if found else 0
        _check_revision(dataset, before, revision)
        now = rfc3339(self._clock())
        stored = Stored(StoredRecipe(dataset=dataset, recipe=recipe, updated_at=now, updated_by=by.name), before)
        entry = self._activity.entry(by, "recipe.set", dataset, path=f"/datasets/{dataset}/recipe")
        self._records.write([self._recipes.to_put(stored), entry])
        return _answer(Stored(stored.value, before + 1))

    def delete(self, by: Principal, dataset: str, revision: int | None = None) -> None:
        """Later versions are no longer trained by themselves. Raises NotFound, PreconditionFailed."""
        until_unbeaten(lambda: self._delete_once(by, dataset, revision), what=f"the recipe of {dataset}")

    def _delete_once(self, by: Principal, dataset: str, revision: int | None) -> None:
        found = self._recipes.find(dataset)
        if found is None:
            raise _none(dataset)
        _check_revision(dataset, found.revision, revision)
        entry = self._activity.entry(by, "recipe.delete", dataset)
        self._records.write([Delete(_KIND, dataset, found.revision), entry])


def check_hyperparameters(recipe: Recipe) -> None:
    """Raises Invalid with an entry for each hyperparameter that no candidate can have."""
    complaints: dict[tuple[str, str], str] = {}
    for algorithm, values in recipe.grid():
        try:
            HYPERPARAMETERS[algorithm].model_validate(values)
        except ValidationError as error:
            for item in error.errors(include_url=False, include_input=False):
                name = ".".join(map(str, item["loc"])) or "hyperparameters"
                complaints.setdefault((algorithm, name), item["msg"])
    if complaints:
        errors: list[dict[str, Any]] = [
            {"field": f"{algorithm}.{name}", "message": f"{algorithm} {name}: {message}"}
            for (algorithm, name), message in complaints.items()
        ]
        raise Invalid(f"The recipe cannot work: {errors[0]['message']}", errors[:100])


def _check_revision(dataset: str, stands: int, asked: int | None) -> None:
    if asked is not None and asked != stands:
        raise PreconditionFailed(
            f"The recipe of {dataset} is at revision {stands}, not {asked}. Read it again and repeat the change.",
            revision=stands,
        )


def _none(dataset: str) -> NotFound:
    return NotFound(f"{dataset} has no recipe. Set one: mlops data recipe set {dataset} --target COLUMN")


def _answer(stored: Stored[StoredRecipe]) -> DatasetRecipe:
    return DatasetRecipe(
        **stored.value.model_dump(exclude={"recipe"}), recipe=stored.value.recipe, revision=stored.revision
    )
