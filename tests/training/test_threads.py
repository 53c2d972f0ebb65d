"""Several threads are spoken against where they do not pay."""

from __future__ import annotations

import pytest

from neuroanp.training.threads import GRAIN, note


@pytest.mark.parametrize(
    ("threads", "numbers", "cores", "load", "said"),
    [
        (1, 100, 1, 9.0, None),
        (2, GRAIN, 8, 0.0, None),
        (2, GRAIN - 1, 8, 0.0, "too few to share"),
        (2, GRAIN, 2, 0.0, None),
        (2, GRAIN, 2, 0.5, "2 cores with 0.5 busy leave too few"),
        (4, GRAIN, 1, 0.0, "1 core with 0.0 busy leave too few"),
    ],
)
def test_when_threads_pay(threads, numbers, cores, load, said):
    found = note(threads, numbers, cores, load)
    assert (found is None) == (said is None)
    assert (said or "") in (found or "")
