"""Chips in the loop of learning: their populations against the integer simulators, and grids against closed bounds."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from neuroanp.backends import loihi, xylo
from neuroanp.backends.chip_network import ChipPopulation
from neuroanp.backends.chips import Grid, LoihiLayer, XyloLayer
from neuroanp.backends.population import Recurrence

N, T, ROWS = 5, 120, 3
UNIT = 100


def whole(generator, low, high, *shape):
    return torch.randint(low, high, shape, generator=generator)


def common(state):
    one = torch.ones(N, dtype=torch.float64)
    return {
        "bias": Grid(one, 1, -4096, 4095), "arrival": one, "unit": UNIT * one, "state": state, "k_i": 0.1, "k_e": 0.05,
        "drive": 0.0, "readout": 0.9, "synapse": 0.8,
    }  # fmt: skip


def loihi_chip(bias) -> LoihiLayer:
    return LoihiLayer(**common(state=64), neurons=loihi.Cuba(700, 300, UNIT, bias))


def xylo_chip() -> XyloLayer:
    dash = torch.full((N,), 3)
    return XyloLayer(**common(state=1), threshold=torch.full((N,), UNIT), dash_mem=dash, dash_syn=dash - 1)


@pytest.mark.parametrize("name", ["loihi", "xylo"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_spikes_and_potentials_are_those_of_the_simulator(name, dtype):
    generator = torch.Generator().manual_seed(1)
    w, w_in = whole(generator, -60, 60, N, N), whole(generator, -20, 80, N, 2)
    bias, u = whole(generator, 0, 4, N), whole(generator, 0, 2, T, ROWS, 2)
    if name == "loihi":
        chip, out = loihi_chip(bias), torch.zeros(1, N, dtype=torch.int64)
        outputs = loihi.Block(out, None, chip.neurons._replace(bias=bias[:1]))
        net = loihi.CubaNetwork((loihi.Block(w_in, w, chip.neurons),), outputs)
        steps, _ = loihi.run(net, loihi.begin(net, ROWS), u)
        s, before, most = steps.s, steps.v, 1
    else:
        chip, zero = xylo_chip(), torch.zeros(1, dtype=torch.int64)
        net = xylo.Network(
            w_in.T[..., None], w.T[..., None], torch.zeros(N, 1, dtype=torch.int64), chip.threshold,
            zero + xylo.HIGH, bias, zero, chip.dash_mem, chip.dash_syn[:, None], zero, zero + 3,
        )  # fmt: skip
        states, before = xylo.run(net, torch.cat([torch.zeros_like(u[:1]), u[:-1]]))
        s, most = states.s, 2
    population = ChipPopulation(ROWS)
    population.take(chip, bias)
    population.begin()
    wt, arriving = w.T.to(dtype), u.to(dtype) @ w_in.T.to(dtype)
    found = population.run(torch.zeros_like(arriving), Recurrence(wt, lambda t, x: x @ wt), arriving, keep_v=True)
    assert torch.equal(found.s.long(), s)
    assert int(s.max()) >= most
    assert found.v is not None
    assert torch.equal(found.v, (before.double() / (UNIT * chip.state)).to(dtype))
    z = torch.zeros(ROWS, N, dtype=torch.float64)
    for now, kept in zip(s, found.z, strict=True):
        z = chip.readout * z + now
        torch.testing.assert_close(kept, z.to(dtype), rtol=1e-12 if dtype == torch.float64 else 1e-6, atol=0)


@pytest.mark.parametrize("name", ["loihi", "xylo"])
def test_noise_moves_a_membrane_by_its_charge_and_shows_in_h(name):
    chip = loihi_chip(torch.zeros(N, dtype=torch.int64)) if name == "loihi" else xylo_chip()
    population = ChipPopulation(1)
    population.take(chip)
    silent = torch.zeros(1, 1, N, dtype=torch.float64)
    still = Recurrence(torch.zeros(N, N, dtype=torch.float64), lambda t, s: s)
    noise = torch.tensor([0.0, 1.0, 4.0, -4.0, 30.0], dtype=torch.float64).view(1, 1, N)
    found = []
    for current in (silent, noise):
        population.begin()
        found.append(population.run(current, still, None, keep_v=True))
    half = 0.5 / (UNIT * chip.state)  # a step of a potential, in thresholds
    assert found[1].v is not None
    assert float((found[1].v - chip.k_e * noise).abs().max()) <= half
    assert float((found[1].h - found[0].h - noise).abs().max()) <= half / chip.k_e
    assert found[1].s.flatten().tolist() == [0, 0, 0, 0, 1]


def test_a_population_begins_again_at_rest():
    chip = xylo_chip()
    population = ChipPopulation(2)
    population.take(chip)
    generator = torch.Generator().manual_seed(0)
    current = 10 * torch.rand(30, 2, N, generator=generator, dtype=torch.float64)
    wt = 20 * torch.rand(N, N, generator=generator, dtype=torch.float64)
    runs = []
    for _ in range(2):
        population.begin()
        runs.append(population.run(current, Recurrence(wt, lambda t, s: s @ wt), None))
    assert runs[0].s.any()
    assert torch.equal(runs[0].s, runs[1].s)
    assert torch.equal(runs[0].h, runs[1].h)


@given(st.floats(0.1, 1e4), st.sampled_from([1, 2, 8]), st.floats(-3.0, 3.0), st.lists(st.floats(-1, 1), min_size=1))
def test_a_grid_errs_by_half_a_step_at_most_and_takes_its_own_numbers_as_they_are(scale, step, zero, values):
    W = torch.tensor([values], dtype=torch.float64)
    grid = Grid(torch.tensor([[scale]], dtype=torch.float64), step, -(10**5) * step, 10**5 * step, zero)
    held = grid.held(W)
    assert float((held - W).abs().max()) <= 0.5 * step / scale * (1 + 1e-9) + 1e-12
    assert torch.equal(grid.numbers(held), grid.numbers(W))
    assert bool((grid.numbers(W) % step == 0).all())


def test_a_grid_ends_where_the_chip_does():
    grid = Grid(torch.ones(1, 1, dtype=torch.float64), 2, -254, 254)
    assert grid.numbers(torch.tensor([[-1e6, 255.0, 1e6]])).tolist() == [[-254, 254, 254]]
