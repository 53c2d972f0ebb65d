"""What every backend must do on every shipped device, in both precisions."""

from __future__ import annotations

import pytest
import torch

from neuroanp.backends.protocol import BACKENDS
from neuroanp.devices.device import ALL_EFFECTS
from neuroanp.noise import PassStreams
from neuroanp.profiles import available
from neuroanp.trajectory import PassPlan

MIXED = PassPlan(gain=(1.0, 0.0, 1.0, -1.0), stream=(0, 1, 2, 0), pairs=((0, 1), (2, 1), (0, 3)))
SILENT = PassPlan(gain=(0.0, 0.0, 0.0), stream=(0, 1, 2), pairs=((0, 1),))
CONVERTERS = frozenset({"adc", "dac"})
DTYPES = [torch.float32, torch.float64]
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA"))]
PARTS = ("h", "x", "y")

pytestmark = [
    pytest.mark.parametrize("device", DEVICES),
    pytest.mark.parametrize("backend", BACKENDS.names()),
    pytest.mark.parametrize("profile", available()),
]
BOTH = pytest.mark.parametrize("dtype", DTYPES, ids=["float32", "float64"])


def rounding(dtype: torch.dtype) -> dict[str, float]:
    return {"rtol": 0.0, "atol": 1e-12 if dtype == torch.float64 else 2e-5}


def effects(dtype: torch.dtype) -> frozenset[str]:
    """All of them; converters only in double precision, where no rounding reaches the edge of a code."""
    return ALL_EFFECTS if dtype == torch.float64 else ALL_EFFECTS - CONVERTERS


@pytest.fixture
def bench(profile, dtype, device, make_bench):
    return make_bench(profile, dtype, effects=effects(dtype), device=device)


@BOTH
@pytest.mark.parametrize("chunk", [1, 2, 4, 5, 10, 11, 1000])
def test_time_may_be_cut_into_chunks_of_any_size(bench, backend, chunk, dtype):
    whole = bench.passes(MIXED, backend=backend, chunk=64)
    cut = bench.passes(MIXED, backend=backend, chunk=chunk)
    assert torch.equal(whole.u, cut.u)
    for part in PARTS:
        torch.testing.assert_close(getattr(cut, part), getattr(whole, part), **rounding(dtype))
    assert not bool(cut.chunks[0].x_prev.any())
    for before, after in zip(cut.chunks[:-1], cut.chunks[1:], strict=True):
        assert torch.equal(after.x_prev, before.x[-1])


@BOTH
def test_the_noise_of_the_nodes_is_the_same_bit_for_bit_however_time_is_cut(bench, backend, dtype):
    streams = PassStreams(bench.streams, "train", 5)
    whole = bench.chip.perturbation(MIXED, bench.B, streams)
    cut = bench.chip.perturbation(MIXED, bench.B, streams)
    for layer in ("hidden", "output"):
        drawn = whole.draw(layer, 0, bench.T)
        assert torch.equal(torch.cat([cut.draw(layer, 0, 4), cut.draw(layer, 4, bench.T - 4)]), drawn)


@BOTH
@pytest.mark.parametrize("chunk", [3, 64])
def test_a_replay_gives_the_same_bits(bench, backend, chunk, dtype):
    first = bench.passes(MIXED, backend=backend, chunk=chunk)
    again = bench.passes(MIXED, backend=backend, chunk=chunk, book=False)
    losses = bench.passes(MIXED, backend=backend, chunk=chunk, keep="loss", book=False)
    for part in PARTS:
        assert torch.equal(getattr(first, part), getattr(again, part))
    assert torch.equal(losses.y, first.y)
    assert losses.h is None
    assert losses.x is None
    assert all(chunk.x_prev is None for chunk in losses.chunks)


@BOTH
def test_another_update_is_other_noise_and_the_same_for_silent_passes(bench, backend, dtype):
    one, two = (bench.passes(MIXED, backend=backend, update=update) for update in (5, 6))
    assert not torch.equal(one.y[:, 0], two.y[:, 0])
    assert torch.equal(one.y[:, 1], two.y[:, 1])


@BOTH
def test_passes_of_gain_zero_are_free_of_noise_and_alike(bench, backend, dtype):
    silent = bench.passes(SILENT, backend=backend)
    mixed = bench.passes(MIXED, backend=backend)
    for part in PARTS:
        passes = getattr(silent, part)
        for m in (1, 2):
            torch.testing.assert_close(passes[:, m], passes[:, 0], **rounding(dtype))
        torch.testing.assert_close(getattr(mixed, part)[:, 1], passes[:, 0], **rounding(dtype))


@BOTH
def test_mirrored_passes_draw_the_same_noise_with_the_other_sign(bench, backend, dtype):
    """At the first step h of gain 1 and -1 lie about the silent h, to within the roundings of an ADC."""
    h = bench.passes(MIXED, backend=backend).h[0]
    arrays = [bench.chip.arrays[name] for name in ("w_in", "w")]
    adc = arrays[0].adc  # the recurrent array is read with zeros: it shows only what its drivers and converters add
    heard = [a.bits or 1 for a in arrays[: 2 if arrays[1].dac_sigma or arrays[1].offset is not None else 1]]
    # each of the three reads: half a step, each bit by its weight (which sum to less than 2)
    tolerance = rounding(dtype) if adc is None else {"rtol": 0, "atol": 1.001 * adc.step * sum(heard)}
    if arrays[1].dac_sigma:  # the spread of the weights' noise sees the drivers' noise: even, to second order
        tolerance["atol"] += 1e-3
    torch.testing.assert_close((h[0] + h[3]) / 2, h[1], **tolerance)
    assert not torch.equal(h[0], h[1])


@BOTH
def test_activity_and_outputs_have_shape_dtype_and_place(bench, backend, dtype, device):
    found = bench.passes(MIXED, backend=backend, chunk=4)
    T, M, B, N, O = bench.T, 4, bench.B, 7, 2  # noqa: E741
    assert {part: tuple(getattr(found, part).shape) for part in PARTS} == {
        "h": (T, M, B, N), "x": (T, M, B, N), "y": (T, M, B, O),
    }  # fmt: skip
    assert all(getattr(found, part).dtype == dtype for part in PARTS)
    assert all(getattr(found, part).device.type == device for part in PARTS)
    assert found.u.shape == (T, B, 3)
    assert bool((found.u[..., -1] == 1).all())  # the bias line
    assert all(chunk.dt == 1e-6 for chunk in found.chunks)


@BOTH
def test_only_booked_passes_are_booked(bench, backend, dtype):
    before = bench.chip.ledger.report()
    bench.passes(MIXED, backend=backend, book=False)
    assert bench.chip.ledger.report() == before
    bench.passes(MIXED, backend=backend)
    assert bench.chip.ledger.report()["reads"] == before["reads"] + 3 * 4 * bench.T * bench.B


@pytest.mark.parametrize("dtype", [torch.float64], ids=["float64"])
def test_what_is_booked_does_not_depend_on_the_chunks(profile, backend, dtype, device, make_bench):
    books = []
    for chunk in (1, 4, 64):
        bench = make_bench(profile, dtype, device=device)
        bench.passes(MIXED, backend=backend, chunk=chunk)
        books.append(bench.chip.ledger.report())
    for report in books[1:]:
        assert {**report, "energy": None, "energy_J": None} == {**books[0], "energy": None, "energy_J": None}
        for kind, joules in books[0]["energy"].items():
            assert report["energy"][kind] == (joules if joules is None else pytest.approx(joules, rel=1e-12))


@pytest.mark.parametrize("dtype", [torch.float64], ids=["float64"])
def test_without_artificial_noise_only_what_the_device_makes_is_left(profile, backend, dtype, device, make_bench):
    bench = make_bench(profile, dtype, device=device)
    plain = make_bench(profile, dtype, device=device, sigma=None)
    a = bench.passes(MIXED, backend=backend, artificial=False)
    b = plain.passes(MIXED, backend=backend)
    assert torch.equal(a.y, b.y)
