"""A chip at another time of its clock: it reads as one that lay idle until then, and leaves the chip alone."""

from __future__ import annotations

from math import inf, nan

import pytest
import torch

from neuroanp.errors import InputError
from neuroanp.noise import PassStreams, Streams
from neuroanp.profiles import load
from neuroanp.registry import members
from neuroanp.substrates.chip import DeviceChip
from neuroanp.substrates.chip_at import ChipAt
from neuroanp.substrates.facts import describe
from neuroanp.substrates.protocol import Substrate
from neuroanp.trajectory import Weights, WeightUpdate

DAY = 86_400.0
CASES = [("pcm", "verify"), ("capacitor", "verify"), ("capacitor", "pulse"), ("rram_rtn", "verify"), ("ideal", "ideal")]


def build(name: str = "pcm", write: str = "verify", **options) -> DeviceChip:
    draw = torch.Generator().manual_seed(0)
    shapes = {"w_in": (5, 2), "w": (5, 5), "w_out": (1, 5)}
    weights = {key: 0.4 * torch.rand(shape, generator=draw, dtype=torch.float64) - 0.2 for key, shape in shapes.items()}
    return DeviceChip.build(
        load(name), Weights.one_layer(weights), streams=Streams(0), dt=1e-3, write=write, dtype=torch.float64, **options
    )


def change(chip: DeviceChip) -> WeightUpdate:
    return WeightUpdate({name: torch.full_like(W, 0.02) for name, W in chip.weights.items()}, {})


def alive(name: str = "pcm", write: str = "verify") -> DeviceChip:
    """Return a chip that has been written and read for a while."""
    chip = build(name, write)
    chip.elapse(10.0)
    chip.apply(change(chip), 0.5, Streams(1), 0)
    chip.book_reads("w", torch.ones(5, dtype=torch.float64), 3, 3)
    return chip


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


@pytest.mark.parametrize(("name", "write"), CASES)
@pytest.mark.parametrize("noise", [True, False])
def test_it_reads_as_the_chip_does_when_the_time_has_come(name, write, noise):
    chip, waits = alive(name, write), alive(name, write)
    later = chip.at(chip.now + DAY)
    waits.elapse(DAY)
    assert later.now == waits.now
    streams = PassStreams(Streams(0), "test", 4)
    seen, come, today = (one.prepare(0.1, streams, noise) for one in (later, waits, chip))
    for part in seen:
        assert torch.equal(seen[part].W, come[part].W)
        one, other = seen[part].sigma2, come[part].sigma2
        assert (one is None) == (other is None)
        assert one is None or other is None or torch.equal(one, other)
        assert torch.equal(later.weights[part], waits.weights[part])
    if name in ("pcm", "capacitor"):
        assert not torch.equal(seen["w"].W, today["w"].W)  # the day shows
    assert describe(later) == describe(waits)


@pytest.mark.parametrize(("name", "write"), CASES)
def test_the_chip_goes_on_as_one_that_nobody_looked_at(name, write):
    chip, left = alive(name, write), alive(name, write)
    later = chip.at(chip.now + DAY)
    later.prepare(0.1, PassStreams(Streams(0), "test", 4))
    later.ledger.book_energy("array_reads", 1.0)  # a copy of the books
    assert same(chip.state_dict(), left.state_dict())
    for one in (chip, left):
        one.apply(change(one), 0.3, Streams(1), 1)
        one.book_reads("w", torch.ones(5, dtype=torch.float64), 3, 3)
    assert same(chip.state_dict(), left.state_dict())
    assert chip.ledger.report() == left.ledger.report()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda chip: chip.apply(change(chip), 0.1, Streams(0), 0), "written to"),
        (lambda chip: chip.elapse(1.0), "moved on in time"),
        (lambda chip: chip.book_reads("w", torch.ones(5), 1, 1), "charged for reads"),
        (lambda chip: chip.book_spikes(1, 1), "charged for spikes"),
        (lambda chip: chip.load_state_dict(chip.state_dict()), "given a state"),
    ],
)
def test_what_would_alter_the_chip_is_refused(spoil, said):
    chip = alive()
    before = chip.state_dict()
    with pytest.raises(InputError, match=f"there to be read, not to be {said}"):
        spoil(chip.at(chip.now + DAY))
    assert same(chip.state_dict(), before)


READING = {"ledger", "now", "failed", "weights", "neurons", "node_sigmas", "prepare", "perturbation", "network",
           "device_noise", "at", "state_dict", "weighs_reads", "decorrelation"}  # fmt: skip
"""What of a substrate alters nothing."""


def test_all_but_reading_is_refused():
    assert set(members(Substrate)) - READING == set(members(Substrate)) & set(vars(ChipAt)) - {"at"}


@pytest.mark.parametrize("seconds", [9.0, -1.0, nan, inf])
def test_only_a_later_time_can_be_looked_at(seconds):
    with pytest.raises(InputError, match="no later time of a chip whose clock stands at"):
        alive().at(seconds)


def test_now_is_the_chip_itself_and_from_a_later_time_a_later_one_can_be_looked_at():
    chip = alive()
    assert same(chip.at(chip.now).state_dict(), chip.state_dict())
    twice, once = chip.at(chip.now + 1.0).at(chip.now + DAY), chip.at(chip.now + DAY)
    assert same(twice.state_dict(), once.state_dict())
    with pytest.raises(InputError, match="no later time"):
        once.at(chip.now)
