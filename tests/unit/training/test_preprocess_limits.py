"""Each cap refuses what goes beyond it, with its own code, and lets through what does not."""

import resource
from dataclasses import replace

import pyarrow as pa
import pytest

from tests.support.corpus import gzipped, parquet
from tests.support.preprocessing import preprocess
from training.preprocess.limits import Limits, bounded_memory

LIMITS = Limits(threads=2)
QUOTED = b'a,b\n1,"x"\n2,y\n'
SIMPLE = b"a,b\n1,x\n2,y\n"


@pytest.mark.parametrize(
    ("change", "data", "expected"),
    [
        pytest.param({"max_rows": 1}, SIMPLE, ("too_many_rows", None, None), id="rows"),
        pytest.param({"max_rows": 1}, QUOTED, ("too_many_rows", None, None), id="rows-quoted"),
        pytest.param({"max_columns": 1}, SIMPLE, ("too_many_columns", None, None), id="columns"),
        pytest.param({"max_cell": 10}, b"a,b\n1,x\n2," + b"y" * 11 + b"\n", ("cell_too_large", 2, "b"), id="cell"),
        pytest.param(
            {"max_cell": 10}, b'a,b\n1,"x"\n2,' + b"y" * 11 + b"\n", ("cell_too_large", 2, "b"), id="cell-quoted"
        ),
        pytest.param(
            {"max_cell": 10}, b'a,b\n1,x"\n2,' + b"y" * 11 + b"\n", ("cell_too_large", 2, None), id="cell-odd-quote"
        ),
        pytest.param(
            {"max_cell": 100}, b'a,b\n1,"x\n' + b"2,y\n" * 99 + b'"\n', ("unterminated_quote", 1, None), id="record"
        ),
        pytest.param({"max_bytes": 10}, SIMPLE, ("too_many_bytes", None, None), id="bytes"),
        pytest.param({"max_bytes": 10}, gzipped(SIMPLE), ("too_many_bytes", None, None), id="bytes-gzip"),
        pytest.param({"max_line": 2 << 20}, b"a,b\n1,y\n1," + b"x" * (3 << 20), ("line_too_long", 2, "b"), id="line"),
        pytest.param({"max_rows": 1}, parquet({"a": [1, 2]})(), ("too_many_rows", None, None), id="parquet-rows"),
        pytest.param(
            {"max_columns": 1}, parquet({"a": [1], "b": [2]})(), ("too_many_columns", None, None), id="parquet-columns"
        ),
        pytest.param(
            {"max_row_group": 10}, parquet({"a": [1, 2]})(), ("row_group_too_large", None, None), id="parquet-row-group"
        ),
        pytest.param(
            {"max_cell": 10}, parquet({"a": ["x", "y" * 11]})(), ("cell_too_large", 2, "a"), id="parquet-cell"
        ),
    ],
)
def test_cap(change, data, expected, tmp_path):
    limits = replace(LIMITS, **change)
    assert preprocess(tmp_path, data, limits=limits).violations == [expected]
    assert preprocess(tmp_path, data, limits=LIMITS).violations != [expected]


def test_ratio_counts_only_beyond_its_floor(tmp_path):
    data = gzipped(b"a,b\n" + b"1,2\n" * 100_000)
    strict = replace(LIMITS, ratio_after=1000, max_ratio=20)
    assert preprocess(tmp_path, data, limits=strict).violations == [("decompression_ratio", None, None)]
    assert preprocess(tmp_path, data, limits=replace(strict, ratio_after=1 << 20)).violations == []
    assert preprocess(tmp_path, data, limits=replace(strict, max_ratio=2000)).violations == []


def test_parquet_text_is_measured_before_it_is_decoded(tmp_path):
    """A dictionary of one long value: 20 kB of file are 40 MB of text."""
    column = pa.array(["x" * 20_000]).dictionary_encode().take(pa.array([0] * 2000))
    data = parquet({"a": column})()
    assert len(data) < 40_000
    limits = replace(LIMITS, max_bytes=30_000_000, ratio_after=1 << 40)
    assert preprocess(tmp_path, data, limits=limits).violations == [("too_many_bytes", None, None)]


def test_cell_of_the_largest_size_is_read(tmp_path):
    long = "é" * LIMITS.max_cell
    outcome = preprocess(tmp_path, f"a,b\n1,{long}\n2,y\n".encode())
    assert outcome.values("b") == [long, "y"]
    assert outcome.preview is not None
    assert len(str(outcome.preview.rows[0][1])) == 1001


def test_address_space_is_bounded_and_restored():
    before = resource.getrlimit(resource.RLIMIT_AS)
    with bounded_memory(replace(LIMITS, address_space=6 << 30)):
        assert resource.getrlimit(resource.RLIMIT_AS)[0] == 6 << 30
        with pytest.raises(MemoryError):
            bytearray(7 << 30)
    assert resource.getrlimit(resource.RLIMIT_AS) == before
