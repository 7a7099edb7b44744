"""What a fork server imports once, so that each job forked from it starts in milliseconds.

Nothing here may start a thread: only the thread that forks lives on in the child.
"""

from training.native_threads import tame


def preload() -> None:
    """Import the heavy libraries; they are shared by every forked job. Not ONNX Runtime: it starts a thread."""
    tame()
    import duckdb  # noqa: F401
    import numpy  # noqa: F401
    import pyarrow.compute
    import pyarrow.parquet  # noqa: F401
    import scipy.sparse
    import scipy.stats  # noqa: F401
    import sklearn.ensemble
    import sklearn.linear_model
    import sklearn.metrics  # noqa: F401
    import xgboost  # noqa: F401

    import training.onnx_model
    import training.serving.app
    import training.serving.server  # noqa: F401
