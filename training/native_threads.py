"""How the threads of native libraries behave. Import this before any of those libraries: they read it once."""

import os


def tame() -> None:
    """Let OpenMP threads sleep at a barrier instead of spinning; OpenBLAS and Arrow's jemalloc start none.

    On a machine with more busy threads than cores a spinning one keeps the core from the thread it waits for:
    boosting rounds on two threads took 148 ms instead of 15. The matrix products here are small; OpenBLAS with
    two threads took ten times as long as with one. Threads of either pool would not live on after a fork.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("JE_ARROW_MALLOC_CONF", "background_thread:false")
