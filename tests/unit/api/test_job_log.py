"""Logs that grow: pages by cursor, metrics by round, and what is kept of old jobs."""

import os
from pathlib import Path

from mlops_api.adapters.local.job_folder import JobFolders
from mlops_api.adapters.local.job_log import MAX_LINE, MetricReader, last_line, read_lines
from mlops_contracts.metrics import metric_line


def write(path: Path, text: str) -> None:
    with path.open("a", encoding="utf-8") as log:
        log.write(text)


def test_a_line_is_given_once_it_is_whole(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert read_lines(log, 0, 10, ended=False).lines == []
    write(log, "one\ntw")
    first = read_lines(log, 0, 10, ended=False)
    assert (first.lines, first.next_after) == (["one"], 4)
    write(log, "o\n")
    assert read_lines(log, first.next_after, 10, ended=False).lines == ["two"]


def test_the_last_line_need_not_be_whole_after_the_end(tmp_path: Path) -> None:
    write(tmp_path / "log", "one\ntwo")
    assert read_lines(tmp_path / "log", 0, 10, ended=True).lines == ["one", "two"]


def test_a_long_line_is_cut_and_the_next_one_is_whole(tmp_path: Path) -> None:
    write(tmp_path / "log", "x" * (3 * MAX_LINE) + "\nnext\n" + "y" * (2 * MAX_LINE))
    chunk = read_lines(tmp_path / "log", 0, 10, ended=False)
    assert chunk.lines == ["x" * MAX_LINE, "next"]
    assert chunk.next_after == 3 * MAX_LINE + 1 + 5


def test_a_cursor_beyond_the_end_or_before_the_start(tmp_path: Path) -> None:
    write(tmp_path / "log", "one\n")
    assert read_lines(tmp_path / "log", 1000, 10, ended=True).lines == []
    assert read_lines(tmp_path / "log", -5, 10, ended=True).lines == ["one"]


def test_last_line_is_the_last_that_says_something(tmp_path: Path) -> None:
    write(tmp_path / "log", "x" * 20_000 + "\n  cause  \n\n \n")
    assert last_line(tmp_path / "log") == "cause"
    assert last_line(tmp_path / "absent") == ""


def test_each_metric_is_read_once(tmp_path: Path) -> None:
    reader = MetricReader(tmp_path / "log")
    reader.refresh()
    write(tmp_path / "log", f"a {metric_line('validation:auc', 0.5)}\n{metric_line('validation:auc', 0.6)}")
    reader.refresh()
    assert [each.value for each in reader.values] == [0.5]
    write(tmp_path / "log", "\n")
    reader.refresh()
    reader.refresh()
    assert [each.value for each in reader.values] == [0.5, 0.6]
    assert reader.last == {"validation:auc": 0.6}


def test_rounds_repeated_by_a_retry_replace_those_of_the_dead_attempt(tmp_path: Path) -> None:
    def rounds(numbers: range, auc: float) -> str:
        return "".join(f"{metric_line('round', n)} {metric_line('validation:auc', auc)}\n" for n in numbers)

    write(tmp_path / "log", rounds(range(1, 5), 0.5) + "--- next attempt\n" + rounds(range(3, 7), 0.7))
    reader = MetricReader(tmp_path / "log")
    reader.refresh(ended=True)
    assert [(each.step, each.value) for each in reader.values] == [
        (1, 0.5),
        (2, 0.5),
        (3, 0.7),
        (4, 0.7),
        (5, 0.7),
        (6, 0.7),
    ]


def test_old_logs_are_dropped_but_no_state(tmp_path: Path) -> None:
    folders = JobFolders(tmp_path)
    folders.make()
    for number in range(4):
        folder = tmp_path / "done" / f"j{number}"
        folder.mkdir()
        (folder / "state.json").write_text("{}")
        (folder / "log").write_text("x")
        os.utime(folder / "log", (number, number))
    folders.trim(2)
    assert sorted(path.parent.name for path in tmp_path.glob("done/*/log")) == ["j2", "j3"]
    assert len(list(tmp_path.glob("done/*/state.json"))) == 4
