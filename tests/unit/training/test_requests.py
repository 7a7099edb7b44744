"""Reading requests: every way in, every complaint with its row and column, and nothing but documented errors."""

import io
import json
import math
import timeit
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_contracts.bundle import Feature
from training.complaints import BadRows, MalformedBody, RequestError, TooManyRows, UnsupportedType
from training.features import codes
from training.numbers import parse_number
from training.requests import Parsed, RequestParser

FEATURES = (
    Feature(name="dep_hour", type="numeric", required=True),
    Feature(name="distance", type="numeric", required=False),
    Feature(name="weekend", type="boolean", required=False),
    Feature(name="carrier", type="categorical", required=True, categories=("AA", "UA")),
    Feature(name="gate", type="categorical", required=False, categories=("1", "12", "B2")),
)
PARSER = RequestParser(FEATURES)
ROW = {"dep_hour": 8, "distance": 12.5, "weekend": True, "carrier": "UA", "gate": "12"}
GOOD = {"dep_hour": [8.0], "distance": [12.5], "weekend": [1.0], "carrier": [1], "gate": [1]}
JSON, LINES, CSV, PARQUET = "application/json", "application/jsonlines", "text/csv", "application/x-parquet"
NAMED_CSV = "text/csv; header=present"


def instances(*rows: object) -> bytes:
    return json.dumps({"instances": rows}).encode()


def parquet(table: pa.Table) -> bytes:
    out = io.BytesIO()
    pq.write_table(table, out)
    return out.getvalue()


def values(parsed: Parsed) -> dict[str, list[object]]:
    return {
        name: [None if value != value else value for value in column.tolist()]
        for name, column in parsed.columns.items()
    }


def complaints(body: bytes, content_type: str = JSON) -> list[tuple[int | None, str | None, str]]:
    with pytest.raises(BadRows) as caught:
        PARSER.parse(body, content_type)
    assert caught.value.total >= len(caught.value.complaints) > 0
    return [tuple(each) for each in caught.value.complaints]


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (JSON, instances(ROW)),
        ("", instances(ROW)),
        ("application/json; charset=utf-8", instances(ROW)),
        (JSON, json.dumps({"model": "flights", "instances": [ROW]}).encode()),
        (JSON, json.dumps({"columns": list(ROW), "rows": [list(ROW.values())]}).encode()),
        (JSON, json.dumps({"columns": list(ROW)[::-1], "rows": [list(ROW.values())[::-1]]}).encode()),
        (LINES, json.dumps(ROW).encode() + b"\n"),
        (LINES, json.dumps(list(ROW.values())).encode()),
        (CSV, b"8,12.5,true,UA,12\r\n"),
        (CSV, b"\xef\xbb\xbf 8 ,1.25e1,TRUE,\"UA\",12"),
        (NAMED_CSV, b"carrier,gate,dep_hour,distance,weekend\nUA,12,8,12.5,true\n"),
        ('Text/CSV;Header="present"', b"carrier,gate,dep_hour,distance,weekend\nUA,12,8,12.5,true\n"),
        (PARQUET, parquet(pa.table({name: [value] for name, value in ROW.items()}))),
    ],
)  # fmt: skip
def test_every_way_in_gives_the_same_columns(content_type, body):
    parsed = PARSER.parse(body, content_type)
    assert parsed.rows == 1
    assert values(parsed) == GOOD
    kinds = {name: column.dtype for name, column in parsed.columns.items()}
    assert kinds == {
        "dep_hour": np.float64, "distance": np.float64, "weekend": np.float64, "carrier": np.int32, "gate": np.int32,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (JSON, instances({"dep_hour": 1, "carrier": "ZZ"})),
        (JSON, instances({"dep_hour": 1, "carrier": "ZZ", "gate": None, "weekend": None, "distance": None})),
        (JSON, b'{"columns": ["carrier", "dep_hour"], "rows": [["ZZ", 1]]}'),
        (LINES, b'{"dep_hour": 1, "carrier": "ZZ"}'),
        (CSV, b"1,,,ZZ,"),
        (CSV, b"1,NA,null,ZZ,N/A"),
        (NAMED_CSV, b"dep_hour,carrier\n1,ZZ"),
        (PARQUET, parquet(pa.table({"dep_hour": [1], "carrier": ["ZZ"], "distance": [float("nan")]}))),
    ],
)
def test_missing_optional_cells_and_unseen_categories(content_type, body):
    expected = {"dep_hour": [1.0], "distance": [None], "weekend": [None], "carrier": [-2], "gate": [-1]}
    assert values(PARSER.parse(body, content_type)) == expected


def test_integers_stand_for_categories_that_are_written_like_them():
    body = instances({**ROW, "gate": 12}, {**ROW, "gate": 77})
    assert values(PARSER.parse(body, JSON))["gate"] == [1, -2]
    assert complaints(instances({**ROW, "carrier": 12})) == [(0, "carrier", "expected a string, got 12")]


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("dep_hour", "8", 'expected a number (without quotes), got "8"'),
        ("dep_hour", "eight", 'expected a number, got "eight"'),
        ("dep_hour", True, "expected a number, got true"),
        ("dep_hour", [1], "expected a number, got a list"),
        ("dep_hour", {"a": 1}, "expected a number, got an object"),
        ("dep_hour", None, "missing value: training saw none here; send a number"),
        ("dep_hour", math.nan, '"NaN" is not a finite number; send null for a missing value'),
        ("distance", -math.inf, '"-Infinity" is not a finite number; send null for a missing value'),
        ("weekend", 1, "expected true or false, got 1"),
        ("weekend", "true", 'expected true or false, got "true"'),
        ("carrier", 1.5, "expected a string, got 1.5"),
        ("carrier", False, "expected a string, got false"),
        ("carrier", None, "missing value: training saw none here; send a string"),
        ("gate", 1.0, "expected a string, got 1.0"),
        ("dep_hour", "x" * 1000, f'expected a number, got "{"x" * 60}..."'),
    ],
)
def test_wrong_values_in_json(column, value, message):
    assert complaints(instances(ROW, {**ROW, column: value})) == [(1, column, message)]


def test_1e999_is_named_by_row_and_column():
    body = b'{"instances": [{"dep_hour": 1, "carrier": "AA", "distance": 1e999}]}'
    assert complaints(body) == [(0, "distance", '"1e999" is not a finite number; send null for a missing value')]


def test_whole_numbers_of_any_length_are_numbers():
    for digits in (15, 16, 19, 20, 30, 300):
        body = b'{"instances": [{"carrier": "AA", "dep_hour": %s}]}' % (b"9" * digits)
        assert values(PARSER.parse(body, JSON))["dep_hour"] == [float("9" * digits)]


def test_unknown_and_missing_columns_of_objects():
    found = complaints(instances(ROW, {"dep_huor": 1, "carrier": "AA", "zebra crossing": 2}))
    assert found == [
        (1, "dep_huor", "unknown column; did you mean 'dep_hour'?"),
        (1, "zebra crossing", "unknown column"),
        (1, "dep_hour", "missing: this column is required, a number"),
    ]


@pytest.mark.parametrize("content_type", [JSON, NAMED_CSV, PARQUET])
def test_unknown_and_missing_columns_of_a_header(content_type):
    body = {
        JSON: b'{"columns": ["dep_huor", "carrier"], "rows": [[1, "AA"], [2, "AA"]]}',
        NAMED_CSV: b"dep_huor,carrier\n1,AA\n2,AA",
        PARQUET: parquet(pa.table({"dep_huor": [1, 2], "carrier": ["AA", "AA"]})),
    }[content_type]
    required = (None, "dep_hour", "missing: this column is required, a number")
    unknown = (None, "dep_huor", "unknown column; did you mean 'dep_hour'?")
    assert complaints(body, content_type) == [unknown, required]


def test_a_column_named_twice():
    body = b'{"columns": ["dep_hour", "carrier", "dep_hour"], "rows": [[1, "AA", 2]]}'
    assert complaints(body) == [(None, "dep_hour", "this column is given 2 times; give it once")]


def test_parquet_types_that_cannot_fit():
    table = pa.table({"dep_hour": [True], "carrier": pa.array([0], pa.timestamp("s"))})
    assert complaints(parquet(table), PARQUET) == [
        (None, "dep_hour", "expected a number, but the column's type is bool"),
        (None, "carrier", "expected a string, but the column's type is timestamp[ms]"),
    ]


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("1_000", 'expected a finite number, got "1_000"'),
        ("1d", 'expected a finite number, got "1d"'),
        ("007", 'expected a finite number, got "007"'),
        ("0x10", 'expected a finite number, got "0x10"'),
        ("inf", 'expected a finite number, got "inf"'),
        ("1e999", 'expected a finite number, got "1e999"'),
        ("\u0661", 'expected a finite number, got "\u0661"'),
        ("", "missing value: training saw none here; send a number"),
        ("NA", "missing value: training saw none here; send a number"),
    ],
)
def test_wrong_numbers_in_csv(cell, message):
    assert complaints(f"1,2,true,AA,1\n{cell},2,true,AA,1\n".encode(), CSV) == [(1, "dep_hour", message)]


@pytest.mark.parametrize("cell", ["", "  ", "\t", " NA ", "n/a", "NULL", "None", " #N/a", "nAn"])
def test_missing_texts_with_blanks_around_them_in_any_case(cell):
    assert values(PARSER.parse(f"1,{cell},{cell},AA,{cell}".encode(), CSV)) == {
        "dep_hour": [1.0], "distance": [None], "weekend": [None], "carrier": [0], "gate": [-1],
    }  # fmt: skip
    texts = pa.table({"dep_hour": [1], "carrier": ["AA"], "gate": [cell]})
    assert values(PARSER.parse(parquet(texts), PARQUET))["gate"] == [-1]
    assert complaints(f"1,,,{cell},".encode(), CSV)[0][:2] == (0, "carrier")


def test_a_category_that_reads_like_a_missing_text_is_itself():
    parser = RequestParser([Feature(name="x", type="categorical", required=True, categories=("none", "NA"))])
    assert values(parser.parse(b"none\nNA\n", CSV)) == {"x": [0, 1]}
    assert values(parser.parse(parquet(pa.table({"x": ["none", "NA"]})), PARQUET)) == {"x": [0, 1]}


def test_shapes_of_rows():
    assert complaints(b"1,2,true,AA\n1,2,true,AA,1\n\n1,2,true,AA,1", CSV) == [
        (0, None, "expected 5 values, got 4"),
        (2, None, "empty line"),
    ]
    assert complaints(b'{"columns": ["dep_hour", "carrier"], "rows": [[1], 5, [1, "AA"]]}') == [
        (0, None, "expected 2 values, got 1"),
        (1, None, "expected a list of values, got 5"),
    ]
    assert complaints(b'[1]\n{"dep_hour": 1, "carrier": "AA"}\nnull\n', LINES) == [
        (0, None, "expected 5 values, one per column of the model, got 1"),
        (2, None, "expected an object of column names and values, got null"),
    ]
    [(row, column, message)] = complaints(b'{"dep_hour": 1, "carrier": "AA"}\n{oops\n', LINES)
    assert (row, column) == (1, None)
    assert message.startswith("not JSON: ")


def test_a_csv_with_a_header_that_is_not_announced():
    body = b"dep_hour,distance,weekend,carrier,gate\n1,2,true,AA,1"
    assert complaints(body, CSV) == [
        (0, None, "this line holds column names; send the content type text/csv; header=present")
    ]


def test_an_empty_line_is_a_missing_cell_of_a_single_column():
    parser = RequestParser([Feature(name="x", type="numeric", required=False)])
    assert values(parser.parse(b"1\n\n3\n", CSV)) == {"x": [1.0, None, 3.0]}


def test_no_rows():
    for body, kind in ((instances(), JSON), (b"a,b\n", NAMED_CSV), (b'{"columns": [], "rows": []}', JSON)):
        assert (None, None, "no rows: send at least one") in complaints(body, kind)


@pytest.mark.parametrize(
    ("content_type", "body", "says"),
    [
        (JSON, b"", "the body is empty"),
        (JSON, b"{", "not JSON"),
        (JSON, b"\xff", "not JSON"),
        (JSON, b'{"instances": [{"carrier": "\\ud800"}]}', r"\\ud800, half of a surrogate pair"),
        (JSON, b'{"instances": [{"\\uDFFF": NaN}]}', r"\\udfff, half of a surrogate pair"),
        (JSON, b'{"instances": [{"carrier": "\xed\xa0\x80", "distance": NaN}]}', "UTF-8: byte 28"),
        (JSON, '{"instances": [{"carrier": "AA"}]}'.encode("utf-16"), "UTF-8: byte 0"),
        (JSON, '{"instances": [{"carrier": "AA"}]}'.encode("utf-16-le"), "not JSON"),
        (JSON, b"[" * 100_000, "not JSON"),
        (JSON, b"[1]", "expected an object"),
        (JSON, b'{"rows": [[1]]}', "got the keys: 'rows'"),
        (JSON, b'{"instances": [], "rows": []}', "got the keys"),
        (JSON, b'{"columns": [1], "rows": []}', "column names"),
        (CSV, b"1,\xff", "byte 2"),
        (CSV, b"1,\0", "NUL"),
        (CSV, b'1,"2', "not CSV"),
        (CSV, b"\xef\xbb\xbf", "empty"),
        (PARQUET, b"PAR1", "not a Parquet file"),
    ],
)
def test_malformed_bodies(content_type, body, says):
    with pytest.raises(MalformedBody, match=says):
        PARSER.parse(body, content_type)


def test_whole_surrogate_pairs_and_a_byte_order_mark_are_read():
    body = b'\xef\xbb\xbf{"instances": [{"dep_hour": 1, "carrier": "\\ud83d\\ude00"}]}'
    assert values(PARSER.parse(body, JSON))["carrier"] == [-2]


def test_half_a_surrogate_in_a_line_names_the_line():
    lines = b'{"dep_hour": 1, "carrier": "AA"}\n{"dep_hour": 1, "carrier": "\\ud800"}\n'
    [(row, column, message)] = complaints(lines, LINES)
    assert (row, column) == (1, None)
    assert "half of a surrogate pair" in message
    assert message.isascii()


def test_other_content_types_and_charsets_are_refused():
    with pytest.raises(UnsupportedType, match="use one of: application/json, application/jsonlines, text/csv"):
        PARSER.parse(b"x", "application/x-www-form-urlencoded")
    with pytest.raises(UnsupportedType, match="send UTF-8"):
        PARSER.parse(b"x", "text/csv; charset=latin-1")


@pytest.mark.parametrize("content_type", [JSON, LINES, CSV, PARQUET])
def test_too_many_rows(content_type):
    body = {
        JSON: instances(*[ROW] * 4),
        LINES: b"{}\n" * 4,
        CSV: b"1,2,true,AA,1\n" * 4,
        PARQUET: parquet(pa.table({name: [value] * 4 for name, value in ROW.items()})),
    }[content_type]
    with pytest.raises(TooManyRows, match="4 rows in one request; at most 3"):
        RequestParser(FEATURES, max_rows=3).parse(body, content_type)


def test_a_hundred_complaints_in_row_order_and_the_count_of_all():
    with pytest.raises(BadRows) as caught:
        PARSER.parse(instances(*[{"dep_hour": "x", "carrier": 1, "y": 0}] * 500), JSON)
    assert caught.value.total == 1500
    assert [each.row for each in caught.value.complaints] == [row for row in range(34) for _ in range(3)][:100]


def test_hostile_bodies_do_not_cost_much():
    names = json.dumps({f"dep_hou{number}": 0 for number in range(100_000)})
    for body in (
        f'{{"instances": [{names}]}}',
        json.dumps({"columns": [f"c{n}" for n in range(200_000)], "rows": [[]]}),
    ):
        assert timeit.timeit(lambda body=body: complaints(body.encode()), number=1) < 5


def test_one_row_is_read_quickly():
    features = [Feature(name=f"x{j}", type="numeric", required=False) for j in range(12)]
    features += [Feature(name=f"c{j}", type="categorical", required=True, categories=("a", "b")) for j in range(4)]
    parser = RequestParser(features)
    body = instances({**{f"x{j}": j / 7 for j in range(12)}, **{f"c{j}": "b" for j in range(4)}})
    best = min(timeit.repeat(lambda: parser.parse(body, JSON), number=200, repeat=10)) / 200
    assert best < 100e-6  # 28 us on the machine it was written on; the bound is 60, and others may be at work


def test_lenient_reading_names_each_bad_row():
    body = b"1,2,true,AA,1\nx,2,maybe,AA,1\n1,2\n,2,true,ZZ,1"
    parsed = PARSER.parse_leniently(body, CSV)
    assert parsed.rows == 4
    assert parsed.errors == {
        1: 'dep_hour: expected a finite number, got "x"; weekend: expected true or false, got "maybe"',
        2: "expected 5 values, got 2",
        3: "dep_hour: missing value: training saw none here; send a number",
    }
    assert values(parsed)["distance"] == [2.0, 2.0, None, 2.0]


# --------------------------------------------------------------------------- properties

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)
NAMES = st.sampled_from([*ROW, "extra"])
INSTANCES = st.lists(st.dictionaries(NAMES, JSON_VALUES) | JSON_VALUES, max_size=5)
BODIES = (
    st.binary(max_size=60)
    | JSON_VALUES.map(lambda value: json.dumps(value).encode())
    | INSTANCES.map(lambda rows: json.dumps({"instances": rows}).encode())
    | st.tuples(st.lists(NAMES, max_size=6), st.lists(st.lists(JSON_VALUES, max_size=6), max_size=4)).map(
        lambda each: json.dumps({"columns": each[0], "rows": each[1]}).encode()
    )
)


@settings(deadline=None)
@given(BODIES, st.sampled_from([JSON, LINES, CSV, NAMED_CSV, PARQUET, "", "x/y", "text/csv; charset=; header"]))
def test_any_body_is_read_or_refused_with_a_documented_error(body, content_type):
    for parse in (PARSER.parse, PARSER.parse_leniently):
        parsed = read_or_refused(lambda parse=parse: parse(body, content_type))
        if isinstance(parsed, str):
            assert parsed
            assert "\n" not in parsed
            continue
        assert parsed.rows > 0
        for feature in FEATURES:
            column = parsed.columns[feature.name]
            assert column.shape == (parsed.rows,)
            assert not np.isinf(column).any()


def read_or_refused(read: Callable[[], Parsed]) -> Parsed | str:
    try:
        return read()
    except RequestError as error:
        return str(error)


@settings(deadline=None)
@given(
    st.lists(st.text(st.characters(blacklist_characters='\r\n\0"', codec="utf-8"), max_size=8), min_size=1, max_size=5)
)
def test_csv_numbers_follow_the_shared_grammar(cells):
    cells = [cell.replace(",", "") for cell in cells]
    parser = RequestParser([Feature(name="x", type="numeric", required=True)])
    body = "\n".join(f'"{cell}"' for cell in cells).encode()
    expected = [parse_number(cell) for cell in cells]
    if cells[0] == "x":
        return
    parsed = parser.parse_leniently(body, CSV)
    assert values(parsed)["x"] == expected
    assert sorted(parsed.errors) == [row for row, value in enumerate(expected) if value is None]


@settings(deadline=None)
@given(st.lists(st.none() | st.sampled_from(["1", "12", "B2", "", "b2", "é"]), min_size=1, max_size=6))
def test_category_codes_are_those_of_training(texts):
    gate = FEATURES[4]
    parser = RequestParser([gate])
    expected = codes(gate, texts).tolist()
    assert values(parser.parse(instances(*({"gate": text} for text in texts)), JSON))["gate"] == expected
