"""Converters whose codes differ in width: what they return, how far off they are, and where this is used."""

from __future__ import annotations

import math

import pytest
import torch

from neuroanp.characterizing import characterize
from neuroanp.errors import InputError
from neuroanp.noise import PassStreams, Streams
from neuroanp.profiles import loads
from neuroanp.substrates.chip import DeviceChip
from neuroanp.substrates.facts import known_effects
from neuroanp.substrates.periphery import quantise, quantiser
from neuroanp.substrates.read import Reader
from neuroanp.substrates.transitions import codes_of, converted, drawn
from neuroanp.trajectory import Weights
from tests.close import close

DOUBLE = torch.float64
LIKE = torch.empty(0, dtype=DOUBLE)
TEXT = """
meta: {{name: bench, summary: s, source: bench, status: illustrative}}
conductance: {{g_min: 1 uS, g_max: 21 uS, coding: differential}}
programming: {{law: ideal}}
{drift}
array: {{weight_range: 2, write: serial, max_rows: 4}}
periphery: {{v_read: 0.2 V, t_read: 100 ns, adc: {{bits: {bits}, full_scale: 4 uA{errors}}}{more}}}
"""
ERRORS = ", dnl_sd: 0.3, inl_sd: 1.5"
DRIFT = (
    "drift: {law: pcm, t0: 20 s, mu_slope: 0, mu_offset: 0.1, mu_min: 0, mu_max: 1, s_slope: 0, s_offset: 0, s_min: 0,"
    " s_max: 0}"
)


def build(errors=ERRORS, bits=6, drift="", more="", seed=0, **options) -> DeviceChip:
    hardware = loads(TEXT.format(bits=bits, errors=errors, drift=drift, more=more), "bench.yaml")
    rng = torch.Generator().manual_seed(0)
    W = {
        key: (2 * torch.rand(size, generator=rng, dtype=DOUBLE) - 1) * 0.5
        for key, size in {"w_in": (5, 6), "w": (5, 5), "w_out": (2, 5)}.items()
    }
    given = {"dt": 1e-3, "dtype": DOUBLE, **options}
    return DeviceChip.build(hardware, Weights.one_layer(W), streams=Streams(seed), **given)


def reader(chip) -> Reader:
    return Reader(chip.prepare(1e-3, PassStreams(Streams(0), "test", 0), noise=False)["w_in"])


X = 2 * torch.rand((40, 6), generator=torch.Generator().manual_seed(5), dtype=DOUBLE) - 1


@pytest.mark.parametrize("coding", ["sign_magnitude", "offset"])
def test_without_errors_it_rounds(coding):
    """Halfway transitions give what rounding to the nearest code gives, clipped at both ends."""
    q = quantiser(5, coding, 3.0)
    y = torch.linspace(-4.0, 4.0, 1001, dtype=DOUBLE)[:, None]
    plain = drawn(Streams(0).generator("x"), (1, 1), q, 0.0, 0.0, LIKE)[0]
    torch.testing.assert_close(converted(y, q, plain), quantise(y, q), rtol=1e-12, atol=1e-12)
    low, high = codes_of(q)
    assert plain.shape[-1] == high - low == {"sign_magnitude": 30, "offset": 31}[coding]


def test_each_code_is_as_wide_as_it_is_drawn():
    """A slow ramp: the code k lasts from one transition to the next."""
    q, many = quantiser(4, None, 7.0), 20001
    transitions = drawn(Streams(3).generator("x"), (1, 1), q, 0.4, 0.5, LIKE)[0]
    ramp = torch.linspace(-9.0, 9.0, many, dtype=DOUBLE)[:, None]
    codes = converted(ramp, q, transitions)[:, 0]
    assert bool((codes.diff() >= 0).all())
    for k in range(-6, 7):
        width = float((codes == k).sum()) * 18.0 / (many - 1)
        assert width == close(float(transitions[0, k + 7] - transitions[0, k + 6]), rel=1e-2, abs=2e-3)


@pytest.mark.parametrize(("dnl", "inl"), [(0.2, 0.0), (0.0, 2.0), (0.2, 1.0)])
def test_the_integral_nonlinearity_is_that_of_a_bridge_and_a_bow(dnl, inl):
    q, count = quantiser(6, "offset", 1.0), 20_000
    off = drawn(Streams(1).generator("x"), (1, count), q, dnl, inl, LIKE)[0] - (torch.arange(63) - 31.5)
    K = 64
    for k in (0, 15, 31, 62):
        s = (k + 1) / K
        wanted = math.sqrt(dnl**2 * K * s * (1 - s) + inl**2 * (4 * s * (1 - s)) ** 2)
        assert float(off[:, k].std()) == close(wanted, rel=5 / math.sqrt(2 * count))
    assert float(off.mean().abs()) < 0.05


def test_reads_pass_the_converters_of_their_tiles():
    """Every tile and output has a converter of its own, and the sum of their codes is what is read."""
    chip = build()
    array, found = chip.arrays["w_in"], reader(chip)(X)
    plan = chip.prepare(1e-3, PassStreams(Streams(0), "test", 0), noise=False)["w_in"]
    assert plan.transitions is not None
    assert plan.transitions.shape == (2, 5, 62)
    step = 4e-6 / 31
    for row, x in zip(found, X, strict=True):
        for i in range(5):
            total = 0.0
            for tile, part in enumerate((slice(0, 4), slice(4, 6))):
                g = array.cells["g"][0, i, part] - array.cells["g"][1, i, part]
                current = float((g * x[part]).sum()) * 0.2 / step
                total += float((plan.transitions[tile, i] < current).sum()) - 31
            assert float(row[i]) == close(total * step * array.k, rel=1e-9, abs=1e-12)
    plain = reader(build(""))(X)
    assert float((found - plain).abs().max()) > 2 * step * array.k


def test_it_is_drawn_by_seed_and_shifts_no_other_draw():
    one, other, third = reader(build()), reader(build()), reader(build(seed=1))
    assert torch.equal(one(X), other(X))
    assert not torch.equal(one(X), third(X))
    noisy = ", gain_sd: 0.02, offset_sd: 10 nA"
    with_it, without = build(noisy + ERRORS), build(noisy)
    assert torch.equal(with_it.arrays["w_in"].gain, without.arrays["w_in"].gain)  # pyright: ignore[reportArgumentType]
    assert torch.equal(with_it.arrays["w_in"].offset, without.arrays["w_in"].offset)  # pyright: ignore[reportArgumentType]


def test_switched_off_codes_are_alike():
    chip = build()
    on = frozenset(known_effects(chip.profile))
    assert "adc_nonlinearity" in on
    assert torch.equal(reader(build(effects=on - {"adc_nonlinearity"}))(X), reader(build(""))(X))
    assert build(effects=on - {"adc"}).arrays["w_in"].transitions is None
    assert "adc_nonlinearity" not in known_effects(build("").profile)


def test_single_precision_gives_whole_codes():
    """Of converters that are others: draws of another precision are other draws."""
    chip = build(dtype=torch.float32)
    one = reader(chip)
    assert one.fast is None  # whose loops round to the nearest code
    codes = one(X.float()) / chip.arrays["w_in"].adc.step  # pyright: ignore[reportOptionalMemberAccess]
    assert float((codes - codes.round()).abs().max()) < 1e-3
    assert len(codes.round().unique()) > 10


def test_references_pass_the_same_converters():
    """Drift compensation reads through them, too: the sums of whole codes of each line's own converters."""
    chip = build(drift=DRIFT, more=", drift_compensation: {every: 1 h}").at(86_400.0)
    array = chip.arrays["w_in"]
    assert array.transitions is not None
    age = math.floor((chip.now - float(array.cells["t"].max())) / 3600.0) * 3600.0
    sums = []
    for g in (array.cells["g"], array.cells["g"] * (age / 20.0) ** -0.1):
        y = g * 0.2 / (4e-6 / 31)
        of = array.transitions[[0, 0, 0, 0, 1, 1]].permute(1, 0, 2)
        sums.append(float((of < y[..., None]).sum() - 31 * y.numel()))
    assert chip.drift_factors["w_in"] == close(sums[0] / sums[1], rel=1e-9)


def test_characterize_holds_them_to_their_closed_form():
    found = characterize(build().profile, only=["converters"], devices=4000)
    assert len(found.checked) == 2
    assert all(abs(moment.z or 0.0) < 5 for moment in found.checked)


def test_converters_too_fine_to_list_are_refused():
    with pytest.raises(InputError, match=r"the transitions of 16 bits are too many to keep .* at most 12"):
        build(bits=16)
    with pytest.raises(InputError, match=r"periphery.adc.dnl_sd"):
        build(", dnl_sd: -0.1")
