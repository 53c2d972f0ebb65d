"""What every backend must do on every kind of device, in both precisions."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from math import exp

import pytest
import torch

from neuroanp.backends.neuron import LIF
from neuroanp.backends.protocol import BACKENDS
from neuroanp.devices.effects import ALL_EFFECTS
from neuroanp.noise import PassStreams
from neuroanp.profiles import available, load
from neuroanp.profiles.sections import Neurons
from neuroanp.training.filling import spikes
from neuroanp.trajectory import PassPlan
from tests.backends.conftest import registered
from tests.close import close

MIXED = PassPlan(noise=(1.0, 0.0, 1.0, -1.0), stream=(0, 1, 2, 0), pairs=((0, 1), (2, 1), (0, 3)))
SILENT = PassPlan(noise=(0.0, 0.0, 0.0), stream=(0, 1, 2), pairs=((0, 1),))
CONVERTERS = frozenset({"adc", "dac"})
DTYPES = [torch.float32, torch.float64]
NO_CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA")
PARTS = ("h", "x", "y")

KINDS = {
    "ideal": "exact reads: spikes meet a matrix that never changes",
    "pcm": "read noise by its moments, converters, drift",
    "pcm_tiles": "drivers with noise of their own, offsets, wires",
    "rram_rtn": "two-level noise of the weights",
    "sonos_flash": "inputs as times, tunnelling of charge",
    "sram_cim": "inputs bit by bit, amplifiers",
    "smtj_koenders": "node noise whose samples are steps, energy stated a read",
    "smtj_telegraph": "node noise with a time of its own",
    "mixed_signal_neurons": "neurons that differ, energy stated a spike and an event",
}
"""Profiles that differ in what a spiking backend does with them. Laws of writing and of ageing act before a read,
and every law has a contract of its own: the profiles left out differ in those alone, and run on the rate backend."""


def digital(backend: str) -> bool:
    """Return whether a backend holds its weights itself, as whole numbers, instead of a device that does."""
    return BACKENDS.get(registered(backend)).digital


def kinds(backend: str) -> list[str]:
    """Return the profiles that a backend is held to.

    One that holds its weights itself has none of conductances, and its units are alike: test_integer has what it
    refuses.
    """
    if not spikes(registered(backend)):
        return available()
    if not digital(backend):
        return list(KINDS)
    whole = {name: load(name) for name in KINDS}
    return [name for name, has in whole.items() if has.periphery is None and not differs(has.neurons)]


def differs(neurons: Neurons | None) -> bool:
    """Return whether units differ from one to the next."""
    return neurons is not None and any(neurons.spreads.values())


# every name that is registered, those of a user's own package too; of LIF units the event loop and its references
NAMES = [*BACKENDS.names(), "lif/simulator", "spiking/simulator"]
CASES = [("cpu", name, profile) for name in NAMES for profile in kinds(name)]
# Brian2 computes on the CPU, and the event loop: there is one LIF on CUDA. How devices are written has contracts of its
# own there (devices, substrates), so that profiles are left out that differ in that alone
ON_CUDA = [name for name in BACKENDS.names() if registered(name) != "spiking"]
CASES += [("cuda", name, profile) for name in ON_CUDA for profile in kinds(name) if profile in KINDS]


COMPILED = ("ideal", "pcm", "mixed_signal_neurons")
"""Profiles that Brian2, which compiles a network for each, is held to at every change; the others are long."""
REFERENCE = (*COMPILED, "smtj_koenders")
"""Those of the plain loop of LIF units, which reads arrays by the code of the event loop: one a kind of noise."""


def is_long(device: str, backend: str, profile: str) -> bool:
    """Return whether a case is of the long tier: rates on profiles of no kind of their own, most of Brian2's."""
    held = COMPILED if registered(backend) == "spiking" else REFERENCE if backend == "lif/simulator" else KINDS
    return device == "cpu" and profile not in held


def case(device: str, backend: str, profile: str):
    """Return a case; those of a profile on CUDA go to one worker (--dist loadgroup), which makes its chips once."""
    marks = [] if device == "cpu" else [NO_CUDA, pytest.mark.xdist_group(f"cuda-{profile}")]
    marks += [pytest.mark.long] if is_long(device, backend, profile) else []
    return pytest.param(device, backend, profile, id=f"{device}-{backend}-{profile}", marks=marks)


pytestmark = pytest.mark.parametrize(("device", "backend", "profile"), [case(*each) for each in CASES])
BOTH = pytest.mark.parametrize("dtype", DTYPES, ids=["float32", "float64"])
SINGLE = pytest.mark.parametrize("dtype", [torch.float32], ids=["float32"])
DOUBLE = pytest.mark.parametrize("dtype", [torch.float64], ids=["float64"])


def rounding(dtype: torch.dtype, scale: float = 1.0) -> float:
    return scale * (1e-12 if dtype == torch.float64 else 2e-5)


def effects(dtype: torch.dtype) -> frozenset[str]:
    """All of them; converters only in double precision, where no rounding reaches the edge of a code."""
    return ALL_EFFECTS if dtype == torch.float64 else ALL_EFFECTS - CONVERTERS


@pytest.fixture
def gains(backend):
    """Currents that an input of 1 and a spike over a weight of 1 are, and the share of a spike's that a step leaves."""
    unit = LIF()
    return (
        (unit.input_gain, unit.synapse_gain, exp(-1e-3 / unit.tau_s))
        if spikes(registered(backend))
        else (1.0, 1.0, 0.0)
    )


@cache
def made(make_bench, profile, dtype, device, backend):
    """Return a network on a chip that tests share: reading alters no device, and books only grow."""
    return make_bench(profile, dtype, effects=effects(dtype), device=device, backend=backend)


@pytest.fixture
def bench(make_bench, profile, backend, dtype, device):
    return made(make_bench, profile, dtype, device, backend)


@BOTH
@pytest.mark.parametrize(
    "chunk",
    [pytest.param(1, marks=pytest.mark.slow), 4, *(pytest.param(c, marks=pytest.mark.long) for c in (10, 11)), 1000],
)
def test_time_may_be_cut_into_chunks_of_any_size(bench, chunk, dtype):
    whole = bench.passes(MIXED, chunk=64)
    cut = bench.passes(MIXED, chunk=chunk)
    assert torch.equal(whole.u, cut.u)
    if bench.spiking:
        assert torch.equal(whole.spikes, cut.spikes)
    for part in PARTS:
        torch.testing.assert_close(getattr(cut, part), getattr(whole, part), rtol=0, atol=rounding(dtype, bench.scale))
    did = [chunk.layers["hidden"] for chunk in cut.chunks]
    assert not bool(did[0].x_prev.any())
    for before, after in pairwise(did):
        assert torch.equal(after.x_prev, before.x[-1])


@BOTH
def test_the_noise_of_the_nodes_is_the_same_bit_for_bit_however_time_is_cut(bench, dtype):
    streams = PassStreams(bench.streams, "train", 5)
    whole = bench.chip.perturbation(MIXED, bench.B, streams)
    cut = bench.chip.perturbation(MIXED, bench.B, streams)
    for layer in ("hidden", "output"):
        drawn = whole.draw(layer, 0, bench.T)
        assert torch.equal(torch.cat([cut.draw(layer, 0, 4), cut.draw(layer, 4, bench.T - 4)]), drawn)


@BOTH
@pytest.mark.parametrize("chunk", [3, 64])
def test_a_replay_gives_the_same_bits(bench, chunk, dtype):
    first = bench.passes(MIXED, chunk=chunk)
    again = bench.passes(MIXED, chunk=chunk, book=False)
    losses = bench.passes(MIXED, chunk=chunk, keep="loss", book=False)
    for part in PARTS:
        assert torch.equal(getattr(first, part), getattr(again, part))
    assert torch.equal(losses.y, first.y)
    assert all(chunk.layers == {} for chunk in losses.chunks)


@BOTH
def test_another_update_is_other_noise_and_the_same_for_silent_passes(bench, dtype):
    one, two = (bench.passes(MIXED, update=update) for update in (5, 6))
    assert not torch.equal(one.y[:, 0], two.y[:, 0])
    assert torch.equal(one.y[:, 1], two.y[:, 1])


@BOTH
def test_passes_of_gain_zero_are_free_of_noise_and_alike(bench, dtype):
    silent = bench.passes(SILENT)
    mixed = bench.passes(MIXED)
    for part in PARTS:
        passes = getattr(silent, part)
        for m in (1, 2):
            torch.testing.assert_close(passes[:, m], passes[:, 0], rtol=0, atol=rounding(dtype, bench.scale))
        torch.testing.assert_close(getattr(mixed, part)[:, 1], passes[:, 0], rtol=0, atol=rounding(dtype, bench.scale))


def steps_alike(found) -> torch.Tensor:
    """Return for each sequence the steps (B,) whose h is linear in the noise: one of rates, whose tanh bends it.

    What spikes bring is the same in all passes until one of them has a spike that another has not: from the
    step after, their arrays are read for other inputs.
    """
    if found.spikes is None:
        return torch.ones(found.h.shape[2], dtype=torch.int64)
    silent = found.spikes[:, 1:2]
    other = (found.spikes[:, [0, 3]] != silent).any(-1).any(1)  # (T, B)
    return torch.where(other.any(0), other.to(torch.int64).argmax(0), len(other) - 1).cpu() + 1


@SINGLE
def test_mirrored_passes_draw_the_same_noise_with_the_other_sign(bench, gains, dtype):
    """While h is linear in the noise, gain 1 and -1 lie about the silent h; nobody turns the sign of what devices make.

    Without converters: an ADC rounds by more than the noise moves, and what it leaves would be compared with nothing.
    """
    found = bench.passes(MIXED)
    steps = steps_alike(found)
    w_in, w = bench.chip.arrays["w_in"], bench.chip.arrays["w"]
    # a read of zeros shows only what its drivers add
    heard = bench.spiking or w.dac_sigma or w.offset is not None
    input_gain, synapse_gain, kept = gains
    tolerance = rounding(dtype, bench.scale)
    if bench.digital:  # noise moves membranes by whole units of state, and each pass is off by half of one
        tolerance += 0.5 * float(bench.noise_unit.max())
    for array, gain in ((w_in, input_gain), (w, heard * synapse_gain / (1 - kept))):
        if array.dac_sigma:  # the spread of the weights' noise sees the drivers' noise: even, to second order
            tolerance += 1e-3 * gain
    assert tolerance < 0.1 * float((found.h[:, 0] - found.h[:, 1]).std())
    reads = bench.reads.values()
    if any(
        read.sigma2 is not None or read.process is not None or read.amplifies_noise or read.dac_sigma for read in reads
    ):
        assert float(((found.h[:, 0] + found.h[:, 3]) / 2 - found.h[:, 1]).abs().max()) > tolerance
        return
    for b, until in enumerate(steps.tolist()):
        h = found.h[:until, :, b]
        torch.testing.assert_close((h[:, 0] + h[:, 3]) / 2, h[:, 1], rtol=0, atol=tolerance)
        assert not torch.equal(h[:, 0], h[:, 1])


@BOTH
def test_activity_and_outputs_have_shape_dtype_and_place(bench, dtype, device):
    found = bench.passes(MIXED, chunk=4)
    T, M, B, N, O = bench.T, 4, bench.B, 7, 2  # noqa: E741
    assert {part: tuple(getattr(found, part).shape) for part in PARTS} == {
        "h": (T, M, B, N), "x": (T, M, B, N), "y": (T, M, B, O),
    }  # fmt: skip
    assert all(getattr(found, part).dtype == dtype for part in PARTS)
    assert all(getattr(found, part).device.type == device for part in PARTS)
    assert found.u.shape == (T, B, 3)
    assert bool((found.u[..., -1] == 1).all())  # the bias line
    assert all(chunk.dt == bench.dt for chunk in found.chunks)


@BOTH
def test_only_booked_passes_are_booked(bench, dtype):
    before = bench.chip.ledger.report()
    bench.passes(MIXED, book=False)
    assert bench.chip.ledger.report() == before
    bench.passes(MIXED)
    assert bench.chip.ledger.report()["reads"] == before["reads"] + 3 * 4 * bench.T * bench.B


@DOUBLE
def test_what_is_booked_does_not_depend_on_the_chunks(profile, backend, dtype, device, make_bench):
    books = []
    for chunk in (1, 4, 64):
        bench = make_bench(profile, dtype, device=device, backend=backend)
        bench.passes(MIXED, chunk=chunk)
        books.append(bench.chip.ledger.report())
    for report in books[1:]:
        assert flat(report) == flat(books[0])


def flat(report):
    """Return a report's numbers by name: counts as they are, energies to within rounding, for they are sums."""
    energies = {f"energy of {kind}": joules for kind, joules in report["energy"].items()}
    energies |= {name: value for name, value in report.items() if name.startswith("energy_")}
    counts = {name: value for name, value in report.items() if name not in {"energy", *energies}}
    return counts | {n: None if e is None else close(e, rel=1e-12) for n, e in energies.items()}


@DOUBLE
def test_without_artificial_noise_only_what_the_device_makes_is_left(profile, backend, dtype, device, make_bench):
    bench = make_bench(profile, dtype, device=device, backend=backend)
    plain = make_bench(profile, dtype, device=device, backend=backend, sigma=None)
    a = bench.passes(MIXED, artificial=False)
    b = plain.passes(MIXED)
    assert torch.equal(a.y, b.y)


@DOUBLE
def test_units_spike_and_are_told_alike_by_every_part(bench, dtype):
    """Only where there are spikes do the tests above say anything of spiking units."""
    found = bench.passes(MIXED)
    if not bench.spiking:
        assert all(part is None for part in (found.spikes, found.z, found.chunks[0].fired))
        return
    # a chip's units may spike several times in a step
    assert found.spikes.dtype in ((torch.bool, torch.int64) if bench.digital else (torch.bool,))
    assert int(found.spikes.min()) >= 0
    assert bool(found.spikes.any(0).any(-1).all())  # every pass of every sequence has spikes
    assert 0.005 < float(found.spikes.double().mean()) < 0.25  # 5 to 250 Hz, of 500
    assert torch.equal(found.x, found.z)
    assert torch.equal(sum(chunk.fired["hidden"] for chunk in found.chunks), found.spikes.sum((0, 1, 2)))
    decay, z = torch.exp(torch.tensor(-1 / 20, dtype=dtype)), torch.zeros_like(found.z[0])
    if bench.digital:  # its decays are the chip's, of which there are few
        held = bench.made._decays(bench.network)["hidden"][0]
        assert held == pytest.approx(float(decay), abs=0.02)
        decay = held
    for s, after in zip(found.spikes, found.z, strict=True):
        z = decay * z + s
        torch.testing.assert_close(after, z, rtol=0, atol=1e-12)


@DOUBLE
def test_a_presentation_that_was_left_halfway_leaves_nothing_behind(bench, dtype):
    whole = bench.passes(MIXED, chunk=4)
    next(iter(bench.chunks(MIXED, chunk=4)))
    again = bench.passes(MIXED, chunk=4)
    for part in PARTS:
        assert torch.equal(getattr(again, part), getattr(whole, part))


@DOUBLE
def test_what_is_kept_changes_no_result(bench, dtype):
    plain, noise, states = (bench.passes(MIXED, keep=keep) for keep in ("all", "noise", "states"))
    for part in PARTS:
        assert torch.equal(getattr(noise, part), getattr(plain, part))
        assert torch.equal(getattr(states, part), getattr(plain, part))
    assert plain.v is None
    assert (states.v is not None) == bench.spiking
    assert all(chunk.noise is None for chunk in plain.chunks)
    layers = torch.cat([chunk.noise["hidden"] for chunk in noise.chunks])
    assert layers.shape == plain.h.shape
    assert not layers[:, 1].any()
    assert torch.equal(layers[:, 3], -layers[:, 0])
    assert noise.chunks[0].noise_sigma == bench.chip.node_sigmas()


@DOUBLE
def test_two_presentations_at_once_are_two_or_are_refused(bench, dtype):
    """Never silently something else: spiking units are one population, which the second presentation begins anew."""
    whole = bench.passes(MIXED, chunk=4)
    first, second = (bench.chunks(MIXED, chunk=4) for _ in range(2))
    pairs = []
    try:
        for pair in zip(first, second, strict=True):
            pairs.append(pair)
    except RuntimeError as error:
        assert "finish one first, or use a second backend" in str(error)  # noqa: PT017
        assert bench.spiking
    else:
        for part in zip(*pairs, strict=True):
            assert torch.equal(torch.cat([chunk.y for chunk in part]), whole.y)
