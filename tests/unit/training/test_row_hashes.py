"""A row's number depends on what the row holds, on nothing else."""

import datetime as dt
import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from training import row_hashes as module
from training.row_hashes import row_hashes

NAMES = ("n", "text", "flag", "day")


def table(rows=300, seed=0):
    draw = np.random.default_rng(seed)
    moments = [dt.datetime(2024, 1, 1) + dt.timedelta(seconds=int(each)) for each in draw.integers(0, 10**7, rows)]
    return pa.table(
        {
            "n": pa.array(draw.normal(size=rows), mask=draw.random(rows) < 0.1),
            "text": pa.array([f"t{each}" for each in draw.integers(0, 50, rows)], mask=draw.random(rows) < 0.1),
            "flag": pa.array(draw.random(rows) < 0.5),
            "day": pa.array(moments, pa.timestamp("us")),
        }
    )


@pytest.fixture
def hashes(tmp_path):
    def of(rows, seed=0, **options):
        pq.write_table(rows, tmp_path / "data.parquet", **options)
        return row_hashes(tmp_path / "data.parquet", seed)

    return of


def test_the_number_is_md5_of_the_written_row(hashes):
    rows = pa.table({"b": pa.array([1.5, None]), "a": pa.array(["x", "y"]), "c": pa.array([True, None])})
    bits = np.float64(1.5).view(np.int64)
    expected = [
        int.from_bytes(hashlib.md5(text.encode(), usedforsecurity=False).digest()[:8], "big")
        for text in (f"7\x1fx\x1f{bits}\x1ftrue", "7\x1fy\x1f\x00\x1f\x00")
    ]
    assert hashes(rows, seed=7).values.tolist() == expected


def test_neither_the_order_of_rows_nor_of_columns_matters(hashes):
    rows = table()
    order = np.random.default_rng(1).permutation(len(rows))
    whole = hashes(rows)
    assert np.array_equal(hashes(rows.take(order)).values, whole.values[order])
    assert np.array_equal(hashes(rows.select(list(reversed(NAMES)))).values, whole.values)
    assert np.array_equal(hashes(pa.concat_tables([rows, table(50, 9)])).values[: len(rows)], whole.values)


def test_neither_do_pieces_and_row_groups(hashes, monkeypatch):
    whole = hashes(table())
    monkeypatch.setattr(module, "CELLS_AT_ONCE", 1)
    assert np.array_equal(hashes(table(), row_group_size=70).values, whole.values)


def test_equal_values_of_another_width_are_equal(hashes):
    numbers = [0.0, 5.0, -3.0]
    as_float, as_int = hashes(pa.table({"n": pa.array(numbers)})), hashes(pa.table({"n": pa.array([0, 5, -3])}))
    assert np.array_equal(as_float.values, as_int.values)
    assert as_float.key == as_int.key
    assert np.array_equal(hashes(pa.table({"n": pa.array([-0.0, 5.0, -3.0], pa.float32())})).values, as_int.values)
    texts = pa.table({"t": pa.array(["a", "b", "a"])})
    coded = pa.table({"t": pa.array(["a", "b", "a"]).dictionary_encode()})
    assert np.array_equal(hashes(texts).values, hashes(coded).values)


def test_nan_is_missing_and_missing_is_not_empty(hashes):
    nan, none = (hashes(pa.table({"n": pa.array([each], pa.float64())})).values for each in (np.nan, None))
    assert np.array_equal(nan, none)
    empty, missing = (hashes(pa.table({"t": pa.array([each], pa.string())})).values for each in ("", None))
    assert not np.array_equal(empty, missing)


def test_every_value_the_seed_and_the_key_matter(hashes):
    rows = table()
    whole = hashes(rows)
    for name in NAMES:
        other = rows.set_column(
            rows.schema.get_field_index(name),
            name,
            rows[name].slice(0, 1).combine_chunks().take(pa.array(np.zeros(len(rows), int))),
        )
        assert not np.array_equal(hashes(other).values, whole.values), name
    assert not np.array_equal(hashes(rows, seed=1).values, whole.values)
    assert len({hashes(rows).key, hashes(rows, seed=1).key, hashes(rows.drop_columns("n")).key}) == 3


def test_a_fraction_of_the_range_is_a_fraction_of_the_rows(hashes):
    found = hashes(pa.table({"n": np.arange(20_000.0)}))
    for fraction in (0.05, 0.2, 0.5):
        assert found.below(fraction).mean() == pytest.approx(fraction, abs=0.012)
    assert not (found.below(0.2) & ~found.below(0.5)).any()
