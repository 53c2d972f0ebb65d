"""Write and verify: compiled loops give what the plain loop gives, and a device's draws are at its place alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from neuroanp.devices.verifying import draws, fast, plain, verify
from neuroanp.kernels.philox import Address, words
from neuroanp.kernels.transforms import normals, normals64
from tests.close import close
from tests.devices.pulses import PROFILES, devices, law_of
from tests.devices.test_pulsed_writes import ALL

KEY = 0x9E3779B97F4A7C15


def array(profile: str, count: int = 3000, dtype: torch.dtype = torch.float32):
    """Return a law, devices of it, which of them move, what is seen and what is aimed at."""
    law = law_of(profile).model_copy(update={"max_pulses": 61})
    cells, rng = devices(law, count, ALL, dtype=dtype), np.random.default_rng(3)
    seen = cells["w"] + 0.05 * torch.from_numpy(rng.standard_normal(cells["w"].shape)).to(dtype)
    target = torch.from_numpy(rng.uniform(-0.8, 0.8, cells["w"].shape)).to(dtype)
    moves = ((seen - target).abs() > law.tolerance) & torch.from_numpy(rng.random(cells["w"].shape) < 0.8)
    return law, {k: cells[k] for k in ("w", "up", "down", "w_max", "w_min")}, moves, seen, target


@pytest.mark.parametrize("effects", [ALL, ALL - {"c2c"}, ALL - {"write_noise"}], ids=["all", "steps", "sight"])
@pytest.mark.parametrize("profile", PROFILES)
def test_compiled_loops_give_what_the_plain_loop_gives(profile, effects):
    """Bit for bit, exponentials aside: another last bit of theirs may carry a device over its tolerance."""
    law, *rest = array(profile)
    one, two = (way(law, *rest, KEY, effects) for way in (plain, fast))
    if law.fraction == "exponential":
        same = one[2] == two[2]
        assert float(same.double().mean()) > 0.99
        for a, b in zip(one[:2], two[:2], strict=True):
            torch.testing.assert_close(a[same], b[same], rtol=1e-4, atol=1e-5)
    else:
        assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
    assert len(one[2].unique()) > 5  # trains of many lengths were compared
    assert verify(law, *rest, KEY, effects)[2].equal(two[2])


@pytest.mark.parametrize("way", [plain, fast])
def test_a_pulse_has_the_moments_of_the_law(way):
    """w steps by s (f + c2c xi) towards the target, what is seen scatters by write_noise dw about it."""
    law = law_of("rram_hfo2").model_copy(update={"max_pulses": 1, "tolerance": 1e-6})
    n, one = 40_000, torch.ones(1, 40_000, 1)
    parts = {"w": 0.1 * one, "up": 0.3 * one, "down": 0.2 * one, "w_max": 5.0 * one, "w_min": -4.0 * one}
    everywhere = torch.ones_like(one, dtype=torch.bool)
    for target, step, fraction in ((1.0, 0.3, 1 - 0.1 / 5.0), (-1.0, -0.2, 1 + 0.1 / 4.0)):
        w, seen, pulses = way(law, parts, everywhere, 0.1 * one, target * one, KEY, ALL)
        moved, beside = (w - 0.1).double(), (seen - w).double()
        assert bool((pulses == 1).all())
        for found, mean, sd in ((moved, step * fraction, abs(step) * law.c2c), (beside, 0, law.write_noise * law.dw)):
            assert float(found.mean()) == pytest.approx(mean, abs=5 * sd / n**0.5)
            assert float(found.std()) == close(sd, rel=5 / (2 * n) ** 0.5)
        assert abs(float(torch.corrcoef(torch.stack([moved.flatten(), beside.flatten()]))[0, 1])) < 5 / n**0.5


@pytest.mark.parametrize("most", [1, 2, 3, 6])
def test_the_last_pulse_is_the_last(most):
    """An odd and an even number: a call of the generator makes the draws of two pulses."""
    law, *rest = array("rram_hfo2")
    law = law.model_copy(update={"max_pulses": most})
    one, two = (way(law, *rest, KEY, ALL) for way in (plain, fast))
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
    assert int(two[2].max()) == most


@pytest.mark.parametrize("way", [plain, fast])
def test_a_device_is_written_the_same_whoever_else_is(way):
    law, parts, moves, seen, target = array("rram_hfo2")
    alone = moves & (torch.arange(moves.numel()).view(moves.shape) % 7 == 3)
    one, two = (way(law, parts, which, seen, target, KEY, ALL) for which in (moves, alone))
    for a, b, before in zip(one, two, (parts["w"], seen, torch.zeros_like(one[2])), strict=True):
        assert torch.equal(a[alone], b[alone])
        assert torch.equal(b[~alone], before[~alone])
    other = way(law, parts, moves, seen, target, KEY + 1, ALL)
    assert not torch.equal(one[0], other[0])


def test_a_law_of_its_own_and_double_precision_take_the_plain_loop():
    law, *rest = array("rram_hfo2", 500, torch.float64)
    one, two = (way(law, *rest, KEY, ALL) for way in (verify, plain))
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


@pytest.mark.parametrize("sent", [1, 2, 3, 8])
def test_draws_are_those_of_the_generator_at_their_places(sent):
    at = torch.tensor([3, 0, 70_000])
    for dtype, made, call, first in (
        (torch.float32, normals, (sent - 1) // 2, 2 * ((sent - 1) % 2)),
        (torch.float64, normals64, sent - 1, 0),
    ):
        xi, eta = draws(KEY, at, sent, torch.empty(0, dtype=dtype))
        for i, place in enumerate(at.tolist()):
            expected = made(words(Address(KEY, 0, 0, call), 1, first=place))[0]
            assert (float(xi[i]), float(eta[i])) == (float(expected[first]), float(expected[first + 1]))
