"""A file gives the same answers sent as a request and scored in batch, whatever types its columns come to have."""

import csv
import io
from datetime import date, datetime
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlops_contracts.bundle import Feature
from tests.support.preprocessing import preprocess
from tests.support.small_bundles import manifest
from training import bundle, transform
from training.arrow_cells import check_schema, table_columns
from training.cells import Field
from training.complaints import BadRows, Complaints, RowErrors
from training.features import Encoder, columns_from_table, fit_features
from training.requests import RequestParser
from training.scorers.linear import LinearScorer
from training.transform_input import ScoringTable

NAMED_CSV = "text/csv; header=present"
ROWS = 120

CELLS = {
    "truth": ("TRUE", "FALSE", "maybe"),
    "title": ("True", "False", "?"),
    "point_zero": ("1.0", "2.0", "x"),
    "trailing": ("1.10", "2.50", "-0.0", "x"),
    "mixed": ("1.0", "2", "3.25", "x"),
    "whole": ("1", "10", "-3", "x"),
    "signed": ("+1", "-0", "5", "x"),
    "exponent": ("1e3", "5E-1", ".5e1", "x"),
    "zeros": ("007", "7", "x"),
    "long": ("9007199254740993", "9007199254740992", "5", "x"),
    "longer": ("123456789012345678901", "5", "x"),
    "padded": (" 3", "4 ", "x y"),
    "days": ("2024-01-05", "1969-12-31", "soon"),
    "moments": ("2024-01-05T08:30:00", "2024-01-05 08:30:00.25", "soon"),
    "zoned": ("2024-01-05T08:00:00Z", "2024-01-05T08:00:00.5+02:00", "soon"),
    "percent": ("12%", "5%", "x"),
    "gaps": ("1.0", " n/a ", "", "  ", "None", "x"),
    "number": ("1.5", "2", "-3e2", ""),
    "flag": ("true", "FALSE", "NA"),
}
"""Cells of each column. Without the last ones, most columns have another type."""


def written(columns, delimiter=","):
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter)
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return out.getvalue().encode()


def drawn(seed, *, last):
    draw = np.random.default_rng(seed)
    return {name: draw.choice(cells if last else cells[:-1], ROWS).tolist() for name, cells in CELLS.items()}


def learnt(root, columns, delimiter=","):
    """The signature, and the columns that training makes of its own file."""
    outcome = preprocess(root, written(columns, delimiter))
    names = [name for name in columns if outcome.types[name] in ("numeric", "boolean", "categorical")]
    features = fit_features(outcome.table, outcome.report, names)
    return features, columns_from_table(outcome.table, features)


def batch(root, body, features):
    outcome = preprocess(root, body)
    fields = [Field.of(each) for each in features]
    decimal = outcome.report.decimal or "."
    sink = RowErrors()
    (chunk,) = ScoringTable(outcome.output / "data.parquet", fields, decimal).chunks(10_000, 0)
    return table_columns(fields, chunk, sink, decimal), sink.errors


def request(body, features):
    parsed = RequestParser(features).parse_leniently(body, NAMED_CSV)
    return parsed.columns, parsed.errors


def same(one, other):
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


@pytest.mark.parametrize("seed", range(4))
def test_request_and_batch_agree_with_training(tmp_path, seed):
    features, columns = learnt(tmp_path, drawn(seed, last=True))
    assert len(features) == len(CELLS)
    body = written(drawn(seed, last=True))
    for read in (request(body, features), batch(tmp_path, body, features)):
        same(columns, read[0])
        assert not read[1]


@pytest.mark.parametrize("seed", range(4))
def test_request_and_batch_agree_where_the_file_has_other_types(tmp_path, seed):
    features, _ = learnt(tmp_path, drawn(seed, last=True))
    body = written(drawn(seed + 100, last=False))
    types = preprocess(tmp_path, body).types
    assert types["truth"] == "boolean"
    assert types["trailing"] == "numeric"
    assert types["days"] == types["zoned"] == "datetime"
    sent, scored = request(body, features), batch(tmp_path, body, features)
    same(sent[0], scored[0])
    assert sent[1] == scored[1] == {}
    for feature in features:
        if feature.type == "categorical" and feature.required:
            assert sent[0][feature.name].min() >= 0, feature.name


@pytest.mark.parametrize("seed", range(2))
def test_decimal_commas(tmp_path, seed):
    trained = {"c": ["1,0", "2,50", "x"] * 40, "n": ["1,5", "2", "3,25"] * 40}
    features, columns = learnt(tmp_path, trained, ";")
    picked = np.random.default_rng(seed).choice([0, 1], ROWS)
    read, errors = batch(tmp_path, written({name: np.array(v)[picked] for name, v in trained.items()}, ";"), features)
    assert not errors
    same({name: column[picked] for name, column in columns.items()}, read)


def test_the_transform_program_gives_the_answers_of_the_request(tmp_path, monkeypatch):
    features, _ = learnt(tmp_path, drawn(0, last=True))
    features = [each for each in features if each.type == "categorical"]
    body = written({each.name: drawn(1, last=False)[each.name] for each in features})
    draw = np.random.default_rng(0)
    tables = tuple(draw.normal(size=(len(each.categories) + 2, 1)) for each in features)
    scorer = LinearScorer(np.empty(0), np.empty((0, 1)), np.zeros(1), tables)
    job = tmp_path / "transform"
    bundle.write(job / "model", manifest(features=features), scorer)
    channel = job / "input" / "data" / "transform"
    channel.parent.mkdir(parents=True)
    preprocess(tmp_path, body).output.rename(channel)
    (job / "input" / "config").mkdir()
    (job / "input" / "config" / "transform.json").write_text('{"format": "parquet", "chunk_rows": 50}')
    monkeypatch.setenv("MLOPS_ML_ROOT", str(job))
    assert transform.main([]) == 0
    sent, _ = request(body, features)
    expected = scorer.scores(Encoder(features, "logistic_regression").matrix(sent))
    results = pq.read_table(job / "output" / "results.parquet")
    assert results["error"].null_count == ROWS
    assert results["probability_1"].to_pylist() == expected[:, 1].tolist()


# --------------------------------------------------------------------------- values, one type after another


def coded(values, *categories, decimal="."):
    fields = [Field.of(Feature(name="c", type="categorical", required=False, categories=categories))]
    table = pa.table({"c": values})
    sink = Complaints({"c": 0})
    check_schema(fields, table.schema, sink, decimal)
    sink.raise_if_any()
    return table_columns(fields, table, RowErrors(), decimal)["c"].tolist()


@pytest.mark.parametrize(
    ("values", "categories", "codes"),
    [
        (pa.array([True, False, None]), ("TRUE", "no"), [0, -2, -1]),
        (pa.array([1, 2, 7], pa.int8()), ("1.0", "2e0", "007", "300"), [0, 1, -2]),
        (pa.array([2**64 - 1], pa.uint64()), ("18446744073709551615",), [0]),
        (pa.array([2**53 + 1, 2**53]), ("9007199254740993", "9007199254740992"), [0, 1]),
        (pa.array([1.1, 0.0, -0.0, float("nan")]), ("1.10", "0"), [0, 1, 1, -1]),
        (pa.array([1.1, 2.0], pa.float32()), ("1.1", "2"), [0, 1]),
        (pa.array([1.0, 0.5], pa.float32()).cast(pa.float16()), ("1", ".5"), [0, 1]),
        (pa.array([Decimal("1.10"), Decimal("7.00"), None]), ("1.1", "7"), [0, 1, -1]),
        (pa.array([1.5, 2.0]).dictionary_encode(), ("1.5", "x"), [0, -2]),
        (pa.array([date(2024, 1, 5)]), ("2024-01-05", "x"), [0]),
        (pa.array([datetime(2024, 1, 5, 8)], pa.timestamp("ns")), ("2024-01-05", "2024-01-05 08:00"), [1]),
        (pa.array([datetime(2024, 1, 5, 6)], pa.timestamp("s", "UTC")), ("2024-01-05 08:00+02:00", "2024-01-05"), [0]),
        (pa.DictionaryArray.from_arrays([0, 1, None, 2], ["a", None, " NA "]), ("a",), [0, -1, -1, -1]),
        (pa.chunked_array([], pa.dictionary(pa.int32(), pa.string())), ("a",), []),
    ],
)
def test_cells_are_known_by_their_value(values, categories, codes):
    assert coded(values, *categories) == codes


@pytest.mark.parametrize(
    ("values", "categories"),
    [
        (pa.array([True]), ("TRUE", "x", "true")),
        (pa.array([1]), ("1", "1.0")),
        (pa.array([1.5]), ("1.5", "x", "1.50")),
        (pa.array([1.5]), ("9007199254740993", "9007199254740992")),
        (pa.array([date(2024, 1, 5)]), ("2024-01-05", "2024-01-05 00:00")),
    ],
)
def test_categories_that_are_one_value_fail_with_what_to_do(values, categories):
    with pytest.raises(BadRows, match=r"column \"c\": .*are the same value: give the column as text .*train again"):
        coded(values, *categories)
    assert coded(pa.array(categories), *categories) == list(range(len(categories)))


def test_a_file_with_decimal_commas_reads_categories_so():
    assert coded(pa.array([1.5]), "1,5", "x", decimal=",") == [0]
    assert coded(pa.array([1.5]), "1,5", "x") == [-2]
    with pytest.raises(BadRows, match="same value"):
        coded(pa.array([1.5]), "1,5", "1.5", decimal=",")


def test_times_without_a_category_that_is_one_are_refused():
    with pytest.raises(BadRows, match="expected a string, but the column's type is date32"):
        coded(pa.array([date(2024, 1, 5)]), "AA", "UA")
