"""Recipes: what is refused, how they change, and the candidates they mean."""

import pytest
from pydantic import ValidationError

from mlops_api.domain.errors import Invalid, NotFound, PreconditionFailed
from mlops_api.domain.pipelines import MAX_CANDIDATES, Recipe
from mlops_api.services.pipeline_plan import candidate_job
from tests.support.platform import ANN, BOB, World, at_once


def recipe(**fields: object) -> Recipe:
    return Recipe.model_validate({"target": "late"} | fields)


def test_a_recipe_is_kept_with_who_set_it(here: World) -> None:
    assert here.recipe().revision == 1
    changed = here.platform.pipelines.recipes.put(BOB, "flights", recipe(seed=7))
    assert (changed.revision, changed.updated_by, changed.recipe.seed) == (2, "bob", 7)
    assert here.platform.pipelines.recipes.get("flights") == changed


def test_without_one_it_says_how_to_set_it(here: World) -> None:
    with pytest.raises(NotFound, match="mlops data recipe set flights"):
        here.platform.pipelines.recipes.get("flights")
    with pytest.raises(NotFound):
        here.platform.pipelines.recipes.delete(ANN, "flights")


def test_a_change_of_what_somebody_else_changed_is_refused(here: World) -> None:
    recipes = here.platform.pipelines.recipes
    assert recipes.put(ANN, "flights", recipe(), 0).revision == 1
    with pytest.raises(PreconditionFailed, match="revision 1, not 0"):
        recipes.put(BOB, "flights", recipe(seed=1), 0)
    recipes.put(BOB, "flights", recipe(seed=1), 1)
    with pytest.raises(PreconditionFailed, match="revision 2, not 1"):
        recipes.delete(ANN, "flights", 1)
    recipes.delete(ANN, "flights", 2)
    assert recipes.find("flights") is None


def test_of_many_that_change_what_they_read_one_wins(here: World) -> None:
    here.recipe()
    recipes = here.platform.pipelines.recipes
    made = at_once(*[lambda seed=seed: recipes.put(ANN, "flights", recipe(seed=seed), 1) for seed in range(8)])
    assert sum(isinstance(each, PreconditionFailed) for each in made) == 7


def test_every_change_is_in_the_activity(here: World) -> None:
    here.recipe()
    here.platform.pipelines.recipes.delete(ANN, "flights")
    entries = here.platform.activity.page(after=None, limit=10, token=None).activity
    assert [(entry.action, entry.by, entry.subject) for entry in entries] == [
        ("recipe.delete", "ann", "flights"),
        ("recipe.set", "ann", "flights"),
    ]


# ---- what it means


def test_every_algorithm_is_a_candidate_by_default() -> None:
    assert [name for name, _ in recipe().grid()] == ["random_forest", "xgboost", "logistic_regression"]


def test_a_search_tries_each_value_with_each() -> None:
    asked = recipe(
        algorithms=["xgboost", "random_forest"],
        hyperparameters={"xgboost": {"subsample": 0.5}},
        search={"xgboost": {"max_depth": [4, 6], "learning_rate": [0.1, 0.3]}},
    )
    assert list(asked.grid()) == [
        ("xgboost", {"subsample": 0.5, "max_depth": 4, "learning_rate": 0.1}),
        ("xgboost", {"subsample": 0.5, "max_depth": 4, "learning_rate": 0.3}),
        ("xgboost", {"subsample": 0.5, "max_depth": 6, "learning_rate": 0.1}),
        ("xgboost", {"subsample": 0.5, "max_depth": 6, "learning_rate": 0.3}),
        ("random_forest", {}),
    ]


def test_a_search_has_a_bound() -> None:
    values = list(range(1, MAX_CANDIDATES + 1))
    assert len(list(recipe(algorithms=["xgboost"], search={"xgboost": {"max_depth": values}}).grid())) == MAX_CANDIDATES
    with pytest.raises(ValidationError, match="14 candidates; at most 12"):
        recipe(search={"xgboost": {"max_depth": values}})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"algorithms": ["xgboost", "xgboost"]}, "once"),
        ({"algorithms": ["xgboost"], "search": {"random_forest": {"max_depth": [1]}}}, "none of the algorithms"),
        ({"algorithms": []}, "at least 1"),
        ({"search": {"xgboost": {"max_depth": []}}}, "at least 1"),
        ({"gate": {"deploy": True}}, "auto_approve"),
        ({"gate": {"margin": -1}}, "greater than or equal"),
        ({"targets": "late"}, "Extra inputs"),
        ({"model": "no spaces"}, "match pattern"),
    ],
)
def test_what_cannot_be_is_refused_when_it_is_read(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        recipe(**fields)


def test_hyperparameters_are_checked_when_it_is_set_not_when_it_is_used(here: World) -> None:
    with pytest.raises(Invalid, match="The recipe cannot work: xgboost") as refused:
        here.recipe(search={"xgboost": {"max_depth": [6, 600], "depth": [1]}})
    assert {error["field"] for error in refused.value.extra["errors"]} == {"xgboost.depth", "xgboost.max_depth"}
    assert here.platform.pipelines.recipes.find("flights") is None


def test_names_of_jobs_are_told_apart_and_short_enough() -> None:
    assert candidate_job("flights-v2", "xgboost", 3) == "flights-v2-xgboost-3"
    long = [candidate_job(f"{'a' * 47}{last}-v123", "logistic_regression", 12) for last in "bc"]
    assert len(set(long)) == 2
    assert all(len(name) <= 63 and name.endswith("-logistic-regression-12") for name in long)
