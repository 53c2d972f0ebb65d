"""The gradient of any network that can be differentiated, by autograd; of spiking ones by surrogate gradients."""

from __future__ import annotations

import torch
from torch import Tensor

from neuroanp.baselines.output import total
from neuroanp.baselines.protocol import Outputs, Sequences
from neuroanp.losses import SQUARED_ERROR, Loss
from neuroanp.trajectory import Weights, WeightUpdate


def autograd_gradient(network: Outputs, weights: Weights, batch: Sequences, loss: Loss = SQUARED_ERROR) -> WeightUpdate:
    """Return the gradient of the loss by automatic differentiation of the network's steps.

        L = 1/B sum_{t,b} m_t L_tb

    Of cells of rates it is exact. A spike is a step function of the membrane potential, with a derivative of zero: the
    network puts the slope of a smooth function in its place on the way back, and on the way alone.

    Args:
        network: the noise-free network; that of spiking units brings its surrogate with it.
        weights: the matrices (plus the bias column, if any); they are left alone.
        batch: sequences of T steps.
        loss: L_tb of the outputs at a step.

    Returns: dW of the weights' shapes and precision; the diagnostic `loss` is the mean of L_tb over
        the scored steps and the sequences (not L, their sum over t).

    Source: Neftci, Mostafa, Zenke, IEEE Signal Process. Mag. 36(6), 51 (2019), arXiv 1901.09948.

    >>> import numpy as np
    >>> from types import SimpleNamespace
    >>> from neuroanp.baselines.network import rate_outputs
    >>> one = torch.ones(1, 1, dtype=torch.float64)
    >>> batch = SimpleNamespace(inputs=np.ones((1, 1, 1)), targets=np.zeros((1, 1, 1)), mask=np.ones(1))
    >>> weights = Weights.one_layer({"w_in": one, "w": one, "w_out": one})
    >>> update = autograd_gradient(rate_outputs, weights, batch)
    >>> round(update.arrays["w_out"].item(), 4)  # 2 tanh(1)^2
    1.1601
    """
    like = weights.like

    def tensor(values: object) -> Tensor:
        return torch.as_tensor(values, dtype=like.dtype, device=like.device)

    leaves = {name: W.detach().clone().requires_grad_() for name, W in weights.items()}
    with torch.enable_grad():
        y = network(Weights(leaves, weights.network), tensor(batch.inputs))
        mask = tensor(batch.mask)
        L = total(loss, y, tensor(batch.targets), mask)
        # what the loss does not depend on (w, of a single step) has a gradient of zero
        found = torch.autograd.grad(L, list(leaves.values()), materialize_grads=True)
    return WeightUpdate(dict(zip(leaves, found, strict=True)), {"loss": float(L.detach() / mask.sum())})
