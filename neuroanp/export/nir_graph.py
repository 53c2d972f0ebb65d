"""The numbers of a NIR graph for a network of spiking units, and what a reader computes with them.

    input -> w_in -> LIF (CubaLIF where tau_s > 0) <-> w,  LIF -> w_out (-> LI) -> output

NIR states equations in continuous time; readers step them by Euler, and a recurrent node sees the step before:

    LIF:      v_t = (1 - dt/tau) v_{t-1} + (dt/tau) (W_in u_t + b + W s_{t-1})
    CubaLIF:  J_t = (1 - dt/tau_syn) J_{t-1} + W_in u_t + W s_{t-1},   v_t = (1 - dt/tau_mem) v_{t-1} + J_t

Every decay a is written as tau = dt / (1 - a), so that Euler's factor is the network's own, and all gains are in the
weights: r is 1 of LIF, and r = tau_mem / dt, w_in = tau_syn / dt of CubaLIF, which is what all readers understand.

Where the network's equations take the past of an input, the reader filters it: line l gets p_l u_t + q_l u_{t-1}.
Input spikes come one step late (p, q = 0, 1). Currents, which do not pass through the synapse, undo its filter before
they enter CubaLIF (1, -a_s); so does the constant drive, on a line of its own.

Source: Pedersen et al., Nature Communications 15, 8122 (2024).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroanp.export.model import Model, Traces
from neuroanp.network.compose import BACK, INTO, OUT

if TYPE_CHECKING:
    from neuroanp.backends.neuron import LIF

Array = Any  # NDArray[np.float64]


@dataclass(frozen=True)
class Gains:
    """What stands between the network's units and the graph's, for one neuron and dt.

    Args:
        cuba: whether the node is CubaLIF.
        a_m, a_s, a_y: factors a step of the membrane, the synaptic current and the outputs.
        w_in, w, w_out: factors of the weights.
        drive: current into every unit, as it stands in the graph.
        taps: (p, q) of the lines that carry inputs. constant: value of the bias line of w_in.
        output_line: what drives the bias column of w_out, as it stands in the graph.
    """

    cuba: bool
    a_m: float
    a_s: float
    a_y: float
    w_in: float
    w: float
    w_out: float
    drive: float
    taps: tuple[float, float]
    constant: float
    output_line: float

    @property
    def bias_in_node(self) -> bool:
        """Whether the bias of w_in is a bias of the node; otherwise it needs an input line, filtered as the others."""
        return self.taps == (1.0, 0.0)


def gains(neuron: LIF, dt: float, spikes_in: bool, output_line: float, li: bool) -> Gains:
    """Return the gains that are folded into the graph's weights.

    Args:
        neuron: the units' parameters. dt: seconds a step. spikes_in: whether inputs are spikes.
        output_line: what drives the bias column of w_out in the network. li: whether the graph ends in an LI node.

    Raises:
        ValueError: a decay rounds to 1.

    >>> from neuroanp.backends.neuron import LIF
    >>> folded = gains(LIF(tau_s=0.0), 1e-3, False, 1.0, False)  # inputs are currents, and no filter between
    >>> folded.cuba, folded.w_in, folded.w, folded.taps
    (False, 12.0, 3.0, (1.0, 0.0))
    """
    import torch

    from neuroanp.backends.neuron import coefficients

    one = torch.zeros(1, dtype=torch.float64)
    a_m, k_i, k_e, a_s, a_r = (float(part[0]) for part in coefficients(neuron, dt, one)[:5])
    cuba, count = bool(neuron.tau_s), neuron.decoder == "count"
    a_y = 1.0 if count else a_r
    for name, a in (("tau_m", a_m), ("tau_s", a_s), ("tau_r", 0.0 if count else a_r)):
        if a >= 1.0:
            raise ValueError(
                f"{name}: {getattr(neuron, name):g} s is so long that a step of {dt:g} s decays by nothing"
            )
    synapse, current = (k_i, k_e) if cuba else (1.0, 1.0)
    return Gains(
        cuba=cuba,
        a_m=a_m,
        a_s=a_s,
        a_y=a_y,
        w_in=(synapse if spikes_in else current) * neuron.input_gain,
        w=synapse * neuron.synapse_gain,
        w_out=1.0 / (1.0 - a_y) if li else 1.0,
        drive=current * neuron.drive,
        taps=(0.0, 1.0) if spikes_in else (1.0, -a_s if cuba else 0.0),
        constant=1.0 - a_s if spikes_in else 1.0,
        output_line=1.0 if li else output_line,
    )


@dataclass(frozen=True)
class Folded:
    """The graph's numbers.

    Args:
        gains: as `Gains`. dt: seconds a step. li: whether it ends in LI.
        w_in: (N, L) of the input lines: inputs, then constants. bias_in: (N,).
        w: (N, N). w_out: (O, N). bias_out: (O,), or None as bias_in.
        taps: (L, 2) of the lines. constants: values of the lines after the inputs.
    """

    gains: Gains
    dt: float
    li: bool
    w_in: Array
    bias_in: Array | None
    w: Array
    w_out: Array
    bias_out: Array | None
    taps: Array
    constants: tuple[float, ...]

    @property
    def filtered(self) -> bool:
        """Whether the reader has to filter its input lines."""
        return bool(self.constants) or bool((self.taps != (1.0, 0.0)).any())

    def lines(self, u: Array) -> Array:
        """Return what enters the graph for inputs u (T, B, I): (T, B, L)."""
        lines = np.concatenate([u, np.broadcast_to(self.constants, (*u.shape[:2], len(self.constants)))], -1)
        before = np.concatenate([np.zeros_like(lines[:1]), lines[:-1]])
        return self.taps[:, 0] * lines + self.taps[:, 1] * before


def fold(model: Model, li: bool) -> Folded:
    """Return the graph's numbers for a network of spiking units."""
    assert model.neuron is not None
    inputs, n, _ = model.sizes
    g = gains(model.neuron, model.dt, model.spikes_in, model.output_line, li)
    W = model.weights
    in_node = g.bias_in_node
    columns = g.w_in * (W[INTO][:, :inputs] if in_node else W[INTO])
    taps = [g.taps] * columns.shape[1]
    constants = () if in_node or not model.bias else (g.constant,)
    bias = np.full(n, g.drive) if not g.cuba and g.drive else None
    if in_node and model.bias:
        bias = g.w_in * W[INTO][:, inputs] + g.drive
    if g.cuba and g.drive:
        columns = np.concatenate([columns, np.full((n, 1), g.drive)], -1)
        taps, constants = [*taps, (1.0, -g.a_s)], (*constants, 1.0)
    return Folded(
        gains=g,
        dt=model.dt,
        li=li,
        w_in=columns,
        bias_in=bias,
        w=g.w * W[BACK],
        w_out=g.w_out * W[OUT][:, :n],
        bias_out=g.output_line * W[OUT][:, n] if model.bias else None,
        taps=np.array(taps),
        constants=constants,
    )


def simulate(folded: Folded, u: Array) -> Traces:
    """Return what a reader computes, with the decays that the written time constants give, in float64.

    Args:
        folded: the graph's numbers. u: (T, B, I) inputs of the network, before the filter of the input lines.
    """
    g = folded.gains
    a_m, a_s, a_y = (1.0 - folded.dt / tau_of(a, folded.dt) if a < 1.0 else 1.0 for a in (g.a_m, g.a_s, g.a_y))
    v, J, y = (np.zeros((u.shape[1], len(weights))) for weights in (folded.w, folded.w, folded.w_out))
    bias_in, bias_out = (0.0 if b is None else b for b in (folded.bias_in, folded.bias_out))
    s, ss, vs, ys = v, [], [], []
    for x in folded.lines(u) @ folded.w_in.T + bias_in:
        current = x + s @ folded.w.T
        J = a_s * J + current
        v = a_m * v + (J if g.cuba else (1.0 - a_m) * current)
        s = (v > 1.0).astype(float)
        out = s @ folded.w_out.T + bias_out
        y = a_y * y + ((1.0 - a_y) * out if folded.li else out)
        vs.append(v)
        ss.append(s)
        ys.append(y)
        v = np.where(s > 0, 0.0, v)
    return Traces(np.array(ys), np.array(ss).astype(np.int64), np.array(vs))


def tau_of(a: float, dt: float) -> float:
    """Return the time constant for which an Euler step of dt has the factor a."""
    return dt / (1.0 - a)
