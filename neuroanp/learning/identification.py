"""What arrays do, which is not what they are held to do: found by the units behind them, by recursive least squares.

A unit's own innovation i_t = dh_t - V dx_{t-1} takes away what changes elsewhere brought. V = W, the weights that are
held digitally, leaves (V' - W) dx of arrays that do V': cells err when they are written, and drift, and what they err
by is as large as the noise that is looked for. But the white noise of a unit has nothing to do with dx_{t-1}, so that
regressing what W leaves on what the unit hears finds the rest, V = W + E:

    G <- forget G + sum dx dx^T       A <- forget A + sum (dh - W dx) dx^T      over steps, samples, differences
    E  = A (G + r)^-1                                                           of the updates before

An update's own noise is not in the E that judges it. r is a small part of the mean square that G holds. Where the noise
remembers, E dx is also what dx tells of it: i_t is then what is new in it, given what units did a step before.

Source: recursive least squares with forgetting, Ljung, System Identification, 2nd ed., section 11.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

import torch

from neuroanp.learning.credit import differences
from neuroanp.learning.innovation import presynaptic
from neuroanp.network.network import INPUT
from neuroanp.trajectory import Weights

if TYPE_CHECKING:
    from torch import Tensor

    from neuroanp.network.network import Network, Projection
    from neuroanp.trajectory import PassPlan, Trajectory

WeightsName = Literal["held", "identified"]
WEIGHTS = (
    "by which weights a unit's own innovation is told from what arrays brought. held: those that are held digitally; "
    "identified: units find what their arrays do from what they hear (least squares, m^2 numbers for m lines)"
)
WEIGHTS_FORGET = 0.7
WEIGHTS_FORGETS = (
    "identified: what is left of an update's sums in the next one; less is sooner rid of what cells did before they "
    "were written, and leaves more unsure, (1 - forget) / (1 + forget) x m lines / n differences of an update"
)
RIDGE = 1e-3


def check_weights(weights: WeightsName, forget: float) -> None:
    """Raise ValueError for a forgetting that nothing forgets by.

    >>> check_weights("identified", 0.5)
    >>> check_weights("held", 0.5)
    Traceback (most recent call last):
    ...
    ValueError: weights_forget changes nothing with weights 'held'; set weights 'identified', or leave it out
    """
    if weights == "held" and forget != WEIGHTS_FORGET:
        raise ValueError(
            "weights_forget changes nothing with weights 'held'; set weights 'identified', or leave it out"
        )


def listened(network: Network, name: str) -> list[Projection]:
    """Return the arrays over which a layer hears other units, or itself; of data nothing differs.

    >>> from neuroanp.network.compose import one_layer
    >>> network = one_layer({"w_in": (2, 1), "w": (2, 2), "w_out": (1, 2)})
    >>> [p.name for p in listened(network, "hidden")], [p.name for p in listened(network, "output")]
    (['w'], ['w_out'])
    """
    return [p for p in network.projections if p.post == name and p.pre != INPUT]


def heard(network: Network, name: str, chunk: Trajectory, plan: PassPlan) -> Tensor:
    """Return how what a layer hears differs between passes, array beside array, (T, R, B, m).

    >>> from neuroanp.network.compose import one_layer
    >>> network = one_layer({"w_in": (2, 1), "w": (2, 2), "w_out": (1, 2)})
    >>> from neuroanp.trajectory import LayerActivity, PassPlan, Trajectory
    >>> x = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).reshape(1, 2, 1, 2).expand(3, 2, 1, 2)  # T 3, M 2, B 1, n 2
    >>> chunk = Trajectory(torch.zeros(3, 1, 1), {"hidden": LayerActivity(x, x, 0 * x[0])}, x[..., :1], t0=0, dt=1e-3)
    >>> plan = PassPlan(noise=(1.0, 1.0), stream=(0, 1), pairs=((0, 1),))
    >>> heard(network, "hidden", chunk, plan)[:, 0, 0].tolist()  # of the step before each; the first follows rest
    [[0.0, 0.0], [1.0, -1.0], [1.0, -1.0]]
    """
    parts = [presynaptic(p, chunk)[..., : network.units[p.pre]] for p in listened(network, name)]
    return differences(torch.cat(parts, -1), plan)


def errors_of(A: Tensor, G: Tensor) -> Tensor:
    """Return E = A (G + r)^-1, (lines, m), float64; 0 where nothing was heard.

    >>> x, E = torch.randn(100, 2, dtype=torch.float64), torch.tensor([[0.5, -1.0]], dtype=torch.float64)
    >>> bool((errors_of((x @ E.T).T @ x, x.T @ x) - E).abs().max() < 0.01)
    True
    """
    mean = G.diagonal().mean()
    floor = torch.where(mean > 0, RIDGE * mean, 1.0)
    return torch.linalg.solve(G + floor * torch.eye(len(G), dtype=G.dtype, device=G.device), A, left=False)


def reached(network: Network, name: str, E: Tensor) -> Tensor:
    """Return E (lines, m) of a layer, 0 where an array does not reach a line: nothing is taken away there.

    >>> from neuroanp.network.compose import one_layer
    >>> network = one_layer({"w_in": (2, 1), "w": (2, 2), "w_out": (1, 2)})
    >>> E = torch.tensor([[0.1, 0.2], [0.3, 0.4]])
    >>> torch.equal(reached(network, "hidden", E), E)  # units with one pre-activation: all of it
    True
    """
    found, at = torch.zeros_like(E), 0
    for p in listened(network, name):
        here = network.ports(p), slice(at, at + network.units[p.pre])
        found[here] = E[here]
        at = here[1].stop
    return found


def with_errors(weights: Weights, errors: Mapping[str, Tensor]) -> Weights:
    """Return V = W + E of every array over which a layer hears others.

    Args: weights: W. errors: E (lines, m) by layer, in the order of `listened`.

    >>> W = {"w_in": torch.zeros(2, 1), "w": torch.eye(2), "w_out": torch.zeros(1, 2)}
    >>> E = torch.tensor([[0.1, 0.0], [0.0, -0.1]])
    >>> with_errors(Weights.one_layer(W), {"hidden": E})["w"].diagonal()
    tensor([1.1000, 0.9000])
    """
    network, arrays = weights.network, dict(weights.items())
    for name, E in errors.items():
        at = 0
        for p in listened(network, name):
            units = network.units[p.pre]
            V = arrays[p.name].clone()
            V[:, :units] += E[network.ports(p), at : at + units].to(V)
            arrays[p.name], at = V, at + units
    return Weights(arrays, network)
