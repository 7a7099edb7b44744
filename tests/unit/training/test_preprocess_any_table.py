"""Whatever csv.writer writes is refused, or comes back equal cell by cell."""

import csv
import io
import tempfile
from pathlib import Path

from hypothesis import event, given, settings
from hypothesis import strategies as st

from tests.support.preprocessing import assert_same_cells, preprocess
from training.missing import MISSING_TEXTS

# Any of the other delimiters in the header may rightly be taken for the delimiter.
names = st.text(
    st.characters(codec="utf-8", exclude_characters=",;|", exclude_categories=("Cc",)), min_size=1, max_size=6
)
numbers = st.one_of(
    st.integers(-(2**70), 2**70).map(str),
    st.floats().map(repr),
    st.decimals(allow_nan=False, allow_infinity=False, places=3).map(str),
    st.from_regex(r"[+-]?[0-9]{1,3}[.,]?[0-9]{0,2}([eE][+-]?[0-9]{1,3})?", fullmatch=True),
)
words = st.one_of(
    st.text(st.characters(codec="utf-8"), max_size=8),
    st.text('",;\t|\r\n \x00\ufeff\xa0a1.', max_size=5),
    st.sampled_from(["true", "FALSE", "inf", "-Infinity", "007", "1e999", " 12 "]),
    st.sampled_from(sorted(MISSING_TEXTS)).flatmap(lambda text: st.sampled_from([text, text.upper(), text.title()])),
    st.datetimes().map(str),
    st.dates().map(str),
)


@st.composite
def tables(draw):
    """(text, delimiter): a header and rows, columns mostly of one kind so that types other than text come up."""
    header = draw(st.lists(names, min_size=1, max_size=4, unique_by=str.casefold))
    kinds = [
        draw(st.sampled_from([numbers, numbers, words, st.booleans().map(str), st.dates().map(str)])) for _ in header
    ]
    rows = draw(st.lists(st.tuples(*kinds), min_size=1, max_size=6))
    delimiter = draw(st.sampled_from(",;\t|"))
    text = io.StringIO(newline="")
    writer = csv.writer(
        text,
        delimiter=delimiter,
        lineterminator=draw(st.sampled_from(["\n", "\r\n"])),
        quoting=draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])),
    )
    writer.writerows([header, *rows])
    return text.getvalue(), delimiter


@settings(max_examples=60, deadline=None, derandomize=True)
@given(tables())
def test_refused_or_equal(table):
    text, delimiter = table
    with tempfile.TemporaryDirectory() as folder:
        outcome = preprocess(Path(folder), text.encode())
        if outcome.violations:
            event(f"refused: {outcome.violations[0][0]}")
            return
        event("accepted")
        assert_same_cells(outcome, text.removeprefix("\ufeff"), delimiter)
