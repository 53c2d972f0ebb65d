"""Spiking units on a substrate against a plain loop, their books by hand, and their read noise in distribution."""

from __future__ import annotations

from math import exp

import numpy as np
import pytest
import torch
from scipy import stats

from neuroanp.backends import trial
from neuroanp.backends.network import Execution
from neuroanp.backends.neuron import LIF
from neuroanp.backends.protocol import BACKENDS
from neuroanp.devices.effects import ALL_EFFECTS
from neuroanp.noise import PassStreams
from neuroanp.substrates.node_drive import NodeDrive
from neuroanp.trajectory import PassPlan
from tests.backends.neurons import with_lines
from tests.backends.white import white_pcm
from tests.close import close

PLAN = PassPlan(noise=(1.0, 1.0, 0.0), stream=(0, 1, 2), pairs=((0, 1),))
SILENT = PassPlan(noise=(0.0,), stream=(0,), pairs="mean")
NOISY = PassPlan(noise=(1.0,), stream=(0,), pairs="mean")
FALSE_ALARM = 1e-3
DT = 1e-3


def simulator(backend="lif", chunk=64, spikes_in=False):
    return BACKENDS.get(backend)(DT, chunk, spikes_in=spikes_in)


def spiking_bench(make_bench, profile="ideal", spikes_in=False, neuron=None, **options):
    bench = make_bench(profile, backend="lif", cell=LIF(**(neuron or {})), **options)
    if spikes_in:
        bench.inputs = (bench.inputs > 0.6).to(bench.inputs)
    return bench


def loop(neuron, W, u, noise_h, noise_y, factors, spikes_in, bias):
    """Do every step of every pass and sequence by the equations, as they are written down in the documentation."""
    T, M, B, N = noise_h.shape
    O = len(W["w_out"])  # noqa: E741
    found = {"h": (T, M, B, N), "v": (T, M, B, N), "s": (T, M, B, N), "z": (T, M, B, N), "y": (T, M, B, O)}
    found = {name: np.zeros(shape) for name, shape in found.items()}
    one = np.ones(N)
    tau_m, tau_s = neuron.tau_m * factors.get("tau_m", one), neuron.tau_s * factors.get("tau_s", one)
    threshold = factors.get("threshold", one)
    a_m, a_s, a_r = np.exp(-DT / tau_m), np.exp(-DT / tau_s), exp(-DT / neuron.tau_r)
    a, line = (1.0, 1.0 / T) if neuron.decoder == "count" else (a_r, 1.0 - a_r)
    on = [1.0 - exp(-DT / neuron.tau_s) if spikes_in else 1.0] * bias
    for m, b in np.ndindex(M, B):
        v, current, z, y, wait = np.zeros(N), np.zeros(N), np.zeros(N), np.zeros(O), np.zeros(N)
        for t in range(T):
            arriving = neuron.input_gain * W["w_in"] @ np.append(u[t, b], on)
            external = neuron.drive + noise_h[t, m, b] + (0 if spikes_in else arriving)
            found["h"][t, m, b] = current + external
            wait = np.maximum(wait - 1, 0)
            moved = a_m * v + tau_s / (tau_s - tau_m) * (a_s - a_m) * current + (1 - a_m) * external
            v = np.where(wait > 0, v, moved)
            found["v"][t, m, b] = v
            s = (v > threshold) & (wait == 0)
            current = a_s * current + neuron.synapse_gain * W["w"] @ s + (arriving if spikes_in else 0)
            z = a_r * z + s
            y = a * y + W["w_out"] @ np.append(s, [line] * bias)
            v = np.where(s, v - threshold if neuron.reset == "subtract" else 0.0, v)
            wait = np.where(s, round(neuron.refractory / DT), wait)
            found["s"][t, m, b], found["z"][t, m, b], found["y"][t, m, b] = s, z, y + noise_y[t, m, b]
    return found


@pytest.mark.parametrize("backend", ["lif", "spiking"])
@pytest.mark.parametrize(
    ("profile", "bias", "spikes_in", "neuron"),
    [
        ("ideal", True, False, {}),
        ("ideal", False, True, {"decoder": "count", "reset": "subtract", "refractory": 0.0}),
        ("smtj_koenders", True, True, {"decoder": "count", "drive": 0.0}),
        ("mixed_signal_neurons", True, False, {"reset": "subtract", "refractory": 5e-3, "tau_r": 7e-3}),
        ("mixed_signal_neurons", False, True, {}),
    ],
)
def test_passes_equal_a_plain_loop(make_bench, backend, profile, bias, spikes_in, neuron):
    bench = spiking_bench(make_bench, profile, spikes_in, neuron, bias=bias)
    noise = bench.chip.perturbation(PLAN, bench.B, PassStreams(bench.streams, "train", 5))
    noise_h, noise_y = (noise.draw(layer, 0, bench.T).numpy() for layer in ("hidden", "output"))
    W = {name: plan.W.numpy() for name, plan in bench.reads.items()}
    factors = {name: factor.numpy() for name, factor in bench.chip.neurons["hidden"].items()}
    expected = loop(LIF(**neuron), W, bench.inputs.numpy(), noise_h, noise_y, factors, spikes_in, bias)
    made = simulator(backend, 16, spikes_in)
    found = bench.passes(PLAN, backend=made, keep="states")
    np.testing.assert_array_equal(found.spikes.numpy(), expected["s"])
    assert 0.01 < expected["s"].mean() < 0.3
    for name, part in (("h", found.h), ("v", found.v), ("z", found.z), ("x", found.x), ("y", found.y)):
        np.testing.assert_allclose(part.numpy(), expected["z" if name == "x" else name], rtol=0, atol=1e-10)


@pytest.mark.parametrize("decoder", ["trace", "count"])
@pytest.mark.parametrize("bias", [True, False])
def test_outputs_are_the_weights_times_what_they_read(make_bench, decoder, bias):
    """y = W_out r exactly, r = z or the number of spikes so far; r is what the rule is told."""
    bench = spiking_bench(make_bench, neuron={"decoder": decoder}, bias=bias, sigma=None)
    found = bench.passes(SILENT, backend=simulator(chunk=16))
    r = found.z if decoder == "trace" else found.spikes.double().cumsum(0)
    if decoder == "trace" and not bias:
        assert found.readout is None  # the trace itself
    else:
        torch.testing.assert_close(found.readout[..., :7], r, rtol=0, atol=1e-12)
        r = found.readout
    torch.testing.assert_close(found.y, r @ bench.reads["w_out"].W.T, rtol=0, atol=1e-12)
    assert found.chunks[0].layers["hidden"].x_prev.shape == (1, bench.B, 7)


def test_bias_lines_settle_at_their_weight(make_bench):
    """Of units that never spike: y -> b as 1 - a^t (trace), b t/T (count); where inputs spike, I -> g_in b in tau_s."""

    def quiet(spikes_in=False, **neuron):
        bench = spiking_bench(make_bench, neuron={"drive": -50.0, **neuron}, sigma=None, sizes=(200, 1, 2, 7, 2))
        bench.inputs = torch.zeros_like(bench.inputs)
        found = bench.passes(SILENT, backend=simulator(chunk=33, spikes_in=spikes_in))
        return found, *(bench.reads[name].W[:, -1] for name in ("w_in", "w_out"))

    t = torch.arange(1, 201, dtype=torch.float64)[:, None]
    found, _, b_out = quiet()
    y = found.y[:, 0, 0]
    torch.testing.assert_close(y, b_out * (1 - torch.exp(-t / 20)), rtol=0, atol=1e-12)
    torch.testing.assert_close(y[-1], b_out, rtol=1e-4, atol=0)
    found, _, b_out = quiet(decoder="count")
    torch.testing.assert_close(found.y[:, 0, 0], b_out * t / 200, rtol=0, atol=1e-12)
    found, b_in, _ = quiet(spikes_in=True)
    arrived = 1 - torch.exp(-(t - 1) / 5)  # what arrives at a step is in I from the next
    torch.testing.assert_close(found.h[:, 0, 0] + 50, 12 * b_in * arrived, rtol=0, atol=1e-12)
    torch.testing.assert_close(found.u[:, 0, -1:], arrived, rtol=0, atol=1e-12)
    assert not found.spikes.any()


@pytest.mark.parametrize("chunk", [1, 16, 1000])
def test_presynaptic_traces_are_those_before_the_step(make_bench, chunk):
    """u_t = sum over earlier spikes of exp(-(t - t_spike - 1) dt / tau_r): they move no membrane before."""
    bench = spiking_bench(make_bench, spikes_in=True, neuron={"tau_r": 7e-3}, bias=False)
    found = bench.passes(NOISY, backend=simulator(spikes_in=True, chunk=chunk))
    t = np.arange(bench.T)
    lag = t[:, None] - t[None, :] - 1
    kernel = np.where(lag >= 0, np.exp(-lag / 7.0), 0.0)
    expected = np.einsum("ts,sbi->tbi", kernel, bench.inputs.numpy())
    np.testing.assert_allclose(found.u.numpy(), expected, rtol=0, atol=1e-12)


def test_an_input_spike_moves_the_membrane_one_step_later(make_bench):
    """By hand: one spike of line 0 at step 3 is I = g_in w after it, then v = k_I I at step 4."""
    bench = spiking_bench(make_bench, neuron={"drive": 0.0, "input_gain": 0.1}, sigma=None, bias=False)
    bench.inputs = torch.zeros_like(bench.inputs)
    bench.inputs[3, :, 0] = 1.0
    found = bench.passes(SILENT, backend=simulator(spikes_in=True), keep="states")
    w = bench.reads["w_in"].W[:, 0]
    a_m, a_s = exp(-1 / 20), exp(-1 / 5)
    assert not found.h[:4].any()
    assert not found.v[:4].any()
    torch.testing.assert_close(found.h[4, 0, 0], 0.1 * w, rtol=0, atol=1e-14)
    torch.testing.assert_close(found.h[5, 0, 0], 0.1 * w * a_s, rtol=0, atol=1e-14)
    torch.testing.assert_close(found.v[4, 0, 0], 5 / (5 - 20) * (a_s - a_m) * 0.1 * w, rtol=0, atol=1e-14)


@pytest.mark.parametrize("read", ["moments", "sampled"])
def test_read_noise_enters_with_the_variance_of_the_weights_that_spikes_read(make_bench, read):
    """Units that all spike at step 13 for the first time: I gains g (W s + noise), Var = g^2 sum_j S_ij s_j.

    Every sequence is a sample: chi-squared of each unit's noise, and of each output's, two-sided; the
    correlation of two units' noise. Before step 13 nothing is read, and there is no noise at all.
    """
    samples, N, O = 4000, 4, 2  # noqa: E741
    bench = spiking_bench(
        make_bench, white_pcm(), neuron={"drive": 2.0}, bias=False, sigma=None, read=read,
        effects=frozenset({"read_noise"}), sizes=(15, samples, 2, N, O),
    )  # fmt: skip
    bench.inputs = torch.zeros_like(bench.inputs)
    found = bench.passes(NOISY, backend=simulator())
    s = found.spikes[:, 0]
    assert not s[:13].any()
    assert s[13].all()
    current = found.h[:, 0] - 2.0
    assert not current[:14].any()
    assert not found.y[:13].any()
    every = torch.ones(N, dtype=torch.float64)
    tests = []
    for name, noise, gain in (("w", current[14], 3.0), ("w_out", found.y[13, 0], 1.0)):
        plan = bench.reads[name]
        noise = (noise - gain * plan.W @ every).numpy()
        variance = (gain**2 * plan.sigma2 @ every).numpy()
        chi2 = (noise**2).sum(0) / variance
        tests += [2 * min(stats.chi2.cdf(x, samples), stats.chi2.sf(x, samples)) for x in chi2]
        tests += [
            2 * stats.norm.sf(abs(m) * np.sqrt(samples / v)) for m, v in zip(noise.mean(0), variance, strict=True)
        ]
        r = np.corrcoef(noise.T)[np.triu_indices(len(chi2), 1)]
        tests += list(2 * stats.norm.sf(np.abs(r) * np.sqrt(samples)))
    assert min(tests) > FALSE_ALARM / len(tests)


def test_reads_by_moments_equal_sampled_devices_through_the_network(make_bench):
    """Means and covariances of the outputs at three steps; loud noise, so that it moves spikes."""
    profile = white_pcm(0.6)
    assert profile.periphery is not None
    loud = profile.model_copy(update={"periphery": profile.periphery.model_copy(update={"amplifier_noise": 1e-6})})
    samples, found, spikes = 4000, [], []
    for read in ("moments", "sampled"):
        bench = spiking_bench(make_bench, loud, sizes=(24, samples, 2, 4, 2), sigma=None, read=read)
        bench.inputs = bench.inputs[:, :1].expand(-1, samples, -1).contiguous()
        assert bench.reads["w"].sampled == (read == "sampled")
        plan = PassPlan((1.0,), (0 if read == "moments" else 1,), "mean")
        chunks = bench.passes(plan, backend=simulator(), book=False)
        found.append(chunks.y[[3, 12, 23], 0].permute(1, 0, 2).flatten(1).numpy())
        spikes.append(chunks.spikes.double().mean((0, 1, 2)))
    assert min(float(share.mean()) for share in spikes) > 0.02
    p, q = map(moments, found)
    z = (p.mean(0) - q.mean(0)) / np.sqrt((p.var(0) + q.var(0)) / samples)
    assert np.abs(z).max() < stats.norm.isf(FALSE_ALARM / (2 * len(z)))
    assert found[0].std(0).min() > 0.02  # there was noise to compare


def moments(y: np.ndarray) -> np.ndarray:
    """Return samples (rows, n) and the products of what they differ from their mean, (rows, statistics)."""
    centred = y - y.mean(0)
    i, j = np.triu_indices(y.shape[1])
    return np.concatenate([y, centred[:, i] * centred[:, j]], axis=1)


@pytest.mark.parametrize("profile", ["ideal", "smtj_koenders"])
def test_node_noise_is_coupled_to_the_membranes_alone(make_bench, profile):
    """Junctions reach the hidden units times `drive.scale`, the outputs as they are; artificial noise is as stated."""
    bench = spiking_bench(make_bench, profile, drive=NodeDrive(0.25, 0.1, scale=20.0), sizes=(40, 500, 2, 7, 2))
    found = bench.passes(PLAN, backend=simulator(), keep="noise")
    silent = bench.passes(SILENT, backend=simulator())
    told = {name: torch.cat([chunk.noise[name] for chunk in found.chunks]) for name in ("hidden", "output")}
    # at the first step it is all that h and y have beside what a silent pass has
    torch.testing.assert_close(found.h[0] - silent.h[0], told["hidden"][0], rtol=0, atol=1e-12)
    read = found.readout @ bench.reads["w_out"].W.T
    torch.testing.assert_close(found.y - read, told["output"], rtol=0, atol=1e-12)
    own = bench.chip.junctions.node_sigma if profile == "smtj_koenders" else 0.0
    sigmas = {"hidden": np.hypot(20 * own, 0.25), "output": np.hypot(own, 0.1)}
    assert found.chunks[0].noise_sigma == close(sigmas, rel=1e-12)
    assert (own > 0) == (profile == "smtj_koenders")
    for name, sigma in sigmas.items():
        drawn = told[name][0, :2].numpy()  # independent over passes, sequences and units
        assert drawn.std() == close(sigma, rel=4 / np.sqrt(2 * drawn.size))
        assert not told[name][:, 2].any()


@pytest.mark.parametrize("chunk", [1, 7, 64])
@pytest.mark.parametrize("profile", ["pcm", "smtj_telegraph"])
@pytest.mark.parametrize(("decoder", "spikes_in"), [("trace", True), ("count", False)])
def test_nothing_depends_on_the_chunks(make_bench, chunk, profile, decoder, spikes_in):
    bench = spiking_bench(make_bench, profile, spikes_in, {"decoder": decoder})
    options = {"spikes_in": spikes_in}
    whole, cut = (bench.passes(PLAN, backend=simulator(chunk=size, **options), keep="states") for size in (1000, chunk))
    assert torch.equal(whole.spikes, cut.spikes)
    for part in ("u", "h", "x", "y", "z", "v", "readout"):
        torch.testing.assert_close(getattr(cut, part), getattr(whole, part), rtol=0, atol=1e-11)
    noise = [bench.passes(PLAN, backend=simulator(chunk=size, **options), keep="noise") for size in (1000, chunk)]
    for layer in ("hidden", "output"):
        assert torch.equal(*(torch.cat([c.noise[layer] for c in found.chunks]) for found in noise))
    fired = [sum(chunk.fired["hidden"] for chunk in found.chunks) for found in (whole, cut)]
    assert torch.equal(*fired)


@pytest.mark.parametrize("backend", ["lif", "spiking"])
def test_a_simulator_makes_new_units_for_a_network_of_others(make_bench, monkeypatch, backend):
    """Its populations are kept from one presentation to the next, for the units that they are of."""
    monkeypatch.setattr(trial, "_outcome", lambda task, wall_s: {"done": True})
    kinds = [LIF(), LIF(tau_m=10e-3)] + [with_lines()] * (backend == "spiking")
    benches = [make_bench(backend=backend, cell=cell) for cell in kinds]
    one = BACKENDS.get(backend)(DT, execution=Execution(target="numpy"))
    for bench in (*benches, *benches):
        fresh = BACKENDS.get(backend)(DT, execution=Execution(target="numpy"))
        found, expected = (bench.passes(PLAN, backend=made) for made in (one, fresh))
        assert torch.equal(found.spikes, expected.spikes)
        assert torch.equal(found.h, expected.h)
        assert expected.spikes.any()


# ---- books ----


@pytest.mark.parametrize("chunk", [1, 16, 1000])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("spikes_in", [True, False])
def test_booked_reads_events_and_loads_by_hand(make_bench, monkeypatch, chunk, bias, spikes_in):
    """Every step reads every array in every pass; a spike drives its word line for n weights; a bias is no spike."""
    bench = spiking_bench(make_bench, "pcm", spikes_in, bias=bias, effects=ALL_EFFECTS - {"adc", "dac"})
    reads = dict.fromkeys(("w_in", "w", "w_out"), 0)
    loads, events, spikes = dict.fromkeys(reads, 0.0), dict.fromkeys(reads, 0), np.zeros(2, dtype=int)

    def book(name, load, times, noisy, *, events=None):
        assert noisy == times * 2 // 3  # PLAN has two noisy passes and a silent one
        reads[name] += times
        loads[name] = loads[name] + load
        told.setdefault(name, []).append(events)

    def book_spikes(*counts):
        spikes[:] += counts

    told: dict[str, list] = {}
    monkeypatch.setattr(bench.chip, "book_reads", book)
    monkeypatch.setattr(bench.chip, "book_spikes", book_spikes)
    found = bench.passes(PLAN, backend=simulator(chunk=chunk, spikes_in=spikes_in))
    T, M, B, N, O = bench.T, 3, bench.B, 7, 2  # noqa: E741
    s = found.spikes.double()
    assert reads == dict.fromkeys(reads, T * M * B)
    events = {name: None if None in counts else sum(counts) for name, counts in told.items()}
    number, arrived = int(s.sum()), int(bench.inputs.sum()) if spikes_in else 0
    assert events == {"w_in": arrived * M * N if spikes_in else None, "w": number * N, "w_out": number * O}
    assert spikes.tolist() == [number, (arrived * M * N) + number * (N + O)]
    assert number > 30

    def squares(lines, on):
        lines = torch.cat([lines, torch.full_like(lines[..., :1], on)], -1) if bias else lines
        return lines.square().flatten(0, -2).sum(0)

    line_in = 1 - exp(-1 / 5) if spikes_in else 1.0
    expected = {
        "w_in": M * squares(bench.inputs, line_in),
        "w": s.flatten(0, -2).sum(0),
        "w_out": squares(s, 1 - exp(-1 / 20)),
    }
    for name, load in expected.items():
        torch.testing.assert_close(loads[name], load, rtol=1e-11, atol=1e-11)


def test_energy_of_reads_by_events_by_hand(make_bench):
    """smtj_koenders states 1.5 pJ a weight read: all of w_in in every step, of the others those that spikes read."""
    bench = spiking_bench(make_bench, "smtj_koenders")
    before = bench.chip.ledger.energy()["array_reads"]
    found = bench.passes(PLAN, backend=simulator())
    T, M, B, N, O = bench.T, 3, bench.B, 7, 2  # noqa: E741
    number = int(found.spikes.sum())
    report = bench.chip.ledger.report()
    weights = T * M * B * N * 3 + number * (N + O)
    assert report["energy"]["array_reads"] - before == close(1.5e-12 * weights, rel=1e-12)
    assert (report["spikes"], report["events"], report["reads"]) == (number, number * (N + O), 3 * T * M * B)
    bits = 2 * T * B * (N + O)  # one junction a unit and step in each of the two noisy passes
    assert report["energy"]["node_noise"] == close(20e-15 * bits, rel=1e-12)
    assert report["energy"]["digital"] == close(1e-12 * T * M * B * (N + O), rel=1e-12)
    assert report["energy_per_spike_J"] == close(
        sum(e for kind, e in report["energy"].items() if e and kind != "writes") / number, rel=1e-12
    )


def test_energy_of_spikes_and_events_by_hand(make_bench):
    """mixed_signal_neurons states 500 pJ a spike and 10 pJ an event, which is all that its arrays cost."""
    bench = spiking_bench(make_bench, "mixed_signal_neurons", spikes_in=True)
    found = bench.passes(PLAN, backend=simulator(spikes_in=True))
    number, arrived = int(found.spikes.sum()), 3 * 7 * int(bench.inputs.sum())
    energy = bench.chip.ledger.energy()
    assert energy["spikes"] == close(500e-12 * number, rel=1e-12)
    assert energy["synaptic_events"] == close(10e-12 * (arrived + 9 * number), rel=1e-12)
    assert energy["array_reads"] == 0.0
    assert bench.chip.ledger.events == arrived + 9 * number


@pytest.mark.parametrize("read", ["moments", "sampled"])
def test_every_bit_line_converts_at_every_step(make_bench, read):
    """Whether anything spikes or not: the ADC does not know. A read without noise counts for every pass."""
    effects = frozenset({"adc"}) if read == "moments" else frozenset({"adc", "read_noise"})
    bench = spiking_bench(make_bench, white_pcm(), sigma=None, effects=effects, read=read)
    bench.passes(PLAN, backend=simulator(chunk=16))
    assert bench.chip.ledger.conversions == bench.T * 3 * bench.B * (7 + 7 + 2)


def test_converters_stand_at_every_array(make_bench):
    """I gains g ADC(W s), and y what ADC(W_out s) is, by hand; spikes pass a DAC of 8 bits unchanged."""
    bench = spiking_bench(make_bench, "pcm", sigma=None, bias=False, effects=frozenset({"adc", "dac"}))
    found = bench.passes(SILENT, backend=simulator(chunk=16))

    def read(name, x):
        limit = bench.chip.arrays[name].adc.limit
        y = np.clip(x @ bench.reads[name].W.numpy().T, -limit, limit)
        return np.round(y / (limit / 127)) * (limit / 127)

    s = found.spikes[:, 0].double().numpy()
    u = np.round(np.clip(bench.inputs.numpy(), -1, 1) * 127) / 127
    current = found.h[:, 0].numpy() - 0.6 - 12 * read("w_in", u)
    np.testing.assert_allclose(current[1:], exp(-1 / 5) * current[:-1] + 3 * read("w", s[:-1]), rtol=0, atol=1e-10)
    y = found.y[:, 0].numpy()
    np.testing.assert_allclose(y[1:], exp(-1 / 20) * y[:-1] + read("w_out", s[1:]), rtol=0, atol=1e-10)
    assert s.sum() > 10
