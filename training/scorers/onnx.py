"""model.onnx: a tree model as a graph that ONNX Runtime evaluates in microseconds where the request is small."""

from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnxruntime

from training.scorers.base import ModelFileError

Array = npt.NDArray[Any]

_ERRORS_ONLY: Final = 3


class OnnxScorer:
    """Evaluates what training.onnx_model built. One thread: a second one costs more than a small request."""

    def __init__(self, session: onnxruntime.InferenceSession, classes: int) -> None:
        self._run = session.run
        self._classes = classes

    def scores(self, matrix: Array) -> Array:
        """(n, k) float64 probabilities in the order of the classes, or (n,) values for regression."""
        out = self._run(None, {"X": matrix.astype(np.float64)})[0].astype(np.float64)
        if not self._classes:
            values: Array = out[:, 0]
            return values
        if out.shape[1] == 1:
            return np.concatenate((1.0 - out, out), axis=1)
        return np.asarray(out)

    @classmethod
    def load(cls, graph: Path | bytes, width: int, classes: int) -> "OnnxScorer":
        """Raises ModelFileError when the graph does not fit a matrix of `width` columns and so many classes."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = _ERRORS_ONLY
        try:
            source = graph if isinstance(graph, bytes) else str(graph)
            session = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
            scorer = cls(session, classes)
            shape = scorer.scores(np.zeros((1, width))).shape
        except Exception as error:
            raise ModelFileError(f"not a graph for this model: {str(error).splitlines()[0]}") from error
        if shape != ((1, classes) if classes else (1,)):
            raise ModelFileError("it does not fit the manifest's classes")
        return scorer
