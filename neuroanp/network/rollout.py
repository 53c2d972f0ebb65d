"""Run a rate network from rest, noise-free: what the controls, the gradient and the exporters' truth see.

    h_t = sum over arrays of W pre_t (pre_{t-1} where the projection is delayed)     state, x_t = cell.step(state, h_t)
    y_t = sum over readouts of W x_t

Layer after layer for all of time: nothing flows back to a layer from one above.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple, cast

import torch
from torch import Tensor

from neuroanp.network.lines import with_bias_line, word_lines
from neuroanp.network.network import INPUT, OUTPUT

if TYPE_CHECKING:
    from neuroanp.network.cell import Cell, State
    from neuroanp.network.network import Layer, Network, Projection


class Rollout(NamedTuple):
    """What a network did.

    Args:
        h: pre-activations of each layer, (T, rows, ports n).
        x: activities of the input and of each layer, (T, rows, n).
        y: outputs, (T, rows, O).
    """

    h: Mapping[str, Tensor]
    x: Mapping[str, Tensor]
    y: Tensor


def rollout(network: Network, W: Mapping[str, Tensor], u: Tensor) -> Rollout:
    """Run the network from rest, through which autograd can differentiate.

    Args:
        network: of cells of rates. W: its arrays.
        u: (T, rows, I) inputs without the bias line.

    >>> from neuroanp.network.compose import Stacked, stack
    >>> from neuroanp.network.tanh import Tanh
    >>> one = torch.ones(1, 1, dtype=torch.float64)
    >>> made = stack(1, [Stacked(Tanh(), 1)], 1)
    >>> run = rollout(made, {"w_in": one, "w": 0 * one, "w_out": 2 * one}, torch.ones(2, 1, 1).double())
    >>> [round(float(y), 4) for y in run.y.flatten()]  # 2 tanh(1), twice
    [1.5232, 1.5232]
    """
    x: dict[str, Tensor] = {INPUT: u}
    hs: dict[str, Tensor] = {}
    for layer in network.layers:
        hs[layer.name], x[layer.name] = _run(network, layer, W, x)
    return Rollout(hs, x, _sum([_product(p, W, x) for p in network.feed(OUTPUT)]))


def lines(p: Projection, x: Tensor) -> Tensor:
    """Return what the word lines of an array see of the activity (T, ..., n) before it, from rest.

    >>> from neuroanp.network.compose import one_layer
    >>> network = one_layer({"w_in": (1, 1), "w": (1, 1), "w_out": (1, 1)})
    >>> lines(network.projection("w"), torch.tensor([[1.0], [2.0]])).flatten().tolist()  # a step late
    [0.0, 1.0]
    """
    return word_lines(p, x, torch.zeros_like(x[0]))


class Standing(NamedTuple):
    """Where a network stands between two steps.

    Args:
        states: of the cells of each layer. x: activities of the input and of each layer at the step before.
    """

    states: Mapping[str, State]
    x: Mapping[str, Tensor]


def rest(network: Network, rows: int, like: Tensor) -> Standing:
    """Return where a network of `rows` copies stands at the start, in the dtype and on the device of `like`.

    >>> from neuroanp.network.compose import one_layer
    >>> network = one_layer({"w_in": (1, 1), "w": (1, 1), "w_out": (1, 1)})
    >>> {name: x.tolist() for name, x in rest(network, 2, torch.zeros(1)).x.items()}
    {'input': [[0.0], [0.0]], 'hidden': [[0.0], [0.0]]}
    """
    states = {layer.name: cast("Cell", layer.cell).start(rows, layer.units, like) for layer in network.layers}
    return Standing(states, {name: like.new_zeros(rows, network.units[name]) for name in network.groups[:-1]})


def advance(network: Network, W: Mapping[str, Tensor], standing: Standing, u: Tensor) -> tuple[Standing, Tensor]:
    """Do one step of all layers: the same as `rollout`, for those who look at every step.

    Args:
        network, W: as in `rollout`. standing: as the step before left it. u: (rows, I) inputs of this step.

    Returns: where the network stands then, and its outputs (rows, O).

    >>> from neuroanp.network.compose import one_layer
    >>> network = one_layer({"w_in": (1, 1), "w": (1, 1), "w_out": (1, 1)})
    >>> one = torch.ones(1, 1)
    >>> W, standing = {"w_in": one, "w": one, "w_out": one}, rest(network, 1, one)
    >>> standing, y = advance(network, W, standing, one)
    >>> standing, z = advance(network, W, standing, 0 * one)
    >>> round(y.item(), 4), round(z.item(), 4)  # tanh(1), tanh(tanh(1))
    (0.7616, 0.642)
    """
    states, now = dict(standing.states), {INPUT: u}
    for layer in network.layers:
        h = u.new_zeros(len(u), network.lines[layer.name])
        for p in network.projections:
            if p.post == layer.name:
                x = standing.x[p.pre] if p.delay else now[p.pre]
                h = h.index_add(-1, _index(network.ports(p), u), with_bias_line(x, p.bias) @ W[p.name].T)
        states[layer.name], now[layer.name] = cast("Cell", layer.cell).step(states[layer.name], h)
    feed = network.feed(OUTPUT)
    y = _sum([with_bias_line(standing.x[p.pre] if p.delay else now[p.pre], p.bias) @ W[p.name].T for p in feed])
    return Standing(states, now), y


def _run(network: Network, layer: Layer, W: Mapping[str, Tensor], x: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Return pre-activations and activities of a layer over all of time."""
    cell = cast("Cell", layer.cell)
    drive = _sum([_product(p, W, x) for p in network.feed(layer.name)])
    steps, rows, reached = drive.shape
    back = network.recurrence(layer.name)
    if reached < network.lines[layer.name]:  # room for the ports that nothing from below reaches
        wide = drive.new_zeros(steps, rows, network.lines[layer.name])
        drive = wide.index_add(-1, _index(network.ports(network.feed(layer.name)[0]), drive), drive)
    where = None if back is None else network.ports(back)
    whole = where == slice(0, network.lines[layer.name])
    now, state = drive.new_zeros(rows, layer.units), cell.start(rows, layer.units, drive)
    hidden, activity = [], []
    for h in drive:
        if back is not None and whole:
            h = torch.addmm(h, now, W[back.name].T)
        elif back is not None and where is not None:
            h = h.index_add(-1, _index(where, h), now @ W[back.name].T)
        state, now = cell.step(state, h)
        hidden.append(h)
        activity.append(now)
    return torch.stack(hidden), torch.stack(activity)


def _product(p: Projection, W: Mapping[str, Tensor], x: Mapping[str, Tensor]) -> Tensor:
    return lines(p, x[p.pre]) @ W[p.name].T


def _index(where: slice, like: Tensor) -> Tensor:
    return torch.arange(where.start, where.stop, device=like.device)


def _sum(parts: list[Tensor]) -> Tensor:
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total
