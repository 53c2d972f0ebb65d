"""Wires of a tile: other tools' numbers, closed forms, network theorems, noise by sampling, the fast approximation."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroanp.errors import InputError, RunError
from neuroanp.substrates.wires import WireNetwork, relative_loss
from neuroanp.substrates.wires_fast import (
    effective_conductance_fast,
    line_factors,
    plain_solve,
    solve_fast,
    solve_tiles,
    wire_error,
)
from tests.close import close

DATA = Path(__file__).parents[1] / "data"
ARRAYS = ("wires_pcm_64x64_2.5ohm.npz", "wires_rram_64x64_1ohm.npz")
RESISTANCES = [(3.0, 7.0), (0.0, 7.0), (3.0, 0.0), (0.0, 0.0)]
DOUBLE = torch.float64


def reference(name: str) -> tuple[np.ndarray, np.ndarray, float, np.lib.npyio.NpzFile]:
    """Return G with bit lines as rows, V, ohm a segment, and the file."""
    file = np.load(DATA / name)
    return file["G"].T.copy(), file["V"], float(file["rw"]), file


def tile(n: int, m: int, seed: int = 0, top: float = 1e-3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return top * rng.random((n, m)) * (rng.random((n, m)) < 0.8)


def dense_drops(G: np.ndarray, r_word: float, r_bit: float, V: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Solve networks G (..., n, m) written down resistor by resistor; return word and bit potentials (..., n, m)."""
    n, m = G.shape[-2:]
    A, rhs = np.zeros((*G.shape[:-2], 2 * n * m, 2 * n * m)), np.zeros(2 * n * m)

    def resistor(a: int, b: int | None, siemens) -> None:
        A[..., a, a] += siemens
        if b is not None:
            A[..., b, b] += siemens
            A[..., a, b] -= siemens
            A[..., b, a] -= siemens

    def word(i: int, j: int) -> int:
        return i * m + j

    def bit(i: int, j: int) -> int:
        return n * m + i * m + j

    for i in range(n):
        for j in range(m):
            resistor(word(i, j), bit(i, j), G[..., i, j])
            resistor(word(i, j), word(i - 1, j) if i else None, 1 / r_word)
            resistor(bit(i, j), bit(i, j + 1) if j < m - 1 else None, 1 / r_bit)
            rhs[word(i, j)] += V[j] / r_word if i == 0 else 0.0
    x = np.linalg.solve(A, np.broadcast_to(rhs[:, None], (*A.shape[:-1], 1)))[..., 0]
    return x[..., : n * m].reshape(G.shape), x[..., n * m :].reshape(G.shape)


# ---- numbers of other tools ----


@pytest.mark.parametrize("name", ARRAYS)
def test_currents_of_badcrossbar_and_ngspice(name):
    G, V, r, file = reference(name)
    net = WireNetwork(G, r, r)
    np.testing.assert_allclose(net.currents(V), file["I_badcrossbar"].T, rtol=1e-9)
    np.testing.assert_allclose(net.currents(V)[:, 0], file["I_ngspice_col0"], rtol=1e-9)
    np.testing.assert_allclose(net.transfer() @ V, file["I_badcrossbar"].T, rtol=1e-9)


def test_uniform_array_of_badcrossbar_and_ngspice():
    table = np.loadtxt(DATA / "wires_8x8_uniform_10k_10ohm_0p1V.csv", delimiter=",", skiprows=2)
    currents = WireNetwork(np.full((8, 8), 1e-4), 10.0, 10.0).currents(np.full((8, 1), 0.1))
    np.testing.assert_allclose(currents, table[:, 1:2], rtol=1e-9)
    np.testing.assert_allclose(currents, table[:, 2:3], rtol=1e-9)


# ---- closed forms ----


@pytest.mark.parametrize(("r_word", "r_bit"), RESISTANCES)
def test_one_device_is_a_series_of_three(r_word, r_bit):
    G = 0.04
    net = WireNetwork([[G]], r_word, r_bit)
    assert net.transfer()[0, 0] == close(1 / (1 / G + r_word + r_bit), rel=1e-12)
    share = 1 / (1 + G * (r_word + r_bit))
    assert net.device_voltages([[0.2]])[0, 0, 0] == close(0.2 * share, rel=1e-12)
    assert net.sensitivities()[0, 0, 0] == close(share, rel=1e-12)
    assert net.diagonal_gain()[0, 0] == close(share**2, rel=1e-12)  # d(1/(1/G + R))/dG


def test_ladder_of_one_word_line():
    """w_i = cosh((n - 1/2 - i) a) / cosh((n + 1/2) a), 2 cosh a = 2 + r G."""
    n, G, r = 12, 2e-3, 30.0
    a = math.acosh(1 + r * G / 2)
    w = np.cosh((n - 0.5 - np.arange(n)) * a) / math.cosh((n + 0.5) * a)
    column = np.full((n, 1), G)
    np.testing.assert_allclose(WireNetwork(column, r, 0.0).transfer()[:, 0], G * w, rtol=1e-12)
    factor, _ = line_factors(torch.from_numpy(column), r, 5.0)
    np.testing.assert_allclose(factor[:, 0], w, rtol=1e-12)


def test_ladder_of_one_bit_line():
    """One segment is in series with each device; lambda_j = cosh((j + 1/2) a) / cosh((m + 1/2) a)."""
    m, G, r_word, r_bit = 9, 2e-3, 70.0, 30.0
    series = 1 / (1 / G + r_word)
    a = math.acosh(1 + r_bit * series / 2)
    expected = series * np.cosh((np.arange(m) + 0.5) * a) / math.cosh((m + 0.5) * a)
    np.testing.assert_allclose(WireNetwork(np.full((1, m), G), r_word, r_bit).transfer()[0], expected, rtol=1e-12)


def test_wires_of_no_resistance_are_a_product_and_the_limit_is_first_order():
    G, V = tile(6, 9), np.random.default_rng(1).standard_normal((9, 3))
    net = WireNetwork(G, 0.0, 0.0)
    np.testing.assert_array_equal(net.transfer(), G)
    np.testing.assert_allclose(net.currents(V), G @ V, rtol=1e-12)
    np.testing.assert_array_equal(net.diagonal_gain(), np.ones_like(G))
    loss = [np.abs(WireNetwork(G, r, r).transfer() - G).max() for r in (1e-3, 1e-5)]
    assert loss[0] / loss[1] == close(100, rel=1e-3)
    for r_word, r_bit in RESISTANCES[1:3]:
        near = WireNetwork(G, r_word or 1e-9, r_bit or 1e-9).transfer()
        np.testing.assert_allclose(WireNetwork(G, r_word, r_bit).transfer(), near, rtol=1e-7, atol=1e-14)


# ---- theorems of networks ----


@pytest.mark.parametrize(("n", "m"), [(5, 8), (8, 5), (1, 6), (6, 1)])
def test_every_resistor_written_down_one_by_one(n, m):
    G, V = tile(n, m), np.linspace(-1, 2, m)
    w, b = dense_drops(G, 30.0, 70.0, V)
    net = WireNetwork(G, 30.0, 70.0)
    found = net.potentials(V[:, None])
    np.testing.assert_allclose(found[0][0], w, rtol=1e-11, atol=1e-14)
    np.testing.assert_allclose(found[1][0], b, rtol=1e-11, atol=1e-14)
    np.testing.assert_allclose(net.currents(V[:, None])[:, 0], (G * (w - b)).sum(1), rtol=1e-11, atol=1e-18)


@pytest.mark.parametrize(("r_word", "r_bit"), RESISTANCES)
@pytest.mark.parametrize(("n", "m"), [(5, 8), (8, 5)])
def test_reciprocity_forward_and_adjoint_solves_agree(n, m, r_word, r_bit):
    net = WireNetwork(tile(n, m), 10 * r_word, 10 * r_bit)
    forward = net.currents(np.eye(m))
    np.testing.assert_allclose(net._into_words(np.arange(n)), forward, rtol=1e-11, atol=1e-18)
    np.testing.assert_allclose(net.transfer(), forward, rtol=1e-11, atol=1e-18)
    by_devices = np.einsum("inm,nm->im", net.sensitivities(), net.G)  # lambda: volts of the adjoint network
    np.testing.assert_allclose(by_devices.sum(1), forward.sum(1), rtol=1e-11)


def test_power_in_is_power_dissipated():
    G, V, r_word, r_bit = tile(7, 5), np.linspace(-0.3, 0.5, 5), 30.0, 70.0
    w, b = (x[0] for x in WireNetwork(G, r_word, r_bit).potentials(V[:, None]))
    along_words = np.diff(np.concatenate([V[None], w]), axis=0)
    along_bits = np.diff(np.concatenate([b, np.zeros((7, 1))], axis=1), axis=1)
    dissipated = (G * (w - b) ** 2).sum() + (along_words**2).sum() / r_word + (along_bits**2).sum() / r_bit
    assert dissipated == close(float(V @ (V - w[0]) / r_word), rel=1e-11)


# ---- noise ----


def test_sensitivities_are_derivatives():
    G, V, r_word, r_bit = tile(4, 5) + 1e-5, np.linspace(-0.2, 0.5, 5)[:, None], 30.0, 70.0
    net = WireNetwork(G, r_word, r_bit)
    lam_v = net.sensitivities() * net.device_voltages(V)
    alone = np.stack([net.device_voltages(np.eye(5)[:, [j]])[0] for j in range(5)])
    for k in range(4):
        for j in range(5):
            step = np.zeros_like(G)
            step[k, j] = 1e-4 * G[k, j]
            up, down = WireNetwork(G + step, r_word, r_bit), WireNetwork(G - step, r_word, r_bit)
            slope = (up.currents(V) - down.currents(V))[:, 0] / (2 * step[k, j])
            np.testing.assert_allclose(slope, lam_v[:, k, j], rtol=1e-6, atol=1e-10)
            own = (up.transfer() - down.transfer())[k, j] / (2 * step[k, j])
            assert net.diagonal_gain()[k, j] == close(own, rel=1e-6)
            assert net.diagonal_gain()[k, j] == close(net.sensitivities([k])[0, k, j] * alone[j, k, j])


def test_noise_variance_is_that_of_sampled_networks():
    n, m, samples = 5, 4, 6000
    rng = np.random.default_rng(3)
    G, V = tile(n, m) + 1e-4, np.array([0.3, -0.2, 0.1, 0.4])
    sigma = G * rng.uniform(0.002, 0.01, G.shape)
    net = WireNetwork(G, 40.0, 60.0)
    _, b = dense_drops(G + sigma * rng.standard_normal((samples, n, m)), 40.0, 60.0, V)
    currents = b[..., -1] / 60.0
    expected = net.noise_variance(V[:, None], sigma)[:, 0]
    z = (currents.var(0, ddof=1) / expected - 1) * math.sqrt(samples / 2)
    assert np.abs(z).max() < 4.0  # five normals: P < 4e-4
    uncoupled = ((net.diagonal_gain() * sigma) ** 2) @ V**2
    assert np.abs(uncoupled / expected - 1).max() > 0.01  # so the test tells the full sum from its diagonal


def test_noise_without_wires_is_that_of_the_products():
    G, sigma, V = tile(5, 4), 1e-6 * (1 + np.arange(20.0).reshape(5, 4)), np.linspace(-1, 1, 12).reshape(4, 3)
    np.testing.assert_allclose(WireNetwork(G, 0.0, 0.0).noise_variance(V, sigma), sigma**2 @ V**2, rtol=1e-12)


def test_more_columns_than_are_solved_at_once():
    n, m = 70, 66
    G, V = tile(n, m, top=1e-4), np.random.default_rng(1).standard_normal((m, 130))
    net = WireNetwork(G, 2.0, 1.0)
    np.testing.assert_allclose(net.currents(V), net.transfer() @ V, rtol=1e-9, atol=1e-16)
    gain, variance = net.diagonal_gain(), net.noise_variance(V[:, [0, 129]], 1e-6)
    for i, j in ((0, 0), (69, 65), (65, 64)):
        v = net.device_voltages(np.eye(m)[:, [j]])[0, i, j]
        assert gain[i, j] == close(net.sensitivities([i])[0, i, j] * v, rel=1e-10)
    lam = net.sensitivities([69])[0]
    expected = ((lam * net.device_voltages(V[:, [129]])[0]) ** 2).sum() * 1e-12
    assert variance[69, 1] == close(expected, rel=1e-10)


# ---- bad input, singular networks ----


@pytest.mark.parametrize("G", [[[1e-6, -1e-6]], [[math.nan]], [[math.inf]], [1e-6], np.zeros((0, 3))])
def test_impossible_conductances(G):
    with pytest.raises(InputError, match=r"conductances >= 0 siemens"):
        WireNetwork(G, 1.0, 1.0)


@pytest.mark.parametrize("r", [-1.0, math.nan, math.inf])
def test_impossible_resistances(r):
    with pytest.raises(InputError, match="r_word must be finite"):
        WireNetwork([[1e-6]], r, 1.0)
    with pytest.raises(InputError, match="r_bit must be finite"):
        effective_conductance_fast(torch.ones(1, 1), 1.0, r)


def test_impossible_inputs():
    net = WireNetwork(tile(2, 3), 1.0, 1.0)
    for V in (np.ones(3), np.ones((2, 1)), np.full((3, 1), math.nan)):
        with pytest.raises(InputError, match=r"inputs must be \(3, k\)"):
            net.currents(V)
    with pytest.raises(InputError, match="modes"):
        effective_conductance_fast(torch.ones(1, 1), 1.0, 1.0, modes=-1)
    with pytest.raises(InputError, match="siemens"):
        effective_conductance_fast(-torch.ones(1, 1), 1.0, 1.0)


@pytest.mark.parametrize("r", [1e16, 1e25, 1e308])
def test_singular_network_names_the_line(r):
    G = np.zeros((8, 8))
    G[5, 3] = G[6, 3] = 1e-3  # the one word line, and the two bit lines, that anything is wrong with
    with pytest.raises(RunError, match=r"singular on word line 3, bit line [56].*check their units"):
        WireNetwork(G, r, r)


def test_fast_result_out_of_range():
    with pytest.raises(RunError, match="solve exactly"):
        effective_conductance_fast(torch.full((4, 4), 1e20), 1e30, 1e30)


# ---- the fast approximation ----


@pytest.mark.parametrize(("name", "limit"), [(ARRAYS[0], 1e-4), (ARRAYS[1], 5e-4)])
def test_fast_currents_on_the_reference_arrays(name, limit):
    G, V, r, file = reference(name)
    exact = file["I_badcrossbar"].T
    for dtype in (torch.float32, DOUBLE):
        fast = effective_conductance_fast(torch.from_numpy(G).to(dtype), r, r)
        assert fast.dtype == dtype
        off = np.abs(fast.double().numpy() @ V - exact)
        assert off.max() / exact.max() < limit
    error = wire_error(torch.from_numpy(G), r, r, torch.from_numpy(V))
    assert error.max == close(off.max() / exact.max(), rel=1e-6)
    assert error.rms <= error.max
    ladders_alone = wire_error(torch.from_numpy(G), r, r, torch.from_numpy(V), modes=0)
    assert ladders_alone.max > 10 * error.max


@pytest.mark.parametrize(("n", "m", "r_word", "r_bit"), [(5, 7, 30.0, 200.0), (7, 5, 1e5, 1e3), (1, 6, 50.0, 50.0)])
def test_fast_is_exact_with_all_waves(n, m, r_word, r_bit):
    assert wire_error(torch.from_numpy(tile(n, m)), r_word, r_bit, modes=8).max < 1e-9


@pytest.mark.parametrize(("r_word", "r_bit"), RESISTANCES[1:])
def test_fast_is_exact_where_one_kind_of_line_is_ideal(r_word, r_bit):
    assert wire_error(torch.from_numpy(tile(20, 30)), 10 * r_word, 10 * r_bit).max < 1e-12


def test_fast_error_falls_with_the_square_of_resistance_without_waves_and_stays_small_when_lines_are_open():
    G = tile(32, 32, top=2e-5)
    G[:, ::2] = 0.0
    G[5:9] = 0.0
    whole = torch.from_numpy(G)
    coarse = [wire_error(whole, r, r, modes=0).max for r in (0.1, 1.0)]
    assert coarse[1] / coarse[0] == close(100, rel=0.1)
    assert wire_error(whole, 10.0, 10.0).max < 5e-4
    assert (effective_conductance_fast(whole, 10.0, 10.0)[5:9] == 0).all()


def test_fast_batches_planes_and_tiles():
    G = torch.from_numpy(np.stack([[tile(6, 9, 3 * p + t) for t in range(3)] for p in range(2)]))
    batch = solve_fast(G, 20.0, 40.0)
    assert batch.G_eff.shape == batch.gain.shape == G.shape
    for p in range(2):
        for t in range(3):
            one = solve_fast(G[p, t], 20.0, 40.0)
            torch.testing.assert_close(batch.G_eff[p, t], one.G_eff, rtol=1e-12, atol=0)
            torch.testing.assert_close(batch.gain[p, t], one.gain, rtol=1e-12, atol=0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_fast_stays_on_the_device_of_its_input():
    G = torch.from_numpy(tile(20, 30))
    there = solve_fast(G.cuda(), 20.0, 40.0)
    assert there.G_eff.is_cuda
    assert there.gain.is_cuda
    torch.testing.assert_close(there.G_eff.cpu(), solve_fast(G, 20.0, 40.0).G_eff, rtol=1e-9, atol=1e-18)


def test_fast_gain_of_noise_is_the_exact_one_to_first_order():
    G = tile(12, 10, top=1e-4)
    off = []
    for r in (0.1, 1.0):
        exact = WireNetwork(G, r, r).diagonal_gain()
        off.append(np.abs(solve_fast(torch.from_numpy(G), r, r).gain.numpy() - exact).max())
    assert off[1] < 1e-4
    assert off[1] / off[0] == close(100, rel=0.1)  # what is missing is of second order


def test_relative_loss():
    G = tile(6, 6)
    loss = relative_loss(G, WireNetwork(G, 20.0, 20.0).transfer())
    assert (np.isnan(loss) == (G == 0)).all()
    near, far = loss[:3, 3:], loss[3:, :3]  # towards the drivers and the grounds, and away from both
    assert np.nanmean(far) > np.nanmean(near) > 0


# ---- whatever comes ----

sizes = st.integers(1, 7)
ohms = st.one_of(st.just(0.0), st.floats(1e-6, 1e5))


@settings(max_examples=60, deadline=None)
@given(
    n=sizes, m=sizes, r_word=ohms, r_bit=ohms, top=st.floats(1e-12, 1e-2), open_=st.floats(0, 1), seed=st.integers(0)
)
def test_any_tile_has_finite_currents_that_sum_below_the_ideal_ones(n, m, r_word, r_bit, top, open_, seed):
    rng = np.random.default_rng(seed)
    G = top * rng.random((n, m)) ** 4 * (rng.random((n, m)) >= open_)
    net = WireNetwork(G, r_word, r_bit)
    exact = net.transfer()
    assert np.isfinite(exact).all()
    assert (exact >= -1e-9 * top).all()
    assert exact.sum() <= G.sum() * (1 + 1e-9)
    assert (np.abs(net.diagonal_gain()) <= 1 + 1e-9).all()  # a bridge may turn a device's voltage round
    assert (net.noise_variance(np.ones((m, 1)), 0.1 * G) >= 0).all()
    for dtype in (torch.float32, DOUBLE):
        fast = solve_fast(torch.from_numpy(G).to(dtype), r_word, r_bit)
        assert torch.isfinite(fast.G_eff).all()
        assert torch.isfinite(fast.gain).all()


# ---- compiled ----


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("modes", [0, 1, 4])
@pytest.mark.parametrize(("n", "m"), [(64, 64), (5, 7), (9, 2), (1, 6), (6, 1)])
def test_compiled_solves_are_the_plain_ones(n, m, modes, dtype):
    G = torch.from_numpy(np.stack([1e-3 * tile(n, m, seed) for seed in range(3)])).to(dtype)
    G[1, 0] = 0.0  # an open line
    eps = torch.finfo(dtype).eps
    for r_word, r_bit in ((2.5, 1.0), (0.0, 50.0), (200.0, 0.0), (0.0, 0.0)):
        found, expected = solve_fast(G, r_word, r_bit, modes), plain_solve(G, r_word, r_bit, modes)
        for a, b in zip(found, expected, strict=True):
            assert float((a - b).abs().max()) <= 20 * eps * float(b.abs().max())


def test_tiles_are_solved_in_their_places():
    G = torch.from_numpy(np.stack([1e-3 * tile(11, 13, seed) for seed in range(2)]))
    heights, widths = (4, 4, 3), (5, 5, 3)
    found = solve_tiles(G, 20.0, 40.0, heights, widths)
    for which, whole in enumerate(found):
        for rows, into in zip(G.split(heights, 1), whole.split(heights, 1), strict=True):
            for part, seen in zip(rows.split(widths, 2), into.split(widths, 2), strict=True):
                torch.testing.assert_close(seen, solve_fast(part, 20.0, 40.0)[which], rtol=1e-12, atol=0)
