"""What the word lines of an array see: activity, a step late where its projection is, and the line of a constant."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from neuroanp.network.network import Projection


def word_lines(p: Projection, x: Tensor, before: Tensor) -> Tensor:
    """Return what an array sees, (T, ..., columns), of the units before it; one step of time here.

    Args:
        p: its projection. x: (T, ..., n) activity in a stretch of time. before: (..., n) that of the step before it.

    >>> import torch
    >>> from neuroanp.network.network import Projection
    >>> x, before = torch.tensor([[1.0], [2.0]]), torch.tensor([0.5])
    >>> word_lines(Projection("w_1_2", "hidden_1", "hidden_2", delay=1, bias=True), x, before).tolist()
    [[0.5, 1.0], [1.0, 1.0]]
    """
    return with_bias_line(a_step_late(x, before) if p.delay else x, p.bias)


def a_step_late(x: Tensor, before: Tensor) -> Tensor:
    """Return x_{t-1} for x_t (T, ...); before: (...) the one before the first.

    >>> import torch
    >>> a_step_late(torch.tensor([[1.0], [2.0]]), torch.tensor([9.0])).flatten().tolist()
    [9.0, 1.0]
    """
    import torch  # types are also read by those who do not compute

    return torch.cat([before.unsqueeze(0), x[:-1]])


def through(W: Tensor, D: Tensor | None) -> Tensor:
    """Return W D, what an array makes of activity that a matrix D transforms before it; the bias line passes by.

    Args:
        W: (n, m), with a column for the bias line if there is one. D: (N, N) of the N units before it; None: W itself.

    >>> import torch
    >>> through(torch.tensor([[1.0, 2.0, 5.0]]), torch.tensor([[1.0, 0.5], [0.0, 1.0]]))
    tensor([[1.0000, 2.5000, 5.0000]])
    """
    import torch

    return W if D is None else torch.cat([W[:, : len(D)] @ D, W[:, len(D) :]], 1)


def with_bias_line(values: Tensor, bias: bool = True) -> Tensor:
    """Append the line that a constant 1 drives to values (..., n), if there is one.

    >>> import torch
    >>> with_bias_line(torch.zeros(1, 2))
    tensor([[0., 0., 1.]])
    """
    import torch

    return torch.cat([values, values.new_ones(*values.shape[:-1], 1)], -1) if bias else values
