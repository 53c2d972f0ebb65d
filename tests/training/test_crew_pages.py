"""Pages of the books between processes: all of a page comes back, whatever a chip's books have room for."""

from __future__ import annotations

import numpy as np
import pytest

from neuroanp.substrates.ledger import KINDS, Ledger
from neuroanp.training.crew import numbers, width, written


@pytest.mark.parametrize("static", ["stated", "absent"])
def test_a_page_is_told_and_written_again(static):
    kinds = dict.fromkeys(KINDS, "stated") | {"static": static}
    page = Ledger(kinds, True, 1e6, static=2.0 if static == "stated" else 0.0)
    for k, kind in enumerate(kind for kind in KINDS if kind != "static"):
        page.book_energy(kind, 1.0 + k)
    page.book_time("reads", 3.0)
    page.book_reads(7)
    row = numbers(page)
    assert len(row) == width(True) - 1 == len(numbers(None))
    again = written(np.array(row), Ledger(kinds, True, 1e6, static=page.static))
    assert again.report() == page.report()
    assert again.energy().get("static", 0.0) == (6.0 if static == "stated" else 0.0)
