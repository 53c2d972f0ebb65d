"""A raw record of resistive memory is fitted by a law that its replay does not refuse.

tests/data/rram_relaxation/level_16.npz: the first 20,000 of 100,000 reads at 400 Hz of a 1T1R cell at level 16 of 32,
from techA_tsdata of github.com/akashlevy/RRAM-Relaxation-Master-Model (MIT License, Copyright (c) 2021 Akash Levy,
beside it).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from neuroanp.fitting import fit_file

DATA = Path(__file__).parents[1] / "data" / "rram_relaxation" / "level_16.npz"


@pytest.mark.slow
def test_a_measured_trace_of_resistive_memory_is_described(tmp_path: Path) -> None:
    with np.load(DATA, allow_pickle=False) as held:
        g = held["conductance_S"].astype(float)
    assert g.shape == (20_000,)
    path = tmp_path / "level_16.csv"
    rows = np.column_stack([np.arange(len(g)) / 400.0, 1e6 * g])
    np.savetxt(path, rows, delimiter=",", header="time_s,conductance_uS", comments="", fmt="%.9g")
    fit = fit_file(path, "telegraph")
    assert fit.law == "fluctuators"
    assert not fit.doubts
    distance = fit.goodness[0].value
    assert distance is not None
    assert distance <= 0.05
    assert sum(one.key.endswith("tau_high") for one in fit.parameters) >= 2
