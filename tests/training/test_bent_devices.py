"""Rules on devices that are not ohmic, on lines with resistance: those that move weights would see nothing of it."""

from __future__ import annotations

import pytest

from neuroanp.errors import InputError
from neuroanp.training.build import Experiment
from neuroanp.training.configure import configure
from neuroanp.training.described import describe
from neuroanp.training.launch import launch
from tests.close import close

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


BARE = """meta: {name: bare, summary: a test, source: a test}
conductance: {g_min: 0 S, g_max: 25 uS, coding: differential, v_0: 0.1 V}
programming: {law: ideal}
periphery: {v_read: 0.2 V, t_read: 250 ns}
array: {weight_range: 4, write: row, max_rows: 16, max_columns: 16%s}
"""


@pytest.mark.long
def test_spikes_pay_alike_for_bent_currents_on_ideal_lines_and_on_lines_that_hardly_resist(tmp_path):
    """A full voltage costs V I(V) t of a device, whether its network is solved or it stands alone."""
    spent = {}
    for name, wires in (("ideal", ""), ("lines", ", wires: {r_word: 1 uohm, r_bit: 1 uohm}")):
        path = tmp_path / f"{name}.yaml"
        path.write_text(BARE % wires)
        config = configure({
            "task": {"name": "xor", "start": 2, "pulse": 20, "gap": 2, "delay": 2, "window": 6, "test_size": 2},
            "network": {"hidden": 6, "bias": False}, "profile": str(path), "backend": "lif", "dt": "1 ms",
            "training": {"updates": 1, "batch": 2, "controls": False},
            "hardware": {"wires": "exact"} if wires else {},
        })  # fmt: skip
        books = launch(config, tmp_path / "runs").manifest["ledger"]
        assert books["spikes"] > 0
        spent[name] = books["energy"]["array_reads"]
    assert spent["lines"] == close(spent["ideal"], rel=1e-3)
