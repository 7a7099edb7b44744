"""What the scorers share."""

from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy.typing as npt

Array = npt.NDArray[Any]


class ModelFileError(ValueError):
    """A model file is not what its algorithm writes; the message says in which way."""


class Scorer(Protocol):
    """A fitted model that scores the matrix of `features.Encoder`."""

    file: ClassVar[str]
    """Name of its file in the bundle."""

    def scores(self, matrix: Array) -> Array:
        """(n, k) float64 probabilities in the order of the classes, or (n,) values for regression."""

    def save(self, folder: Path) -> None:
        """Write `file` below `folder`."""
