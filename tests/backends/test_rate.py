"""The rate network against a plain loop, its books by hand, and its read noise in distribution."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from neuroanp.backends import reads
from neuroanp.devices.effects import ALL_EFFECTS
from neuroanp.noise import PassStreams
from neuroanp.trajectory import PassPlan
from tests.backends.white import white_pcm
from tests.close import close

PLAN = PassPlan(noise=(1.0, 1.0, 0.0), stream=(0, 1, 2), pairs=((0, 1),))
FALSE_ALARM = 1e-3
NO_CONVERTERS = ALL_EFFECTS - {"adc", "dac"}


def loop(W, u, noise_h, noise_y):
    """h_t = W_in u_t + W x_{t-1} + n_t, x_t = tanh h_t, y_t = W_out x_t + n^y_t, one pass and sequence at a time."""
    T, M, B, N = noise_h.shape
    h, x, y = np.zeros((T, M, B, N)), np.zeros((T, M, B, N)), np.zeros((T, M, B, len(W["w_out"])))
    one = np.ones(W["w_in"].shape[1] - u.shape[2])  # the bias line, if there is one
    for m in range(M):
        for b in range(B):
            before = np.zeros(N)
            for t in range(T):
                h[t, m, b] = W["w_in"] @ np.concatenate([u[t, b], one]) + W["w"] @ before + noise_h[t, m, b]
                before = x[t, m, b] = np.tanh(h[t, m, b])
                y[t, m, b] = W["w_out"] @ np.concatenate([before, one]) + noise_y[t, m, b]
    return h, x, y


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("chunk", [3, 64])
@pytest.mark.parametrize("profile", ["ideal", "smtj_koenders"])
def test_passes_equal_a_plain_loop(make_bench, bias, chunk, profile):
    bench = make_bench(profile, bias=bias)
    noise = bench.chip.perturbation(PLAN, bench.B, PassStreams(bench.streams, "train", 5))
    noise_h, noise_y = (noise.draw(layer, 0, bench.T).numpy() for layer in ("hidden", "output"))
    W = {name: w.numpy() for name, w in bench.chip.weights.items()}
    expected = loop(W, bench.inputs.numpy(), noise_h, noise_y)
    found = bench.passes(PLAN, chunk=chunk)
    for part, numbers in zip((found.h, found.x, found.y), expected, strict=True):
        np.testing.assert_allclose(part.numpy(), numbers, rtol=0, atol=1e-12)
    assert np.abs(noise_h[:, :2]).min() > 0
    assert not noise_h[:, 2].any()


def test_converters_stand_at_every_array(make_bench):
    """y = ADC(W DAC(x)) for each of the three arrays, by hand."""
    bench = make_bench("pcm", effects=frozenset({"adc", "dac"}), sigma=None)
    plan = PassPlan((0.0,), (0,), "mean")

    def read(name, x):
        array = bench.chip.arrays[name]
        x = np.round(np.clip(x, -1, 1) * 127) / 127
        y = bench.reads[name].W.numpy() @ x
        limit = array.adc.limit
        return np.round(np.clip(y, -limit, limit) / (limit / 127)) * (limit / 127)

    found = bench.passes(plan, chunk=4)
    for b in range(bench.B):
        x = np.zeros(7)
        for t in range(bench.T):
            h = read("w_in", np.append(bench.inputs[t, b].numpy(), 1.0)) + read("w", x)
            x = np.tanh(h)
            np.testing.assert_allclose(found.h[t, 0, b], h, rtol=0, atol=1e-12)
            np.testing.assert_allclose(found.y[t, 0, b], read("w_out", np.append(x, 1.0)), rtol=0, atol=1e-12)


@pytest.mark.parametrize("chunk", [1, 4, 64])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("converters", [True, False])
def test_booked_inputs_by_hand(make_bench, monkeypatch, chunk, bias, converters):
    """Each array's vector reads and the squared inputs of each word line, after the DAC."""
    bench = make_bench("pcm", bias=bias, effects=ALL_EFFECTS if converters else NO_CONVERTERS)
    booked: dict[str, list] = {name: [0, 0.0] for name in ("w_in", "w", "w_out")}

    def book(name, x2, reads, noisy, *, events):
        assert events is None  # rates drive every word line
        assert noisy == reads * 2 // 3  # PLAN has two noisy passes and a silent one
        booked[name][0] += reads
        booked[name][1] = booked[name][1] + x2

    monkeypatch.setattr(bench.chip, "book_reads", book)
    found = bench.passes(PLAN, chunk=chunk)

    def squares(x):
        x = torch.round(x.clamp(-1, 1) * 127) / 127 if converters else x
        return x.square().flatten(0, -2).sum(0)

    reads = bench.T * 3 * bench.B
    lines = torch.cat([found.x, torch.ones_like(found.x[..., :1])], -1) if bias else found.x
    expected = {"w_in": 3 * squares(found.u), "w": squares(found.x[:-1]), "w_out": squares(lines)}
    for name, x2 in expected.items():
        assert booked[name][0] == reads
        torch.testing.assert_close(booked[name][1], x2, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("read", ["moments", "sampled"])
def test_conversions_and_clipping_are_counted_for_every_pass(make_bench, read):
    """Every bit line of every read is one conversion, of w_in too, whose noise-free read serves all passes."""
    profile = white_pcm()
    small = profile.model_copy(
        update={"periphery": profile.periphery.model_copy(
            update={"adc": profile.periphery.adc.model_copy(update={"full_scale": 3e-6})}
        )}
    )  # fmt: skip
    effects = frozenset({"adc"}) if read == "moments" else frozenset({"adc", "read_noise"})
    bench = make_bench(small, sigma=None, effects=effects, read=read)
    found = bench.passes(PLAN, chunk=4)
    ledger, reads = bench.chip.ledger, bench.T * 3 * bench.B
    assert ledger.conversions == reads * (7 + 7 + 2)
    assert 0 < ledger.clipped < ledger.conversions
    if read == "sampled":
        return  # what is clipped hangs on the draws
    W = {name: plan.W for name, plan in bench.reads.items()}
    before = torch.cat([torch.zeros_like(found.x[:1]), found.x[:-1]])
    lines = torch.cat([found.x, torch.ones_like(found.x[..., :1])], -1)
    drives = {"w_in": found.u.unsqueeze(1).expand(-1, 3, -1, -1), "w": before, "w_out": lines}
    clipped = sum(int((x @ W[name].T).abs().gt(bench.reads[name].adc.limit).sum()) for name, x in drives.items())
    assert ledger.clipped == clipped


def moments(y: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Return means and products of the centred outputs, each (rows, statistics), of samples (rows, n)."""
    centred = y - y.mean(0)
    i, j = np.triu_indices(y.shape[1])
    return y, centred[:, i] * centred[:, j], len(y)


@pytest.mark.parametrize("effects", [ALL_EFFECTS - {"adc", "dac"}, ALL_EFFECTS], ids=["analog", "converters"])
def test_reads_by_moments_equal_sampled_devices_through_the_network(make_bench, effects):
    """Mean and covariance of y at t = 0 and t = 2, all passes of all sequences as samples of one input.

    The noise is so large that the tanh bends it, and new at every read: where it remembers, moments are those of one
    read alone. Max statistic over all means and covariances, two-sided, false alarm 1e-3.
    """
    profile = white_pcm(0.3)
    assert profile.periphery is not None
    loud = profile.model_copy(update={"periphery": profile.periphery.model_copy(update={"amplifier_noise": 2e-6})})
    samples, found = 20_000, []
    for read in ("moments", "sampled"):
        bench = make_bench(loud, sizes=(3, samples, 2, 4, 2), sigma=None, read=read, effects=effects)
        bench.inputs = bench.inputs[:, :1].expand(-1, samples, -1).contiguous()
        assert bench.reads["w"].sampled == (read == "sampled")
        y = bench.passes(PassPlan((1.0,), (0 if read == "moments" else 1,), "mean"), keep="loss", book=False).y
        found.append(y[[0, 2], 0].permute(1, 0, 2).flatten(1).numpy())
    (a, aa, n), (b, bb, m) = map(moments, found)
    z = np.concatenate([(p.mean(0) - q.mean(0)) / np.sqrt(p.var(0) / n + q.var(0) / m) for p, q in ((a, b), (aa, bb))])
    assert np.abs(z).max() < stats.norm.isf(FALSE_ALARM / (2 * len(z)))
    assert a.std(0).min() > 0.02  # there was noise to compare


@pytest.mark.parametrize("chunk", [1, 2, 5])
def test_sampled_devices_do_not_depend_on_the_chunks(make_bench, chunk):
    bench = make_bench("pcm", read="sampled")
    whole, cut = bench.passes(PLAN), bench.passes(PLAN, chunk=chunk)
    torch.testing.assert_close(cut.h, whole.h, rtol=0, atol=1e-12)
    torch.testing.assert_close(cut.y, whole.y, rtol=0, atol=1e-12)
    assert not torch.equal(whole.y[:, 0], whole.y[:, 1])


@pytest.mark.parametrize("amplifiers", [True, False])
def test_sampled_devices_are_drawn_a_few_steps_at_a_time(make_bench, monkeypatch, amplifiers):
    """No draw takes more than the limit (or one step), and the result is that of drawing all steps at once."""
    profile = white_pcm()
    if amplifiers:
        update = {"periphery": profile.periphery.model_copy(update={"amplifier_noise": 2e-8})}
        profile = profile.model_copy(update=update)
    bench = make_bench(profile, read="sampled")
    whole, sizes = bench.passes(PLAN), []
    one = reads.ArrayReads._noise

    def spy(self, name, t0, steps):
        drawn = one(self, name, t0, steps)
        sizes.append((steps, drawn.xi.numel() * drawn.xi.element_size()))
        return drawn

    monkeypatch.setattr(reads.ArrayReads, "_noise", spy)
    limit = 3 * bench.B * 7 * (7 + amplifiers) * 8 * 3  # three steps of w
    monkeypatch.setattr(reads, "LARGEST_DRAW", limit)
    cut = bench.passes(PLAN)
    torch.testing.assert_close(cut.h, whole.h, rtol=0, atol=1e-12)
    torch.testing.assert_close(cut.y, whole.y, rtol=0, atol=1e-12)
    assert max(size for _, size in sizes) == limit
    assert len(sizes) > 3
    monkeypatch.setattr(reads, "LARGEST_DRAW", 1)
    sizes.clear()
    torch.testing.assert_close(bench.passes(PLAN).y, whole.y, rtol=0, atol=1e-12)
    assert {steps for steps, _ in sizes} == {1}


@pytest.mark.parametrize("gains", [(1.0, 0.0, 1.0), (0.0,), (1.0, -1.0)])
def test_silent_passes_sample_no_junction(make_bench, gains):
    """Node noise costs energy_per_bit for each source of each unit, step and pass that has noise."""
    bench = make_bench("smtj_koenders", sigma=None)
    bench.passes(PassPlan(gains, tuple(range(len(gains))), "mean"))
    noisy = sum(gain != 0 for gain in gains)
    bits = noisy * bench.T * bench.B * (7 + 2) * bench.chip.junctions.n_sources
    assert bench.chip.ledger.energy()["node_noise"] == close(bits * bench.chip.junctions.energy_per_bit)


def test_gains_scale_read_noise_and_streams_name_it(make_bench):
    """At t = 0 the readers see equal inputs: h - h_silent is the gain times one draw."""
    plan = PassPlan((1.0, 2.0, 0.5, 0.0, 1.0), (3, 3, 3, 3, 4), "mean")
    bench = make_bench("pcm", effects=frozenset({"read_noise"}), sigma=None)
    h = bench.passes(plan).h[0]
    noise = h - h[3]
    torch.testing.assert_close(noise[1], 2.0 * noise[0], rtol=0, atol=1e-12)
    torch.testing.assert_close(noise[2], 0.5 * noise[0], rtol=0, atol=1e-12)
    assert not torch.allclose(noise[4], noise[0], rtol=1e-3, atol=0)
    assert float(noise[0].abs().min()) > 0


def test_a_chunk_does_not_keep_the_one_before_in_memory(make_bench):
    bench = make_bench()
    first, second, *_ = bench.chunks(PLAN, chunk=4)
    before, after = first.layers["hidden"], second.layers["hidden"]
    assert after.x_prev.untyped_storage().data_ptr() != before.x.untyped_storage().data_ptr()


@pytest.mark.parametrize("chunk", [1, 3, 64])
def test_noise_with_a_memory_does_not_depend_on_the_chunks(make_bench, chunk):
    bench = make_bench(memory_profile(), read="sampled", sigma=None)
    assert bench.reads["w"].process is not None
    whole, cut = bench.passes(PLAN), bench.passes(PLAN, chunk=chunk)
    torch.testing.assert_close(cut.h, whole.h, rtol=0, atol=1e-12)
    torch.testing.assert_close(cut.y, whole.y, rtol=0, atol=1e-12)
    assert not torch.equal(whole.y[:, 0], whole.y[:, 1])


def memory_profile(f_high: str = "10 kHz"):
    """The pcm profile with stationary 1/f noise up to `f_high`; a step of the bench takes 1 us."""
    from neuroanp.profiles import loads

    return loads(
        "extends: pcm\nmeta: {name: slow, summary: s, source: bench, status: illustrative}\n"
        f"read: {{law: one_over_f, f_low: 1 Hz, f_high: {f_high}, per_decade: 2, relative_psd: 1e-2}}\n"
    )


def test_slow_noise_is_the_same_in_all_reads_of_an_update(make_bench):
    """Far below one over the window it only shifts the weights: two reads of one input agree, two updates do not."""
    noise = {"read": "sampled", "sigma": None, "effects": frozenset({"read_noise", "frozen_noise"})}
    slow = make_bench(memory_profile("10 Hz"), **noise)
    plan = PassPlan((1.0, 1.0), (0, 1), ((0, 1),))
    y = slow.passes(plan, keep="loss", book=False).y
    within = (y[:, 0] - y[:, 1]).abs().max()
    silent = slow.passes(PassPlan((0.0,), (0,), "mean"), keep="loss", book=False).y
    assert within < 0.1 * (y[:, :1] - silent).abs().max()
    fast = make_bench(memory_profile("10 MHz"), **noise)
    y = fast.passes(plan, keep="loss", book=False).y
    assert (y[:, 0] - y[:, 1]).abs().max() > 5 * within


@pytest.mark.parametrize("backend", ["rate", "lif"])
def test_presentations_follow_one_another_at_their_length(make_bench, monkeypatch, backend):
    """Slow noise of units and devices is told T dt from one presentation to the next."""
    bench, seen = make_bench("rram_rtn", backend=backend, read="sampled"), []
    nodes, devices = bench.chip.perturbation, bench.chip.device_noise

    def perturbation(plan, batch, streams, artificial=True, apart=0.0):
        seen.append(apart)
        return nodes(plan, batch, streams, artificial, apart)

    def device_noise(name, reads, plan, batch, streams, apart=0.0):
        seen.append(apart)
        return devices(name, reads, plan, batch, streams, apart)

    monkeypatch.setattr(bench.chip, "perturbation", perturbation)
    monkeypatch.setattr(bench.chip, "device_noise", device_noise)
    bench.passes(PassPlan((1.0, 1.0), (0, 1), ((0, 1),)))
    assert seen == close([bench.T * bench.dt] * 4, rel=1e-12)  # of units, and of three arrays


@pytest.mark.parametrize("backend", ["rate", "lif"])
def test_what_layers_did_is_left_out_where_losses_alone_are_asked_for(make_bench, backend):
    chunks = list(make_bench(backend=backend).chunks(PassPlan((1.0,), (0,), "mean"), keep="loss"))
    assert all(not chunk.layers and not chunk.pre and chunk.noise is None for chunk in chunks)
