"""model.onnx: made at training and kept only if it answers as the model does; chosen at serving where it is faster."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mlops_contracts.bundle import GRAPH, Accelerated, Feature
from training.features import MISSING, UNSEEN, ColumnMap, Encoder
from training.reporter import Reporter
from training.scorers.base import Scorer
from training.scorers.linear import LinearScorer
from training.scorers.measured import SIZES, TOLERANCE, chosen, difference

Array = npt.NDArray[Any]

CHECKED_ROWS: Final = 2_000
"""Most held-out rows that the check looks at."""


@dataclass(frozen=True)
class Graph:
    """What model.onnx is to hold, and what the manifest is to say of it."""

    content: bytes
    facts: Accelerated


def accelerate(scorer: Scorer, encoder: Encoder, held_out: ColumnMap, classes: int, report: Reporter) -> Graph | None:
    """The graph of a model that has one and agrees with it within 1e-6.

    They are compared on held-out rows and on rows made up within each feature's range, with missing and unseen cells.
    What speaks against the graph is said in the log; the model is then served without.
    """
    if isinstance(scorer, LinearScorer):
        return None  # numpy is as fast
    from training.onnx_model import build  # these two take a moment, and a linear model needs neither
    from training.scorers.onnx import OnnxScorer

    content = build(scorer, encoder.width)
    if content is None:
        return None
    some = {name: column[:CHECKED_ROWS] for name, column in held_out.items()}
    rows = np.concatenate([encoder.matrix(some), made_up(encoder, CHECKED_ROWS)])
    apart = difference(OnnxScorer.load(content, encoder.width, classes).scores(rows), scorer.scores(rows))
    if apart > TOLERANCE:
        report.say(f"no {GRAPH}: it differs from the model by {apart:.2g}, more than {TOLERANCE}")
        return None
    return Graph(content, Accelerated(max_difference=apart, checked_rows=len(rows)))


def fastest(graph: Path, scorer: Scorer, encoder: Encoder, classes: int) -> Scorer:
    """`scorer`, helped by its `graph` for the sizes of requests at which that is faster here.

    Raises ModelFileError when the graph is not one of this model.
    """
    from training.scorers.onnx import OnnxScorer

    return chosen(OnnxScorer.load(graph, encoder.width, classes), scorer, made_up(encoder, SIZES[-1]))


def made_up(encoder: Encoder, rows: int) -> Array:
    """Rows (n, width) within the range of each feature, one cell in twenty missing or unseen; always the same."""
    draw = np.random.default_rng(0)
    numbers = np.column_stack([_numbers(each, rows, draw) for each in encoder.numbers] or [np.empty((rows, 0))])
    codes = np.column_stack([_codes(each, rows, draw) for each in encoder.categoricals] or [np.empty((rows, 0))])
    return encoder.assemble(numbers, codes.astype(np.int32))


def _numbers(feature: Feature, rows: int, draw: np.random.Generator) -> Array:
    low, high = (0.0, 1.0) if feature.minimum is None or feature.maximum is None else (feature.minimum, feature.maximum)
    share = draw.random(rows)
    values: Array = low * (1 - share) + high * share  # the difference of the two could overflow
    return np.round(values) if feature.type == "boolean" else _with_gaps(feature, values, draw, np.nan)


def _codes(feature: Feature, rows: int, draw: np.random.Generator) -> Array:
    codes = draw.integers(0, max(1, len(feature.categories)), size=rows)
    codes = _with_gaps(feature, codes, draw, MISSING)
    return np.where(draw.random(rows) < 0.05, UNSEEN, codes)


def _with_gaps(feature: Feature, values: Array, draw: np.random.Generator, missing: float) -> Array:
    gaps = draw.random(len(values)) < 0.05
    return values if feature.required else np.where(gaps, missing, values)
