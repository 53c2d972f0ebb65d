"""Networks of nonlinear devices and floating lines: ngspice, the linear solve, closed forms, theorems, derivatives."""

from __future__ import annotations

import math
import re
import shutil
import subprocess

import numpy as np
import pytest
from scipy.optimize import brentq

from neuroanp.errors import InputError
from neuroanp.substrates.wires import WireNetwork
from neuroanp.substrates.wires_nonlinear import NonlinearNetwork, read_one
from tests.close import close

LINES = [(3.0, 7.0), (0.0, 7.0), (3.0, 0.0), (0.0, 0.0)]
spice = pytest.mark.skipif(shutil.which("ngspice") is None, reason="ngspice is not installed")


def tile(n: int, m: int, seed: int = 0, top: float = 1e-4) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return top * rng.random((n, m)) * (rng.random((n, m)) < 0.9)


def by_spice(folder, G, r_word, r_bit, v_0, V, driven=None, sensed=None) -> np.ndarray:
    """Currents of the sensed bit lines by ngspice: a source of current for each device, ammeters at the bit lines."""
    (n, m), G, V = G.shape, G.tolist(), V.tolist()
    driven, sensed = (range(k) if some is None else some for some, k in ((driven, m), (sensed, n)))
    text = ["* tile", *(f"V{j} in{j} 0 {V[j]!r}" for j in driven), *(f"Va{i} out{i} 0 0" for i in sensed)]
    for i in range(n):
        for j in range(m):
            if G[i][j]:
                law = f"{G[i][j] * v_0!r}*sinh(V(w{i}_{j},b{i}_{j})/{v_0!r})"
                text.append(f"B{i}_{j} w{i}_{j} b{i}_{j} I={law}")
            if i or j in driven:
                text.append(f"Rw{i}_{j} {f'w{i - 1}_{j}' if i else f'in{j}'} w{i}_{j} {r_word!r}")
            if j < m - 1 or i in sensed:
                text.append(f"Rb{i}_{j} b{i}_{j} {f'b{i}_{j + 1}' if j < m - 1 else f'out{i}'} {r_bit!r}")
    text += [".options reltol=1e-10 abstol=1e-20 vntol=1e-14 gmin=1e-22 itl1=1000", ".control", "set numdgt=15", "op"]
    text += [f"print i(va{i})" for i in sensed] + ["quit", ".endc", ".end"]
    (folder / "tile.cir").write_text("\n".join(text) + "\n", encoding="ascii")
    done = subprocess.run(
        ["ngspice", "-b", "tile.cir"], cwd=folder, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    found = dict(re.findall(r"i\(va(\d+)\) = (\S+)", done.stdout))
    assert len(found) == len(list(sensed)), done.stdout + done.stderr
    return np.array([float(found[str(i)]) for i in sensed])


@spice
@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_a_tile_of_16_x_16_is_that_of_ngspice(tmp_path, seed):
    """All lines driven and sensed: within 1e-6 of the largest current, and of each that is not lost in it."""
    G, v_0 = tile(16, 16, seed), 0.08
    V = np.random.default_rng(seed).uniform(-0.3, 0.3, 16)
    found = NonlinearNetwork(G, 2.5, 4.0, v_0).currents(V[:, None])[:, 0]
    spiced = by_spice(tmp_path, G, 2.5, 4.0, v_0, V)
    np.testing.assert_allclose(found, spiced, rtol=1e-6, atol=1e-8 * np.abs(spiced).max())
    # the agreement means something: ohmic devices are another circuit, as are ideal lines
    assert np.abs(WireNetwork(G, 2.5, 4.0).currents(V[:, None])[:, 0] / spiced - 1).max() > 0.1
    assert np.abs(NonlinearNetwork(G, 0.0, 0.0, v_0).currents(V[:, None])[:, 0] / spiced - 1).max() > 1e-3


@spice
@pytest.mark.slow
@pytest.mark.parametrize("v_0", [0.05, 1.0])
def test_sneak_paths_of_16_x_16_are_those_of_ngspice(tmp_path, v_0):
    """One device of high resistance read among others, all other lines floating."""
    G = tile(16, 16, 3) + 1e-5
    G[5, 9] = 1e-6
    V = np.zeros(16)
    V[9] = 0.3
    spiced = by_spice(tmp_path, G, 2.5, 2.5, v_0, V, driven=[9], sensed=[5])[0]
    found = read_one(G, 5, 9, 0.3, unselected="floating", r_word=2.5, r_bit=2.5, v_0=v_0)
    assert found == close(spiced, rel=1e-6)
    alone = read_one(G, 5, 9, 0.3, unselected="grounded", r_word=2.5, r_bit=2.5, v_0=v_0)
    assert found > (1.5 if v_0 < 0.1 else 10) * alone  # a steep curve is a selector of its own: it chokes sneak paths


@pytest.mark.parametrize(("r_word", "r_bit"), LINES)
@pytest.mark.parametrize(("n", "m"), [(5, 8), (8, 5), (1, 1)])
def test_ohmic_devices_are_the_linear_network(n, m, r_word, r_bit):
    G, V = tile(n, m) + 1e-6, np.linspace(-1, 2, m)[:, None] * np.array([[1.0, -0.3]])
    linear = WireNetwork(G, 10 * r_word, 10 * r_bit)
    for v_0, rel in ((None, 1e-10), (1e4, 1e-7)):
        net = NonlinearNetwork(G, 10 * r_word, 10 * r_bit, v_0)
        np.testing.assert_allclose(net.currents(V), linear.currents(V), rtol=rel, atol=1e-16)
        np.testing.assert_allclose(net.potentials(V), linear.potentials(V), rtol=rel, atol=1e-9)


@pytest.mark.parametrize(("r_word", "r_bit"), LINES)
def test_one_device_behind_its_lines(r_word, r_bit):
    """V = I R + V_0 asinh(I / (G V_0)), solved for I by bisection; any drive, far into the exponential."""
    G, v_0, R = 1e-3, 0.03, 100 * (r_word + r_bit)
    for volts in (1e-4, 0.05, -0.6, 3.0):
        current = G * v_0 * math.sinh(volts / v_0)
        if R:
            most = max(abs(volts) / R, 1e-9)
            current = brentq(lambda i, V=volts: V - i * R - v_0 * math.asinh(i / (G * v_0)), -most, most, xtol=1e-30)
        net = NonlinearNetwork([[G]], 100 * r_word, 100 * r_bit, v_0)
        assert net.currents([[volts]])[0, 0] == close(current, rel=1e-9)


@pytest.mark.parametrize(("n", "m"), [(2, 2), (4, 7), (16, 16)])
def test_uniform_sneak_paths(n, m):
    """Ideal floating lines, equal devices: three groups in series beside the one that is read."""
    G, V, v_0 = 2e-6, 0.4, 0.07
    linear = G * V * (1 + (n - 1) * (m - 1) / (n + m - 1))
    assert read_one(np.full((n, m), G), 0, 0, V, unselected="floating") == close(linear, rel=1e-10)
    groups = (n - 1, (n - 1) * (m - 1), m - 1)

    def over(i: float) -> float:
        return sum(v_0 * math.asinh(i / (k * G * v_0)) for k in groups) - V

    sneak = brentq(over, 0, 1e3 * linear, xtol=1e-30)
    found = read_one(np.full((n, m), G), 0, 0, V, unselected="floating", v_0=v_0)
    assert found == close(G * v_0 * math.sinh(V / v_0) + float(sneak), rel=1e-9)
    held = read_one(np.full((n, m), G), 0, 0, V, unselected="grounded", v_0=v_0)
    assert held == close(G * v_0 * math.sinh(V / v_0), rel=1e-12)


def test_currents_into_every_line_add_up():
    """Kirchhoff: what floats carries nothing away, and what drivers give the sense amplifiers take."""
    G = tile(6, 7, 4) + 1e-6
    V = np.random.default_rng(0).uniform(-0.4, 0.4, (7, 1))
    net = NonlinearNetwork(G, 20.0, 30.0, 0.06, driven=[0, 2, 3], sensed=[1, 4])
    devices = net.device_currents(V)[0]
    most = np.abs(devices).max()
    assert np.abs(devices.sum(0)[[1, 4, 5, 6]]).max() < 1e-9 * most
    assert np.abs(devices.sum(1)[[0, 2, 3, 5]]).max() < 1e-9 * most
    assert devices.sum() == close(float(net.currents(V).sum()), rel=1e-9, abs=1e-12 * most)


@pytest.mark.parametrize(("r_word", "r_bit"), LINES)
@pytest.mark.parametrize("v_0", [0.08, None])
def test_noise_is_that_of_derivatives(r_word, r_bit, v_0):
    """Var I_i = sum (dI_i/dG sigma)^2 with derivatives by differences; of ohmic devices also the linear network's."""
    G, V = tile(4, 5) + 1e-5, np.linspace(-0.2, 0.3, 5)[:, None]
    rng = np.random.default_rng(1)
    sigma = 1e-6 * rng.random(G.shape)
    net, wanted = NonlinearNetwork(G, 30 * r_word, 30 * r_bit, v_0), np.zeros(4)
    for k, j in np.ndindex(*G.shape):
        step = np.zeros_like(G)
        step[k, j] = 1e-3 * G[k, j]
        up, down = (NonlinearNetwork(G + s * step, 30 * r_word, 30 * r_bit, v_0).currents(V)[:, 0] for s in (1, -1))
        wanted += ((up - down) / (2 * step[k, j]) * sigma[k, j]) ** 2
    np.testing.assert_allclose(net.noise_variance(V, sigma)[:, 0], wanted, rtol=1e-5)
    if v_0 is None:
        linear = WireNetwork(G, 30 * r_word, 30 * r_bit).noise_variance(V, sigma)
        np.testing.assert_allclose(net.noise_variance(V, sigma), linear, rtol=1e-9)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"G": [[-1e-6]]}, "conductances >= 0"),
        ({"v_0": 0.0}, "v_0 must be finite and above 0 V"),
        ({"r_bit": -1.0}, "r_bit must be finite"),
        ({"driven": [3]}, "driven lines: 3 is none of 0 to 1"),
        ({"sensed": []}, "sensed lines: none is left"),
        ({"G": [[1e-6, 0.0], [0.0, 0.0]], "driven": [0], "sensed": [0]}, "word line 1 floats"),
    ],
)
def test_what_is_no_network_is_refused(change, said):
    given = {"G": [[1e-6, 1e-6], [1e-6, 1e-6]], "r_word": 1.0, "r_bit": 1.0, "v_0": 0.1} | change
    with pytest.raises(InputError, match=said):
        NonlinearNetwork(**given)


def test_a_drive_beyond_all_numbers_is_refused():
    with pytest.raises(InputError, match="beyond 500 v_0"):
        NonlinearNetwork([[1e-6]], 0.0, 0.0, 1e-4).currents([[1.0]])
    with pytest.raises(InputError, match=r"must be \(1, k\) finite volts"):
        NonlinearNetwork([[1e-6]], 0.0, 0.0, 0.1).currents([[math.nan]])
    with pytest.raises(InputError, match="grounded or floating, not 'open'"):
        read_one([[1e-6]], 0, 0, 0.1, unselected="open")  # pyright: ignore[reportArgumentType]
