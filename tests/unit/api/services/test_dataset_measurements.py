"""What a version measures once it is validated, and the alarms on it."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from mlops_api.adapters.local.sqlite_metrics import SqliteMetrics
from mlops_api.domain.errors import NotFound, Unavailable
from mlops_api.ports import Metric
from mlops_contracts.dataset import Column, ColumnProfile, DatasetReport, Finding, Profile, Quality
from mlops_contracts.statistics import (
    Categorical,
    CategoryBucket,
    CategoryDistribution,
    Common,
    DatasetFigures,
    FeatureStatistics,
    Statistics,
    StringStatistics,
)
from tests.support.platform import World, a_preview, processing_job, world

TYPES = {"String": "categorical", "Unknown": "text"}
ALARMS = ["completeness", "drift", "rows", "violations"]


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as it:
        yield it


def latest(w: World, name: str, dataset: str = "flights") -> float | None:
    """The value of the last version."""
    now = w.clock()
    found = w.metrics.series(
        Metric(name, {"dataset": dataset}),
        start=now - timedelta(hours=12),
        end=now + timedelta(minutes=1),
        period=60,
        statistic="Average",
    )
    return found[-1].value if found else None


def states(w: World, dataset: str = "flights") -> dict[str, str]:
    prefix = f"dataset-{dataset}-"
    return {status.alarm.alarm.removeprefix(prefix): status.state for status in w.metrics.alarms().alarms}


def a_report(rows: int = 1000, missing: int = 0, *violations: Finding) -> DatasetReport:
    return DatasetReport(
        rows=rows,
        columns=(
            Column(name="delay", type="numeric", missing=missing, distinct=90),
            Column(name="day", type="datetime", missing=0, distinct=30),
        ),
        quality=Quality(violations=violations, violation_count=len(violations)),
        sha256="0" * 64,
        format="csv",
    )


def a_profile(rows: int = 1000, newest: str | None = "2026-11-22T10:00:00") -> Profile:
    columns = (
        ColumnProfile(name="delay", type="numeric", missing=0, distinct=90),
        ColumnProfile(name="day", type="datetime", missing=0, distinct=30, latest=newest),
    )
    return Profile(rows=rows, columns=columns)


def validated(
    w: World,
    report: DatasetReport | None = None,
    profile: Profile | None = None,
    statistics: Sequence[FeatureStatistics] = (),
) -> str:
    """A version that has gone through validation, a minute after what was before."""
    w.clock.pass_time(minutes=1)
    version = w.uploaded()
    report = report or a_report()
    if statistics:
        columns = tuple(
            Column(name=each.name, type=TYPES[each.inferred_type], missing=0, distinct=2) for each in statistics
        )
        report = report.model_copy(update={"columns": columns})
    sketches = Statistics(dataset=DatasetFigures(item_count=report.rows), features=tuple(statistics))
    profile = profile or a_profile(report.rows)
    w.processing.complete(processing_job(version), report, profile, a_preview(), sketches if statistics else None)
    w.tell("processing", processing_job(version))
    return version


def strings(name: str, counts: dict[str, int]) -> FeatureStatistics:
    buckets = tuple(CategoryBucket(value=value, count=count) for value, count in counts.items())
    figures = StringStatistics(
        common=Common(num_present=sum(counts.values()), num_missing=0),
        distinct_count=len(counts),
        distribution=CategoryDistribution(categorical=Categorical(buckets=buckets)),
    )
    return FeatureStatistics(name=name, inferred_type="String", string_statistics=figures)


def unknown(name: str) -> FeatureStatistics:
    return FeatureStatistics(name=name, inferred_type="Unknown", common=Common(num_present=1000, num_missing=0))


class TestValues:
    def test_of_an_accepted_version(self, w: World) -> None:
        validated(w, a_report(rows=1000, missing=500))
        assert latest(w, "DatasetRows") == 1000
        assert latest(w, "DatasetViolations") == 0
        assert latest(w, "DatasetCompleteness") == 75

    def test_of_a_rejected_one(self, w: World) -> None:
        bad = Finding(code="ragged_row", message="Row 7 has 3 fields.", row=7)
        validated(w, a_report(10, 0, bad, bad))
        assert latest(w, "DatasetViolations") == 2
        assert latest(w, "DatasetRows") == 10
        assert latest(w, "DatasetAge") is None

    def test_of_one_whose_validation_broke_down(self, w: World) -> None:
        version = w.uploaded()
        w.processing.end(processing_job(version), "Failed", "out of memory")
        w.tell("processing", processing_job(version))
        assert latest(w, "DatasetViolations") == 1
        assert latest(w, "DatasetRows") is None

    def test_once_however_often_the_event_comes(self, w: World) -> None:
        version = validated(w)
        for _ in range(5):
            w.tell("processing", processing_job(version))
        now = w.clock()
        [count] = w.metrics.series(
            Metric("DatasetRows", {"dataset": "flights"}),
            start=now - timedelta(hours=1),
            end=now,
            period=3600,
            statistic="SampleCount",
        )
        assert count.value == 1

    @pytest.mark.parametrize(
        ("newest", "hours"),
        [
            ("2026-11-22T10:00:00", 2),
            ("2026-11-22T10:00:00Z", 2),
            ("2026-11-22T10:00:00+02:00", 4),
            ("2026-11-21", 36),
            ("2030-01-01", 0),
        ],
    )
    def test_the_age_of_the_newest_time(self, w: World, newest: str, hours: float) -> None:
        validated(w, profile=a_profile(newest=newest))
        age = latest(w, "DatasetAge")
        assert age is not None
        assert age / 3600 == pytest.approx(hours, abs=0.05)

    def test_no_age_without_a_time(self, w: World) -> None:
        validated(w, profile=a_profile(newest=None))
        assert latest(w, "DatasetAge") is None

    def test_rows_against_the_version_before(self, w: World) -> None:
        validated(w, a_report(rows=1000))
        assert latest(w, "DatasetRowsChange") is None
        validated(w, a_report(rows=1200))
        assert latest(w, "DatasetRowsChange") == 120
        validated(w, a_report(rows=300))
        assert latest(w, "DatasetRowsChange") == 25

    def test_drift_is_unknown_where_nothing_could_be_judged(self, w: World) -> None:
        for _ in range(2):
            validated(w)
        assert latest(w, "DatasetDrift") is None

    def test_the_share_of_judged_columns_that_drifted(self, w: World) -> None:
        """One of two; a text is not judged."""
        for other in ("AA", "ZZ"):
            carrier = strings("carrier", {"UA": 500, other: 500})
            validated(w, statistics=[carrier, strings("day", {"Mon": 400, "Tue": 600}), unknown("remark")])
        assert latest(w, "DatasetDrift") == 50
        assert states(w)["drift"] == "ALARM"

    def test_other_datasets_have_their_own(self, w: World) -> None:
        validated(w)
        assert latest(w, "DatasetRows", "hotels") is None

    def test_an_empty_table_has_no_completeness(self, w: World) -> None:
        validated(w, replace_columns(a_report(0, 0, Finding(code="header_only", message="No rows."))))
        assert latest(w, "DatasetCompleteness") is None


def replace_columns(report: DatasetReport) -> DatasetReport:
    return report.model_copy(update={"columns": ()})


class TestDefaultAlarms:
    def test_every_dataset_has_them_and_none_is_ok_without_data(self, w: World) -> None:
        validated(w)
        assert sorted(states(w)) == ALARMS
        assert states(w) == {
            "completeness": "OK",
            "violations": "OK",
            "rows": "INSUFFICIENT_DATA",
            "drift": "INSUFFICIENT_DATA",
        }
        w.clock.pass_time(hours=25)
        assert set(states(w).values()) == {"INSUFFICIENT_DATA"}

    @pytest.mark.parametrize(
        ("report", "off"),
        [
            (a_report(1000, 0, Finding(code="ragged_row", message="Row 7.")), "violations"),
            (a_report(1000, 500), "completeness"),
            (a_report(400), "rows"),
        ],
        ids=["violations", "completeness", "rows"],
    )
    def test_each_goes_off_and_is_told(self, w: World, report: DatasetReport, off: str) -> None:
        validated(w)
        validated(w, report)
        assert [name for name, state in states(w).items() if state == "ALARM"] == [off]
        assert isinstance(w.metrics, SqliteMetrics)
        w.metrics.evaluate(w.platform.events.handle)
        alarms = [notice for notice in w.notifier.taken if notice.kind == "alarm"]
        assert [notice.subject for notice in alarms] == [f"Alarm: dataset-flights-{off}"]

    def test_a_changed_threshold_stays(self, w: World) -> None:
        validated(w)
        changed = replace(w.metrics.alarm("dataset-flights-rows").alarm, threshold=90)
        w.metrics.put_alarm(changed)
        validated(w)
        assert w.metrics.alarm("dataset-flights-rows").alarm == changed

    def test_none_where_none_are_wanted(self, tmp_path: Path) -> None:
        with world(tmp_path, dataset_alarms=False, fresh_days=3) as w:
            validated(w)
            assert states(w) == {}
            assert latest(w, "DatasetRows") == 1000

    def test_no_version_for_days_goes_off(self, tmp_path: Path) -> None:
        with world(tmp_path, fresh_days=3) as w:
            validated(w)
            for hours, state in ((1, "OK"), (40, "OK"), (40, "ALARM")):
                w.clock.pass_time(hours=hours)
                assert states(w)["stale"] == state
            validated(w)
            assert states(w)["stale"] == "OK"

    def test_without_the_setting_nothing_watches_for_it(self, w: World) -> None:
        validated(w)
        with pytest.raises(NotFound):
            w.metrics.alarm("dataset-flights-stale")


class TestTrouble:
    @pytest.mark.parametrize("method", ["write", "put_alarm", "alarm"])
    def test_a_verdict_does_not_wait_for_its_measurements(
        self, w: World, monkeypatch: pytest.MonkeyPatch, method: str
    ) -> None:
        def down(*_: object) -> None:
            raise Unavailable("The store of metrics is busy.")

        monkeypatch.setattr(w.metrics, method, down)
        version = validated(w)
        assert w.platform.datasets.get(version).status == "Ready"

    def test_points_are_written_though_alarms_cannot_be_made(self, w: World, monkeypatch: pytest.MonkeyPatch) -> None:
        def down(*_: object) -> None:
            raise Unavailable("The store of metrics is busy.")

        monkeypatch.setattr(w.metrics, "put_alarm", down)
        validated(w)
        assert latest(w, "DatasetRows") == 1000
