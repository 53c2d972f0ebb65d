"""Say when several threads make a run slower: a network too small to share, or no core free for them."""

from __future__ import annotations

import os

from neuroanp.records.environment import usable_cores
from neuroanp.training.config import RunConfig

GRAIN = 32_768
"""Numbers below which torch gives an elementwise operation to one thread (at::internal::GRAIN_SIZE)."""


def threads_note(config: RunConfig) -> str | None:
    """Return what speaks against `compute.threads` of a run on this machine now, or None."""
    return note(
        config.compute.threads, config.network.hidden * config.training.batch, usable_cores(), os.getloadavg()[0]
    )


def note(threads: int, numbers: int, cores: int, load: float) -> str | None:
    """Return what speaks against so many threads, or None.

    On two cores that other work kept busy, two threads took 1.8 to 100 times as long as one, for networks of 50 to
    1024 units in batches of 32 to 256: threads that wait for a core hold up all of an operation.

    Args:
        threads: of the run.
        numbers: activities of a step, N B.
        cores: that this process may use.
        load: processes that want a core, mean of a minute.

    >>> note(2, 100_000, 8, 1.0)
    >>> note(2, 3_200, 8, 1.0)
    'compute.threads=2: 3,200 numbers a step are too few to share among threads; one is likely to be faster'
    """
    if threads == 1:
        return None
    if threads > cores - load:
        busy = f"{cores} core{'s' * (cores > 1)} with {load:.1f} busy"
        return f"compute.threads={threads}: {busy} leave too few; threads that wait for a core are slower than one"
    if numbers < GRAIN:
        few = f"{numbers:,} numbers a step are too few to share among threads"
        return f"compute.threads={threads}: {few}; one is likely to be faster"
    return None
