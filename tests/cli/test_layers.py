"""What the commands print of cells and of several layers: what each is, and names as they are elsewhere."""

from __future__ import annotations

import json

import pytest

from neuroanp.cli.export import _facts
from neuroanp.cli.names import equations_of
from neuroanp.network.cell import CELLS, RateCell


class Counter(RateCell):
    """A unit that adds up what it gets.

        x_t = x_{t-1} + h_t

    Args:
        leak: none.
    """

    def step(self, state, h):
        return (state[0] + h,), state[0] + h


@pytest.fixture
def blocks(invoke, monkeypatch):
    """What `cells list` prints of each cell, by name, a list of lines; one's own cell among them."""
    monkeypatch.setitem(CELLS._registered, "counter", Counter)
    done = invoke("cells", "list")
    assert done.exit_code == 0, done.stderr
    parts = [part.splitlines() for part in done.stdout.strip().split("\n\n")]
    return {lines[0].split()[0]: [" ".join(line.split()) for line in lines] for lines in parts}


def test_each_cell_says_what_it_is_with_its_equations_before_its_options(blocks):
    assert blocks["counter"] == [
        "counter cell of rates: A unit that adds up what it gets.",
        "x_t = x_{t-1} + h_t",
        "pre-activations of a unit: h",
    ]
    for name, equation, option in (
        ("gru", "x_t = (1 - z_t) tanh(h^n_t + r_t h^c_t) + z_t x_{t-1}", "r_bias 0.0 b_r"),
        ("lstm", "x_t = s(h^o_t + b_o) tanh(k_t)", "i_bias 0.0 b_i"),
        ("lif", "tau_m dv/dt = -v + I + I_ext tau_s dI/dt = -I tau_r dz/dt = -z", "tau_m 20 ms"),
    ):
        lines = blocks[name]
        ports = next(i for i, line in enumerate(lines) if line.startswith("pre-activations of a unit:"))
        assert equation in lines[1:ports]
        assert lines[ports + 1].startswith(option)  # its own come first, those of all that spike after them
    assert [line for line in blocks["equations"] if line.startswith("ValueError")] == []


def test_the_options_of_all_that_spikes_come_last_and_none_is_missing(invoke):
    found = {row["name"]: row for row in json.loads(invoke("cells", "list", "--json").stdout)["results"]}
    names = [option["option"] for option in found["lif"]["options"]]
    assert names[-5:] == ["input_gain", "synapse_gain", "drive", "tau_r", "decoder"]
    assert {"tau_m", "tau_s", "refractory", "reset", "integration", "leak"} == {*names[:-5]}
    assert found["tanh"]["equations"] == ""
    assert found["gru"]["equations"].count("\n") == 1


def test_what_is_indented_below_a_list_is_no_equation():
    assert equations_of(type("Bare", (), {"__doc__": "One.\n\n    Args:\n        x: no equation.\n    "})) == ""
    assert equations_of(type("None_", (), {"__doc__": None})) == ""


def test_facts_keep_the_names_of_arrays_and_layers():
    facts = {"hidden_1_threshold": 558, "hidden_2_drive": 0.5, "w_1_2_scale": 96, "w_1_scale": 5, "output_scale": 7}
    assert [name for name, _ in _facts(facts, ["w_in", "w_1", "w_1_2", "w_out"])] == [
        "hidden_1 threshold", "hidden_2 drive", "w_1_2 scale", "w_1 scale", "output scale",
    ]  # fmt: skip
    assert dict(_facts({"w_1_2.scale": 3, "w_1_2.lines": 2}, ["w_1_2"])) == {"w_1_2": "scale 3, lines 2"}
