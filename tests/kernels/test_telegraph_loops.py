"""Telegraph sources: compiled loops give the states and the noise of the plain forms, bit for bit."""

from __future__ import annotations

import math

import pytest
import torch

from neuroanp.devices import telegraph
from neuroanp.devices.rtn import Telegraph
from neuroanp.profiles import load
from neuroanp.substrates.starts import starts
from neuroanp.substrates.wires_fast import ladder, plain_ladder

T = 40
both_precisions = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])


def uniforms(seed: int, *shape: int, dtype: torch.dtype) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@both_precisions
@pytest.mark.parametrize("sources", [1, 3])
@pytest.mark.parametrize("shape", [(), (5,), (4, 33)])
def test_sources_that_flip(sources, shape, dtype):
    law = load("smtj_koenders").stochastic.model_copy(update={"n_sources": sources, "kappa": -1.3})
    u, xi = uniforms(0, T, sources, *shape, dtype=dtype), uniforms(1, T, *shape, dtype=dtype)
    before = law.start(uniforms(2, sources, *shape, dtype=dtype))
    kept = before.clone()
    noise, after = law.run(before, u, xi, 1.0)
    states = law.states(before, u)
    assert torch.equal(noise, law.noise(states, xi))
    assert torch.equal(after, states[-1])
    assert torch.equal(before, kept)


@both_precisions
@pytest.mark.parametrize("sources", [1, 3])
@pytest.mark.parametrize("shape", [(), (5,), (4, 33)])
def test_sources_that_switch(sources, shape, dtype):
    """Also turned round in memory, as tensors of a batch may lie."""
    u, state = uniforms(0, T, sources, *shape, dtype=dtype), uniforms(2, sources, *shape, dtype=dtype) < 0.3
    if len(shape) > 1:
        u, state = u.mT.contiguous().mT, state.mT.contiguous().mT
    high, after = telegraph.count(state, u, 0.3, 1.0, 0.5)
    states = telegraph.run(state, u, 0.3, 1.0, 0.5)
    assert torch.equal(high, states.to(dtype).sum(1))
    assert torch.equal(after, states[-1])


@both_precisions
@pytest.mark.parametrize("decades", [0.0, 3.0])
def test_signals_of_devices(decades, dtype):
    process = Telegraph(0.3, 1e-3, decades).of_devices(uniforms(3, 2, 4, 5, dtype=dtype))
    u, state = uniforms(0, T, 3, 2, 4, 5, dtype=dtype), uniforms(2, 3, 2, 4, 5, dtype=dtype) < 0.3
    given = u.clone()
    for dt in (1e-4, 5e-3, 1e-4):
        signal, after = process.run(state, u, None, dt)
        states = telegraph.run(state, u, 0.3, 1e-3 if process.tau_c is None else process.tau_c, dt)
        expected = states.to(dtype).sub_(0.3).div_(math.sqrt(0.3 * 0.7))
        assert torch.equal(signal, expected)
        assert torch.equal(after, states[-1])
    assert torch.equal(u, given)


class Stepped:
    """A process of which `starts` knows no more than that it starts and runs."""

    def __init__(self, process: Telegraph) -> None:
        self.start, self.run = process.start, process.run


@both_precisions
@pytest.mark.parametrize("decades", [0.0, 3.0])
@pytest.mark.parametrize("stream_of", [(0,), (0, 1), (3, 3, 0, 1, 3)])
def test_starts_follow_one_another(stream_of, decades, dtype):
    """Streams that several passes listen to leave gaps of different lengths."""
    process = Telegraph(0.3, 1e-3, decades).of_devices(uniforms(3, 2, 4, 5, dtype=dtype))
    draws = {s: (uniforms(s, 6, 2, 4, 5, dtype=dtype), None) for s in dict.fromkeys(stream_of)}
    found, expected = (starts(p, draws, stream_of, 6, 2e-4, axis=-4) for p in (process, Stepped(process)))
    assert list(found) == list(expected)
    assert all(torch.equal(found[s], expected[s]) for s in found)
    assert len(found) == 1 or not torch.equal(found[min(found)], found[max(found)])


@both_precisions
@pytest.mark.parametrize("shape", [(1, 7), (64, 64), (2, 3, 5, 4), (0, 3, 4)])
def test_ladders(shape, dtype):
    g = uniforms(0, *shape, dtype=dtype)
    for each in (g, g.mT):
        assert torch.equal(ladder(each), plain_ladder(each))
