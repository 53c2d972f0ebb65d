"""What an export takes of a chip: events are those of a loop over spikes and synapses, cycles bound the simulation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from neuroanp.backends.neuron import LIF
from neuroanp.export.model import reference
from neuroanp.export.protocol import EXPORTERS, Exported
from neuroanp.export.report import compare
from neuroanp.export.resources import resources
from neuroanp.export.rtl import Rtl
from tests.close import close


@pytest.mark.parametrize("spikes_in", [False, True])
def test_events_are_spikes_times_the_synapses_that_they_reach(make_network, spikes_in):
    model = make_network((3, 8, 2), steps=100, bias=True, spikes_in=spikes_in)
    held = {name: W.copy() for name, W in model.weights.items()}
    held["w"][np.abs(held["w"]) < 0.2] = 0.0
    s = reference(model).s
    assert s is not None
    assert s.sum() > 20
    found = resources(model, Exported((), held, reference(model)))
    events = synapses = 0
    for name, pre in (("w_in", model.inputs if spikes_in else 0 * model.inputs), ("w", s), ("w_out", s)):
        for line in range(pre.shape[2]):  # the column of the bias comes after them
            reached = sum(w != 0 for w in held[name][:, line])
            synapses += reached
            events += reached * pre[..., line].sum()
    assert found["synapses"] == synapses < 3 * 8 + 64 + 16
    assert found["synaptic_events_per_step"] == close(events / (100 * 2), rel=1e-12)


def test_an_output_that_is_late_makes_a_presentation_longer(make_network):
    model = make_network((3, 8, 2), steps=40)
    told = Exported((), dict(model.weights), reference(model))
    plain, late = (compare(model, reference(model), "nir", replace(told, late=n)).facts for n in (0, 1))
    assert late["output_late_steps"] == 1
    assert late["presentation_s"] - plain["presentation_s"] == close(model.dt, rel=1e-9)
    assert "synaptic_events_per_step" not in resources(model, replace(told, traces=replace(told.traces, s=None)))


def test_formats_whose_outputs_are_late_say_so(make_network, tmp_path):
    """Both give the outputs of a dense connection a step later, which their traces leave out."""
    units = {"loihi": {"reset": "hard"}, "xylo": {"reset": "subtract", "tau_m": 16e-3, "tau_s": 4e-3, "tau_r": 16e-3}}
    for name, neuron in units.items():
        model = make_network((4, 16, 2), steps=60, spikes_in=True, neuron=LIF(input_gain=3.0, refractory=0.0, **neuron))
        options = {"quantize_decay": True} if name == "xylo" else {}
        (tmp_path / name).mkdir()
        assert EXPORTERS.get(name)(**options).export(model, tmp_path / name).late == 1


def test_verilog_says_its_memory_and_a_bound_of_its_cycles(make_network, tmp_path):
    model = make_network((3, 8, 2), steps=10, neuron=LIF(input_gain=3.0))
    facts = Rtl(weight_bits=6).export(model, tmp_path).facts
    assert facts["weight_memory_bits"] == 6 * (3 * 8 + 8 * 8 + 2 * 8)
    most = facts["clock_cycles_per_step_at_most"]
    assert most >= (3 + 8) * 8 + 8 * 2 + 8 + 2
    assert f"CYCLES = {4 * most}" in (tmp_path / "testbench.v").read_text().replace("  ", " ")
