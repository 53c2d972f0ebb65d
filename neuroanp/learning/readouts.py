"""How the arrays that reach the outputs learn, where each output unit knows its own signed error: delta and rls.

It is told it, or infers it from the scalar loss and its own change between passes; of one output and two passes that
is exact, for squares: L' - L'' = (y' - y'') (y' + y'' - 2 target). Of O outputs it is the projection on their changes,

    e_t = O sum_r dL_t dy_t / sum_r |dy_t|^2            O numbers a sample and step, from R differences

With e = dL/dy of a pass at a step, x what the arrays to the outputs carry there, sums over all passes, samples and
scored steps of an update, over their number M B:

    S = 1/(M B) sum e x^T        delta    dW_out = S                                          (Widrow and Hoff, 1960)
    G = 1/(M B) sum x x^T        rls      R <- forget R + G,   W_out <- W_out - O/2 S (R + (c - 1) G + r)^-1

Every pass counts with its own x and e, not their means: under noise the outputs so learn what is best under noise.
`rls` is recursive least squares in blocks of an update: with forget = 1 and r = 0 the weights are those of least
squares over all that was seen. It is of the squared error alone, whose curvature 2/O all outputs have. r is a
small part of the mean square of what R holds, times one. c is 1 for errors that are told. What is inferred of O
errors e is Q e, Q the mean of e's projections on the K ways that the outputs moved, O times: its mean is e, and its
square q = O (K + O + 1) / (K O + 2) times that of e. A block that is fitted to it makes of its own errors e - Q e / c,
whose square is 1 - 2/c + q/c^2 of what it was: with c = 1 it grows where O > 2 and K is small, and outputs run away
before there is much that R remembers; it is least for c = q. R in time is far above G where little is forgotten.

Source: Haykin, Adaptive Filter Theory, chapter 10; of recurrent networks Sussillo and Abbott, Neuron 63, 544 (2009).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import torch

if TYPE_CHECKING:
    from torch import Tensor

ReadoutName = Literal["perturb", "delta", "rls"]
READOUTS = (
    "how the arrays to the outputs learn. perturb: from the scalar loss; delta: from the signed error that each output "
    "unit knows of itself; rls: from that by recursive least squares (host work, m^2 numbers for m lines); what fits "
    "them in the end, whatever they did, is training.refit"
)
ErrorsName = Literal["told", "inferred"]
ERRORS = (
    "delta, rls: how an output unit knows its error. told: somebody knows the target (class S+); inferred: from the "
    "scalar loss of the step and its own change between passes (class S)"
)
FORGET = 0.99
FORGETS = "rls: what is left of an update's activities in the next one; 1: nothing is forgotten"
RIDGE = 1e-4
RIDGES = (
    "rls: r over the mean square of what lines carry; units that learn fast need more, for weights that are large by "
    "then make much of little changes"
)

UNUSED: Mapping[ReadoutName, tuple[str, ...]] = {
    "perturb": ("errors", "forget", "ridge"), "delta": ("forget", "ridge"), "rls": ()
}  # fmt: skip
"""Options that a readout has no use for."""


def check_unused(readout: ReadoutName, stated: Mapping[str, Any], usual: Mapping[str, Any]) -> None:
    """Refuse options that somebody chose and a readout has no use for.

    Args:
        readout: which. stated: options by name. usual: the same where nobody chose them.

    Raises: ValueError: the first of them, with the remedy.

    >>> check_unused("delta", {"ridge": 0.1}, {"ridge": RIDGE})
    Traceback (most recent call last):
    ValueError: ridge changes nothing with readout 'delta'; set readout 'rls', or leave it out
    """
    for name in UNUSED[readout]:
        if name in stated and stated[name] != usual[name]:
            able = "readout 'delta' or 'rls'" if name == "errors" else "readout 'rls'"
            raise ValueError(f"{name} changes nothing with readout '{readout}'; set {able}, or leave it out")


def inferred(dL: Tensor, dy: Tensor) -> Tensor:
    """Return the errors of outputs as they can be inferred from the scalar loss: O sum_r dL dy / sum_r |dy|^2.

    Args:
        dL: (T, R, B) how losses differ. dy: (T, R, B, O) how outputs differ.

    Returns: (T, B, O); 0 where no output differed.

    >>> y, target = torch.tensor([[3.0], [1.0]]).reshape(1, 2, 1, 1), 5.0      # mean 2: the error is 2 (2 - 5)
    >>> L = (y[..., 0] - target) ** 2
    >>> inferred(L[:, :1] - L[:, 1:], y[:, :1] - y[:, 1:])
    tensor([[[-6.]]])
    """
    squared = dy.square().sum((1, 3)).unsqueeze(-1)
    return torch.where(squared > 0, dy.shape[-1] * (dL.unsqueeze(-1) * dy).sum(1) / squared, 0.0)


def block_counts(outputs: int, K: int) -> float:
    """Return c, how many times a block counts in its own step, of errors that K independent differences tell.

    q = O (K + O + 1) / (K O + 2).

    The mean square of what K differences tell of an error, over its own: outputs move alike in all directions. Of one
    difference it is O, and no error of the block becomes larger; of one output 1.

    >>> block_counts(1, 1), block_counts(10, 1), round(block_counts(4, 3), 3)
    (1.0, 10.0, 2.286)
    """
    return outputs * (K + outputs + 1) / (K * outputs + 2)


def least_squares(
    R: Tensor, S: Tensor, G: Tensor, forget: float, ridge: float, counts: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Return R after an update, and the step of the weights to the outputs, W <- W - step.

    Args:
        R: (m, m) as it was, float64. S: (O, m) sum of e x^T. G: (m, m) sum of x x^T. forget: what is left of R.
        ridge: r over the mean diagonal of R. counts: c, how many times this update's x x^T counts in its own step.

    Returns: R (m, m), step (O, m), float64.

    >>> x, target = torch.tensor([[2.0]], dtype=torch.float64), 6.0    # from W = 1: y = 2, e = 2 (y - target)
    >>> R, step = least_squares(torch.zeros_like(x), 2 * (x - target) @ x.T, x @ x.T, 1.0, 1e-12)
    >>> round(float(1.0 - step), 6)
    3.0
    """
    R = forget * R + G.double()
    diagonal = R.diagonal()
    mean = diagonal.mean()
    floor = torch.where(mean > 0, ridge * mean, 1.0)  # lines that carry nothing learn nothing
    A = R.clone()  # in place from here on: of wide layers these matrices are what a run takes
    A.diagonal().add_(floor)
    if counts > 1:
        A.add_(G, alpha=counts - 1)
    return R, 0.5 * len(S) * torch.linalg.solve(A, S.double(), left=False)
