"""/datasets/{name}/recipe"""

from fastapi import APIRouter

from mlops_api.domain.pipelines import DatasetRecipe, Recipe
from mlops_api.routers.depends import By, IfMatch, NamePath, PlatformDep, problems

router = APIRouter(prefix="/datasets", tags=["datasets"])


@router.get("/{name}/recipe", responses=problems(404))
def get_recipe(platform: PlatformDep, name: NamePath) -> DatasetRecipe:
    """How new versions of a dataset are trained."""
    return platform.pipelines.recipes.get(name)


@router.put("/{name}/recipe", responses=problems(412))
def set_recipe(
    platform: PlatformDep, by: By, name: NamePath, request: Recipe, revision: IfMatch = None
) -> DatasetRecipe:
    """Set it. From then on a new version of the dataset is trained by itself."""
    return platform.pipelines.recipes.put(by, name, request, revision)


@router.delete("/{name}/recipe", status_code=204, responses=problems(404, 412))
def delete_recipe(platform: PlatformDep, by: By, name: NamePath, revision: IfMatch = None) -> None:
    """New versions are validated only."""
    platform.pipelines.recipes.delete(by, name, revision)
