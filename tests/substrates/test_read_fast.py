"""Compiled reads give what the plain ones give: every feature of a plan, every profile, by moments and by devices."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from neuroanp.devices.rtn import Telegraph
from neuroanp.noise import PassStreams, Streams
from neuroanp.profiles.loader import available
from neuroanp.substrates import read_fast
from neuroanp.substrates.device_noise import DeviceNoise
from neuroanp.substrates.protocol import Quantiser, ReadPlan
from neuroanp.substrates.read import Reader
from neuroanp.trajectory import PassPlan
from tests.devices.test_contract import build

N, M = 7, 13
FEATURES = {
    "weights": {},
    "converters": {"dac": Quantiser(1 / 127, 1.0), "adc": Quantiser(1.5 / 127, 1.5)},
    "offset coding": {"adc": Quantiser(1 / 8, 1 - 1 / 8, -1.0)},
    "clipping alone": {"dac": Quantiser(0.0, 0.5), "adc": Quantiser(0.0, 0.7)},
    "drivers": {"dac_sigma": 0.3, "dac": Quantiser(1 / 15, 1.0)},
    "amplifiers": {"extra": 0.2},
    "no noise of weights": {"extra": 0.2, "sigma2": None},
    "drivers alone": {"dac_sigma": 0.3, "sigma2": None},
    "no noise": {"sigma2": None, "adc": Quantiser(1 / 127, 1.5)},
}
SHAPES = {"rows": ((4,), (4,)), "shared": ((5, 3, 2), (5, 1, 2)), "own": ((5, 3, 2), (5, 3, 2)), "one": ((6,), (1,))}
TELEGRAPH = PassPlan(noise=(1.0, -0.5, 0.0, 1.0), stream=(0, 0, 1, 2), pairs=((0, 2),))


def plan(dtype: torch.dtype, widths: tuple[int, ...] = (), per_tile: bool = False, **more) -> ReadPlan:
    rng, tiles = np.random.default_rng(0), max(len(widths), 1)
    w, s, gain, offset, extra = (
        torch.from_numpy(rng.standard_normal(shape)).to(dtype)
        for shape in ((N, M), (N, M), (tiles, N), (tiles, N), (tiles, N))
    )
    tables = {"gain": 1 + 0.1 * gain, "offset": 0.3 * offset, "extra": extra.abs()} if per_tile else {}
    return ReadPlan(**{"W": w / 4, "sigma2": s.square() / 9, "widths": widths, **more, **tables})


def both(read: ReadPlan) -> tuple[Reader, Reader]:
    """Return a compiled and a plain reader."""
    fast, plain = Reader(read), Reader(read)
    assert fast.fast is not None
    plain.fast = None
    return fast, plain


def drawn(seed: int, *shape: int, dtype: torch.dtype) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape)).to(dtype)


def same(one: torch.Tensor, two: torch.Tensor, code: float = 0.0) -> None:
    """Last bits may differ; where they carry an output over the edge of a code, by that code, in one of thousands."""
    assert one.shape == two.shape
    assert one.dtype == two.dtype
    off = (one - two).abs() > (1e-5 if one.dtype == torch.float32 else 1e-12) * (1 + two.abs())
    assert float(off.double().mean()) <= (1e-3 if code else 0.0)
    assert float((one - two).abs().max()) <= 1.001 * code + 1e-4


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("widths", [(), (5, 5, 3)], ids=["one tile", "tiles"])
@pytest.mark.parametrize("per_tile", [False, True])
@pytest.mark.parametrize("feature", FEATURES)
def test_reads_are_the_plain_ones(dtype, shape, widths, per_tile, feature):
    fast, plain = both(plan(dtype, widths, per_tile, **FEATURES[feature]))
    rows, inputs = SHAPES[shape]
    x, xi = drawn(1, *inputs, M, dtype=dtype), drawn(2, *rows, fast.normals, dtype=dtype)
    code = 0.0 if fast.plan.adc is None else fast.plan.adc.step
    for noise in (xi, None):
        for _ in range(2):  # the second time in memory of the first
            same(fast(x, noise), plain(x, noise), code)
        assert fast.counted() == plain.counted()
    stretch = x.expand(*rows, M).unsqueeze(0).flatten(1, -2)
    torch.testing.assert_close(fast.load(stretch), plain.load(stretch), rtol=1e-5, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("widths", [(), (5, 5, 3)], ids=["one tile", "tiles"])
@pytest.mark.parametrize("feature", FEATURES)
def test_sampled_reads_are_the_plain_ones(dtype, widths, feature):
    fast, plain = both(replace(plan(dtype, widths, **FEATURES[feature]), sampled=True))
    x, xi = drawn(1, 6, M, dtype=dtype), drawn(2, 6, fast.normals, dtype=dtype)
    code = 0.0 if fast.plan.adc is None else fast.plan.adc.step
    same(fast.sampled(x, xi), plain.sampled(x, xi), code)
    deviation = drawn(3, 6, N, M, dtype=dtype)
    same(fast.sampled(x, xi, deviation), plain.sampled(x, xi, deviation), code)
    assert fast.counted() == plain.counted()


def test_times_of_pulses_load_a_line_by_their_length():
    fast, plain = both(replace(plan(torch.float64), pulse_width=True, dac=Quantiser(1 / 7, 1.0)))
    x = drawn(1, 3, 4, M, dtype=torch.float64)
    torch.testing.assert_close(fast.load(x), plain.load(x), rtol=1e-12, atol=0)


def test_what_is_too_large_for_numpys_product_is_the_same():
    """Beyond SMALL multiply-accumulates torch multiplies."""
    rng = np.random.default_rng(0)
    w, s = (torch.from_numpy(rng.standard_normal((130, 128), dtype=np.float32)) for _ in range(2))
    fast, plain = both(ReadPlan(W=w / 16, sigma2=s.square() / 256, widths=(64, 64), adc=Quantiser(0.01, 1.0)))
    for rows in (4, 60):
        x, xi = drawn(1, rows, 128, dtype=torch.float32), drawn(2, rows, fast.normals, dtype=torch.float32)
        same(fast(x, xi), plain(x, xi), 0.01)


def test_codes_too_fine_to_round_by_adding_and_bits_are_read_plainly():
    for more in ({"adc": Quantiser(1e-9, 1.0)}, {"bits": 3, "dac": Quantiser(1 / 7, 1.0)}):
        assert Reader(plan(torch.float32, **more)).fast is None
    assert Reader(plan(torch.float32, adc=Quantiser(2.0**-21, 1.0))).fast is not None
    assert Reader(plan(torch.float64, adc=Quantiser(1e-9, 1.0))).fast is not None


@pytest.mark.parametrize("read", ["moments", "sampled"])
@pytest.mark.parametrize("name", available())
def test_every_profile_is_read_the_same(name, read):
    """Devices, effects and converters as they come."""
    chip = build(name, read=read)
    chip.elapse(1e3)
    for plan_of in chip.prepare(1e-3, PassStreams(Streams(0), "train", 0)).values():
        reader = Reader(plan_of)
        if reader.fast is None:
            assert reader.plain or plan_of.bits
            continue
        fast, plain = both(plan_of)
        x, xi = drawn(1, 9, fast.m, dtype=torch.float64), drawn(2, 9, fast.normals, dtype=torch.float64)
        ways = [r.sampled(x, xi) if plan_of.sampled else r(x, xi) for r in (fast, plain)]
        same(*ways, 0.0 if plan_of.adc is None else plan_of.adc.step * max(len(plan_of.widths), 1))
        assert fast.counted() == plain.counted()


# ---- devices that are drawn as they are read ----


def noise(sigma: torch.Tensor, decades: float, apart: float) -> DeviceNoise:
    streams, process = PassStreams(Streams(1), "train", 2), Telegraph(0.3, 1e-3, decades)
    return DeviceNoise("w", TELEGRAPH, 3, streams, sigma, process, dt=1e-3, apart=apart)


@pytest.mark.parametrize("apart", [math.inf, 1e-3])
@pytest.mark.parametrize("decades", [0.0, 4.0])
@pytest.mark.parametrize("shape", [(5, 7), (32, 32), (1, 3), (70, 130)])
def test_products_are_of_the_noise_that_is_drawn(shape, decades, apart):
    """Passes with a stream in common, a silent one, tiles, word lines that are no multiple of four, any cut of time."""
    n, m = shape
    sigma = drawn(4, 2, n, m, dtype=torch.float32)
    x = drawn(5, 6, 4, 3, m, dtype=torch.float32)
    bank = noise(sigma, decades, apart)
    deviation = torch.cat([bank.draw(0, 4), bank.draw(4, 2)]).sum(3)
    expected = torch.einsum("tpbnm,tpbm->tpbn", deviation, x)
    once, cut = noise(sigma, decades, apart), noise(sigma, decades, apart)
    assert once.fused
    whole = once.products(x, 0, np.array([0, m]))
    torch.testing.assert_close(whole[0], expected, rtol=1e-5, atol=1e-5 * m)
    two = np.array([0, 2, m])
    parts = torch.cat([cut.products(x[:4], 0, two), cut.products(x[4:], 4, two)], 1)
    torch.testing.assert_close(parts.sum(0), expected, rtol=1e-5, atol=1e-5 * m)
    left = torch.einsum("tpbnm,tpbm->tpbn", deviation[..., :2], x[..., :2])
    torch.testing.assert_close(parts[0], left, rtol=1e-5, atol=1e-4)
    assert not bool(whole[:, :, 2].any())  # the silent pass
    assert torch.equal(cut.products(x, 0, np.array([0, m])), whole)  # step 0 starts again


def test_products_come_in_order_of_time():
    bank, x = noise(torch.ones(2, 3, 4), 0.0, math.inf), torch.ones(1, 4, 3, 4)
    bank.products(x, 0, np.array([0, 4]))
    with pytest.raises(ValueError, match="stands at step 1, asked for 3"):
        bank.products(x, 3, np.array([0, 4]))


def test_noise_in_double_precision_is_drawn_plainly():
    assert not noise(torch.ones(2, 3, 4, dtype=torch.float64), 0.0, math.inf).fused


# ---- all steps of a small layer ----


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("widths", [(), (4, 3)], ids=["one tile", "tiles"])
@pytest.mark.parametrize("large", [False, True], ids=["numpy's product", "torch's"])
@pytest.mark.parametrize("feature", FEATURES)
def test_all_steps_at_once_are_one_read_after_the_other(dtype, widths, feature, large, monkeypatch):
    read = plan(dtype, **FEATURES[feature])
    sigma2 = None if read.sigma2 is None else read.sigma2[:, :N]
    fast, plain = both(replace(read, W=read.W[:, :N], sigma2=sigma2, widths=widths))
    assert fast.recurs
    if large:
        monkeypatch.setattr(read_fast, "SMALL", 0)
    h, x = drawn(1, 5, 6, N, dtype=dtype), drawn(2, 6, N, dtype=dtype).tanh()
    code = 0.0 if read.adc is None else read.adc.step * max(len(widths), 1)
    for xi in (drawn(3, 5, 2, 3, fast.normals, dtype=dtype), None):
        found, xs, expected, before = h.clone(), torch.empty_like(h), h.clone(), x
        fast.recur(found, xs, x, xi)
        for t in range(5):
            expected[t] += plain(before, None if xi is None else xi[t].flatten(0, 1))
            same(found[t], expected[t], code)
            torch.testing.assert_close(xs[t], found[t].tanh(), rtol=1e-6, atol=1e-7)
            before = xs[t]
        assert fast.counted() == plain.counted()


def test_what_a_layer_cannot_do_at_once():
    """Devices that are drawn one by one, reads bit by bit, exact weights (whose product is all there is)."""
    for more in ({"sampled": True}, {"bits": 3, "dac": Quantiser(1 / 7, 1.0)}, {"sigma2": None}):
        assert not Reader(plan(torch.float32, **more)).recurs
