"""Records as items, and the order of an index."""

from hypothesis import given
from hypothesis import strategies as st

from mlops_api.adapters.aws.dynamodb_items import BEHIND_END, END, Position, escaped, to_item, to_record
from mlops_api.adapters.aws.table import INDEXES, table_definition
from mlops_api.adapters.record_rules import MAX_DATA_BYTES, MAX_NAME_BYTES, MAX_PLACE_BYTES
from mlops_api.ports import Place, Record

PARTS = st.text(alphabet=st.sampled_from("\0\1\2 ab\ufffd𝄞"), max_size=4)
POSITIONS = st.builds(Position, PARTS, PARTS, PARTS)
ITEM_BYTES = 400 * 1024


def bytewise(position: Position) -> tuple[bytes, ...]:
    return position.sort.encode(), position.key.encode(), position.kind.encode()


@given(POSITIONS, POSITIONS)
def test_joined_positions_compare_as_their_parts(one: Position, other: Position) -> None:
    assert (one.joined().encode() < other.joined().encode()) == (bytewise(one) < bytewise(other))
    assert (one.joined() == other.joined()) == (one == other)


@given(POSITIONS, PARTS)
def test_bounds_are_about_sort_alone(one: Position, bound: str) -> None:
    joined = one.joined().encode()
    assert (joined > (escaped(bound) + BEHIND_END).encode()) == (one.sort.encode() > bound.encode())
    assert (joined < (escaped(bound) + END).encode()) == (one.sort.encode() < bound.encode())


@given(POSITIONS, st.none() | st.integers(1, 2**40))
def test_an_item_is_the_record(position: Position, expires_at: int | None) -> None:
    places = dict.fromkeys(INDEXES, Place("p", position.sort))
    record = Record(position.kind, position.key, {"n": 1}, places, 3, expires_at)
    item = to_item(record, b'{"n":1}', "id")
    assert to_record(item) == Record(position.kind, position.key, {"n": 1}, places, 4, expires_at)


def test_the_largest_item_fits() -> None:
    name = "n" * MAX_NAME_BYTES
    places = dict.fromkeys(INDEXES, Place(name, "s" * (MAX_PLACE_BYTES - len(name) - 1)))
    item = to_item(Record("k", name, {}, places, 10**15, 10**12), b"x" * MAX_DATA_BYTES, "0" * 16)
    assert sum(len(name) + len(next(iter(value.values()))) for name, value in item.items()) < ITEM_BYTES
    assert max(len(item[f"{index}_sk"]["S"]) for index in INDEXES) < 1024


def test_the_table_has_an_index_for_each_of_the_ports() -> None:
    definition = table_definition("t")
    assert [index["IndexName"] for index in definition["GlobalSecondaryIndexes"]] == list(INDEXES)
    assert definition["BillingMode"] == "PAY_PER_REQUEST"
