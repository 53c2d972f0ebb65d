"""What rules share that learn from the return of an episode: how far it was from what was expected.

    delta = (R - Rbar) / max(|R|, 1)          Rbar <- Rbar + average (R - Rbar)          W <- W + lr delta e

Rbar begins as the mean of the first batch's returns: a first episode alone teaches nothing. Dividing by |R| makes the
error relative; returns of less than 1 count as 1. delta rises with R while R and Rbar have one sign: see
docs/theory/nrl.md.

Source: Garcia Fernandez, Ahmad, van Gerven, arXiv 2503.23972 (2025): the reward prediction error, scaled by |R|.
"""

from __future__ import annotations

import torch
from torch import Tensor

State = dict[str, Tensor]
AVERAGE = 0.66
"""Weight of the newest return in the running mean: that of the paper's code (gamma_avg)."""
AVERAGES = "weight of the newest returns in the running mean Rbar that they are compared with"
MEAN, EPISODES = "reward/mean", "reward/episodes"
"""Names in a learner's state: Rbar, and how many episodes it is of."""


def first_state() -> State:
    """Return the state at the start of a run: no return is known.

    >>> sorted(first_state()), first_state()[MEAN].item()
    (['reward/episodes', 'reward/mean'], 0.0)
    """
    return {MEAN: torch.tensor(0.0, dtype=torch.float64), EPISODES: torch.tensor(0, dtype=torch.int64)}


def surprise(returns: Tensor, state: State, average: float) -> tuple[Tensor, State]:
    """Return how far returns were from the running mean, and the state after them.

        delta_b = (R_b - Rbar) / max(|R_b|, 1)          Rbar <- Rbar + average (mean_b R_b - Rbar)

    Episodes of one batch are compared with the mean before any of them.

    Args:
        returns: (B,) R_b, float64. state: of `first_state` or an earlier batch. average: weight of the newest.

    Returns: delta (B,), and the new state.

    >>> delta, state = surprise(torch.tensor([4.0], dtype=torch.float64), first_state(), 0.5)
    >>> delta, state = surprise(torch.tensor([8.0], dtype=torch.float64), state, 0.5)
    >>> delta.tolist(), state[MEAN].item(), state[EPISODES].item()
    ([0.5], 6.0, 2)
    """
    newest = returns.mean()
    mean = state[MEAN] if int(state[EPISODES]) else newest
    delta = (returns - mean) / returns.abs().clamp_min(1.0)
    return delta, {MEAN: mean + average * (newest - mean), EPISODES: state[EPISODES] + len(returns)}
