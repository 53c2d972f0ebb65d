"""Ridge readout on the untrained network: what a random recurrence is worth by itself, by the task's own loss."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from neuroanp.baselines.network import tanh_activity
from neuroanp.baselines.penalised import fit_sequences_to
from neuroanp.baselines.protocol import Activities, Sequences, Source, scored
from neuroanp.baselines.regression import LAMBDAS, fit_sequences
from neuroanp.losses import SQUARED_ERROR, Loss, is_squared_error
from neuroanp.noise import Streams
from neuroanp.trajectory import Weights, with_bias_line


@dataclass(frozen=True)
class Readout:
    """A fitted readout.

    Args:
        weights: the network with its new w_out, float64.
        strength: the ridge strength chosen, relative to the mean square of the activities.
        activity: simulates the network.
    """

    weights: Weights
    strength: float
    activity: Activities

    def predict(self, batch: Sequences) -> np.ndarray:
        """Return the outputs (T, B, O), noise-free."""
        x = with_bias_line(self.activity(self.weights, batch.inputs), self.weights.bias)
        return (x @ self.weights["w_out"].T).numpy(force=True)


def ridge(
    task: Source,
    weights: Weights,
    streams: Streams,
    windows: int = 2560,
    strengths: tuple[float, ...] = LAMBDAS,
    activity: Activities = tanh_activity,
    loss: Loss = SQUARED_ERROR,
) -> Readout:
    """Fit w_out with a ridge penalty, w_in and w left as they are.

        W_out = argmin sum_{scored t, b} L(W_out x_tb, target_tb) + lambda ||W_out||^2

    L is the task's loss: of the squared error this is ridge regression, in closed form; of the cross-entropy
    multinomial logistic regression with the same penalty; of any other loss its minimum by L-BFGS.

    The activities are noise-free and in float64. Lambda comes from a logarithmic grid: the one with
    the least error on a fifth of the training sequences; the final fit has all (see `regression.LAMBDAS`
    for what this fifth can and cannot tell).

    Args:
        task: where training sequences come from.
        weights: the untrained network; with a bias, its column of w_out is fitted too.
        streams: the run's streams; the sequences are drawn from "ridge".
        windows: training sequences.
        strengths: the grid of lambda, relative to the mean square of the activities.
        activity: what the readout of the network sees; left out, the activities of tanh units.
        loss: L; what is not the squared error is fitted to fewer sequences where they have many scored steps.

    Returns: the readout; its weights are float64.

    Raises:
        ValueError: fewer than 5 windows. NotFittedError: the loss has no minimum that can be found.

    Source: Lukosevicius and Jaeger, Comput. Sci. Rev. 3, 127 (2009), section 4.1; of classes le Cessie and van
        Houwelingen, J. R. Stat. Soc. C 41, 191 (1992).
    """
    exact = Weights({name: array.double() for name, array in weights.items()}, weights.bias)

    def features(batch: Sequences) -> np.ndarray:
        x = with_bias_line(activity(exact, batch.inputs), weights.bias)
        return scored(x.numpy(force=True), batch.mask)

    if is_squared_error(loss):
        size = weights.hidden + weights.bias
        coefficients, strength = fit_sequences(
            task, features, size, weights.outputs, streams, "ridge", windows, strengths
        )
    else:
        coefficients, strength = fit_sequences_to(loss, task, features, streams, "ridge", windows, strengths)
    w_out = torch.as_tensor(coefficients.T.copy(), device=exact["w_out"].device)
    return Readout(Weights({**exact.arrays, "w_out": w_out}, weights.bias), strength, activity)
