"""Which processes share the updates of a run: those that it starts on this machine, or those of torchrun."""

from __future__ import annotations

from typing import TYPE_CHECKING

from neuroanp.training.crew import Hands
from neuroanp.training.distributed import Sharing, group_of

if TYPE_CHECKING:
    from neuroanp.training.build import Experiment
    from neuroanp.training.trainer import Crews


def crew_of(experiment: Experiment, trained: frozenset[str] | None = None) -> Crews | None:
    """Return the crew of a run's trainer; None where it does all by itself.

    Args: trained: the arrays that the trainer trains; None: all.

    Raises: InputError: torchrun started more processes than have something to share.
    """
    if (group := group_of(experiment)) is not None:
        return Sharing(group, experiment, trained)
    size = experiment.config.compute.workers
    return None if size == 1 else Hands(experiment, size, trained)
