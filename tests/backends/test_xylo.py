"""The integer model of Xylo equals SynSense's own simulator in every spike and every state."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroanp.backends import xylo


def simulator():
    return pytest.importorskip("xylosim.v2", reason="xylosim is missing: pip install xylosim", exc_type=ImportError)


def random_network(rng, inputs, units, outputs, synapses=2, *, largest=127, threshold=(1, 3000), shifts=(0, 0, 0)):
    """Return a chip of random numbers; `largest` bounds the weights."""
    limits = {"w": (-largest - 1, largest), "threshold": threshold, "bias": (-200, 200), "dash": (0, 15)}
    drawn = {
        name: torch.from_numpy(rng.integers(low, high, size=shape, endpoint=True))
        for name, shape in xylo.shapes(inputs, units, outputs, synapses).items()
        for low, high in [limits[name.split("_")[0]]]
    }
    net = xylo.Network(**drawn, shift_in=shifts[0], shift_rec=shifts[1], shift_out=shifts[2])
    xylo.check(net)
    return net


def simulated(net: xylo.Network, inputs: np.ndarray) -> dict[str, np.ndarray]:
    """Return what xylosim does with (T, I) spikes: every state (T, ...), by our names."""
    v2 = simulator()

    def synapses(W):
        W = W[..., None] if W.ndim == 2 else W
        return [
            [v2.XyloSynapse(j, k, int(W[i, j, k])) for j in range(W.shape[1]) for k in range(W.shape[2]) if W[i, j, k]]
            for i in range(W.shape[0])
        ]

    kept = [synapses(W) for W in (net.w_in, net.w_rec, net.w_out)]  # xylosim does not own them
    layer = v2.XyloLayer(
        *kept, [[] for _ in net.threshold], net.threshold.tolist(), net.threshold_out.tolist(), True,
        net.bias.tolist(), net.bias_out.tolist(), net.shift_in, net.shift_rec, net.shift_out, net.dash_mem.tolist(),
        net.dash_mem_out.tolist(), net.dash_syn.tolist(), net.dash_syn_out[:, None].tolist(), "chip",
    )  # fmt: skip
    layer.evolve(inputs.tolist())
    i = [layer.rec_i_syn, layer.rec_i_syn2][: net.dash_syn.shape[1]]
    found = {
        "i": np.stack([np.array(part) for part in i]).transpose(2, 1, 0), "v": np.array(layer.rec_v_mem).T,
        "s": np.array(layer.rec_recurrent_spikes), "i_out": np.array(layer.rec_i_syn_out).T,
        "v_out": np.array(layer.rec_v_mem_out).T, "s_out": np.array(layer.rec_out_spikes),
    }  # fmt: skip
    del kept
    return found


def same(net: xylo.Network, inputs: np.ndarray) -> xylo.State:
    """Hold (T, B, I) spikes' states against xylosim's; return ours."""
    ours, _ = xylo.run(net, torch.from_numpy(inputs))
    for row in range(inputs.shape[1]):
        for name, theirs in simulated(net, inputs[:, row]).items():
            np.testing.assert_array_equal(getattr(ours, name)[:, row].numpy(), theirs, err_msg=name)
    return ours


@pytest.mark.parametrize(
    ("seed", "sizes", "options"),
    [
        (0, (4, 12, 2, 1), {"largest": 20}),
        (1, (16, 40, 8, 2), {"shifts": (1, 2, 3)}),
        (2, (8, 64, 3, 2), {"threshold": (50, 400), "shifts": (7, 5, 6)}),
    ],
    ids=["small", "two synapses", "saturating"],
)
def test_equals_xylosim_in_spikes_and_states(seed, sizes, options) -> None:
    rng = np.random.default_rng(seed)
    net = random_network(rng, *sizes, **options)
    inputs = rng.poisson(0.3, size=(120, 2, sizes[0])) + 20 * (rng.random((120, 2, sizes[0])) < 0.01)
    ours = same(net, inputs)
    assert int(ours.s.sum()) > 400
    assert int(ours.s_out.sum()) > 20


def test_where_currents_saturate_the_order_of_spikes_counts(monkeypatch) -> None:
    rng = np.random.default_rng(2)
    net = random_network(rng, 8, 64, 3, threshold=(50, 400), shifts=(7, 5, 6))
    inputs = rng.poisson(0.3, size=(40, 1, 8))
    assert bool((same(net, inputs).v == xylo.LOW).any())

    def clipped_once(current, spikes, weights):
        return (current + torch.einsum("bp,p...->b...", spikes, weights)).clamp(xylo.LOW, xylo.HIGH)

    monkeypatch.setattr(xylo, "deliver", clipped_once)
    with pytest.raises(AssertionError):
        same(net, inputs)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**32 - 1),
    inputs=st.integers(1, 3),
    units=st.integers(1, 4),
    outputs=st.integers(1, 2),
    synapses=st.integers(1, 2),
    largest=st.sampled_from([1, 10, 127]),
    threshold=st.sampled_from([(1, 5), (1, 500), (30000, xylo.HIGH)]),
    shifts=st.tuples(st.integers(0, 7), st.integers(0, 7), st.integers(0, 7)),
)
def test_equals_xylosim_on_whatever_network(seed, inputs, units, outputs, synapses, largest, threshold, shifts) -> None:
    rng = np.random.default_rng(seed)
    net = random_network(rng, inputs, units, outputs, synapses, largest=largest, threshold=threshold, shifts=shifts)
    same(net, rng.integers(0, 20, size=(25, 1, inputs)))


@pytest.mark.parametrize("bias", [xylo.LOW, -40, 129, xylo.HIGH])
def test_equals_xylosim_at_the_ends_of_16_bits(bias) -> None:
    net = random_network(np.random.default_rng(3), 1, 4, 1, largest=0, threshold=(30000, 32767))
    dashes = torch.tensor([0, 1, 4, 15])
    same(net._replace(bias=torch.full_like(net.bias, bias), dash_mem=dashes), np.full((30, 1, 1), 15))


def test_a_wrong_decay_and_a_late_spike_are_detected() -> None:
    rng = np.random.default_rng(4)
    net, inputs = random_network(rng, 4, 12, 2, largest=20), rng.poisson(0.3, size=(60, 1, 4))
    other = net._replace(dash_mem=(net.dash_mem + 1) % 16)
    with pytest.raises(AssertionError, match="v"):
        np.testing.assert_array_equal(
            xylo.run(other, torch.from_numpy(inputs))[0].v[:, 0].numpy(), simulated(net, inputs[:, 0])["v"], "v"
        )
    late = np.concatenate([0 * inputs[:1], inputs[:-1]])
    assert not torch.equal(xylo.run(net, torch.from_numpy(late))[0].s, xylo.run(net, torch.from_numpy(inputs))[0].s)


def test_state_in_and_out_continues_a_run() -> None:
    rng = np.random.default_rng(5)
    net, inputs = random_network(rng, 3, 10, 2), torch.from_numpy(rng.poisson(0.5, size=(30, 4, 3)))
    states, _ = xylo.run(net, inputs)
    state = xylo.State(*(part[14] for part in states))
    for spikes in inputs[15:]:
        state, _ = xylo.step(net, state, spikes)
    for ours, whole in zip(state, states, strict=True):
        assert torch.equal(ours, whole[-1])


def test_rows_do_not_touch_each_other() -> None:
    rng = np.random.default_rng(6)
    net, inputs = random_network(rng, 3, 10, 2, shifts=(7, 7, 7)), torch.from_numpy(rng.poisson(1.0, size=(30, 3, 3)))
    together, _ = xylo.run(net, inputs)
    alone, _ = xylo.run(net, inputs[:, 1:2])
    for both, one in zip(together, alone, strict=True):
        assert torch.equal(both[:, 1:2], one)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"w_rec": 128}, "w_rec: 128 to 128 does not fit -128 to 127"),
        ({"threshold": 0}, "threshold: 0 to 0 does not fit 1 to 32767"),
        ({"bias_out": 40000}, "bias_out: 40000 to 40000 does not fit -32768 to 32767"),
        ({"dash_syn": 16}, "dash_syn: 16 to 16 does not fit 0 to 15"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(change, message) -> None:
    net = random_network(np.random.default_rng(7), 2, 3, 1)
    (name, value), *_ = change.items()
    with pytest.raises(ValueError, match=message):
        xylo.check(net._replace(**{name: torch.full_like(getattr(net, name), value)}))
    with pytest.raises(ValueError, match="shift_in: 8 does not fit 0 to 7"):
        xylo.check(net._replace(shift_in=8))
    with pytest.raises(ValueError, match="w_in: shape"):
        xylo.check(net._replace(w_in=net.w_in.double()))
