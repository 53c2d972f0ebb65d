"""What does not go together in a configuration: all of it at once, each cause once, with its key and its remedy."""

from __future__ import annotations

from typing import Any

import pytest

from neuroanp.errors import InputError
from neuroanp.training.configure import configure

BOTH = [{"cell": "lif", "units": 5}, {"cell": "gru", "units": 3}]
LIFS = [{"cell": "lif", "units": 5}, {"cell": "lif", "units": 3}]


def said(source: dict[str, Any], overrides: dict[str, Any] | None = None) -> dict[str, str]:
    """Return what is wrong, by key; each key has one line."""
    with pytest.raises(InputError) as refused:
        configure({"task": "copy", **source}, overrides)
    lines = [line.removeprefix("configuration: ").split(": ", 1) for line in refused.value.problems]
    assert len({key for key, _ in lines}) == len(lines)
    return {key: text for key, text in lines}  # noqa: C416 - pairs of a list are no tuples


def test_what_a_network_says_twice_is_told_at_once():
    found = said({"network": {"layers": [{"units": 5, "delay": 1}], "hidden": 3, "skip": True}})
    assert [*found] == ["network.hidden", "network.skip", "network.layers[0].delay"]


def test_sections_do_not_stop_each_other():
    found = said(
        {
            "backend": "lif",
            "dt": "5 ms",
            "network": {"layers": [{"cell": "lif", "units": 4}, {"cell": {"name": "lif", "tau_m": "1 ms"}, "units": 4}],
                        "hidden": 3, "input_delay": 0},
            "rule": {"name": "bptt", "truncation": 2},
            "encoder": "population",
            "training": {"updates": 0},
        }
    )  # fmt: skip
    assert {*found} == {
        "network.hidden", "neuron.tau_s", "network.layers[1].cell.tau_m", "rule.truncation", "network.input_delay",
        "training.updates",
    }  # fmt: skip
    assert "leave it out with spiking units" in found["rule.truncation"]


def test_a_section_that_is_wrong_by_itself_hides_nothing():
    """As far as what a network is does not depend on it: then all is told that the sections would say without it."""
    lif = {"backend": "lif", "network": {"layers": [{"cell": "gru", "units": 4}], "hidden": 3}}
    wrong = {"task": {"name": "copy", "lenght": 2}, "training": {"updates": -1}, "rule": {"name": "anp", "K": 0}}
    assert {*said({**lif, **wrong})} == {
        "task.lenght", "training.updates", "rule.K", "network.layers", "network.hidden"
    }  # fmt: skip
    assert [*said({**wrong, "optimizer": {"lr": -1}, "network": {"hidden": 3}})] == [
        "task.lenght", "rule.K", "optimizer.lr", "training.updates",
    ]  # fmt: skip
    assert {*said({"backend": "lof", "network": lif["network"], "training": {"updates": -1}})} == {
        "backend", "training.updates",
    }  # fmt: skip
    truncated = {"backend": "lif", "rule": {"name": "bptt", "truncation": 2}, "optimizer": {"lr": -1}}
    assert {*said(truncated)} == {"rule.truncation", "optimizer.lr"}
    assert {*said({**lif, "task": "copi"})} == {"task.name", "network.layers", "network.hidden"}


def test_all_that_a_target_has_not_is_told_at_once():
    neuron = {"reset": "subtract", "refractory": "2 ms", "tau_m": "1000.1 s"}
    found = said({"target": "loihi", "neuron": neuron, "encoder": "current", "rule": {"name": "bptt", "truncation": 2}})
    assert {*found} == {"neuron.reset", "neuron.refractory", "neuron.tau_m", "encoder", "rule.truncation"}


@pytest.mark.parametrize(
    ("source", "keys"),
    [
        # the layers have their reset from `neuron`: to change that is enough
        ({"target": "xylo", "neuron": {"reset": "hard"}, "network": {"layers": LIFS}}, ["neuron.reset"]),
        (
            {
                "target": "xylo",
                "network": {"layers": [LIFS[0], {"cell": {"name": "lif", "reset": "hard"}, "units": 3}]},
            },
            ["network.layers[1].cell.reset"],
        ),
        # the chip's backend would refuse the cell as well, and the rule the units that are to go
        (
            {"target": "loihi", "rule": "bptt1", "network": {"layers": [{"cell": "gru", "units": 5}]}},
            ["network.layers[0].cell"],
        ),
        ({"backend": "lif", "rule": "bptt1", "network": {"layers": [{"cell": "gru", "units": 5}]}}, ["network.layers"]),
        # the step of 1 us, at which no input spikes, is that of rates
        ({"backend": "rate", "target": "xylo", "rule": "bptt1"}, ["backend"]),
        ({"backend": "xylo", "target": "nir"}, ["target"]),
        ({"backend": "rate", "neuron": "lif", "network": {"layers": LIFS}}, ["network.layers"]),
        ({"backend": "lif", "dt": "5 ms", "network": {"layers": LIFS}}, ["neuron.tau_s"]),
    ],
)
def test_a_cause_is_told_once(source, keys):
    assert [*said(source)] == keys


@pytest.mark.parametrize("backend", ["rate", "lif", "spiking"])
def test_layers_of_both_kinds_are_named_whatever_the_backend(backend):
    text = said({"backend": backend, "network": {"layers": BOTH}})["network.layers"]
    assert (
        "a network is all of rates or all spiking; here layers[0] (lif) spikes, layers[1] (gru) does not spike" in text
    )


@pytest.mark.parametrize("backend", ["lif", "loihi"])
def test_what_a_backend_says_of_rates_leads_out(backend):
    """Of the backends by themselves, which a target does not stand before: no remedy is refused in its turn."""
    from neuroanp.backends.protocol import BACKENDS
    from neuroanp.network.compose import Stacked, stack
    from neuroanp.network.gru import GRU

    (line,) = BACKENDS.get(backend).refuses(stack(3, [Stacked(GRU(), 5)], 2))
    assert line.endswith("use backend 'rate'")


def test_a_neuron_that_nothing_simulates_is_told_where_cells_go():
    text = said({"backend": "rate", "neuron": "lif"})["neuron"]
    assert "named by network.layers" in text
    assert "leave neuron out, or use backend 'lif' or 'spiking'" in text
    assert "tanh" not in text


def test_no_layer_at_all_is_told_with_the_remedy():
    text = said({"network": {"layers": []}})["network.layers"]
    assert text == "there is no layer; give one, such as [{cell: gru, units: 64}], or leave layers out"


def test_an_option_of_a_cell_beside_it_is_told_where_it_goes():
    """With its place and, where the cell is a bare name, how both are written; what no cell has is only unknown."""
    layers = [
        {"cell": "leaky_tanh", "units": 3, "leak": 0.2},
        {"cell": {"name": "lstm"}, "units": 2, "f_bais": 1.0},
        {"cell": "gru", "units": 2, "leak": 0.2},
        {"units": 2, "leak": 0.2},
    ]
    found = said({"network": {"layers": layers}, "gamma": 0.9, "rule": "anp"})
    known = "unknown key; known here: cell, units, recurrent, delay"
    assert found == {
        "network.layers[0].leak": "unknown key; did you mean 'network.layers[0].cell.leak'? "
        "write cell: {name: leaky_tanh, leak: ...}",
        "network.layers[1].f_bais": "unknown key; did you mean 'network.layers[1].cell.f_bias'?",
        "network.layers[2].leak": known,
        "network.layers[3].leak": known,
        "gamma": "unknown key; did you mean 'rule.gamma'?",
    }
    layers[0] = {"cell": {"name": "leaky_tanh", "leak": 0.2}, "units": 3}
    assert configure({"task": "copy", "network": {"layers": layers[:1]}})


@pytest.mark.parametrize("key", ["network.layers.1.units", "network.layers[1].units"])
def test_a_value_of_a_layer_is_set_by_index(key):
    made = configure({"task": "copy", "network": {"layers": [{"cell": "gru", "units": 5}, {"units": 4}]}}, {key: "7"})
    assert [layer.units for layer in made.network.layers or ()] == [5, 7]
    assert made.network.layers is not None
    assert made.network.layers[0].cell.name == "gru"


def test_an_option_of_a_cell_that_a_bare_name_stands_for_is_set():
    source = {"task": "copy", "network": {"layers": [{"cell": "leaky_tanh", "units": 5}]}}
    made = configure(source, {"network.layers.0.cell.leak": 0.25})
    assert made.network.layers is not None
    assert made.network.layers[0].cell.leak == 0.25
    assert source["network"]["layers"][0]["cell"] == "leaky_tanh"


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("network.layers.2.units", "there is no network.layers[2]; it has network.layers[0] to network.layers[1]"),
        ("network.layers.first.units", "'network.layers' is a list, and 'first' no index of it"),
        ("network.layers[-1].units", "write key.key=value"),
        ("network[0].units", "[0] is of a list, and 'network' has keys"),
        ("training.evaluate_after[0]", "'training.evaluate_after' is not set; set it as a whole"),
    ],
)
def test_a_wrong_index_is_one_clear_message(key, text):
    with pytest.raises(InputError) as refused:
        configure({"task": "copy", "network": {"layers": BOTH}}, {key: 7})
    assert text in str(refused.value)
    assert f"--set {key}=7" in str(refused.value)
    assert not refused.value.problems
