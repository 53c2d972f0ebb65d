"""What the rate network must do with every cell in every arrangement of layers, on devices of three kinds.

Pre-activations, activities and outputs are held to equations that are written down here once more.
"""

from __future__ import annotations

from functools import cache
from typing import ClassVar

import numpy as np
import pytest
import torch

from neuroanp.backends import compiled_passes
from neuroanp.devices.effects import ALL_EFFECTS
from neuroanp.network.cell import CELLS, RateCell
from neuroanp.network.compose import Stacked, stack
from neuroanp.network.network import INPUT, OUTPUT
from neuroanp.network.rollout import rollout
from neuroanp.network.tanh import Tanh
from neuroanp.training.presynaptic import Presynaptic
from neuroanp.trajectory import PassPlan
from tests.close import close

MIXED = PassPlan(noise=(1.0, 0.0, 1.0, -1.0), stream=(0, 1, 2, 0), pairs=((0, 1), (2, 1), (0, 3)))
SILENT = PassPlan(noise=(0.0, 0.0, 0.0), stream=(0, 1, 2), pairs=((0, 1),))
EFFECTS = ALL_EFFECTS - {"adc", "dac"}  # no rounding reaches the edge of a code
PARTS = ("h", "x")


def sigmoid(h):
    return 1 / (1 + np.exp(-h))


def tanh(h, x, k):
    return np.tanh(h[0]), k


def leaky_tanh(h, x, k):
    return 0.5 * x + 0.5 * np.tanh(h[0]), k


def relu(h, x, k):
    return np.where(h[0] > 0, h[0], 0.0), k


def leaky_relu(h, x, k):
    return np.where(h[0] > 0, h[0], 0.01 * h[0]), k


def linear(h, x, k):
    return h[0], k


def gru(h, x, k):
    n, r, z, c = h
    z = sigmoid(z)
    return (1 - z) * np.tanh(n + sigmoid(r) * c) + z * x, k


def lstm(h, x, k):
    i, f, g, o = h
    k = sigmoid(f + 1) * k + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(k), k


EQUATIONS = {each.__name__: each for each in (tanh, leaky_tanh, linear, relu, leaky_relu, gru, lstm)}
"""Takes pre-activations (ports, ..., n), the activity of the step before and a memory; returns activity and memory."""
PORTS = {"gru": ("nrz", "rzc", "nrzc"), "lstm": ("ifgo", "ifgo", "ifgo")}
"""Of cells with several pre-activations: those reached from below, by the layer itself, and all."""


def arranged(cell, how: str) -> tuple[list[Stacked], bool]:
    """Return layers of a cell, and whether there are connections that skip."""
    return {
        "one": ([Stacked(cell, 7)], False),
        "skip": ([Stacked(cell, 7), Stacked(cell, 5)], True),
        "late": ([Stacked(cell, 7), Stacked(Tanh(), 5, delay=1), Stacked(cell, 4, delay=1)], False),
        "forward": ([Stacked(cell, 7, recurrent=False), Stacked(cell, 5, recurrent=False)], False),
    }[how]


ARRANGEMENTS = pytest.mark.parametrize("how", ["one", "skip", "late", "forward"])
PROFILES = pytest.mark.parametrize("profile", ["ideal", "pcm", "smtj_koenders"])
BOTH = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
DOUBLE = pytest.mark.parametrize("dtype", [torch.float64], ids=["float64"])


@cache
def made(make_bench, profile, cell, how, dtype):
    """Return a network on a chip that tests share: reading alters no device, and books only grow."""
    layers, skip = arranged(CELLS.get(cell)(), how)
    return make_bench(profile, dtype, layers=layers, skip=skip, effects=EFFECTS)


@pytest.fixture
def bench(make_bench, profile, cell, how, dtype):
    return made(make_bench, profile, cell, how, dtype)


def every(test):
    """Parametrise a test over cells, arrangements and devices."""
    return ARRANGEMENTS(PROFILES(pytest.mark.parametrize("cell", CELLS.names())(test)))


def rounding(dtype: torch.dtype) -> float:
    return 1e-12 if dtype == torch.float64 else 2e-5


def parts(found) -> dict[str, torch.Tensor]:
    """Return all that is to be compared of a presentation."""
    return {"y": found.y} | {f"{name}.{p}": getattr(layer, p) for name, layer in found.layers.items() for p in PARTS}


def seen(bench, found) -> dict[str, np.ndarray]:
    """Return what the word lines of each array see by the equations, (T, M, B, m)."""
    shape = (*found.y.shape[:-1], -1)
    x = {INPUT: np.broadcast_to(bench.inputs.double().numpy()[:, None], (*shape[:-1], bench.inputs.shape[-1]))}
    x |= {name: layer.x.double().numpy() for name, layer in found.layers.items()}
    lines = {}
    for p in bench.network.projections:
        before = np.concatenate([np.zeros_like(x[p.pre][:1]), x[p.pre][:-1]]) if p.delay else x[p.pre]
        lines[p.name] = np.concatenate([before, np.ones((*before.shape[:-1], 1))], -1) if p.bias else before
    return lines


def driven(bench, lines) -> dict[str, np.ndarray]:
    """Return what all arrays together bring to each group of units without noise, (T, M, B, ports n)."""
    total = {}
    for p in bench.network.projections:
        part = lines[p.name] @ bench.reads[p.name].W.double().numpy().T
        below, own, ports = PORTS.get(cell_of(bench.network, p.post), ("h", "h", "h"))
        reached = own if p.pre == p.post else below
        by_port = dict(zip(reached, np.split(part, len(reached), -1), strict=True))
        whole = np.concatenate([by_port.get(port, np.zeros_like(by_port[reached[0]])) for port in ports], -1)
        total[p.post] = total.get(p.post, 0.0) + whole
    return total


def cell_of(network, group: str) -> str:
    return "" if group == OUTPUT else network.layer(group).cell.name


@every
@BOTH
@pytest.mark.slow
@pytest.mark.parametrize("chunk", [1, pytest.param(4, marks=pytest.mark.long)])  # 4 is held to the equations below
def test_time_may_be_cut_into_chunks_of_any_size(bench, chunk, dtype):
    whole, cut = bench.passes(MIXED), bench.passes(MIXED, chunk=chunk)
    for name, part in parts(whole).items():
        torch.testing.assert_close(parts(cut)[name], part, rtol=0, atol=rounding(dtype))
    again = bench.passes(MIXED, chunk=chunk, book=False, keep="noise")
    assert all(torch.equal(part, parts(again)[name]) for name, part in parts(cut).items())
    assert torch.equal(bench.passes(MIXED, chunk=chunk, keep="loss").y, cut.y)


@every
@BOTH
def test_passes_of_gain_zero_are_free_of_noise_and_alike(bench, dtype):
    silent, mixed = parts(bench.passes(SILENT)), parts(bench.passes(MIXED))
    for name, part in silent.items():
        for other in (part[:, 1], part[:, 2], mixed[name][:, 1]):
            torch.testing.assert_close(other, part[:, 0], rtol=0, atol=rounding(dtype))
        assert not torch.allclose(mixed[name][:, 0], part[:, 0], rtol=0, atol=1e-3)


@every
@BOTH
def test_pre_activations_are_what_arrays_bring_and_the_noise_that_is_told(bench, profile, dtype):
    """In every pass where reads make no noise, in the silent one where they do; presynaptic is what the arrays see."""
    found = bench.passes(MIXED, chunk=4, keep="noise")
    lines = seen(bench, found)
    exact = slice(None) if profile != "pcm" else slice(1, 2)
    for group, drive in driven(bench, lines).items():
        is_told = torch.cat([chunk.noise[group] for chunk in found.chunks]).double().numpy()
        h = (found.y if group == OUTPUT else found.layers[group].h).double().numpy()
        np.testing.assert_allclose((h - drive - is_told)[:, exact], 0.0, rtol=0, atol=rounding(dtype))
        assert is_told.shape == h.shape
        assert np.abs(is_told[:, [0, 2, 3]]).min(0).max() > 0
        assert not is_told[:, 1].any()
    told = [Presynaptic.of(chunk, MIXED).by_array(bench.network) for chunk in found.chunks]
    for name, each in lines.items():
        pre = torch.cat([chunk[name] for chunk in told]).double().numpy()
        np.testing.assert_allclose(pre, each.mean(1), rtol=0, atol=rounding(dtype))


@every
@BOTH
def test_activities_follow_the_equations_of_the_cell(bench, dtype):
    found = bench.passes(MIXED, chunk=4)
    for name, did in found.layers.items():
        step, h = EQUATIONS[cell_of(bench.network, name)], did.h.double().numpy()
        n = did.x.shape[-1]
        x = k = np.zeros(did.x.shape[1:])
        for now, is_x in zip(h, did.x.double().numpy(), strict=True):
            x, k = step(np.split(now, now.shape[-1] // n, -1), x, k)
            np.testing.assert_allclose(is_x, x, rtol=0, atol=rounding(dtype))


@every
@DOUBLE
def test_every_array_is_read_in_every_step_and_units_are_perturbed_once(bench, dtype):
    ledger = bench.chip.ledger
    before, node_noise = ledger.report()["reads"], ledger.energy()["node_noise"] or 0.0
    bench.passes(MIXED, chunk=4)
    assert ledger.report()["reads"] - before == len(bench.network.projections) * 4 * bench.T * bench.B
    source = bench.chip.junctions
    if source is not None:
        bits = 3 * bench.T * bench.B * sum(bench.network.lines.values()) * source.n_sources
        assert (ledger.energy()["node_noise"] or 0.0) - node_noise == close(bits * source.energy_per_bit, rel=1e-9)


class Plain(Tanh):
    """Units of which no simulator knows that it can do their steps all at once."""


@BOTH
@ARRANGEMENTS
@PROFILES
@pytest.mark.parametrize("small", [True, False], ids=["small", "large"])
def test_steps_that_are_done_at_once_for_tanh_are_those_of_the_cell(
    make_bench, monkeypatch, profile, how, dtype, small
):
    if not small:
        monkeypatch.setattr(compiled_passes, "SMALL", 0)
    found = []
    for kind in (Tanh(), Plain()):
        layers, skip = arranged(kind, how)
        layers = [spec._replace(cell=kind) for spec in layers]
        found.append(parts(make_bench(profile, dtype, layers=layers, skip=skip, effects=EFFECTS).passes(MIXED)))
    for name, part in found[0].items():
        torch.testing.assert_close(found[1][name], part, rtol=0, atol=rounding(dtype))


class Apart(RateCell):
    """x = tanh(c + n / 2): what the layer itself brings comes first, and what comes from below behind it."""

    ports: ClassVar[tuple[str, ...]] = ("c", "n")
    feed: ClassVar[tuple[str, ...]] = ("n",)
    recurrent: ClassVar[tuple[str, ...]] = ("c",)

    def step(self, state, h):
        c, n = h.chunk(2, -1)
        return state, (c + n / 2).tanh()


@pytest.mark.parametrize("plan", [SILENT, MIXED], ids=["silent", "noisy"])
def test_arrays_reach_the_pre_activations_that_a_cell_says_wherever_they_stand(make_bench, plan):
    """The silent pass is that of tanh units with half the weights from below; so is a rollout."""

    def layers(cell):
        return [Stacked(cell, 7), Stacked(cell, 5, delay=1)]

    bench = make_bench("ideal", torch.float64, layers=layers(Apart()), skip=True)
    W = {name: read.W for name, read in bench.reads.items()}
    plain = stack(bench.network.inputs, layers(Tanh()), bench.network.outputs, bias=True, skip=True)
    half = {p.name: W[p.name] * (1.0 if p.post in (p.pre, OUTPUT) else 0.5) for p in plain.projections}
    expected = rollout(plain, half, bench.inputs).y
    torch.testing.assert_close(bench.passes(plan, chunk=4).y[:, 1], expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(rollout(bench.network, W, bench.inputs).y, expected, rtol=0, atol=1e-12)
