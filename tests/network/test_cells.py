"""Cells against their equations, written down in numpy, and against the modules of torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from neuroanp.network.cell import CELLS
from neuroanp.network.compose import Stacked, stack
from neuroanp.network.gru import GRU
from neuroanp.network.lstm import LSTM
from neuroanp.network.network import Network
from neuroanp.network.rollout import rollout
from neuroanp.network.tanh import LeakyTanh, Tanh
from tests.network.made import inputs, random

ROWS, N = 3, 4


def logistic(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def by_hand(name: str, h: np.ndarray, x: np.ndarray, k: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The activity and the memory after one step, from pre-activations (rows, ports n), x and k of the step before."""
    p = np.split(h, h.shape[-1] // N, -1)
    if name == "gru":
        n, r, z, c = p
        return (1 - logistic(z)) * np.tanh(n + logistic(r) * c) + logistic(z) * x, k
    if name == "lstm":
        i, f, g, o = p
        k = logistic(f + 1.0) * k + logistic(i) * np.tanh(g)
        return logistic(o) * np.tanh(k), k
    if name == "leaky_tanh":
        return 0.5 * x + 0.5 * np.tanh(h), k
    if name == "leaky_relu":
        return np.maximum(h, 0) + 0.01 * np.minimum(h, 0), k
    return {"tanh": np.tanh, "linear": lambda h: h, "relu": lambda h: np.maximum(h, 0)}[name](h), k


@pytest.mark.parametrize("name", CELLS.names())
def test_three_steps_follow_the_equations(name):
    cell = CELLS.get(name)()  # pyright: ignore[reportCallIssue]
    state, rng = cell.start(ROWS, N, torch.empty(0, dtype=torch.float64)), np.random.default_rng(0)
    x, k = np.zeros((ROWS, N)), np.zeros((ROWS, N))
    for _ in range(3):
        h = rng.standard_normal((ROWS, len(cell.ports) * N))
        state, found = cell.step(state, torch.from_numpy(h))
        x, k = by_hand(name, h, x, k)
        assert found.dtype == torch.float64
        np.testing.assert_allclose(found.numpy(), x, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("name", CELLS.names())
def test_a_gain_that_a_cell_states_is_what_autograd_finds(name):
    cell = CELLS.get(name)()  # pyright: ignore[reportCallIssue]
    h = torch.from_numpy(np.random.default_rng(0).standard_normal((ROWS, len(cell.ports) * N)))
    gain = cell.derivative(h)
    if gain is None:
        assert cell.start(1, 1, h)
        return
    leaf = h.clone().requires_grad_()
    cell.step(cell.start(ROWS, N, h), leaf)[1].sum().backward()
    torch.testing.assert_close(gain, leaf.grad, rtol=1e-12, atol=0)


@pytest.mark.parametrize(
    ("cell", "constants"),
    [(GRU(r_bias=0.4, z_bias=-0.7), (0.0, 0.4, -0.7, 0.0)),
     (LSTM(i_bias=0.4, f_bias=-0.7, o_bias=1.3), (0.4, -0.7, 0.0, 1.3))],
    ids=["gru", "lstm"],
)  # fmt: skip
def test_constants_of_gates_are_currents_that_never_end(cell, constants):
    """Each in its own pre-activation: ports n, r, z, c and i, f, g, o."""
    silent = type(cell)(**{name: 0.0 for name in type(cell).model_fields if name.endswith("_bias")})
    like, rng = torch.empty(0, dtype=torch.float64), np.random.default_rng(0)
    states = [each.start(ROWS, N, like) for each in (cell, silent)]
    added = torch.tensor(np.repeat(constants, N))
    for _ in range(3):
        h = torch.from_numpy(rng.standard_normal((ROWS, 4 * N)))
        states[0], x = cell.step(states[0], h)
        states[1], expected = silent.step(states[1], h + added)
        torch.testing.assert_close(x, expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("name", CELLS.names())
def test_lines_that_currents_reach_are_neighbours(name):
    """An array's lines are a slice of a unit's pre-activations: the promise of `feed` and `recurrent`."""
    cell = CELLS.get(name)
    for reached in (cell.feed, cell.recurrent):
        start = cell.ports.index(reached[0])
        assert cell.ports[start : start + len(reached)] == reached
    assert set(cell.feed) | set(cell.recurrent) == set(cell.ports)
    assert not cell.spikes


def test_a_leak_of_one_is_tanh():
    h = torch.from_numpy(np.random.default_rng(0).standard_normal((2, N)))
    assert torch.equal(LeakyTanh(leak=1.0).step((torch.ones(2, N).double(),), h)[1], Tanh().step((), h)[1])


@pytest.mark.parametrize("leak", [0.0, -0.1, 1.1, float("nan")])
def test_a_leak_beyond_its_range_is_refused(leak):
    with pytest.raises(ValidationError):
        LeakyTanh(leak=leak)


def torchs(network: Network, W) -> torch.nn.Module:
    """The layer of torch with the same weights: gates in torch's order, the column of the bias line its bias_ih."""
    (layer,), lines = network.layers, network.inputs
    w_in, w = W["w_in"], W["w"]
    kind: type[torch.nn.RNNBase] = torch.nn.RNN
    if isinstance(layer.cell, GRU):
        kind = torch.nn.GRU
        n, r, z = w_in.chunk(3)  # torch: r, z, n; the recurrent r, z, c are torch's r, z, n
        w_in = torch.cat([r, z, n])
    elif isinstance(layer.cell, LSTM):
        kind = torch.nn.LSTM
        w_in = w_in.clone()
        w_in[layer.units : 2 * layer.units, lines] += layer.cell.f_bias
    made = kind(lines, layer.units).double()
    given = (w_in[:, :lines], w, w_in[:, lines], torch.zeros(len(w)))
    for name, value in zip(("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"), given, strict=True):
        getattr(made, name).data.copy_(value)
    return made


@pytest.mark.parametrize("cell", [Tanh(), GRU(), LSTM(), LSTM(f_bias=-0.5)], ids=str)
def test_a_sequence_is_that_of_torch(cell):
    network, u = stack(2, [Stacked(cell, N)], 3, bias=True), inputs()
    weights = random(network)
    found = rollout(network, weights, u)
    x, _ = torchs(network, weights)(u)
    torch.testing.assert_close(found.x["hidden"], x, rtol=1e-12, atol=1e-14)
    y = x @ weights["w_out"][:, :N].T + weights["w_out"][:, N]
    torch.testing.assert_close(found.y, y, rtol=1e-12, atol=1e-14)
