"""Simulate Loihi's CUBA neurons in whole numbers, bit for bit as lava's fixed-point model does.

Layers of units one after the other, each with recurrent weights or none; the last are the outputs. At every step of
the chip

    u <- trunc(u (4096 - iDecay) / 4096) + 2^6 a        a: weights of the spikes of one step before
    v <- trunc(v (4096 - vDecay) / 4096) + u + 2^6 bias
    v > 2^6 vThMant: spike, v <- 0

u and v have 24 bits: beyond them u wraps round and v stays at the end. Each connection takes one step, so the first
layer sees an input one step after it, units their own spikes one step after them, and a layer those of the layer below.

Source: the process models `LIF` and `Dense` of lava-nc 0.10.0 with the tag "fixed_pt"; lava-dl 0.6.0 for the layers,
whose blocks "dense" and "dense_rec" are a `Dense` for each matrix and a `LIF` behind them.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

DECAY_ONE = 4096
SHIFT = 6
STATE_END = 2**23
WEIGHT_LOW, WEIGHT_HIGH = -256, 254
BIAS_LOW, BIAS_HIGH = -4096, 4095
THRESHOLD_HIGH = 131071


class Cuba(NamedTuple):
    """One layer of neurons.

    Args:
        i_decay, v_decay: of current and membrane, 0 to 4096: the factor a step is 1 - decay / 4096.
        threshold: its mantissa, vThMant.
        bias: (N,) int64, mantissas.
    """

    i_decay: int
    v_decay: int
    threshold: int
    bias: Tensor


class Block(NamedTuple):
    """One layer: its weights and its neurons.

    Args:
        weight: (n, pre) from the layer below, or the input. recurrent: (n, n), or None; both post, pre; int64.
        neurons: n of them.
    """

    weight: Tensor
    recurrent: Tensor | None
    neurons: Cuba


class CubaNetwork(NamedTuple):
    """What the chip holds.

    Args:
        layers: of hidden units, from the input up, at least one. outputs: what the last of them reaches.
    """

    layers: tuple[Block, ...]
    outputs: Block

    @property
    def blocks(self) -> tuple[Block, ...]:
        """All layers, the outputs last."""
        return (*self.layers, self.outputs)


class BlockState(NamedTuple):
    """Where a layer is between two steps, (B, n) int64: u, v, and the weights of the last step's spikes, arriving."""

    u: Tensor
    v: Tensor
    arriving: Tensor


class Steps(NamedTuple):
    """What a network did, int64.

    Args:
        s, v: (T, B, N) spikes of hidden units and their membranes before the reset, layer after layer.
        s_out, u_out, v_out: (T, B, O) of output units.
        wrapped: (B,) how often a current left its 24 bits.
    """

    s: Tensor
    v: Tensor
    s_out: Tensor
    u_out: Tensor
    v_out: Tensor
    wrapped: Tensor


def begin(network: CubaNetwork, rows: int) -> tuple[BlockState, ...]:
    """Return the states at rest of `rows` sequences, block after block."""
    rest = [block.weight.new_zeros((rows, len(block.weight))) for block in network.blocks]
    return tuple(BlockState(zero, zero, zero) for zero in rest)  # no step changes them in place


def run(network: CubaNetwork, states: tuple[BlockState, ...], spikes: Tensor) -> tuple[Steps, tuple[BlockState, ...]]:
    """Return what the network does with input spikes, and the states after them.

    Args:
        network: weights and neurons. states: of B sequences.
        spikes: (T, B, I) int64, 0 or 1.

    >>> one = torch.ones(1, 1, dtype=torch.int64)
    >>> unit = Cuba(i_decay=4096, v_decay=0, threshold=250, bias=torch.zeros(1, dtype=torch.int64))
    >>> network = CubaNetwork((Block(100 * one, None, unit),), Block(50 * one, None, unit))
    >>> steps, _ = run(network, begin(network, 1), torch.ones(6, 1, 1, dtype=torch.int64))
    >>> steps.s.flatten().tolist(), (steps.u_out // 64).flatten().tolist()
    ([0, 0, 0, 1, 0, 0], [0, 0, 0, 0, 50, 0])
    """
    blocks = network.blocks
    # products of whole numbers below 2^53 are exact in float64, and no GPU multiplies matrices of int64
    from_below = [block.weight.double().T for block in blocks]
    own = [None if block.recurrent is None else block.recurrent.double().T for block in blocks]
    wrapped = spikes.new_zeros(spikes.shape[1])
    kept: list[tuple[Tensor, ...]] = []
    for now in spikes:
        after, hidden, sent = [], [], now.double()
        for block, state, w, w_own in zip(blocks, states, from_below, own, strict=True):
            u, before, s, v, out = step(block.neurons, *state)
            wrapped = wrapped + out.sum(-1)
            number = s.double()
            arriving = (sent @ w).long() if w_own is None else (sent @ w).long() + (number @ w_own).long()
            after.append(BlockState(u, v, arriving))
            hidden.append((s, before))
            sent = number
        states = tuple(after)
        *below, (s_out, v_out) = hidden
        s_hidden, v_hidden = (torch.cat(part, -1) for part in zip(*below, strict=True))
        kept.append((s_hidden, v_hidden, s_out, states[-1].u, v_out))
    s, v, s_out, u_out, v_out = (torch.stack(each).long() for each in zip(*kept, strict=True))
    return Steps(s, v, s_out, u_out, v_out, wrapped), states


def step(
    layer: Cuba, u: Tensor, v: Tensor, arriving: Tensor, noise: Tensor | int = 0
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Return current, membrane before the reset, spikes, membrane after it, and which currents wrapped.

    Args:
        layer: the neurons. u, v: (..., N) their states. arriving: (..., N) weights of the spikes of the step before.
        noise: (..., N) what else moves membranes, in units of v.
    """
    u = decay(u, layer.i_decay) + (arriving << SHIFT)
    above, below = u > STATE_END, u <= -STATE_END
    u = u - 2 * STATE_END * above.long() + 2 * STATE_END * below.long()
    v = decay(v, layer.v_decay) + u + (layer.bias << SHIFT) + noise
    v = v.clamp(1 - STATE_END, STATE_END - 1)
    s = v > layer.threshold << SHIFT
    return u, v, s, v.masked_fill(s, 0), above | below


def decay(x: Tensor, by: int) -> Tensor:
    """Return x (4096 - by) / 4096, cut towards zero.

    >>> decay(torch.tensor([100, -100]), 1024).tolist(), decay(torch.tensor([101, -101]), 1024).tolist()
    ([75, -75], [75, -75])
    """
    return torch.div(x * (DECAY_ONE - by), DECAY_ONE, rounding_mode="trunc")
