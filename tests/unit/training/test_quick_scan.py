"""The quick pass and the plan come to the same verdict, whatever the columns hold; and when which of them reads."""

import random

import pytest

from tests.support.preprocessing import assert_same_cells, preprocess
from training.preprocess import blocks, guess, typed_table
from training.preprocess.quick_scan import quick_scan

ROWS = 1500


class Draw(random.Random):
    """Random cells, the same for the same seed."""


def _number(draw):
    return f"{draw.gauss(0, 100):.3f}"


COLUMNS = {
    "integers": lambda draw: str(draw.randrange(-50, 10_000)),
    "few integers": lambda draw: str(draw.randrange(3)),
    "signed": lambda draw: f"{draw.randrange(-9, 9):+d}",
    "wide integers": lambda draw: str(draw.randrange(2**52, 2**54)),
    "numbers": _number,
    "exponents": lambda draw: f"{draw.gauss(0, 1):.3e}",
    "large numbers": lambda draw: f"{draw.choice([1.5, 1e18, 7e200])!r}",
    "integers, then numbers": lambda draw: "7",
    "numbers with tokens": lambda draw: draw.choice([_number(draw), "NA", " null", "", "n/a"]),
    "padded numbers": lambda draw: draw.choice([_number(draw), f" {_number(draw)} "]),
    "a zero": lambda draw: draw.choice(["0", "0.5", "-0", "0e3", "00.5"][: draw.choice([4, 4, 4, 5])]),
    "codes": lambda draw: f"{draw.randrange(100):03d}",
    "hexadecimal": lambda draw: draw.choice(["1", "0x1F"]),
    "infinite": lambda draw: "inf" if draw.random() < 0.002 else _number(draw),
    "a word among numbers": lambda draw: "oops" if draw.random() < 0.002 else _number(draw),
    "half numbers": lambda draw: draw.choice([_number(draw), "word"]),
    "categories": lambda draw: draw.choice(["red", "green", "blue", "na", ""]),
    "padded categories": lambda draw: draw.choice(["red", " red", "blue"]),
    "names": lambda draw: f"name-{draw.random()}",
    "digits in front": lambda draw: f"{draw.randrange(99)} Main St",
    "amounts": lambda draw: draw.choice(["$12", "5 %", "1'234.50"]),
    "booleans": lambda draw: draw.choice(["true", "False", "TRUE", "none"]),
    "almost booleans": lambda draw: "maybe" if draw.random() < 0.002 else draw.choice(["true", "false"]),
    "dates": lambda draw: f"2024-{draw.randrange(1, 13):02d}-{draw.randrange(1, 29):02d}",
    "impossible dates": lambda draw: f"2024-02-{draw.randrange(27, 32):02d}",
    "instants": lambda draw: f"2024-01-01T10:{draw.randrange(60):02d}:00.25{draw.choice(['Z', '+02:00', '-0130'])}",
    "mixed times": lambda draw: f"2024-01-01T10:00{draw.choice(['Z', ''])}",
    "quoted": lambda draw: draw.choice(['"a,b"', '"say ""so"""', '"two\nlines"', "plain", '""']),
    "odd quotes": lambda draw: draw.choice(['5" disk', "x"]),
    "all missing": lambda draw: "",
}


def _table(names, delimiter, draw, rows=ROWS, *, commas=False):
    lines = [delimiter.join(f'"{name}"' if "," in name else name for name in names)]
    for row in range(rows):
        cells = [COLUMNS[name](draw) for name in names]
        if "integers, then numbers" in names and row > rows - 5:
            cells[names.index("integers, then numbers")] = "7.5"
        if commas:
            cells = [cell.replace(".", ",") if cell[-1:].isdigit() else cell for cell in cells]
        lines.append(delimiter.join(cells))
    return "\n".join(lines) + "\n"


@pytest.fixture(autouse=True)
def small_sample(monkeypatch):
    """Guesses are made from a few records, so that some of them are wrong."""
    monkeypatch.setattr(guess, "_CELLS", 200)


def _both(tmp_path, monkeypatch, text):
    quick = preprocess(tmp_path, text.encode())
    with monkeypatch.context() as patch:
        patch.setattr(typed_table, "quick_scan", lambda *_: None)
        planned = preprocess(tmp_path, text.encode())
    return quick, planned


def _assert_same(quick, planned):
    assert quick.violations == planned.violations
    assert quick.warnings == planned.warnings
    messages = [sorted(each.message for each in one.report.quality.warnings) for one in (quick, planned)]
    assert messages[0] == messages[1]
    assert quick.report.columns == planned.report.columns
    assert quick.report.decimal == planned.report.decimal
    assert quick.profile == planned.profile
    assert quick.preview == planned.preview
    assert quick.table == planned.table
    if quick.table is not None:
        for name in ("statistics.json", "constraints.json"):
            assert (quick.output / name).read_bytes() == (planned.output / name).read_bytes()


@pytest.mark.parametrize("name", COLUMNS)
def test_each_column_reads_alike(name, tmp_path, monkeypatch):
    draw = Draw(name)
    text = _table(["integers", name] if name != "integers" else [name], ",", draw)
    _assert_same(*_both(tmp_path, monkeypatch, text))


def test_the_quick_pass_gives_up_what_it_cannot_prove_and_nothing_else(tmp_path, monkeypatch):
    """Else the comparisons above would compare the plan with itself."""
    given_up = {}

    def spied(body, path, limits):
        scan = quick_scan(body, path, limits)
        given_up.update({name: place in scan.given_up for place, name in enumerate(body.names)})
        return scan

    monkeypatch.setattr(typed_table, "quick_scan", spied)
    names = [name for name in COLUMNS if name != "odd quotes"]
    preprocess(tmp_path, _table(names, ",", Draw(0)).encode())
    assert {name for name, lost in given_up.items() if lost} == {
        "wide integers", "large numbers", "a zero", "integers, then numbers", "codes", "hexadecimal", "infinite",
        "a word among numbers", "half numbers", "amounts", "almost booleans", "impossible dates", "mixed times",
    }  # fmt: skip


@pytest.mark.parametrize("seed", range(12))
def test_columns_together_read_alike(seed, tmp_path, monkeypatch):
    draw = Draw(seed)
    commas = seed % 4 == 1
    refused = {"infinite", "a word among numbers", "odd quotes"}
    names = draw.sample(sorted(set(COLUMNS) - (refused if seed % 3 else set())), 8)
    text = _table(names, ";" if commas else draw.choice(",;"), draw, commas=commas)
    quick, planned = _both(tmp_path, monkeypatch, text)
    _assert_same(quick, planned)
    if quick.table is not None:
        assert_same_cells(quick, text)


def test_a_violation_in_a_quoted_table_names_its_line(tmp_path):
    lines = ['a,"b"', *(f'{row},"two\nlines"' for row in range(50)), 'oops,"x"', '7,"y"']
    violation = preprocess(tmp_path, "\n".join(lines).encode()).report.quality.violations[0]
    assert (violation.code, violation.row, violation.column, violation.line) == ("not_a_number", 51, "a", 102)


def test_blocks_end_where_records_end(tmp_path, monkeypatch):
    """Cells that hold many line ends and quotes, in blocks far smaller than the table."""
    monkeypatch.setattr(blocks, "BLOCK", 64)
    draw = Draw(0)
    cells = ['"x\n""y""\n,z"', "plain", '""']
    lines = ["n,text", *(f"{row},{draw.choice(cells)}" for row in range(400))]
    text = "\n".join(lines)
    assert_same_cells(preprocess(tmp_path, text.encode()), text)
