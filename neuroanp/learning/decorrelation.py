"""Decorrelation of the activity that arrays carry, an option of every local rule: DANP, DNP, DINP, DWP.

Each layer has a square matrix D, the identity at first, between its units and the arrays that carry their activity:

    h_t = W_in u_t + W D x_{t-1} + n_t        y_t = W_out D x_t        the presynaptic factor of a rule is D x, too
    D <- D - lr offdiag(C) D                  C = mean_{t,b} (D x_tb)(D x_tb)^T

so that off-diagonal second moments of D x go to 0. lr follows the optimiser's schedule: a readout that learns beside D
must find it at rest in the end. x is the rule's presynaptic activity (the mean over passes, or that of one of them);
inputs are left as they are, unless `inputs` gives them a D of their own (preset smtj). Without the trailing D,
D <- D - lr offdiag(C), it is what the code of the paper did at publication.

D is digital: a processor multiplies the activities of a layer before they go to the word lines, N^2 products a step,
and updates D from their second moments; no book counts it. The arrays hold W, with all that their devices do to it; a
DAC clips and rounds D x. Where weights are looked at without an array (exports, weights that are stored and taken up
again) the two are one matrix, W D.

Sources: Ahmad, Schrader, van Gerven, Trans. Mach. Learn. Res. (2023) (the update of D);
Dalm, Ahmad, van Gerven, arXiv 2310.00965 (with node perturbation); Fernandez, Keemink, van Gerven, arXiv 2405.08967;
Koenders et al., arXiv 2412.12783 (of inputs too, in its code, which subtracts a running mean from D x besides).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from neuroanp.yaml_io import GrowingSection

if TYPE_CHECKING:
    from torch import Tensor


SPIKES_DECORRELATED = (
    "rule.decorrelation: a matrix would make graded numbers of the spikes that arrays carry; leave it out with spiking "
    "units (preset smtj has it: rule.decorrelation: null)"
)


class Decorrelation(GrowingSection):
    """How the activity of layers is decorrelated."""

    later: ClassVar[tuple[str, ...]] = ("inputs",)

    lr: float = Field(
        default=1e-2, gt=0, le=10, description="step size of D in an update, where the optimiser's schedule starts"
    )
    trailing: bool | None = Field(
        default=None, description="whether the step is times D, as published; unset: so, but in preset paper"
    )
    inputs: bool | None = Field(
        default=None, description="whether the inputs have a matrix of their own as well; unset: in preset smtj alone"
    )


def step(D: Tensor, moments: Tensor, lr: float, trailing: bool = True) -> Tensor:
    """Return D - lr offdiag(D S D^T) D.

    Args:
        D: (N, N) as it is. moments: S, (N, N), mean of x x^T over steps and sequences.
        lr: step size. trailing: False leaves out the last D.

    Returns: (N, N).

    >>> import torch
    >>> S = torch.tensor([[1.0, 0.5], [0.5, 1.0]])
    >>> step(torch.eye(2), S, 0.1)
    tensor([[ 1.0000, -0.0500],
            [-0.0500,  1.0000]])
    """
    C = D @ moments @ D.mT
    C = C - C.diagonal().diag_embed()
    return D - lr * (C @ D if trailing else C)
