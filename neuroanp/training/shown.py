"""What a run keeps of its last evaluation for figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from neuroanp.tasks.protocol import Episodes

if TYPE_CHECKING:
    from neuroanp.tasks.protocol import Task
    from neuroanp.training.evaluate import Evaluation, HeldOutBatch

SEQUENCES, EPISODES = 64, 4
"""How many sequences, and how many episodes, are kept."""


def shown_in_figures(
    task: Task, held: HeldOutBatch, found: Evaluation, predictions: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Return outputs and targets of the first held-out sequences, or the first episodes of a world.

    They are in the task's own steps: an encoder holds each of them for some of the simulation's.

    Args:
        task: the run's. held: its held-out sequences. found: the evaluation. predictions: of controls, by name.

    Returns: of sequences target, y (T, S, O), mask (T,), as_targets where outputs mean something else, and outputs of
        the controls; of episodes see `of_episodes`.
    """
    raw = held.batch.raw or held.batch
    hold = len(held.batch.mask) // len(raw.mask)
    shown, last = slice(0, SEQUENCES), slice(hold - 1, None, hold)
    if found.episodes is not None:
        return of_episodes(Episodes(*(part[last] for part in found.episodes)))
    arrays = {"target": raw.targets[:, shown], "y": found.y[last, shown], "mask": raw.mask}
    said = task.loss.as_targets(arrays["y"])
    if not np.array_equal(said, arrays["y"]):  # logits: what a figure can lay beside the targets
        arrays["as_targets"] = said
    return arrays | {f"control/{name}": y[:, shown] for name, y in predictions.items()}


def of_episodes(found: Episodes) -> dict[str, np.ndarray]:
    """Return what is kept of episodes: all returns and lengths, and the first few as they went.

    Returns: episode/inputs (T, S, I), what was shown, before an encoder, episode/y (T, S, O), episode/rewards (T, S),
        returns (B,), lengths (B,).
    """
    parts = {"inputs": found.raw, "y": found.y, "rewards": found.rewards}
    each = {f"episode/{name}": part[:, :EPISODES] for name, part in parts.items()}
    return {**each, "returns": found.returns, "lengths": found.lengths.astype(float)}
