"""Texts that stand for a missing cell: one rule for preprocessing, requests and batch scoring.

A cell is missing when its text, without the WHITESPACE around it and in lower case, is one of MISSING_TEXTS.
"""

from typing import Final

from training.numbers import WHITESPACE

MISSING_TEXTS: Final = frozenset({"", "na", "n/a", "nan", "null", "none", "#n/a"})


def is_missing_text(text: str) -> bool:
    """Whether a cell of this text holds no value."""
    return text.strip(WHITESPACE).lower() in MISSING_TEXTS
