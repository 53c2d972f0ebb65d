"""The integer model of Loihi's neurons against recordings of lava-nc 0.10.0 with lava-dl 0.6.0, bit for bit.

loihi_cuba_4_32_2 spikes as trained networks do; the others reach the ends of the arithmetic: biases, membranes that are
exactly at the threshold, currents that wrap round and membranes that stay at the end of their 24 bits.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from neuroanp.backends.loihi import SHIFT, STATE_END, Block, CubaNetwork, begin, decay, run

pytest.importorskip("h5py", reason="pip install 'neuroanp[loihi]'")

from neuroanp.export import netx

DATA = Path(__file__).parents[1] / "export" / "data"
RECORDED = "loihi_cuba_4_32_2"


def recorded(name):
    with np.load(DATA / f"{name}.npz", allow_pickle=False) as file:
        return dict(file)


def steps_of(network, spikes, extra=1):
    """Return the steps of one sequence, with `extra` silent ones at the end."""
    u = torch.from_numpy(np.pad(spikes.astype(np.int64), ((0, extra), (0, 0))))[:, None]
    return run(network, begin(network, 1), u)[0]


@pytest.fixture
def lava():
    return netx.read(DATA / f"{RECORDED}.net"), recorded(RECORDED)


def differ(steps, lava_spikes):
    hidden = int((steps.s[:, 0].numpy() != lava_spikes["hidden_spikes"]).sum())
    return hidden, int((steps.s_out[:, 0].numpy() != lava_spikes["output_spikes"]).sum())


def test_all_spikes_of_the_recording(lava):
    network, spikes = lava
    assert spikes["hidden_spikes"].sum() == 1053
    assert spikes["output_spikes"].sum() == 161
    assert differ(steps_of(network, spikes["input_spikes"], extra=2), spikes) == (0, 0)


@pytest.mark.parametrize("late", [-1, 1])
def test_a_step_of_delay_is_seen(lava, late):
    network, spikes = lava
    moved = np.roll(spikes["input_spikes"], late, axis=0)
    assert min(differ(steps_of(network, moved, extra=2), spikes)) > 0


def agrees(network, lava_did):
    """Return whether hidden spikes, membranes after their reset and output currents are those of the recording."""
    steps = steps_of(network, lava_did["input_spikes"])
    v, v_out = (each.masked_fill(s > 0, 0)[1:] for each, s in ((steps.v, steps.s), (steps.v_out, steps.s_out)))
    ours = {"hidden_spikes": steps.s[:-1], "u_out": steps.u_out[1:], "v_out": v_out, "v_hidden": v}
    return all(np.array_equal(lava_did[name], each[:, 0].numpy()) for name, each in ours.items())


@pytest.mark.parametrize("name", ["loihi_edges", "loihi_bias", "loihi_wraps"])
def test_the_ends_of_the_arithmetic(name):
    network, lava_did = netx.read(DATA / f"{name}.net"), recorded(name)
    assert lava_did["hidden_spikes"].sum() > 500
    assert agrees(network, lava_did)
    steps = steps_of(network, lava_did["input_spikes"])
    reached = {
        "loihi_edges": (steps.v == network.layers[0].neurons.threshold << SHIFT).any(),
        "loihi_bias": network.layers[0].neurons.bias.any() and network.outputs.neurons.bias.any(),
        "loihi_wraps": steps.wrapped.any() and (steps.v.abs() == STATE_END - 1).any(),
    }
    assert reached[name]


@pytest.mark.parametrize("by", [-1, 1])
@pytest.mark.parametrize(("index", "name"), [(k, d) for k in (0, 1) for d in ("i_decay", "v_decay")])
def test_a_decay_that_is_off_by_one_is_seen(index, name, by):
    network, lava_did = netx.read(DATA / "loihi_bias.net"), recorded("loihi_bias")
    blocks = [*network.blocks]
    neurons = blocks[index].neurons
    blocks[index] = blocks[index]._replace(neurons=neurons._replace(**{name: getattr(neurons, name) + by}))
    wrong = CubaNetwork((blocks[0],), blocks[1])
    assert not agrees(wrong, lava_did)


def test_a_membrane_at_the_threshold_does_not_spike():
    network, lava_did = netx.read(DATA / "loihi_edges.net"), recorded("loihi_edges")
    at = (steps_of(network, lava_did["input_spikes"]).v == network.layers[0].neurons.threshold << SHIFT)[:-1, 0].numpy()
    assert at.sum() > 100  # v >= threshold would spike at each of them
    assert not lava_did["hidden_spikes"][at].any()


def test_state_goes_in_and_out(lava):
    network, spikes = lava
    u = torch.from_numpy(spikes["input_spikes"].astype(np.int64))[:, None]
    whole, end = run(network, begin(network, 1), u)
    first, middle = run(network, begin(network, 1), u[:77])
    second, same_end = run(network, middle, u[77:])
    for all_steps, *halves in zip(whole[:-1], first[:-1], second[:-1], strict=True):
        assert torch.equal(all_steps, torch.cat(halves))
    for state, same in zip(end, same_end, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(state, same, strict=True))


def test_sequences_of_a_batch_do_not_meet(lava):
    network, _ = lava
    u = (torch.rand(50, 3, 4, generator=torch.Generator().manual_seed(0)) < 0.4).long()
    together, _ = run(network, begin(network, 3), u)
    for row in range(3):
        alone, _ = run(network, begin(network, 1), u[:, row : row + 1])
        assert torch.equal(alone.v, together.v[:, row : row + 1])
        assert torch.equal(alone.u_out, together.u_out[:, row : row + 1])
    assert together.s.any()


def test_decay_cuts_towards_zero():
    x = torch.arange(-5000, 5000)
    for by in (0, 1, 204, 1024, 4095, 4096):
        exact = [int(abs(each) * (4096 - by) // 4096) * (1 if each > 0 else -1) for each in x.tolist()]
        assert decay(x, by).tolist() == exact


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_gives_the_same_bits(lava):
    network, spikes = lava
    u = torch.from_numpy(spikes["input_spikes"].astype(np.int64))[:, None]
    blocks = [
        Block(weight.cuda(), None if own is None else own.cuda(), neurons._replace(bias=neurons.bias.cuda()))
        for weight, own, neurons in network.blocks
    ]
    there = CubaNetwork(tuple(blocks[:-1]), blocks[-1])
    on_cuda, _ = run(there, begin(there, 1), u.cuda())
    here, _ = run(network, begin(network, 1), u)
    assert all(torch.equal(a, b.cpu()) for a, b in zip(here, on_cuda, strict=True))
