"""Simulate the integer neurons of SynSense's Xylo (v2) in torch, bit for bit; batched, on any device.

One step, with n incoming spikes (at most 15 of an input and 31 of a hidden unit) and 16-bit states that saturate:

    I <- I + n_in W_in + s W_rec                  one presynaptic unit after the other, clipped after each
    I <- dec(I),   V <- V + (dec(V) - V + sum_syn I + bias)               dec(x) = x - (x >> dash), at least by 1
    s <- min(V // threshold, 31),   V <- V - s threshold

Outputs do the same with the hidden spikes of the step before, and spike at most once a step.

Source: SynSense's simulator xylosim 0.1.3 (v2), which this module equals in all spikes and states.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

LOW, HIGH = -(2**15), 2**15 - 1
MAX_IN, MAX_HIDDEN, MAX_OUT = 15, 31, 1
MAX_DASH, MAX_SHIFT = 15, 7


class Network(NamedTuple):
    """What a Xylo is told; all tensors int64.

    Args:
        w_in: (I, N, S), w_rec: (N, N, S), w_out: (N, O): 8-bit weights, from and to; S is 1 or 2 synapses a unit.
        threshold: (N,), threshold_out: (O,), 1 to 32767. bias: (N,), bias_out: (O,), 16 bits.
        dash_mem: (N,), dash_syn: (N, S), dash_mem_out: (O,), dash_syn_out: (O,): shifts of the decays, 0 to 15.
        shift_in, shift_rec, shift_out: by how many bits weights are shifted left, 0 to 7.
    """

    w_in: Tensor
    w_rec: Tensor
    w_out: Tensor
    threshold: Tensor
    threshold_out: Tensor
    bias: Tensor
    bias_out: Tensor
    dash_mem: Tensor
    dash_syn: Tensor
    dash_mem_out: Tensor
    dash_syn_out: Tensor
    shift_in: int = 0
    shift_rec: int = 0
    shift_out: int = 0


class State(NamedTuple):
    """Where a chip is after a step, int64: currents i (B, N, S) and i_out (B, O), potentials v and v_out, spikes s."""

    i: Tensor
    v: Tensor
    s: Tensor
    i_out: Tensor
    v_out: Tensor
    s_out: Tensor


def check(net: Network) -> None:
    """Raise ValueError where a number does not fit its bits, or shapes do not go together.

    >>> net = Network(*(torch.ones(shape, dtype=torch.int64) for shape in shapes(1, 1, 1, 2).values()))
    >>> check(net)
    >>> check(net._replace(w_out=net.w_out * 128))
    Traceback (most recent call last):
    ...
    ValueError: w_out: 128 to 128 does not fit -128 to 127
    """
    inputs, units, synapses = net.w_in.shape
    for name, shape in shapes(inputs, units, net.w_out.shape[1], synapses).items():
        value = getattr(net, name)
        if tuple(value.shape) != shape or value.dtype != torch.int64:
            raise ValueError(f"{name}: shape {tuple(value.shape)} {value.dtype}, expected {shape} torch.int64")
        low, high = _RANGES[name.split("_")[0]]
        if value.numel() and not low <= int(value.min()) <= int(value.max()) <= high:
            raise ValueError(f"{name}: {int(value.min())} to {int(value.max())} does not fit {low} to {high}")
    for name in ("shift_in", "shift_rec", "shift_out"):
        if not 0 <= getattr(net, name) <= MAX_SHIFT:
            raise ValueError(f"{name}: {getattr(net, name)} does not fit 0 to {MAX_SHIFT}")


_RANGES = {"w": (-128, 127), "threshold": (1, HIGH), "bias": (LOW, HIGH), "dash": (0, MAX_DASH)}


def shapes(inputs: int, units: int, outputs: int, synapses: int) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a network's tensors, by name in the order of `Network`."""
    return {
        "w_in": (inputs, units, synapses), "w_rec": (units, units, synapses), "w_out": (units, outputs),
        "threshold": (units,), "threshold_out": (outputs,), "bias": (units,), "bias_out": (outputs,),
        "dash_mem": (units,), "dash_syn": (units, synapses), "dash_mem_out": (outputs,), "dash_syn_out": (outputs,),
    }  # fmt: skip


def decayed(x: Tensor, dash: Tensor) -> Tensor:
    """Return x - (x >> dash), nearer to 0 by at least 1.

    >>> decayed(torch.tensor([100, 3, 0, -3, -100]), torch.tensor(2)).tolist()
    [75, 2, 0, -2, -75]
    """
    return x - _leak(x, dash)


def _leak(x: Tensor, dash: Tensor) -> Tensor:
    shifted = x >> dash
    return torch.where(shifted == 0, x.sign(), shifted)


def deliver(current: Tensor, spikes: Tensor, weights: Tensor) -> Tensor:
    """Add the weights of all spikes to currents that saturate at 16 bits.

    Args:
        current: (B, ...) int64. spikes: (B, P) counts. weights: (P, ...), shifted.

    Returns: (B, ...): presynaptic units in their order, each clipped, since the order matters where sums saturate.

    >>> W = torch.tensor([[30000], [30000], [-30000]])
    >>> deliver(torch.zeros(1, 1, dtype=torch.int64), torch.ones(1, 3, dtype=torch.int64), W).tolist()
    [[2767]]
    """
    start, W, n = current.flatten(1), weights.flatten(1).double(), spikes.double()  # float64 holds these sums exactly
    farthest = start.abs() + (n @ W.abs()).to(torch.int64)
    if bool((farthest <= HIGH).all()):
        return (start + (n @ W).to(torch.int64)).view_as(current)
    for count, w in zip(spikes.T, weights.flatten(1), strict=True):
        start = (start + count[:, None] * w).clamp(LOW, HIGH)
    return start.view_as(current)


def fire(
    v: Tensor, current: Tensor, bias: Tensor, dash: Tensor, threshold: Tensor, most: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Move potentials by one step; return them before and after the reset, and the spikes, all (B, units)."""
    leak = _leak(v, dash)
    change = torch.where(leak == LOW, leak, -leak)  # the chip's 16 bits have no 32768
    change = (change + current).clamp(LOW, HIGH)
    before = (v + (change + bias).clamp(LOW, HIGH)).clamp(LOW, HIGH)
    spikes = torch.div(before, threshold, rounding_mode="floor").clamp(0, most)
    return before, before - spikes * threshold, spikes


def rest(net: Network, rows: int) -> State:
    """Return the state of `rows` chips at rest."""
    (_, units, synapses), outputs = net.w_in.shape, net.w_out.shape[1]
    hidden, out = net.bias.new_zeros(rows, units), net.bias.new_zeros(rows, outputs)
    return State(net.bias.new_zeros(rows, units, synapses), hidden, hidden, out, out, out)


def step(net: Network, state: State, inputs: Tensor) -> tuple[State, Tensor]:
    """Simulate one step.

    Args:
        net: the chip's numbers. state: after the step before. inputs: (B, I) spikes, whole numbers.

    Returns: the state after it; potentials (B, N) of hidden units before their reset.
    """
    i = deliver(state.i, inputs.clamp(0, MAX_IN), net.w_in << net.shift_in)
    i = decayed(deliver(i, state.s, net.w_rec << net.shift_rec), net.dash_syn)
    i_out = decayed(deliver(state.i_out, state.s, net.w_out << net.shift_out), net.dash_syn_out)
    before, v, s = fire(state.v, i.sum(-1), net.bias, net.dash_mem, net.threshold, MAX_HIDDEN)
    _, v_out, s_out = fire(state.v_out, i_out, net.bias_out, net.dash_mem_out, net.threshold_out, MAX_OUT)
    return State(i, v, s, i_out, v_out, s_out), before


def run(net: Network, inputs: Tensor) -> tuple[State, Tensor]:
    """Simulate chips from rest.

    Args:
        net: the chip's numbers. inputs: (T, B, I) spikes, whole numbers.

    Returns: states after all steps, each tensor with a leading T; potentials (T, B, N) before the reset.

    >>> numbers = {name: torch.zeros(shape, dtype=torch.int64) for name, shape in shapes(1, 1, 1, 1).items()}
    >>> net = Network(**numbers)
    >>> net = net._replace(w_in=net.w_in + 100, threshold=net.threshold + 80, threshold_out=net.threshold_out + HIGH)
    >>> net = net._replace(dash_syn=net.dash_syn + 2, dash_mem=net.dash_mem + 3)
    >>> states, before = run(net, torch.tensor([0, 1, 0, 0, 0]).view(5, 1, 1))
    >>> states.i.flatten().tolist(), before.flatten().tolist(), states.s.flatten().tolist()
    ([0, 75, 57, 43, 33], [0, 75, 123, 81, 33], [0, 0, 1, 1, 0])
    """
    state, states, befores = rest(net, inputs.shape[1]), [], []
    for spikes in inputs:
        state, before = step(net, state, spikes)
        states.append(state)
        befores.append(before)
    return State(*(torch.stack(part) for part in zip(*states, strict=True))), torch.stack(befores)
