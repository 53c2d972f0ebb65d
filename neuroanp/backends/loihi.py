"""Simulate Loihi's CUBA neurons in whole numbers, bit for bit as lava's fixed-point model does.

A network of two layers: hidden units with recurrent weights, and output units. At every step of the chip

    u <- trunc(u (4096 - iDecay) / 4096) + 2^6 a        a: weights of the spikes of one step before
    v <- trunc(v (4096 - vDecay) / 4096) + u + 2^6 bias
    v > 2^6 vThMant: spike, v <- 0

u and v have 24 bits: beyond them u wraps round and v stays at the end. Each connection takes one step, so hidden units
see an input one step after it, their own spikes one step after them, and output units hidden spikes one step after.

Source: the process models `LIF` and `Dense` of lava-nc 0.10.0 with the tag "fixed_pt"; lava-dl 0.6.0 for the layers.
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


class CubaNetwork(NamedTuple):
    """What the chip holds.

    Args:
        w_in: (N, I), w: (N, N), w_out: (O, N), all post, pre; int64.
        hidden, output: the neurons of the two layers.
    """

    w_in: Tensor
    w: Tensor
    w_out: Tensor
    hidden: Cuba
    output: Cuba


class State(NamedTuple):
    """Where a network is between two steps, int64.

    Args:
        u, v: (B, N) of hidden, u_out, v_out: (B, O) of output units.
        arriving, arriving_out: weights of the last step's spikes, on their way to the units.
    """

    u: Tensor
    v: Tensor
    arriving: Tensor
    u_out: Tensor
    v_out: Tensor
    arriving_out: Tensor


class Steps(NamedTuple):
    """What a network did, int64.

    Args:
        s, v: (T, B, N) spikes of hidden units and their membranes before the reset.
        s_out, u_out, v_out: (T, B, O) of output units.
        wrapped: (B,) how often a current left its 24 bits.
    """

    s: Tensor
    v: Tensor
    s_out: Tensor
    u_out: Tensor
    v_out: Tensor
    wrapped: Tensor


def begin(network: CubaNetwork, rows: int) -> State:
    """Return the state at rest of `rows` sequences."""
    hidden, out = (W.new_zeros((rows, len(W))) for W in (network.w, network.w_out))
    return State(hidden, hidden, hidden, out, out, out)  # no step changes them in place


def run(network: CubaNetwork, state: State, spikes: Tensor) -> tuple[Steps, State]:
    """Return what the network does with input spikes, and the state after them.

    Args:
        network: weights and neurons. state: of B sequences.
        spikes: (T, B, I) int64, 0 or 1.

    >>> one = torch.ones(1, 1, dtype=torch.int64)
    >>> unit = Cuba(i_decay=4096, v_decay=0, threshold=250, bias=torch.zeros(1, dtype=torch.int64))
    >>> network = CubaNetwork(100 * one, 0 * one, 50 * one, unit, unit)
    >>> steps, _ = run(network, begin(network, 1), torch.ones(6, 1, 1, dtype=torch.int64))
    >>> steps.s.flatten().tolist(), (steps.u_out // 64).flatten().tolist()
    ([0, 0, 0, 1, 0, 0], [0, 0, 0, 0, 50, 0])
    """
    u, v, arriving, u_out, v_out, arriving_out = state
    # products of whole numbers below 2^53 are exact in float64, and no GPU multiplies matrices of int64
    w_in, w, w_out = (W.double().T for W in network[:3])
    driven = (spikes.double() @ w_in).long()
    wrapped = spikes.new_zeros(spikes.shape[1])
    kept: list[tuple[Tensor, ...]] = []
    for entering in driven:
        u, before, s, v, out = step(network.hidden, u, v, arriving)
        u_out, before_out, s_out, v_out, out_o = step(network.output, u_out, v_out, arriving_out)
        wrapped = wrapped + out.sum(-1) + out_o.sum(-1)
        number = s.double()
        arriving, arriving_out = entering + (number @ w).long(), (number @ w_out).long()
        kept.append((s, before, s_out, u_out, before_out))
    s, v_before, s_out, u_all, v_out_before = (torch.stack(each).long() for each in zip(*kept, strict=True))
    after = State(u, v, arriving, u_out, v_out, arriving_out)
    return Steps(s, v_before, s_out, u_all, v_out_before, wrapped), after


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
