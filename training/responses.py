"""Scores -> the answer's body, in the format the caller accepts.

    application/json        {"predictions": [{"label": "1", "probabilities": {"0": 0.2, "1": 0.8}}, ...]}
                            regression: {"predictions": [{"value": 12.3}, ...]}
    application/jsonlines   one of those predictions a line
    text/csv                label,probability of each class in order; regression: value. No header

In row order; numbers are not rounded. With `errors` (batch transform) a bad row keeps its line: its prediction
is {"error": ...}, and in CSV every line ends in one more cell, the error.
"""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import orjson

from mlops_contracts.bundle import Manifest

Array = npt.NDArray[Any]

JSON: Final = "application/json"
JSON_LINES: Final = "application/jsonlines"
CSV: Final = "text/csv"
FORMATS: Final = (JSON, JSON_LINES, CSV)

NOT_FINITE: Final = "the model has no finite score for these values; look for extreme numbers in this row"


class NotAcceptable(Exception):
    """The caller accepts none of the formats; the text lists them."""


@lru_cache(maxsize=256)
def negotiate(accept: str, default: str = JSON) -> str:
    """Choose the format from an Accept header. Raises NotAcceptable."""
    if not accept.strip():
        return default
    for kind in _preferred(accept):
        if kind in FORMATS:
            return kind
        if kind in ("*/*", f"{default.split('/')[0]}/*"):
            return default
        if kind == "text/*":
            return CSV
        if kind == "application/*":
            return JSON
    raise NotAcceptable(f"cannot answer with {accept!r}; accept one of: {', '.join(FORMATS)}")


def _preferred(accept: str) -> list[str]:
    """Media types by falling quality; those with q=0 left out."""
    weighed = []
    for item in accept.lower().split(","):
        kind, *parameters = (part.strip() for part in item.split(";"))
        weighed.append((_quality(parameters), kind))
    return [kind for quality, kind in sorted(weighed, key=lambda each: -each[0]) if quality > 0]


def _quality(parameters: Iterable[str]) -> float:
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return float(parameter[2:])
            except ValueError:
                return 0.0
    return 1.0


def decide(manifest: Manifest, scores: Array) -> npt.NDArray[np.intp]:
    """Index of the predicted class of each row: by the threshold when there are two classes, else the likeliest."""
    if manifest.threshold is not None and len(manifest.classes) == 2:
        return (scores[:, 1] >= manifest.threshold).astype(np.intp)
    return np.asarray(scores.argmax(axis=1), dtype=np.intp)


def finite(score: Callable[[], Array]) -> tuple[Array, list[int]]:
    """Scores of all rows, and the rows that have one which is NaN or infinite."""
    with np.errstate(over="ignore", invalid="ignore"):  # such rows are told to the caller instead
        scores = score()
    return scores, _rows_not_finite(scores)


def _rows_not_finite(scores: Array) -> list[int]:
    finite = np.isfinite(scores)
    if finite.all():
        return []
    return np.flatnonzero(~finite.reshape(len(scores), -1).all(axis=1)).tolist()


class Renderer:
    """Writes answers of one model."""

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self._classes = manifest.classes

    def render(self, scores: Array, kind: str, errors: Mapping[int, str] | None = None) -> bytes:
        """Body of media type `kind` for (n, k) probabilities or (n,) values; `errors` not None: see above."""
        if kind == CSV:
            return self._csv(scores, errors)
        predictions = self._predictions(scores)
        for row, text in (errors or {}).items():
            predictions[row] = {"error": text}
        if kind == JSON:
            return orjson.dumps({"predictions": predictions})
        return b"".join(orjson.dumps(each, option=orjson.OPT_APPEND_NEWLINE) for each in predictions)

    def _predictions(self, scores: Array) -> list[dict[str, Any]]:
        if scores.ndim == 1:
            return [{"value": value} for value in scores.tolist()]
        classes = self._classes
        chosen = decide(self._manifest, scores).tolist()
        return [
            {"label": classes[index], "probabilities": dict(zip(classes, row, strict=True))}
            for index, row in zip(chosen, scores.tolist(), strict=True)
        ]

    def _csv(self, scores: Array, errors: Mapping[int, str] | None) -> bytes:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        if errors is None:
            writer.writerows(self._lines(scores))
        else:
            width = 1 if scores.ndim == 1 else 1 + len(self._classes)
            for row, line in enumerate(self._lines(scores)):
                writer.writerow([""] * width + [errors[row]] if row in errors else [*line, ""])
        return text.getvalue().encode()

    def _lines(self, scores: Array) -> Iterator[list[Any]]:
        if scores.ndim == 1:
            yield from ([value] for value in scores.tolist())
            return
        for index, row in zip(decide(self._manifest, scores).tolist(), scores.tolist(), strict=True):
            yield [self._classes[index], *row]
