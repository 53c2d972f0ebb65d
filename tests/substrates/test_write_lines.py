"""Write pulses through lines with resistance: closed forms, dense networks, ngspice, limits, symmetries, energy."""

from __future__ import annotations

import math
import re
import shutil
import subprocess
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.optimize import brentq

from neuroanp.devices.arriving import steps
from neuroanp.errors import RunError
from neuroanp.profiles.sections import EnergyFigures
from neuroanp.substrates.tiling import Tiling
from neuroanp.substrates.write_energy import write_energy
from neuroanp.substrates.write_lines import WriteLines, currents, pulse_through
from tests.close import close

DOUBLE = torch.float64
SCHEMES = [None, 0.5, 1 / 3, 0.4]
LINES = [(30.0, 70.0), (0.0, 70.0), (30.0, 0.0), (0.0, 0.0)]
spice = pytest.mark.skipif(shutil.which("ngspice") is None, reason="ngspice is not installed")


def tile(planes: int, n: int, m: int, seed: int = 0, top: float = 1e-4) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    return torch.from_numpy(top * rng.random((planes, n, m)) * (rng.random((planes, n, m)) < 0.9) + 1e-6)


def whole(g: torch.Tensor) -> Tiling:
    return Tiling((g.shape[1],), (g.shape[2],))


def terminals(n: int, m: int, i: int, j: int, s: float, selected: bool) -> tuple[np.ndarray, np.ndarray]:
    """Voltages of word and bit lines, V = 1: (m,), (n,)."""
    words, bits = np.full(m, s), np.full(n, 1.0 - s)
    words[j] = 1.0
    if selected:
        bits[i] = 0.0
    return words, bits


def dense(G: np.ndarray, r_word: float, r_bit: float, words: np.ndarray, bits: np.ndarray) -> tuple[np.ndarray, float]:
    """Voltages over the devices and what all resistors burn, by a dense nodal matrix; lines must have resistance."""
    n, m = G.shape
    w, b = (lambda i, j: i * m + j), (lambda i, j: n * m + i * m + j)
    branches = [(w(i, j), b(i, j), G[i, j]) for i in range(n) for j in range(m)]
    branches += [(w(i, j), w(i + 1, j), 1 / r_word) for i in range(n - 1) for j in range(m)]
    branches += [(b(i, j), b(i, j + 1), 1 / r_bit) for i in range(n) for j in range(m - 1)]
    A, source = np.zeros((2 * n * m, 2 * n * m)), np.zeros(2 * n * m)
    for p, q, g in branches:
        A[p, p], A[q, q], A[p, q], A[q, p] = A[p, p] + g, A[q, q] + g, A[p, q] - g, A[q, p] - g
    ends = [(w(0, j), words[j], 1 / r_word) for j in range(m)] + [(b(i, m - 1), bits[i], 1 / r_bit) for i in range(n)]
    for p, volts, g in ends:
        A[p, p] += g
        source[p] += g * volts
    u = np.linalg.solve(A, source)
    burnt = sum(g * (u[p] - u[q]) ** 2 for p, q, g in branches) + sum(g * (volts - u[p]) ** 2 for p, volts, g in ends)
    return (u[: n * m] - u[n * m :]).reshape(n, m), burnt


@pytest.mark.parametrize("solver", ["exact", "fast"])
@pytest.mark.parametrize(("r_word", "r_bit"), LINES)
@pytest.mark.parametrize("s", [None, 0.5])
def test_one_device_behind_its_lines(solver, r_word, r_bit, s):
    """v = V / (1 + G (r_word + r_bit)), and all that is burnt is V v G."""
    g = torch.full((1, 1, 1), 1e-3, dtype=DOUBLE)
    share, power = pulse_through(g, WriteLines(r_word, r_bit, s, solver), whole(g))
    assert share.item() == close(1 / (1 + 1e-3 * (r_word + r_bit)), rel=1e-12)
    assert power.item() == close(1e-3 * share.item(), rel=1e-12)


@pytest.mark.parametrize("s", [1 / 3, 0.4])
def test_one_device_has_no_others_to_be_half_selected(s):
    g = torch.full((1, 1, 1), 1e-3, dtype=DOUBLE)
    share, power = pulse_through(g, WriteLines(200.0, 300.0, s), whole(g))
    assert [share.item(), power.item()] == close([2 / 3, 2e-3 / 3], rel=1e-12)


@pytest.mark.parametrize("v_0", [None, 0.2])
def test_devices_that_are_cut_off_from_others(v_0):
    """v + R G V_0 sinh(v / V_0) = V: R counts the segments to both terminals within the tile."""
    g = tile(2, 5, 6) * 10
    cut = Tiling((3, 2), (4, 2))
    share, power = pulse_through(g, WriteLines(30.0, 70.0, v_0=v_0), cut)
    for plane, i, j in np.ndindex(*g.shape):
        up, down = (i if i < 3 else i - 3) + 1, (4 if j < 4 else 6) - j
        G, R = float(g[plane, i, j]), 30.0 * up + 70.0 * down

        def over(v: float, G: float = G, R: float = R) -> float:
            return v + R * G * (v if v_0 is None else v_0 * math.sinh(v / v_0)) - 1.0

        v = float(brentq(over, 0.0, 1.0, xtol=1e-15))  # pyright: ignore[reportArgumentType]
        current = G * (v if v_0 is None else v_0 * math.sinh(v / v_0))
        assert share[plane, i, j].item() == close(v, rel=1e-11)
        assert power[plane, i, j].item() == close(current, rel=1e-11)
        assert currents(share[plane, i, j], v_0).item() == close(
            v if v_0 is None else math.sinh(v / v_0) / math.sinh(1 / v_0), rel=1e-10
        )


def test_steep_currents_and_open_devices_are_solved_too():
    g = torch.tensor([[[0.0, 1e-3]]], dtype=DOUBLE)
    share, power = pulse_through(g, WriteLines(1e3, 1e3, v_0=1 / 40), whole(g))
    assert share[0, 0, 0] == 1.0
    assert power[0, 0, 0] == 0.0
    i = power[0, 0, 1].item()
    assert share[0, 0, 1].item() + 2e3 * i == close(1.0, rel=1e-9)
    assert i == close(1e-3 / 40 * math.sinh(40 * share[0, 0, 1].item()), rel=1e-9)


@pytest.mark.parametrize("s", [0.5, 1 / 3, 0.4])
@pytest.mark.parametrize(("planes", "n", "m"), [(2, 3, 5), (1, 5, 3), (2, 1, 4), (1, 4, 1)])
def test_drivers_deliver_what_devices_and_segments_burn(s, planes, n, m):
    """Every device of a tile in turn, against a dense nodal matrix; the other plane has the word line in common."""
    g = tile(planes, n, m) * 10
    share, power = pulse_through(g, WriteLines(30.0, 70.0, s), whole(g))
    for plane, i, j in np.ndindex(*g.shape):
        burnt = 0.0
        for other in range(planes):
            v, heat = dense(g[other].numpy(), 30.0, 70.0, *terminals(n, m, i, j, s, other == plane))
            burnt += heat
            if other == plane:
                assert share[plane, i, j].item() == close(v[i, j], rel=1e-9)
        assert power[plane, i, j].item() == close(burnt, rel=1e-9)


def by_spice(folder, g, r_word, r_bit, s, places) -> list[tuple[float, float]]:
    """Voltage over devices and power of all sources by ngspice, one operating point a device, V = 1."""
    g = g.numpy()
    planes, n, m = g.shape
    text = ["* tile", *(f"Vw{j} in{j} 0 {s!r}" for j in range(m))]
    for p in range(planes):
        for i in range(n):
            text.append(f"Vb{p}_{i} out{p}_{i} 0 {1 - s!r}")
            for j in range(m):
                text.append(f"Rg{p}_{i}_{j} w{p}_{i}_{j} b{p}_{i}_{j} {1 / float(g[p, i, j])!r}")
                text.append(f"Rw{p}_{i}_{j} {f'w{p}_{i - 1}_{j}' if i else f'in{j}'} w{p}_{i}_{j} {r_word!r}")
                end = f"b{p}_{i}_{j + 1}" if j < m - 1 else f"out{p}_{i}"
                text.append(f"Rb{p}_{i}_{j} b{p}_{i}_{j} {end} {r_bit!r}")
    text += [".options reltol=1e-10 abstol=1e-20 vntol=1e-14 gmin=1e-22", ".control", "set numdgt=15"]
    sources = [(f"vw{j}", f"in{j}") for j in range(m)]
    sources += [(f"vb{p}_{i}", f"out{p}_{i}") for p in range(planes) for i in range(n)]
    for p, i, j in places:
        text += [f"alter vw{j} dc = 1", f"alter vb{p}_{i} dc = 0", "op", "let power = 0"]
        text += [f"let power = power - v({node}) * i({name})" for name, node in sources]
        text += [f"let drop = v(w{p}_{i}_{j}) - v(b{p}_{i}_{j})", "print drop", "print power"]
        text += [f"alter vw{j} dc = {s!r}", f"alter vb{p}_{i} dc = {1 - s!r}"]
    (folder / "tile.cir").write_text("\n".join([*text, "quit", ".endc", ".end"]) + "\n", encoding="ascii")
    done = subprocess.run(
        ["ngspice", "-b", "tile.cir"], cwd=folder, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    found = [[float(x) for x in re.findall(rf"^{name} = (\S+)", done.stdout, re.M)] for name in ("drop", "power")]
    assert [len(each) for each in found] == [len(places)] * 2, done.stdout[-2000:] + done.stderr
    return list(zip(*found, strict=True))


@spice
@pytest.mark.slow
@pytest.mark.parametrize("s", [0.5, 1 / 3])
def test_a_pair_of_planes_of_16_x_16_is_that_of_ngspice(tmp_path, s):
    """Voltage and power of devices all over a tile of pairs, to 1e-6; far devices get less than half."""
    g = 5 * tile(2, 16, 16)
    rng = np.random.default_rng(0)
    places = [(0, 0, 15), (1, 15, 0), (0, 15, 15), *((1, i, j) for i, j in rng.integers(0, 16, (9, 2)).tolist())]
    share, power = pulse_through(g, WriteLines(25.0, 40.0, s), whole(g))
    spiced = by_spice(tmp_path, g, 25.0, 40.0, s, places)
    for place, (v, burnt) in zip(places, spiced, strict=True):
        assert share[place].item() == close(v, rel=1e-6)
        assert power[place].item() == close(burnt, rel=1e-6)
    assert min(v for v, _ in spiced) < 0.5  # the agreement means something


@spice
@pytest.mark.slow
def test_a_device_that_is_cut_off_is_that_of_ngspice(tmp_path):
    g = torch.full((1, 1, 1), 2e-4, dtype=DOUBLE)
    ((v, burnt),) = by_spice(tmp_path, g, 300.0, 500.0, 0.5, [(0, 0, 0)])
    share, power = pulse_through(g, WriteLines(300.0, 500.0), whole(g))
    assert [share.item(), power.item()] == close([v, burnt], rel=1e-6)


# ---- limits and symmetries ----


@pytest.mark.parametrize(("solver", "s"), [("exact", s) for s in SCHEMES] + [("fast", None), ("fast", 0.5)])
def test_ideal_lines_are_the_plain_formula(solver, s):
    """At r = 0, and as r goes to 0 at its rate; V/3 adds the devices that share no line, at a third of V."""
    rng = np.random.default_rng(1)
    before, after = tile(2, 6, 5), tile(2, 6, 5, 1)
    pulses = torch.from_numpy(rng.integers(0, 4, (2, 6, 5)))
    cut = Tiling((4, 2), (3, 2))
    figures = EnergyFigures(write_voltage=2.0, write_time=1e-7, line_capacitance=5e-14, half_select=s)
    plain = write_energy(figures, pulses, before, after, cut)
    assert isinstance(plain, float)
    if s is not None:
        g = 0.5 * (before + after)
        for plane, i, j in np.ndindex(*g.shape):
            rows, columns = (range(4) if i < 4 else range(4, 6)), (range(3) if j < 3 else range(3, 5))
            near = [(p, k, at) for p in (0, 1) for k in rows for at in columns]
            rest = sum(float(g[p, k, at]) for p, k, at in near if at != j and (p, k) != (plane, i))
            plain += int(pulses[plane, i, j]) * 1e-7 * ((2 * s - 1) * 2.0) ** 2 * rest
    spent = [
        write_energy(figures, pulses, before, after, cut, None, WriteLines(r, r, s, solver)) for r in (0, 0.1, 0.2)
    ]
    assert spent[0] == close(plain, rel=1e-12)
    less = [1 - float(one) / plain for one in spent[1:]]  # pyright: ignore[reportArgumentType]
    assert 0 < less[0] < 1e-3
    assert less[1] / less[0] == close(2.0, rel=2e-3)


@pytest.mark.parametrize(("solver", "s"), [("exact", s) for s in SCHEMES] + [("fast", 0.5)])
def test_a_tile_looked_at_from_its_other_terminals(solver, s):
    """Word and bit lines change places, and with them their ends."""
    g = tile(1, 6, 4) * 3
    one = pulse_through(g, WriteLines(30.0, 70.0, s, solver), whole(g))
    turned = g.mT.flip(1, 2)
    other = pulse_through(turned, WriteLines(70.0, 30.0, s, solver), whole(turned))
    for here, there in zip(one, other, strict=True):
        # the waves of the fast solution weigh the lines of both sides alike, to rounding
        torch.testing.assert_close(there.flip(1, 2).mT, here, rtol=1e-9, atol=0)


@pytest.mark.parametrize("s", SCHEMES)
def test_tiles_and_planes_are_alone(s):
    """A tile is what it is without the others; a plane shares the drivers of its word lines, not its voltages."""
    g, lines = tile(2, 7, 5), WriteLines(30.0, 70.0, s)
    share, power = pulse_through(g, lines, Tiling((4, 3), (2, 3)))
    part = g[:, 4:, :2].contiguous()
    alone = pulse_through(part, lines, whole(part))
    assert torch.equal(share[:, 4:, :2], alone.share)
    assert torch.equal(power[:, 4:, :2], alone.power)
    single = pulse_through(part[:1], lines, whole(part))
    torch.testing.assert_close(single.share, alone.share[:1], rtol=1e-12, atol=0)
    assert bool((single.power < alone.power[:1]).all()) == (s is not None)


@pytest.mark.parametrize("s", SCHEMES)
def test_devices_far_from_both_terminals_get_least(s):
    """Equal devices: less at each step along the word line from its driver, and along the bit line from its ground."""
    g = torch.full((1, 8, 8), 1e-4, dtype=DOUBLE)
    share = pulse_through(g, WriteLines(20.0, 20.0, s), whole(g)).share[0]
    assert bool((share.diff(dim=0) < 0).all())
    assert bool((share.diff(dim=1) > 0).all())
    assert share[-1, 0] == share.min()


# ---- the fast way ----


@pytest.mark.parametrize(("n", "m"), [(16, 16), (9, 20), (20, 9)])
def test_the_fast_way_is_wrong_in_third_order(n, m):
    """Halving r divides the error of the voltage by 8 where it is small."""
    g, off = tile(1, n, m), []
    for r in (0.1, 0.05, 0.025):
        exact, fast = (pulse_through(g, WriteLines(r, r, 0.5, how), whole(g)).share for how in ("exact", "fast"))
        off.append(float((exact - fast).abs().max()))
    assert all(6.5 < coarse / fine < 9.5 for coarse, fine in pairwise(off))


@pytest.mark.parametrize(
    ("n", "x", "voltage", "power"), [(16, 0.6, 2e-3, 2e-3), (64, 2.0, 3e-3, 3e-3), (64, 9.0, 5e-3, 1e-2)]
)
def test_the_fast_way_is_held_to_the_exact_one(n, x, voltage, power):
    """x = r N^2 mean(G), devices uniform: errors over V, and of the power."""
    g = torch.from_numpy(2e-5 * np.random.default_rng(0).random((2, n, n)))
    r = x / (n * n * 1e-5)
    exact, fast = (pulse_through(g, WriteLines(r, r, 0.5, how), whole(g)) for how in ("exact", "fast"))
    assert float((exact.share - fast.share).abs().max()) < voltage
    assert float((fast.power / exact.power - 1).abs().max()) < power
    assert float(exact.share.min()) < 1 / (1 + x / 2)  # there is something to be wrong about


# ---- the law of the step ----


def test_steps_fall_as_a_sinh():
    share = torch.linspace(0, 1, 11, dtype=DOUBLE)
    for v_0 in (0.05, 0.5, 50.0):
        wanted = [math.sinh(2 * x / v_0) / math.sinh(2 / v_0) for x in share.tolist()]
        assert steps(share, 2.0, v_0).tolist() == close(wanted, rel=1e-9)
    far = steps(share[1:], 2.0, 0.05)  # e^((v - V) / v_0) where both are far above v_0
    torch.testing.assert_close(far[5:], torch.exp((share[6:] - 1) * 40), rtol=1e-12, atol=0)
    assert float(steps(torch.ones(1), 2.0, 1e-2)) == 1.0  # sinh(200) is no float of single precision


def test_a_verified_write_that_hardly_moves_is_an_error_where_it_is_needed():
    from neuroanp.devices.arriving import Arrived, more_pulses

    step = torch.tensor([[[0.5, 1e-5]]])
    arrived = Arrived(step, step)
    assert more_pulses(torch.tensor([[[4, 0]]], dtype=torch.int32), arrived).tolist() == [[[8, 0]]]
    with pytest.raises(RunError, match=r"1e-05 of a step at word line 1, bit line 0 \(plane 0\)"):
        more_pulses(torch.tensor([[[4, 1]]], dtype=torch.int32), arrived)
