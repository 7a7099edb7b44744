"""What the quick pass learns of a column beside its typed cells; of two blocks it adds up."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from training.numbers import INFINITE_PATTERN, LEADING_ZERO_PATTERN, WHITESPACE, number_pattern
from training.preprocess.plan import FORMATTED_PATTERN, NAIVE_TIME_PATTERN, ZONED_TIME_PATTERN

Counts = npt.NDArray[np.int64]

_NUMBER = "|".join([number_pattern("."), number_pattern(","), INFINITE_PATTERN, LEADING_ZERO_PATTERN])
_TIME = f"{NAIVE_TIME_PATTERN}|{ZONED_TIME_PATTERN}"
_SUSPECT = "^[-+.,0-9$€£iItTfF]"
"""How a text begins that is a number, a time, a boolean or an amount."""


@dataclass
class Likeness:
    """Cells of a text column that read like something else: at least as many as the plan's closer look counts."""

    number: int = 0
    time: int = 0
    boolean: int = 0
    formatted: int = 0

    def add(self, other: "Likeness") -> None:
        """Take in another block's."""
        self.number += other.number
        self.time += other.time
        self.boolean += other.boolean
        self.formatted += other.formatted


def likeness(texts: pa.StringArray, counts: Counts) -> Likeness:
    """Of trimmed texts that occur `counts` times each."""
    suspect = pc.match_substring_regex(texts, _SUSPECT)
    if not pc.any(suspect).as_py():
        return Likeness()
    texts, counts = texts.filter(suspect), counts[suspect.to_numpy(zero_copy_only=False)]
    return Likeness(
        *(_matching(texts, counts, each) for each in (_NUMBER, _TIME, "(?i:true|false)", FORMATTED_PATTERN))
    )


def matches(texts: pa.StringArray, pattern: str) -> pa.BooleanArray:
    """Whether the whole of each text matches."""
    return pc.match_substring_regex(texts, rf"\A(?:{pattern})\z")


def _matching(texts: pa.StringArray, counts: Counts, pattern: str) -> int:
    return int(counts[matches(texts, pattern).to_numpy(zero_copy_only=False)].sum())


@dataclass
class Evidence:
    """Of one column.

    missing, empty: cells; `tokens`: texts of the missing ones that are not empty, trimmed, with counts ·
    padded: present cells with spaces around them, `padded_like`: the least such text · points: whether any
    number has one · longest: bytes of the longest cell · values: texts with counts, None once they are too many
    """

    missing: int = 0
    empty: int = 0
    tokens: dict[str, int] = field(default_factory=dict)
    padded: int = 0
    padded_like: str | None = None
    points: bool = False
    longest: int = 0
    like: Likeness = field(default_factory=Likeness)
    values: dict[str, int] | None = field(default_factory=dict)
    size: int = 0

    def add(self, other: "Evidence", *, most: int, largest: int) -> None:
        """Take in another block's; `values` hold at most `most` texts of `largest` characters together."""
        self.missing += other.missing
        self.empty += other.empty
        self.padded += other.padded
        self.points = self.points or other.points
        self.longest = max(self.longest, other.longest)
        if other.padded_like is not None:
            self.padded_like = min(self.padded_like or other.padded_like, other.padded_like)
        for token, count in other.tokens.items():
            self.tokens[token] = self.tokens.get(token, 0) + count
        self.like.add(other.like)
        self._add_values(other.values, most, largest)

    def _add_values(self, others: dict[str, int] | None, most: int, largest: int) -> None:
        if self.values is None or others is None:
            self.values = None
            return
        for text, count in others.items():
            if text not in self.values:
                self.size += len(text)
            self.values[text] = self.values.get(text, 0) + count
        if len(self.values) > most or self.size > largest:
            self.values = None


def trimmed(texts: pa.StringArray) -> pa.StringArray:
    """Without ASCII whitespace around them."""
    return pc.ascii_trim(texts, WHITESPACE)
