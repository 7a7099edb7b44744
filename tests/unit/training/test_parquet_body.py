"""Parquet bodies that are small and stand for much."""

import io
import tracemalloc

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlops_contracts.bundle import Feature
from training import parquet_body
from training.complaints import BadRows, MalformedBody
from training.parquet_body import ParquetBody
from training.requests import RequestParser

PARQUET = "application/x-parquet"
ROWS = 100_000
FEATURES = (
    Feature(name="c", type="categorical", required=True, categories=("AA", "x" * 2_000)),
    Feature(name="n", type="numeric", required=False),
)
PARSER = RequestParser(FEATURES)


def body(table, **options):
    out = io.BytesIO()
    pq.write_table(table, out, **({"compression": "zstd"} | options))
    return out.getvalue()


def repeated(text, rows=ROWS):
    """A column that holds one text in every row, small on disk and here."""
    return pa.DictionaryArray.from_arrays(np.zeros(rows, np.int32), [text])


def plain(table):
    """The same file without a word that its texts are dictionaries."""
    return body(table, store_schema=False)


@pytest.fixture
def peak():
    """Bytes that Arrow and Python had at most."""
    before = pa.default_memory_pool().max_memory()
    base = pa.total_allocated_bytes()
    tracemalloc.start()

    def measured():
        # max_memory is of the whole process: it tells only when this test raised it.
        arrow = pa.default_memory_pool().max_memory()
        return tracemalloc.get_traced_memory()[1] + (arrow - base if arrow > before else 0)

    yield measured
    tracemalloc.stop()


@pytest.mark.parametrize("write", [body, plain])
def test_one_long_text_in_every_row_costs_no_memory(peak, write):
    content = write(pa.table({"c": repeated("x" * 2_000), "n": repeated("1.5")}))
    assert len(content) < 30_000
    parsed = PARSER.parse(content, PARQUET)
    assert parsed.rows == ROWS
    assert set(parsed.columns["c"].tolist()) == {1}
    assert set(parsed.columns["n"].tolist()) == {1.5}
    assert peak() < 40e6


def test_a_long_text_that_is_no_number_is_read_once_and_named_in_every_row(peak):
    content = plain(pa.table({"c": repeated("AA"), "n": repeated("1" * 20_000)}))
    with pytest.raises(BadRows) as caught:
        PARSER.parse(content, PARQUET)
    assert caught.value.total == ROWS
    assert caught.value.complaints[7][:2] == (7, "n")
    assert caught.value.complaints[7].message.startswith("expected a finite number, got ")
    assert peak() < 200e6


@pytest.mark.parametrize(
    "column",
    [
        pa.array([[0] * 1_000_000] * 40),
        pa.array([b"x" * 1_000_000] * 40),
        pa.array([b"x" * 1_000_000] * 40, pa.binary(1_000_000)),
        pa.array([{"a": "x" * 1_000_000}] * 40),
    ],
    ids=["list", "binary", "fixed", "struct"],
)
@pytest.mark.parametrize("name", ["other", "n", "n.x"])
def test_columns_that_cannot_be_used_are_never_decoded(monkeypatch, column, name):
    monkeypatch.setattr(parquet_body, "MAX_UNPACKED", 400_000_000)
    content = body(pa.table({"c": ["AA"] * 40, name: column} | ({} if name == "n" else {"n": [1.0] * 40})))
    read = []
    decode = ParquetBody._column
    monkeypatch.setattr(ParquetBody, "_column", lambda *args: (read.append(args[2]), decode(*args))[1])
    with pytest.raises(BadRows, match="unknown column" if name != "n" else "expected a number, but the column's type"):
        PARSER.parse(content, PARQUET)
    assert read == (["c", "n"] if name == "other" else ["c"])


def test_decoded_bytes_are_bounded(monkeypatch):
    monkeypatch.setattr(parquet_body, "MAX_UNPACKED", 1_000_000)
    content = plain(pa.table({"c": repeated("AA"), "n": pa.array(np.zeros(ROWS))}))
    assert len(content) < 5_000
    with pytest.raises(MalformedBody, match="unpacks to more than 1000000 bytes; send fewer rows"):
        PARSER.parse(content, PARQUET)
    assert PARSER.parse(plain(pa.table({"c": ["AA"] * 9})), PARQUET).rows == 9


def test_texts_that_are_not_utf8_are_refused():
    bad = pa.Array.from_buffers(pa.string(), 1, pa.array([b"\xff\xfe"]).buffers())
    with pytest.raises(MalformedBody, match="Invalid UTF8"):
        PARSER.parse(body(pa.table({"c": bad})), PARQUET)


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary("int8", "string")])
def test_every_text_type_and_several_row_groups(kind):
    texts = pa.array(["AA", None, "x" * 2_000, "new"]).cast(pa.dictionary("int8", "string"))
    texts = texts if pa.types.is_dictionary(kind) else texts.cast(pa.string()).cast(kind)
    optional = FEATURES[0].model_copy(update={"required": False})
    parsed = RequestParser([optional]).parse(body(pa.table({"c": texts}), row_group_size=2), PARQUET)
    assert parsed.columns["c"].tolist() == [0, -1, 1, -2]


def test_rows_without_any_column_of_the_model():
    parsed = RequestParser([FEATURES[1]]).parse(body(pa.table({"n": pa.nulls(3)})), PARQUET)
    assert np.isnan(parsed.columns["n"]).tolist() == [True] * 3
