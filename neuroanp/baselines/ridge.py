"""Ridge readout on the untrained network: what a random recurrence is worth by itself, by the task's own loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from neuroanp.baselines.network import rate_activities
from neuroanp.baselines.penalised import fit_sequences_to
from neuroanp.baselines.protocol import Activities, Sequences, Source, scored
from neuroanp.baselines.regression import LAMBDAS, fit_sequences
from neuroanp.losses import SQUARED_ERROR, Loss, is_squared_error
from neuroanp.network.lines import with_bias_line
from neuroanp.network.network import OUTPUT, Network
from neuroanp.noise import Streams
from neuroanp.trajectory import Weights


@dataclass(frozen=True)
class Readout:
    """A fitted readout.

    Args:
        weights: the network, float64. w_out: (O, features) its new readout.
        strength: the ridge strength chosen, relative to the mean square of the activities.
        activity: simulates the network. every: whether the readout sees all layers, or what the outputs see.
    """

    weights: Weights
    w_out: Tensor
    strength: float
    activity: Activities
    every: bool = False

    def predict(self, batch: Sequences) -> np.ndarray:
        """Return the outputs (T, B, O), noise-free."""
        x = features(self.activity(self.weights, batch.inputs), self.weights.network, self.every)
        return (x @ self.w_out.T).numpy(force=True)


def features(x: Mapping[str, Tensor], network: Network, every: bool = False) -> Tensor:
    """Return what a readout sees, (T, B, features): the lines of the arrays to the output, or every layer.

    Args:
        x: activity (T, B, n) of each layer. network: whose they are.
        every: all layers side by side, with one constant if the network has bias lines.
    """
    if every:
        return with_bias_line(torch.cat([x[layer.name] for layer in network.layers], -1), network.bias)
    lines = [with_bias_line(x[p.pre], p.bias) for p in network.feed(OUTPUT)]
    return lines[0] if len(lines) == 1 else torch.cat(lines, -1)


def sees_all(network: Network) -> bool:
    """Return whether every layer reaches the output."""
    return {p.pre for p in network.feed(OUTPUT)} == {layer.name for layer in network.layers}


def ridge(
    task: Source,
    weights: Weights,
    streams: Streams,
    windows: int = 2560,
    strengths: tuple[float, ...] = LAMBDAS,
    activity: Activities = rate_activities,
    loss: Loss = SQUARED_ERROR,
    every: bool = False,
) -> Readout:
    """Fit the readout with a ridge penalty, all other arrays left as they are.

        W_out = argmin sum_{scored t, b} L(W_out x_tb, target_tb) + lambda ||W_out||^2

    L is the task's loss: of the squared error this is ridge regression, in closed form; of the cross-entropy
    multinomial logistic regression with the same penalty; of any other loss its minimum by L-BFGS.

    The activities are noise-free and in float64. Lambda comes from a logarithmic grid: the one with
    the least error on a fifth of the training sequences; the final fit has all (see `regression.LAMBDAS`
    for what this fifth can and cannot tell).

    Args:
        task: where training sequences come from.
        weights: the untrained network; a bias line of the readout is fitted too.
        streams: the run's streams; the sequences are drawn from "ridge".
        windows: training sequences.
        strengths: the grid of lambda, relative to the mean square of the activities.
        activity: what the readout of the network sees; left out, the activities of cells of rates.
        loss: L; what is not the squared error is fitted to fewer sequences where they have many scored steps.
        every: whether it sees all layers, be they connected to the output or not.

    Returns: the readout; its weights are float64.

    Raises:
        ValueError: fewer than 5 windows. NotFittedError: the loss has no minimum that can be found.

    Source: Lukosevicius and Jaeger, Comput. Sci. Rev. 3, 127 (2009), section 4.1; of classes le Cessie and van
        Houwelingen, J. R. Stat. Soc. C 41, 191 (1992).
    """
    network = weights.network
    exact = Weights({name: array.double() for name, array in weights.items()}, network)

    def seen(batch: Sequences) -> np.ndarray:
        return scored(features(activity(exact, batch.inputs), network, every).numpy(force=True), batch.mask)

    if is_squared_error(loss):
        size = sum(network.shapes[p.name][1] for p in network.feed(OUTPUT))
        size = network.hidden + network.bias if every else size
        coefficients, strength = fit_sequences(task, seen, size, network.outputs, streams, "ridge", windows, strengths)
    else:
        coefficients, strength = fit_sequences_to(loss, task, seen, streams, "ridge", windows, strengths)
    w_out = torch.as_tensor(coefficients.T.copy(), device=exact.like.device)
    return Readout(exact, w_out, strength, activity, every)
