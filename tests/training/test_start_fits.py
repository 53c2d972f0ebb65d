"""Weights of another network: what differs is said of a run by its network, of a file by names and shapes."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file

from neuroanp.errors import InputError
from neuroanp.records.run_dir import RunDir
from neuroanp.training.build import Experiment
from neuroanp.training.configure import configure
from neuroanp.training.launch import launch

TINY = {
    "task": {"name": "copy", "length": 2, "delay": 1, "symbols": 2, "test_size": 5},
    "training": {"updates": 1, "batch": 3, "controls": False},
}
LIF = {"backend": "lif", "neuron": {"name": "lif", "drive": 1.5}}


def layers(*each, **more):
    return {"network": {"layers": [{"cell": cell, "units": units, **own} for cell, units, own in each], **more}}


TWO = layers(("gru", 5, {}), ("tanh", 4, {}))
SKIPS = layers(("gru", 5, {}), ("tanh", 4, {}), skip=True)
FORWARD = layers(("gru", 5, {}), ("tanh", 4, {"recurrent": False}))


def begun(path, changes) -> Experiment:
    source = {**TINY, **changes}
    return Experiment.of(configure({**source, "network": {**source.get("network", {}), "weights": str(path)}}))


@pytest.fixture(scope="module")
def run_of(tmp_path_factory):
    """Return a run's directory for a network, trained once."""
    store, made = tmp_path_factory.mktemp("runs"), {}

    def run(changes) -> RunDir:
        key = repr(changes)
        made[key] = made.get(key) or launch(configure({**TINY, **changes}), store)
        return made[key]

    return run


def file_of(folder, changes):
    """Write the arrays of a network with three inputs and two outputs, as the task has."""
    shapes = configure({**TINY, **changes}).network_of(3, 2).shapes
    save_file({name: torch.ones(shape) for name, shape in shapes.items()}, folder / "w.safetensors")
    return folder / "w.safetensors"


@pytest.mark.parametrize(
    ("there", "here", "lines"),
    [
        (SKIPS, TWO, ["holds w_in_2, w_1_out, which this network has not: set network.skip to true"]),
        (TWO, SKIPS, ["no w_in_2, w_1_out: set network.skip to false"]),
        (
            TWO,
            {"network": {"hidden": 4}},
            ["it is of 2 layers, the configuration has 1: set network.layers to [{cell: gru, units: 5}, "
             "{cell: tanh, units: 4}]"],
        ),
        (
            {"network": {"hidden": 4}},
            TWO,
            ["it is of 1 layer, the configuration has 2: set network.hidden to 4, without network.layers"],
        ),
        (
            TWO,
            layers(("lstm", 5, {}), ("tanh", 6, {"delay": 1, "recurrent": False}), bias=True),
            [
                "hidden_1: its units are gru, the configuration's lstm, of 3 and 4 pre-activations a unit: set "
                "network.layers[0].cell to gru",
                "hidden_2: it has 4 units, the configuration 6: set network.layers[1].units to 4",
                "hidden_2: its units see their own activity: set network.layers[1].recurrent to true",
                "hidden_2: what the layer below does arrives at once there: set network.layers[1].delay to 0",
                "its network has no bias: set network.bias to false",
            ],
        ),
        (
            {"network": {"hidden": 4}},
            layers(("relu", 4, {})),
            ["hidden: its units are tanh, the configuration's relu: set network.layers[0].cell to tanh"],
        ),
        (
            layers(("leaky_tanh", 5, {})),
            {"network": {"hidden": 5}},
            ["hidden: its units are leaky_tanh, the configuration's tanh: set network.layers to "
             "[{cell: leaky_tanh, units: 5}]"],
        ),
        (
            {"network": {"hidden": 4}},
            {"network": {"hidden": 4}, **LIF},
            ["its units are rates, the configuration's spike: use backend 'rate'"],
        ),
    ],
    ids=["skips", "no skips", "two into one", "one into two", "all", "another cell", "a cell into hidden", "rates"],
)  # fmt: skip
def test_a_run_of_another_network_is_refused_by_what_differs(run_of, there, here, lines):
    """Whatever the shapes: tanh weights fit ReLU units, and mean something else there."""
    path = run_of(there).path
    with pytest.raises(InputError, match="does not fit the network") as refused:
        begun(path, here)
    assert [*refused.value.problems] == lines
    begun(path, there)


def test_other_constants_of_cells_are_noted(run_of, tmp_path):
    path = run_of({"network": {"hidden": 4}, **LIF}).path
    other = {"backend": "lif", "neuron": {**LIF["neuron"], "tau_m": "10 ms"}}
    assert begun(path, {"network": {"hidden": 4}, **LIF}).start.notes == ()  # pyright: ignore[reportOptionalMemberAccess]
    source = {**TINY, **other, "network": {"hidden": 4, "weights": str(path)}}
    record = launch(configure(source), tmp_path)
    said = "weights: learned with other constants: hidden: tau_m was '20 ms', is '10 ms'"
    assert said in record.manifest["log"]


@pytest.mark.parametrize(
    ("there", "here", "lines"),
    [
        (SKIPS, TWO, ["holds w_in_2, w_1_out, which this network has not: set network.skip to true"]),
        (TWO, SKIPS, ["no w_in_2, w_1_out: set network.skip to false"]),
        (TWO, FORWARD, ["holds w_2, which this network has not: set network.layers[1].recurrent to true"]),
        (FORWARD, TWO, ["no w_2: set network.layers[1].recurrent to false"]),
        (
            layers(("gru", 5, {}), ("tanh", 6, {})),
            TWO,
            [
                "w_1_2 is (6, 5), the configuration needs (4, 5)",
                "w_2 is (6, 6), the configuration needs (4, 4): set network.layers[1].units to 6",
                "w_out is (2, 6), the configuration needs (2, 4)",
            ],
        ),
        (
            layers(("gru", 5, {}), ("tanh", 6, {"recurrent": False})),
            FORWARD,
            [
                "w_1_2 is (6, 5), the configuration needs (4, 5): set network.layers[1].units to 6",
                "w_out is (2, 6), the configuration needs (2, 4)",
            ],
        ),
        (
            TWO,
            layers(("lstm", 5, {}), ("tanh", 4, {})),
            [
                "w_in is (15, 3), the configuration needs (20, 3)",
                "w_1 is (15, 5), the configuration needs (20, 5): it reaches 3 pre-activations of a unit, as gru has, "
                "and 4 of a unit lstm; set network.layers[0].cell to the cell that it was trained with",
            ],
        ),
        (
            layers(("gru", 5, {}), ("tanh", 4, {}), bias=True),
            TWO,
            [
                "w_in is (15, 4), the configuration needs (15, 3): it has a bias line; set network.bias to true",
                "w_1_2 is (4, 6), the configuration needs (4, 5)",
                "w_out is (2, 5), the configuration needs (2, 4)",
            ],
        ),
    ],
    ids=["skips", "no skips", "recurrent", "forward", "units", "units forward", "ports", "bias"],
)
def test_a_file_of_another_network_is_refused_by_names_and_shapes(tmp_path, there, here, lines):
    with pytest.raises(InputError, match="does not fit the network") as refused:
        begun(file_of(tmp_path, there), here)
    assert [*refused.value.problems] == lines


def test_a_line_less_of_the_input_is_no_missing_bias(tmp_path):
    """The array to the output has its bias: another switch would make that one wrong."""
    network = configure({**TINY, "network": {"hidden": 4, "bias": True}}).network_of(2, 2)
    save_file({name: torch.ones(shape) for name, shape in network.shapes.items()}, tmp_path / "w.safetensors")
    with pytest.raises(InputError, match="does not fit the network") as refused:
        begun(tmp_path / "w.safetensors", {"network": {"hidden": 4, "bias": True}})
    assert [*refused.value.problems] == ["w_in is (4, 3), the configuration needs (4, 4)"]


@pytest.mark.parametrize(
    ("there", "here", "words"),
    [
        (TWO, {"network": {"hidden": 4}}, "of 2 layers, this network has 1: set network.layers like those of their run "
         "(5 and 4 units)"),
        ({"network": {"hidden": 4}}, TWO, "holds w, of 1 layer, this network has 2: set network.layers like those"),
        (layers(("tanh", 4, {"recurrent": False})), {"network": {"hidden": 4}}, "no w of floating-point numbers"),
        (layers(("tanh", 4, {"recurrent": False})), layers(("tanh", 4, {})),
         "no w: set network.layers[0].recurrent to false"),
    ],
)  # fmt: skip
def test_a_file_of_other_layers_is_said_once(tmp_path, there, here, words):
    with pytest.raises(InputError) as refused:
        begun(file_of(tmp_path, there), here)
    (line,) = refused.value.problems
    assert words in line


def test_an_array_that_nothing_reads_is_refused_and_a_counter_is_not(tmp_path):
    """A bias of a layer that is left out is another network; whole numbers are no weights."""
    arrays = configure({**TINY, **TWO}).network_of(3, 2).shapes
    weights = {name: torch.ones(shape) for name, shape in arrays.items()}
    save_file({**weights, "step": torch.tensor([7])}, tmp_path / "w.safetensors")
    assert {*begun(tmp_path / "w.safetensors", TWO).start.arrays} == {*arrays}  # pyright: ignore[reportOptionalMemberAccess]
    save_file({**weights, "b_1": torch.ones(5)}, tmp_path / "w.safetensors")
    with pytest.raises(
        InputError, match=r"holds b_1, which this network has not; save w_in, w_1, w_1_2, w_2, w_out al"
    ):
        begun(tmp_path / "w.safetensors", TWO)
