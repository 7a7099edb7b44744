"""Turns one column of one block from text into typed cells, under a guess, or gives it up.

What is read here is what the plan (plan.py) would read. Whatever that is not certain of raises Unlike: codes with
leading zeros, whole numbers beyond 2**53, infinities, a word among numbers, times that Arrow does not read.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from training.missing import MISSING_TEXTS
from training.numbers import MAX_EXACT_INTEGER
from training.preprocess.evidence import Counts, Evidence, likeness, matches, trimmed
from training.preprocess.guess import Guess
from training.preprocess.plan import NAIVE_TIME_PATTERN, ZONED_TIME_PATTERN
from training.preprocess.staging import ARROW_TYPES

_LONGEST_NUMBER = 300
_MISSING = pa.array(sorted(MISSING_TEXTS))
_ZERO, _NINE, _MINUS, _PLUS = b"09-+"
_AFTER_ZERO = np.frombuffer(b".eE", np.uint8)
_FIRST_TIME, _LAST_TIME = -62_135_596_800_000_000, 253_402_300_799_999_999
"""Microseconds: the years 1 to 9999."""

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int32]
Booleans = npt.NDArray[np.bool_]


class Unlike(Exception):
    """A cell is not what the column was guessed to be."""


@dataclass(frozen=True)
class Typed:
    """A block's cells of one column, typed; and what was seen."""

    cells: pa.Array
    evidence: Evidence


def parsed_type(guess: Guess) -> pa.DataType:
    """How Arrow's reader has to hand the column over to `typed`."""
    return pa.string() if guess.kind in ("integer", "number") else pa.dictionary(pa.int32(), pa.string())


def typed(column: pa.Array, guess: Guess) -> Typed:
    """The typed cells of a column, whose empty cells are NULL.

    Raises:
        Unlike: the guess does not hold, or cannot be proved.
    """
    try:
        if guess.kind in ("integer", "number"):
            return _numbers(column, guess)
        return _texts(column) if guess.kind == "text" else _words(column, guess)
    except pa.ArrowInvalid as error:
        raise Unlike from error


# ---------------------------------------------------------------- numbers


def _numbers(column: pa.StringArray, guess: Guess) -> Typed:
    evidence = Evidence(missing=column.null_count, empty=column.null_count, values=None)
    try:
        return Typed(_read(column, guess, evidence), evidence)
    except (Unlike, pa.ArrowInvalid):
        return Typed(_read(_without_tokens(column, evidence), guess, evidence), evidence)


def _without_tokens(column: pa.StringArray, evidence: Evidence) -> pa.StringArray:
    """Trimmed, missing texts as NULL, and no plus sign, which Arrow's reader of whole numbers does not take."""
    texts = trimmed(column)
    missing = pc.fill_null(pc.is_in(pc.ascii_lower(texts), _MISSING), False)
    for each in pc.value_counts(texts.filter(missing)).to_pylist():
        evidence.tokens[each["values"]] = each["counts"]
    evidence.missing += sum(evidence.tokens.values())
    texts = pc.if_else(missing, pa.scalar(None, pa.string()), texts)
    return pc.replace_substring_regex(texts, r"\A\+([0-9.])", r"\1")


def _read(column: pa.StringArray, guess: Guess, evidence: Evidence) -> pa.Array:
    offsets, data = _buffers(column)
    lengths = np.diff(offsets)
    evidence.longest = int(lengths.max(initial=0))
    if evidence.longest > _LONGEST_NUMBER or _has_odd_zero(offsets, lengths, data, guess.decimal):
        raise Unlike
    if guess.kind == "integer":
        return _whole(column)
    evidence.points = guess.decimal == "."
    return _fractional(column, data, guess)


def _buffers(column: pa.StringArray) -> tuple[Offsets, Bytes]:
    _, offsets, data = column.buffers()
    ends = np.frombuffer(offsets, np.int32)[column.offset : column.offset + len(column) + 1]
    return ends, np.frombuffer(data, np.uint8) if data is not None else np.empty(0, np.uint8)


def _has_odd_zero(offsets: Offsets, lengths: Offsets, data: Bytes, decimal: str) -> bool:
    """Whether a cell begins, after its sign, with a zero that is neither the whole of it nor in front of a point."""
    if len(data) < 2:
        return False
    starts = np.minimum(offsets[:-1], len(data) - 1)
    signed = (data[starts] == _MINUS) | (data[starts] == _PLUS)
    starts = np.minimum(starts + signed, len(data) - 2)
    zero = (data[starts] == _ZERO) & (lengths - signed > 1)
    if not zero.any():
        return False
    after = data[starts[zero] + 1]
    return not bool(np.isin(after, np.append(_AFTER_ZERO, np.uint8(ord(decimal)))).all())


def _whole(column: pa.StringArray) -> pa.Array:
    cells = column.cast(pa.int64())
    ends = pc.min_max(cells).as_py()
    if ends["min"] is not None and max(-ends["min"], ends["max"]) > MAX_EXACT_INTEGER:
        raise Unlike
    return cells


def _fractional(column: pa.StringArray, data: Bytes, guess: Guess) -> pa.Array:
    if guess.decimal == ",":
        if (data == ord(".")).any():
            raise Unlike
        column = pc.replace_substring(column, ",", ".")
    cells = column.cast(pa.float64())
    # Among decimals a whole number beyond 2**53 makes the column text: the plan has to look for one.
    if not pc.all(pc.less(pc.abs(cells), float(MAX_EXACT_INTEGER)), min_count=0).as_py():
        raise Unlike
    return cells


# ---------------------------------------------------------------- words: each different text is looked at once


def _counted(column: pa.DictionaryArray) -> tuple[pa.StringArray, Counts]:
    indices = column.indices.drop_null().to_numpy()
    return column.dictionary, np.bincount(indices, minlength=len(column.dictionary))


def _texts(column: pa.DictionaryArray) -> Typed:
    texts, counts = _counted(column)
    cut = trimmed(texts)
    missing = pc.is_in(pc.ascii_lower(cut), _MISSING).to_numpy(zero_copy_only=False)
    evidence = _evidence(column, texts, cut, counts, missing)
    padded = (pc.binary_length(texts).to_numpy() != pc.binary_length(cut).to_numpy()) & ~missing & (counts > 0)
    if padded.any():
        evidence.padded = int(counts[padded].sum())
        evidence.padded_like = pc.min(texts.filter(pa.array(padded))).as_py()
    kept = pa.array(~missing)
    evidence.like = likeness(cut.filter(kept), counts[~missing])
    evidence.values = dict(zip(texts.filter(kept).to_pylist(), counts[~missing].tolist(), strict=True))
    return Typed(_mapped(column, texts, missing), evidence)


def _evidence(
    column: pa.DictionaryArray,
    texts: pa.StringArray,
    cut: pa.StringArray,
    counts: Counts,
    missing: Booleans,
) -> Evidence:
    tokens: dict[str, int] = {}
    for place in np.flatnonzero(missing & (counts > 0)).tolist():
        token = cut[place].as_py()
        tokens[token] = tokens.get(token, 0) + int(counts[place])
    empty = column.null_count
    longest = pc.max(pc.binary_length(texts)).as_py() or 0
    return Evidence(missing=empty + sum(tokens.values()), empty=empty, tokens=tokens, longest=longest)


def _mapped(column: pa.DictionaryArray, values: pa.Array, missing: Booleans) -> pa.DictionaryArray:
    """The column over other values, those that are missing taken out."""
    if not missing.any():
        return pa.DictionaryArray.from_arrays(column.indices, values)
    places = pa.array(np.cumsum(~missing) - 1, pa.int32(), mask=missing)
    return pa.DictionaryArray.from_arrays(places.take(column.indices), values.filter(pa.array(~missing)))


def _words(column: pa.DictionaryArray, guess: Guess) -> Typed:
    """Booleans and times."""
    texts, counts = _counted(column)
    cut = trimmed(texts)
    missing = pc.is_in(pc.ascii_lower(cut), _MISSING).to_numpy(zero_copy_only=False)
    evidence = _evidence(column, texts, cut, counts, missing)
    present = cut.filter(pa.array(~missing))
    if guess.kind == "boolean":
        evidence.values = dict.fromkeys(("false", "true"), 0)
        for text, count in zip(pc.ascii_lower(present).to_pylist(), counts[~missing].tolist(), strict=True):
            if text not in evidence.values:
                raise Unlike
            evidence.values[text] += count
        evidence.values = {text: count for text, count in evidence.values.items() if count}
        values = pc.equal(pc.ascii_lower(present), "true")
    else:
        evidence.values = None
        values = _times(present, guess)
    mapped = _mapped(column, cut, missing)
    return Typed(values.take(mapped.indices), evidence)


def _times(texts: pa.StringArray, guess: Guess) -> pa.Array:
    pattern = NAIVE_TIME_PATTERN if guess.kind == "naive_time" else ZONED_TIME_PATTERN
    if not pc.all(matches(texts, pattern), min_count=0).as_py():
        raise Unlike
    times = texts.cast(ARROW_TYPES["naive_time" if guess.kind == "naive_time" else "zoned_time"])
    ends = pc.min_max(times.cast(pa.int64())).as_py()
    if ends["min"] is not None and not _FIRST_TIME <= ends["min"] <= ends["max"] <= _LAST_TIME:
        raise Unlike
    return times
