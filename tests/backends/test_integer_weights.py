"""Weights of any size on chips of whole numbers: what is held errs by half a step, or is at the end of the grid."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from neuroanp.backends import loihi, xylo, xylo_numbers
from neuroanp.trajectory import Weights
from tests.backends.whole_numbers import (
    KINDS,
    NEURONS,
    SIZES,
    activity,
    backend_of,
    changed,
    network,
    numeric,
    present,
)
from tests.close import close

# ---- weights of any size ----


@pytest.mark.parametrize("bias", [False, True], ids=["plain", "bias"])
@pytest.mark.parametrize("name", KINDS)
def test_weights_of_zero_give_a_silent_readout(name, bias):
    weights, u = network(name, SIZES[2], bias=bias)
    nothing = Weights({key: 0 * part for key, part in weights.items()}, weights.network)
    backend = backend_of(name)
    s, y, v = present(backend, nothing, u)
    assert not y.any()
    assert not s.any()  # the drive alone, 0.6 thresholds, makes no spike
    # each step loses less than 2 units of state of the 20 that a membrane of 20 steps remembers
    loss = 40 / float((backend.chip.layers["hidden"].unit * backend.chip.layers["hidden"].state).min())
    assert v[-1].numpy() == pytest.approx(NEURONS[name].drive, abs=0.01 + loss)
    assert not activity(backend, nothing, u).any()


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("array", ["w_in", "w"])
@pytest.mark.parametrize("name", KINDS)
def test_a_weight_beyond_the_grid_is_at_its_end_and_keeps_its_sign(name, array, sign):
    weights, u = network(name, SIZES[2])
    W = changed(weights)
    W[array][1, 2] = sign * 1e9
    backend = backend_of(name)
    z = activity(backend, W, u)  # no device in between, whose weights have a range too
    grid = backend.chip.grids[array]
    numbers = grid.numbers(W[array])
    assert int(numbers[1, 2]) == sign * grid.high
    assert grid.high == {"loihi": loihi.WEIGHT_HIGH, "xylo": 127 * grid.step}[name]
    assert float(backend.chip.layers["hidden"].unit[1]) == 1  # the coarsest there is
    assert bool(torch.isfinite(z).all())
    if array == "w_in":  # more than a threshold: unit 1 spikes a step after input 2, or never once it was there
        driven, fired = u[:-1, :, 2] == 1, z[1:, :, 1] > backend._decays(W.network)["hidden"][0] * z[:-1, :, 1]
        assert bool(driven.any(0).all())
        first = int(driven.all(1).long().argmax())
        assert bool(fired[driven].all()) if sign > 0 else not bool(fired[first:].any())


def test_a_weight_of_many_thresholds_is_held_where_a_shift_brings_it_into_8_bits():
    """Xylo's weights end at 127 << 7 units of a threshold of 1 at least; a unit that needs a shift gets it."""
    weights, _ = network("xylo", SIZES[2])
    for thresholds in (100.0, 300.0, 3000.0, 16000.0):
        W = changed(weights)
        k_in = xylo_numbers.wanted_numbers(numeric("xylo", weights)).layers["hidden"].k_in
        W["w_in"][1, 2] = thresholds / k_in
        chip = backend_of("xylo")._scaled(W)
        assert float(chip.held(W)["w_in"][1, 2]) * k_in == close(thresholds, rel=0.01)


def test_the_scale_of_outputs_follows_their_weights():
    """An output's unit need not be whole: weights 1000 times as large are held as well as they were."""
    weights, _ = network("xylo", SIZES[2])
    errors = []
    for factor in (1.0, 1e3):
        W = changed(weights, w_out=factor * weights["w_out"])
        held = backend_of("xylo")._scaled(W).held(W)
        errors.append(float((held["w_out"] / W["w_out"] - 1).abs().max()))
    assert errors[1] == close(errors[0], rel=1e-6)


@pytest.mark.parametrize("name", KINDS)
def test_a_huge_bias_is_at_the_end_of_its_bits(name):
    weights, u = network(name, SIZES[2], bias=True)
    W = changed(weights)
    W["w_in"][0, -1], W["w_in"][1, -1], W["w_out"][0, -1] = 1e9, -1e9, 1e9
    backend = backend_of(name)
    z = activity(backend, W, u)
    chip, highest = backend.chip, {"loihi": loihi.BIAS_HIGH, "xylo": xylo.HIGH}[name]
    assert chip.layers["hidden"].bias.numbers(W["w_in"][:, -1])[:2].tolist() == [highest, -highest]
    assert bool((z[:, :, 0] >= 1).all())  # a spike at every step
    assert not z[:, :, 1].any()
    held = chip.held(W)["w_out"][0, -1]
    assert float(held) == close(1e9, rel=1e-3)


sizes_of_weights = st.floats(-4.0, 4.0).map(lambda power: 10.0**power)


@pytest.mark.parametrize("name", KINDS)
@given(
    seed=st.integers(0, 2**32 - 1),
    scales=st.fixed_dictionaries(dict.fromkeys(("w_in", "w", "w_out"), sizes_of_weights)),
    bias=st.booleans(),
    units=st.integers(1, 6),
)
def test_held_weights_err_by_half_a_step_or_are_at_the_end(name, seed, scales, bias, units):
    weights, _ = network(name, (2, units, 2), seed, bias, steps=1)
    W = changed(weights, **{key: scales[key] * part for key, part in weights.items()})
    chip = backend_of(name)._scaled(W)
    held = chip.held(W)
    columns = {"w_in": 2, "w": units, "w_out": units}
    grids = {key: (chip.grids[key], W[key][:, :n], held[key][:, :n]) for key, n in columns.items()}
    if bias:
        grids["bias"] = (chip.layers["hidden"].bias, W["w_in"][:, -1], held["w_in"][:, -1])
        if chip.offset is not None:
            grids["offset"] = (chip.offset, W["w_out"][:, -1], held["w_out"][:, -1])
        else:
            assert torch.equal(W["w_out"][:, -1], held["w_out"][:, -1])
    for key, (grid, wanted, found) in grids.items():
        numbers = grid.numbers(wanted)
        exact = wanted * grid.scale + grid.zero
        inside = (exact >= grid.low) & (exact <= grid.high)
        step = (0.5 * grid.step / grid.scale).expand_as(wanted)
        assert bool((((found - wanted).abs() <= step * (1 + 1e-9) + 1e-15 * wanted.abs()) | ~inside).all()), key
        end = torch.where(exact > grid.high, grid.high, grid.low)
        assert bool(((numbers == end) | inside).all()), key
        assert bool((numbers % grid.step == 0).all()), key
        # largest weights use the grid's numbers: finer scales would not hold them, or states
        assert bool(torch.isfinite(found).all()), key
    again = chip.held(held)
    for key in held:
        torch.testing.assert_close(again[key], held[key], rtol=1e-12, atol=0)


@pytest.mark.parametrize("name", KINDS)
def test_the_grid_is_used_to_its_end_where_weights_ask_for_it(name):
    weights, _ = network(name, SIZES[1])
    chip = backend_of(name)._scaled(weights)
    used = [float(grid.numbers(weights[key]).abs().max()) / grid.high for key, grid in chip.grids.items()]
    assert 0.98 < max(used) <= 1
