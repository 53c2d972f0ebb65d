"""Networks kept to what a chip can hold: what is filled in, what is refused, and the grids of decays."""

from __future__ import annotations

from math import exp, isqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroanp.errors import InputError
from neuroanp.export.xylo import DEVICES
from neuroanp.training.build import Experiment
from neuroanp.training.configure import configure
from neuroanp.training.targets import TARGETS, of_4096, power_of_two
from tests.close import close

DT = 1e-3


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("backend", ["lif", "spiking"])
def test_a_target_fills_in_what_it_needs_and_comes_back(name, backend):
    found = configure({"task": "xor"}, target=name, backend=backend)
    assert (found.target, found.backend) == (name, backend)
    assert found.neuron.reset == ("subtract" if name == "xylo" else "hard")
    assert found.neuron.refractory == 0
    assert found.encoder.spikes == TARGETS[name].spikes_in
    assert configure(found.to_plain()) == found


def test_nir_is_learned_on_the_twin():
    assert configure({"task": "xor"}, target="nir").backend == "lif"


@pytest.mark.parametrize("name", ["loihi", "xylo"])
def test_a_chip_is_learned_on_with_its_own_whole_numbers(name):
    found = configure({"task": "xor"}, target=name)
    assert found.backend == name
    assert configure({"task": "xor"}, backend=name) == found
    with pytest.raises(InputError) as caught:
        configure({"task": "xor"}, backend=name, target="nir")
    assert f"target: backend '{name}' is that of target '{name}'; leave target out" in str(caught.value)


def test_without_a_target_there_is_none():
    assert configure({"task": "xor"}).target is None


@given(st.floats(1.5e-3, 1.0))
def test_decays_are_the_nearest_of_the_grid(tau):
    found = exp(-DT / of_4096(tau, DT))
    assert 4096 * found == pytest.approx(round(4096 * found), abs=1e-6)
    assert abs(found - exp(-DT / tau)) <= 0.5 / 4096 + 1e-12
    k = power_of_two(tau, DT)
    halvings = 1 / (1 - exp(-DT / k))
    assert halvings == close(2 ** round(_log2(halvings)), rel=1e-9)
    assert power_of_two(k, DT) == k
    assert of_4096(of_4096(tau, DT), DT) == close(of_4096(tau, DT), rel=1e-12)


def _log2(value: float) -> float:
    from math import log2

    return log2(value)


def test_a_network_without_room_on_the_chip_is_told_before_it_learns():
    largest = {part: max(getattr(each, part) for each in DEVICES.values()) for part in ("inputs", "outputs")}
    # of hidden units that all reach each other, and all have inputs and outputs
    largest["hidden"] = max(min(isqrt(d.connections), d.fan_out, d.expansion, d.hidden) for d in DEVICES.values())
    assert TARGETS["xylo"].most == largest
    with pytest.raises(InputError) as caught:
        Experiment.of(configure({"task": "digits"}, {"network.hidden": 129}, target="xylo"))
    assert "inputs: 128, xylo has room for 16" in str(caught.value)
    assert "hidden: 129, xylo has room for 128" in str(caught.value)
    Experiment.of(configure({"task": "xor"}, {"network.hidden": 128}, target="xylo"))


@pytest.mark.parametrize(
    ("target", "changes", "said"),
    [
        ("xylp", {}, "unknown target 'xylp'; did you mean 'xylo'?"),
        ("", {}, "target: unknown target ''"),
        ("xylo", {"neuron.reset": "hard"}, "neuron.reset: xylo needs 'subtract'; leave it out"),
        ("nir", {"neuron.refractory": "2 ms"}, "neuron.refractory: nir needs '0 ms'; leave it out"),
        ("nir", {"neuron.tau_s": "5 ms"}, "neuron.tau_s: nir needs '0 ms'; leave it out"),
        ("xylo", {"neuron.tau_m": "20 ms"}, "neuron.tau_m: xylo has no such decay; the nearest is '15.49"),
        ("loihi", {"encoder": "current"}, "loihi takes spikes as inputs; use encoder 'poisson' or 'latency'"),
        ("loihi", {"neuron.integration": "euler"}, "neuron.integration: loihi needs 'exact'"),
        (
            "loihi",
            {"backend": "rate"},
            "backend: 'rate' has no units that spike, which loihi needs; use one of 'loihi'",
        ),
    ],
)
def test_what_does_not_fit_is_told_with_the_remedy(target, changes, said):
    with pytest.raises(InputError) as caught:
        configure({"task": "xor"}, changes, target=target)
    assert said in str(caught.value)
