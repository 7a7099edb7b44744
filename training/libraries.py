"""The native libraries of a training job: how many threads they use, and their versions for the manifest."""

import importlib

import pyarrow as pa
import threadpoolctl

from mlops_contracts.hyperparameters import AlgorithmName

FITTED_BY: dict[AlgorithmName, tuple[str, str]] = {
    "xgboost": ("xgboost", "xgboost"),
    "random_forest": ("scikit-learn", "sklearn"),
    "logistic_regression": ("scikit-learn", "sklearn"),
}


def limit_threads(threads: int) -> None:
    """Hold OpenMP and Arrow to `threads` and BLAS to one; variables of the environment come too late in a forked job.

    The products here are small, and on a busy machine OpenBLAS with two threads took ten times as long as with one.
    """
    threadpoolctl.threadpool_limits(limits=threads, user_api="openmp")
    threadpoolctl.threadpool_limits(limits=1, user_api="blas")
    pa.set_cpu_count(threads)


def versions(algorithm: AlgorithmName) -> dict[str, str]:
    """Version of the library that fits `algorithm`, by distribution name."""
    distribution, module = FITTED_BY[algorithm]
    return {distribution: str(importlib.import_module(module).__version__)}
