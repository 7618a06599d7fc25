"""One thread for the numerical libraries while an estimator fits. Nothing else belongs here."""

from __future__ import annotations

from threadpoolctl import threadpool_limits


def one_thread() -> threadpool_limits:
    """Limit BLAS and OpenMP to one thread inside a ``with`` block.

    Threads that wait by spinning cost ten times their work on busy cores, and sums split over another number of
    threads differ in their last digits: with one thread, equal inputs give equal results whatever else runs.

    Returns:
        The context manager; leaving it restores the previous limits.
    """
    return threadpool_limits(limits=1)
