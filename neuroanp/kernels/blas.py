"""Hold the BLAS that compiled loops call to one thread, so that no number of threads changes a bit of their sums."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any


@contextmanager
def one_thread() -> Iterator[None]:
    """Hold it to one thread in this block, and give back what it had.

    A product of a small network is too small to share: threads that wait for one another cost more than it.
    """
    found = [(library, library.get_num_threads()) for library in _libraries()]
    held = [(library, threads) for library, threads in found if threads is not None and threads != 1]
    for library, _ in held:
        library.set_num_threads(1)
    try:
        yield
    finally:
        for library, threads in held:
            library.set_num_threads(threads)


@cache
def _libraries() -> tuple[Any, ...]:
    """Return what controls the threads of each BLAS that is loaded: numba calls that of SciPy."""
    import scipy.linalg.cython_blas  # noqa: F401  # loads it # pyright: ignore
    from threadpoolctl import ThreadpoolController

    return tuple(ThreadpoolController().select(user_api="blas").lib_controllers)
