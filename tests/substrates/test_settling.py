"""How long lines take to settle: the poles of chains, a charging line step by step, and reads that are too short."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from neuroanp.errors import InputError
from neuroanp.noise import Streams
from neuroanp.profiles import loads
from neuroanp.substrates.chip import DeviceChip
from neuroanp.substrates.settling import settling_time, slowest
from neuroanp.substrates.wires import _chain
from neuroanp.trajectory import Weights
from tests.close import close

TEXT = """
meta: {{name: bench, summary: s, source: bench, status: illustrative}}
conductance: {{g_min: 1 uS, g_max: 21 uS, coding: differential}}
programming: {{law: ideal}}
array: {{weight_range: 2, write: serial, wires: {{r_word: 5 ohm, r_bit: 3 ohm{c}}}{tiles}}}
periphery: {{v_read: 0.2 V, t_read: {t_read}{adc}}}
"""
FARADS = ", c_word: 2 fF, c_bit: 1 fF"
ADC = ", adc: {bits: 8, full_scale: 40 uA}"


def profile(c=FARADS, tiles="", t_read="100 ns", adc=ADC):
    return loads(TEXT.format(c=c, tiles=tiles, t_read=t_read, adc=adc), "bench.yaml")


def build(hardware, n=40, m=60, **options) -> DeviceChip:
    shapes = {"w_in": (n, m), "w": (n, n), "w_out": (2, n)}
    W = Weights.one_layer({key: torch.zeros(size) for key, size in shapes.items()})
    return DeviceChip.build(hardware, W, streams=Streams(0), dt=1e-3, **options)


@pytest.mark.parametrize("segments", [1, 2, 7, 64])
def test_the_slowest_pole_of_a_chain(segments):
    """The least eigenvalue of the line's own nodal matrix, over r c."""
    least = np.linalg.eigvalsh(_chain(segments).toarray()).min()
    assert slowest(3.0, 5e-3, segments) == close(15e-3 / least, rel=1e-9)


def test_a_line_that_is_charged_step_by_step():
    """The far end of a line of 20 segments lacks half a code of 8 bits after about tau ln(2^9)."""
    n, r, c = 20, 5.0, 2e-15
    values, vectors = np.linalg.eigh(_chain(n).toarray() / (r * c))
    settled = slowest(r, c, n) * math.log(2.0**9)
    left = vectors @ (np.exp(-values * settled) * (vectors.T @ np.ones(n)))
    assert 1.0 < left[-1] * 2**9 < 4 / math.pi * 1.01  # the amplitude of the slowest mode there


def test_the_time_of_a_tile():
    """A word line crosses all bit lines; both settle to half a code, or to 1 % without an ADC."""
    tau = slowest(5.0, 2e-15, 40) + slowest(3.0, 1e-15, 60)
    assert settling_time(profile(), 40, 60) == close(tau * math.log(512), rel=1e-12)
    assert settling_time(profile(adc=""), 40, 60) == close(tau * math.log(100), rel=1e-12)
    assert settling_time(profile(c=""), 40, 60) == 0.0


def test_reads_that_end_before_are_refused():
    """40 x 60: 42 ps take a read of 10 ps out; smaller tiles, or lines that are switched off, do not mind."""
    needed = settling_time(profile(), 40, 60)
    assert 1e-11 < needed < 1e-10
    build(profile())
    short = profile(t_read="10 ps")
    with pytest.raises(InputError, match=r"periphery.t_read: 10 ps is over before the lines of array w_in .* 60 word"):
        build(short)
    build(profile(t_read="10 ps", tiles=", max_rows: 8, max_columns: 8"))
    build(profile(t_read="10 ps", c=""))
    build(short, effects=frozenset())
