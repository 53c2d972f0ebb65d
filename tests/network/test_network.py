"""What follows from layers and projections: names, shapes, which lines an array reaches; and what is refused."""

from __future__ import annotations

import pytest

from neuroanp.network.compose import ONE_LAYER, Stacked, one_layer, stack
from neuroanp.network.gru import GRU
from neuroanp.network.lstm import LSTM
from neuroanp.network.network import INPUT, OUTPUT, Layer, Network, Projection
from neuroanp.network.tanh import Tanh

A, B, C = Stacked(Tanh(), 5), Stacked(GRU(), 4), Stacked(LSTM(), 3)


@pytest.mark.parametrize(
    ("layers", "skip", "wanted"),
    [
        ([A], False, {"w_in": (5, 2), "w": (5, 5), "w_out": (6, 5)}),
        ([B], False, {"w_in": (12, 2), "w": (12, 4), "w_out": (6, 4)}),
        ([A, B], False, {"w_in": (5, 2), "w_1": (5, 5), "w_1_2": (12, 5), "w_2": (12, 4), "w_out": (6, 4)}),
        ([A, B], True, {
            "w_in": (5, 2), "w_1": (5, 5), "w_1_2": (12, 5), "w_in_2": (12, 2), "w_2": (12, 4), "w_1_out": (6, 5),
            "w_out": (6, 4),
        }),
        ([A, B, C], False, {
            "w_in": (5, 2), "w_1": (5, 5), "w_1_2": (12, 5), "w_2": (12, 4), "w_2_3": (12, 4), "w_3": (12, 3),
            "w_out": (6, 3),
        }),
        ([A, B, C], True, {
            "w_in": (5, 2), "w_1": (5, 5), "w_1_2": (12, 5), "w_in_2": (12, 2), "w_2": (12, 4), "w_2_3": (12, 4),
            "w_in_3": (12, 2), "w_3": (12, 3), "w_1_out": (6, 5), "w_2_out": (6, 4), "w_out": (6, 3),
        }),
    ],
)  # fmt: skip
@pytest.mark.parametrize("bias", [False, True])
def test_names_and_shapes_of_a_stack(layers, skip, wanted, bias):
    """In their order; a bias line has the array from below into every layer, and that of the last to the output."""
    network = stack(2, layers, 6, bias, skip)
    lines = {"w_in", "w_1_2", "w_2_3", "w_out"} if bias else set()
    assert list(network.shapes.items()) == [(n, (rows, m + (n in lines))) for n, (rows, m) in wanted.items()]
    assert {p.name for p in network.projections if p.bias} == lines & set(wanted)
    assert network.bias is bias
    assert network.hidden == sum(layer.units for layer in layers)
    assert network.readout == tuple(name for name in wanted if name.endswith("out"))


def test_a_layer_without_recurrence_has_no_array_and_a_delay_is_kept():
    network = stack(2, [A, Stacked(Tanh(), 3, recurrent=False, delay=1)], 1)
    assert list(network.shapes) == ["w_in", "w_1", "w_1_2", "w_out"]
    assert {p.name: p.delay for p in network.projections} == {"w_in": 0, "w_1": 1, "w_1_2": 1, "w_out": 0}
    assert network.recurrence("hidden_2") is None


def test_which_pre_activations_an_array_reaches():
    """GRU: n, r, z from below, r, z, c from itself; LSTM all four; outputs all."""
    network = stack(2, [B, C], 6, skip=True)
    reached = {p.name: network.ports(p) for p in network.projections}
    assert reached == {
        "w_in": slice(0, 12), "w_1": slice(4, 16), "w_1_2": slice(0, 12), "w_in_2": slice(0, 12), "w_2": slice(0, 12),
        "w_1_out": slice(0, 6), "w_out": slice(0, 6),
    }  # fmt: skip
    assert network.lines == {"hidden_1": 16, "hidden_2": 12, OUTPUT: 6}
    assert network.units == {INPUT: 2, "hidden_1": 4, "hidden_2": 3, OUTPUT: 6}


def test_when_a_group_has_all_it_waits_for():
    network = stack(2, [A, B], 6, skip=True)
    assert {group: network.last(group).name for group in network.noisy} == {
        "hidden_1": "w_1", "hidden_2": "w_2", OUTPUT: "w_out",
    }  # fmt: skip
    assert [p.name for p in network.feed("hidden_2")] == ["w_1_2", "w_in_2"]


def test_one_layer_is_known_by_its_shapes():
    made = stack(2, [B], 6, bias=True)
    assert one_layer({**made.shapes, "w_in": (4, 3)}, True, Tanh()).shapes == {
        "w_in": (4, 3), "w": (4, 4), "w_out": (6, 5),
    }  # fmt: skip
    assert tuple(made.shapes) == ONE_LAYER
    with pytest.raises(ValueError, match="has w_in, w and w_out, not w_in, w"):
        one_layer({"w_in": (4, 3), "w": (4, 4)})


UP = Projection("up", INPUT, "a", 0)


@pytest.mark.parametrize(
    ("names", "projections", "says"),
    [
        ("aa", [UP], "names of layers and projections must differ"),
        (("input",), [], "names of layers and projections must differ"),
        ("ab", [UP, Projection("up", "a", "b", 0)], "names of layers and projections must differ"),
        ("a", [Projection("p", "c", "a", 0)], "from 'c' to 'a' is not within input, a, output"),
        ("a", [Projection("p", "a", "c", 0)], "from 'a' to 'c' is not within"),
        ("a", [Projection("p", "output", "a", 1)], "from 'output' to 'a' is not within"),
        ("a", [Projection("p", "a", "input", 1)], "from 'a' to 'input' is not within"),
        ("ab", [Projection("p", "b", "a", 1)], "'b' to 'a' with a delay of 1 is not in order of time"),
        ("a", [Projection("p", "a", "a", 0)], "'a' to 'a' with a delay of 0 is not in order of time"),
        ("ab", [Projection("p", "a", "b", 2)], "with a delay of 2 is not in order of time"),
    ],
)
def test_networks_that_cannot_be_are_refused(names, projections, says):
    with pytest.raises(ValueError, match=says):
        Network(2, tuple(Layer(name, 3, Tanh()) for name in names), 1, tuple(projections))
