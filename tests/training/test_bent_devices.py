"""Rules on devices that are not ohmic, on lines with resistance: those that move weights would see nothing of it."""

from __future__ import annotations

import pytest

from neuroanp.errors import InputError
from neuroanp.training.build import Experiment
from neuroanp.training.configure import configure
from neuroanp.training.described import describe

BENT = """extends: pcm
meta: {name: bent, summary: a test, source: a test}
conductance: {v_0: 0.2 V}
array: {max_rows: 16, max_columns: 16, wires: {r_word: 1 mohm, r_bit: 1 mohm}}
"""


@pytest.fixture
def bent(tmp_path):
    path = tmp_path / "bent.yaml"
    path.write_text(BENT)
    return {
        "task": {"name": "copy", "length": 1, "delay": 1, "symbols": 2, "test_size": 8},
        "network": {"hidden": 6}, "profile": str(path), "training": {"updates": 2, "batch": 2, "controls": False},
        "hardware": {"wires": "exact"},
    }  # fmt: skip


@pytest.mark.parametrize("rule", ["wp", "oua", "cdrge"])
def test_rules_that_move_weights_are_refused_where_networks_of_devices_are_solved(bent, rule):
    with pytest.raises(InputError, match="presents moved weights, and the devices of profile 'bent' are not ohmic"):
        describe(Experiment.of(configure(bent, rule=rule)))
    describe(Experiment.of(configure(bent, {"hardware.without": ["nonlinear_iv"]}, rule=rule)))


def test_rules_that_perturb_activity_are_not(bent):
    describe(Experiment.of(configure(bent, rule="anp")))
