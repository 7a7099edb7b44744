"""Data contracts: numbered, one in force, every later version held to it; and what is suggested."""

import pytest

from mlops_api.domain.contract_suggestion import suggest
from mlops_api.domain.errors import NotFound, PreconditionFailed
from mlops_api.domain.pipelines import Recipe
from mlops_contracts.data_contract import ColumnRule, DataContract
from mlops_contracts.dataset import ColumnProfile, NumericProfile, PreprocessConfig, Profile, TargetUse, ValueCount
from tests.support.platform import ANN, BOB, World, a_report, at_once, processing_job

FIRST, SECOND = DataContract(min_rows=1), DataContract(min_rows=2)


def put(here: World, contract: DataContract = FIRST, revision: int | None = None):
    return here.platform.contracts.put(ANN, "flights", contract, revision)


def test_each_edit_has_the_next_number_and_all_are_kept(here: World) -> None:
    contracts = here.platform.contracts
    assert [put(here, each).number for each in (FIRST, SECOND, FIRST)] == [1, 2, 3]
    assert contracts.get("flights").contract == FIRST
    assert contracts.get("flights", 2).contract == SECOND
    assert [contracts.get("flights", number).in_force for number in (1, 2, 3)] == [False, False, True]
    page = contracts.versions("flights", limit=2, token=None)
    rest = contracts.versions("flights", limit=2, token=page.next_token)
    assert [each.number for each in (*page.contracts, *rest.contracts)] == [3, 2, 1]


def test_the_same_contract_again_changes_nothing(here: World) -> None:
    assert put(here) == put(here) == put(here, revision=7)


def test_after_a_deletion_none_is_in_force_and_numbers_go_on(here: World) -> None:
    contracts = here.platform.contracts
    put(here)
    contracts.delete(ANN, "flights")
    assert contracts.in_force("flights") is None
    with pytest.raises(NotFound, match="suggest flights:latest"):
        contracts.get("flights")
    with pytest.raises(NotFound):
        contracts.delete(ANN, "flights")
    assert contracts.get("flights", 1).contract == FIRST
    assert not contracts.get("flights", 1).in_force
    assert put(here).number == 2


def test_a_change_of_what_was_read_only(here: World) -> None:
    contracts = here.platform.contracts
    with pytest.raises(PreconditionFailed, match="revision 0, not 1"):
        put(here, revision=1)
    first = put(here, revision=0)
    with pytest.raises(PreconditionFailed, match="revision 1, not 0"):
        put(here, SECOND, revision=0)
    with pytest.raises(PreconditionFailed):
        contracts.delete(ANN, "flights", first.revision + 1)
    assert put(here, SECOND, revision=first.revision).revision == first.revision + 1


def test_edits_at_once_have_numbers_of_their_own(here: World) -> None:
    def edit(rows: int):
        return lambda: here.platform.contracts.put(BOB, "flights", DataContract(min_rows=rows)).number

    assert sorted(at_once(*map(edit, range(8)))) == list(range(1, 9))  # type: ignore[type-var]  # numbers, or a failure


def test_what_is_unknown_says_what_there_is(here: World) -> None:
    put(here)
    with pytest.raises(NotFound, match="its last one is 1"):
        here.platform.contracts.get("flights", 5)
    with pytest.raises(NotFound, match="no data contract in force"):
        here.platform.contracts.get("nobody")


def test_a_version_is_held_to_the_contract_in_force(here: World) -> None:
    put(here)
    put(here, SECOND)
    here.platform.contracts.put(ANN, "others", FIRST)
    job = processing_job(here.uploaded())
    assert here.processing.specs[job].config()["contract"] == {"number": 2, "contract": {"min_rows": 2}}


def test_what_the_recipe_predicts_is_looked_at(here: World) -> None:
    here.platform.recipes.put(ANN, "flights", Recipe(target="late", exclude=["day"]))
    found = here.processing.specs[processing_job(here.uploaded())].config()
    assert found["target"] == {"target": "late", "problem_type": None, "exclude": ["day"], "time_column": None}
    assert PreprocessConfig.model_validate(found).target == TargetUse(target="late", exclude=("day",))
    assert here.processing.specs[processing_job(here.uploaded("others"))].config()["target"] is None


def test_the_version_says_which_contract_it_was_held_to(here: World) -> None:
    """The report says it: a contract that was set while the job ran is not the one that was checked."""
    put(here)
    version = here.uploaded()
    put(here, SECOND)
    report = a_report().model_copy(update={"contract": 1})
    here.processing.complete(processing_job(version), report)
    here.tell("processing", processing_job(version))
    assert here.platform.datasets.get(version).contract == 1


def test_without_a_contract(here: World) -> None:
    version = here.ready().version
    assert here.processing.specs[processing_job(version)].config()["contract"] is None
    assert here.platform.datasets.get(version).contract is None


# ---- suggestions


def numeric(name: str, low: float, high: float, distinct: int = 50, missing: int = 0) -> ColumnProfile:
    figures = NumericProfile(min=low, max=high, mean=low, std=1, quantiles={}, histogram=())
    return ColumnProfile(name=name, type="numeric", missing=missing, distinct=distinct, numeric=figures)


def words(name: str, *counts: int, distinct: int | None = None) -> ColumnProfile:
    top = tuple(ValueCount(value=f"w{place}", count=count) for place, count in enumerate(counts))
    return ColumnProfile(name=name, type="categorical", missing=0, distinct=distinct or len(top), top_values=top)


def rule(column: ColumnProfile, rows: int = 100) -> ColumnRule:
    return suggest(Profile(rows=rows, columns=(column,))).columns[0]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (-10, 10, (-20, 20)),
        (0, 24, (0, 36)),
        (2007, 2009, (2006, 2010)),
        (0.2, 0.9, (0, 1)),
        (7, 7, (3.5, 10.5)),
        (-3, -3, (-4.5, -1.5)),
        (123.456, 125.0, (122.68, 125.78)),
        (-1.7e308, 1.7e308, (None, None)),
        (0, 1e300, (0, 1.5e300)),
    ],
)
def test_ranges_have_room_and_keep_natural_ends(low, high, expected) -> None:
    found = rule(numeric("x", low, high))
    assert (found.minimum, found.maximum) == expected


def test_values_are_listed_where_new_ones_are_not_to_be_expected() -> None:
    assert rule(words("a", 60, 40)).allowed == ("w0", "w1")
    assert rule(words("a", 96, 4)).allowed == ()
    assert rule(words("a", *[5] * 20)).allowed == tuple(sorted(f"w{place}" for place in range(20)))
    assert rule(words("a", *[5] * 20, distinct=21)).allowed == ()


def test_keys() -> None:
    assert rule(numeric("order_id", 1, 100, distinct=100)).unique
    assert rule(numeric("order_id", 1, 100, distinct=100)).maximum is None
    assert not rule(numeric("price", 1, 100, distinct=100)).unique
    assert not rule(numeric("order_id", 1, 10, distinct=10), rows=10).unique
    estimated = numeric("order_id", 1, 100, distinct=101).model_copy(update={"exact_distinct": False})
    assert not rule(estimated).unique
    assert rule(ColumnProfile(name="code", type="text", missing=0, distinct=100)).unique


@pytest.mark.parametrize(("missing", "most"), [(0, 0.05), (10, 0.15), (99, 1.0)])
def test_missing_cells(missing, most) -> None:
    assert rule(numeric("x", 0, 9, missing=missing)).max_missing == most


def test_a_column_without_a_value_is_only_named() -> None:
    empty = ColumnProfile(name="x", type="text", missing=100, distinct=0)
    assert rule(empty) == ColumnRule(name="x")


def test_rows_and_other_columns() -> None:
    found = suggest(Profile(rows=65_470, columns=()))
    assert (found.min_rows, found.max_rows, found.extra_columns) == (6547, None, True)
    assert suggest(Profile(rows=3, columns=())).min_rows == 1
