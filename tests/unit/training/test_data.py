import json
import re

import pyarrow as pa
import pytest

from tests.support.training_data import config_of, report_of, write_channel
from training import data
from training.failure import JobError


@pytest.fixture
def table():
    return pa.table(
        {
            "late": pa.array([0, 1] * 10),
            "distance": pa.array([float(i) for i in range(20)]),
            "carrier": pa.array(["UA", "B6"] * 10),
            "when": pa.array([i * 86_400_000_000 for i in range(20)], pa.timestamp("us")),
        }
    )


def load(tmp_path, table, report=None, **config):
    return data.load(write_channel(tmp_path, table, report), config_of(target="late", **config))


def refused(tmp_path, table, text, report=None, **config):
    with pytest.raises(JobError, match=re.escape(text)):
        data.load(write_channel(tmp_path, table, report), config_of(**({"target": "late"} | config)))


def test_features_are_what_is_left_and_usable(tmp_path, table):
    loaded = load(tmp_path, table)
    assert loaded.features == ("distance", "carrier")
    assert loaded.ignored == {"when": "datetime column with 20 distinct values"}
    assert loaded.table.column_names == ["distance", "carrier", "late"]


def test_time_column_is_read_but_is_no_feature(tmp_path, table):
    loaded = load(tmp_path, table, time_column="when", exclude=["carrier"])
    assert loaded.features == ("distance",)
    assert loaded.ignored == {}
    assert "when" in loaded.table.column_names


def test_a_column_without_values_is_ignored(tmp_path, table):
    loaded = load(tmp_path, table.append_column("empty", pa.array([None] * 20, pa.float64())))
    assert loaded.ignored["empty"] == "every cell is missing"


def test_rows_without_a_target_are_left_out(tmp_path, table):
    some = table.set_column(0, "late", pa.array([None, 1, 0, None] + [0, 1] * 8))
    loaded = load(tmp_path, some)
    assert (loaded.rows, loaded.left_out) == (18, 2)
    assert loaded.table["late"].null_count == 0


def test_too_few_labelled_rows(tmp_path, table):
    few = table.set_column(0, "late", pa.array([None] * 12 + [0, 1] * 4))
    refused(tmp_path, few, "Only 8 of 20 rows have a target in 'late'; training needs at least 10.")


def test_misspelt_columns_are_refused_with_a_suggestion(tmp_path, table):
    refused(
        tmp_path,
        table,
        "The target 'lat' is not a column; columns are: late, distance, carrier, when, did you mean 'late'?",
        target="lat",
    )
    refused(tmp_path, table, "The excluded column 'carier' is not a column", exclude=["carier"])
    refused(tmp_path, table, "The time column 'wen' is not a column", time_column="wen")


def test_contradictions_are_refused(tmp_path, table):
    refused(tmp_path, table, "The target 'late' is excluded too", exclude=["late"])
    refused(tmp_path, table, "The time column 'late' is the target too", time_column="late")
    refused(tmp_path, table, "The time column 'carrier' is categorical", time_column="carrier")


def test_no_feature_left(tmp_path, table):
    refused(
        tmp_path,
        table,
        "No column is left to learn from (when: datetime column with 20 distinct values)",
        exclude=["distance", "carrier"],
    )


def test_broken_channels_are_named(tmp_path, table):
    channel = tmp_path / "training"
    channel.mkdir()
    with pytest.raises(JobError, match=r"holds no dataset\.json"):
        data.load(channel, config_of(target="late"))
    (channel / "dataset.json").write_text(json.dumps({"rows": 1}))
    with pytest.raises(JobError, match=r"dataset\.json of the channel 'training' is not valid"):
        data.load(channel, config_of(target="late"))
    (channel / "dataset.json").write_text(report_of(table).model_dump_json())
    with pytest.raises(JobError, match=r"holds no data\.parquet"):
        data.load(channel, config_of(target="late"))
    (channel / "data.parquet").write_bytes(b"PAR1 this is none")
    with pytest.raises(JobError, match=r"data\.parquet cannot be read"):
        data.load(channel, config_of(target="late"))


def test_a_table_that_lacks_a_reported_column_is_refused(tmp_path, table):
    refused(tmp_path, table.drop_columns(["carrier"]), "data.parquet", report=report_of(table))
