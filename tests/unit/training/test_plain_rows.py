"""The short way for rows reads what the careful reader reads, or leaves it to that."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_contracts.bundle import Feature
from tests.support.small_bundles import FEATURES
from training.complaints import RequestError
from training.features import Encoder
from training.plain_rows import PlainRows
from training.requests import RequestParser

PLAIN = {"dep_hour": 8, "distance": 1200.5, "weekend": True, "carrier": "AA"}
WIDER = (*FEATURES, Feature(name="gate", type="categorical", required=False, categories=("1", "12", "")))
PARSER = RequestParser(WIDER)
ROWS = PlainRows(PARSER.fields)

values = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**60), 2**60), st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["AA", "UA", "ZZ", "", "1", "12", "8.5"]), st.lists(st.integers(), max_size=1),
)  # fmt: skip
likely = {
    "dep_hour": st.one_of(st.integers(0, 23), st.floats(0, 24)),
    "distance": st.one_of(st.none(), st.floats(0, 5000)),
    "weekend": st.booleans(),
    "carrier": st.sampled_from(["AA", "UA", "ZZ", ""]),
    "gate": st.sampled_from(["1", "12", "7", "", None]),
}
some = {name: st.one_of(strategy, values) for name, strategy in likely.items()}
row = st.one_of(st.fixed_dictionaries(likely), st.fixed_dictionaries({}, optional={**some, "colour": values}))


@given(st.lists(row, min_size=1, max_size=4))
def test_plain_rows_are_read_as_by_the_careful_reader_and_no_bad_row_is_plain(rows: list[dict[str, Any]]) -> None:
    dense = ROWS.read(rows)
    if dense is None:
        return
    careful = PARSER.parse(json.dumps({"instances": rows}).encode(), "application/json")
    for algorithm in ("xgboost", "random_forest", "logistic_regression"):
        encoder = Encoder(WIDER, algorithm)
        np.testing.assert_array_equal(encoder.assemble(*dense), encoder.matrix(careful.columns))


@given(st.lists(st.fixed_dictionaries(likely), min_size=1, max_size=4), st.permutations(list(likely)))
def test_ordinary_rows_are_plain_in_both_forms(rows: list[dict[str, Any]], header: list[str]) -> None:
    by_name = ROWS.read(rows)
    by_header = ROWS.read([[each[name] for name in header] for each in rows], header)
    assert by_name is not None
    assert by_header is not None
    np.testing.assert_array_equal(by_name.numbers, by_header.numbers)
    np.testing.assert_array_equal(by_name.codes, by_header.codes)


@pytest.mark.parametrize(
    "changed",
    [
        {"dep_hour": None}, {"dep_hour": True}, {"dep_hour": "8"}, {"dep_hour": [1]}, {"distance": True},
        {"weekend": None}, {"weekend": 1}, {"carrier": None}, {"carrier": 1}, {"carrier": ["AA"]}, {"colour": "red"},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_odd_is_left_to_the_careful_reader(changed: dict[str, Any]) -> None:
    assert PlainRows(RequestParser(FEATURES).fields).read([PLAIN, PLAIN | changed]) is None


@pytest.mark.parametrize("header", [["dep_hour"], [*PLAIN, "dep_hour"], [*PLAIN, "colour"], ["a", "b", "c", "d"]])
def test_an_odd_header_is_left_to_the_careful_reader(header: list[str]) -> None:
    assert PlainRows(RequestParser(FEATURES).fields).read([[1] * len(header)], header) is None


def test_ragged_rows_are_left_to_the_careful_reader() -> None:
    plain = PlainRows(RequestParser(FEATURES).fields)
    assert plain.read([list(PLAIN.values()), list(PLAIN.values())[:3]], list(PLAIN)) is None
    assert plain.read([PLAIN, list(PLAIN.values())]) is None
    with pytest.raises(RequestError):
        RequestParser(FEATURES).parse(b'{"columns": ["dep_hour"], "rows": [[1, 2]]}', "application/json")
