"""Files that people have at hand: other delimiters, decimal commas, gzip, other encodings, columns left out."""

import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlops_contracts.bundle import Feature
from tests.support.corpus import gzipped
from training.complaints import BadRows, MalformedBody, TooLarge
from training.csv_body import MAX_TEXT
from training.requests import RequestParser

FEATURES = (
    Feature(name="x", type="numeric", required=True),
    Feature(name="y", type="numeric", required=False),
    Feature(name="c", type="categorical", required=True, categories=("p", "q, r")),
)
PARSER = RequestParser(FEATURES, ignored={"id": "text column with 90 distinct values", "late": "it is the target"})
NAMED, PLAIN, PARQUET = "text/csv; header=present", "text/csv", "application/x-parquet"


def read(body, content_type=NAMED):
    text = body.encode() if isinstance(body, str) else body
    return {name: column.tolist() for name, column in PARSER.parse(text, content_type).columns.items()}


def complaints(body, content_type=NAMED):
    with pytest.raises(BadRows) as caught:
        read(body, content_type)
    return [tuple(each) for each in caught.value.complaints]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_any_delimiter_that_preprocess_reads(delimiter):
    body = f'"x"{delimiter} c {delimiter}"y"\n1.5{delimiter}"q, r"{delimiter}-2\n3{delimiter}p{delimiter}4.25\n'
    assert read(body) == {"x": [1.5, 3.0], "y": [-2.0, 4.25], "c": [1, 0]}


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_decimal_commas(delimiter):
    body = "x;y;c\n1,5;-2;p\n-3e1;,25;p\n".replace(";", delimiter)
    assert read(body) == {"x": [1.5, -30.0], "y": [-2.0, 0.25], "c": [0, 0]}


def test_a_comma_between_cells_is_no_decimal_comma():
    assert complaints('x,y,c\n"1,5",2,p\n') == [(0, "x", 'expected a finite number, got "1,5"')]


def test_grouped_thousands_are_refused():
    assert complaints("x;c\n1.234,5;p\n") == [(0, "x", 'expected a finite number, got "1.234,5"')]
    assert complaints("x;y;c\n1,5;1.500;p\n") == [
        (None, "y", "this column has points, but another has decimal commas; use one mark")
    ]


def test_a_header_without_a_column_of_the_model():
    assert complaints("foo;bar\n1;2\n")[0] == (
        None,
        None,
        "the header, split at the comma, names no column of the model",
    )


@pytest.mark.parametrize(("body", "content_type"), [("x;y;c\n1,5;2;p\n", NAMED), ("1.5,2,p\n", PLAIN)])
def test_gzip(body, content_type):
    assert read(gzipped(body.encode()), content_type) == read(body, content_type)


def test_gzip_is_decompressed_to_a_limit_only():
    row = b"1,2,p\n"
    enough = b"x,y,c\n" + row * 50_000
    assert len(read(gzipped(enough))["x"]) == 50_000
    for over in (row * (MAX_TEXT // len(row) + 1), bytes(4 * 2**20)):
        with pytest.raises(TooLarge, match="batch scoring") as caught:
            read(gzipped(b"x,y,c\n" + over))
        assert caught.value.status == 413


@pytest.mark.parametrize(
    "body",
    [gzipped(b"x,c\n1,p\n")[:-9], gzipped(b"x,c\n1,p\n") + b"tail", b"\x1f\x8b"],
    ids=["cut off", "tail", "magic only"],
)
def test_damaged_gzip(body):
    with pytest.raises(MalformedBody, match="damaged gzip: "):
        read(body)


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_other_encodings_are_refused_with_what_to_do(encoding):
    with pytest.raises(MalformedBody, match="save the file as UTF-8, or score it in batch"):
        read("x,c\n1,é\n".encode(encoding))


@pytest.mark.parametrize(
    "body",
    [
        "id,x,late,y,c\nk1,1,yes,2,p\n",
        "id;x;late;y;c\nk1;1;yes;2;p\n",
        "late,x,late,y,c\nno,1,yes,2,p\n",
    ],
)
def test_columns_left_out_in_training_are_passed_over_in_a_csv(body):
    assert read(body) == {"x": [1.0], "y": [2.0], "c": [0]}


def test_columns_left_out_in_training_are_passed_over_in_parquet():
    out = io.BytesIO()
    pq.write_table(pa.table({"id": ["k1"], "x": [1], "y": [2], "c": ["p"], "late": [True]}), out)
    assert read(out.getvalue(), PARQUET) == {"x": [1.0], "y": [2.0], "c": [0]}


def test_unknown_columns_of_a_file_are_refused():
    assert complaints("id,x,c,lat\nk,1,p,2\n") == [(None, "lat", "unknown column")]


@pytest.mark.parametrize(
    ("body", "row"),
    [
        ({"instances": [{"x": 1, "c": "p"}, {"x": 1, "c": "p", "late": 1}]}, 1),
        ({"columns": ["x", "c", "late"], "rows": [[1, "p", 0]]}, None),
    ],
)
def test_json_with_a_column_left_out_is_told_why(body, row):
    message = "not used by this model (it is the target): remove it, or leave it in for batch scoring"
    assert complaints(json.dumps(body), "application/json") == [(row, "late", message)]
