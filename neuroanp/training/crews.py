"""Which processes share the updates of a run: those that it starts on this machine, or those of torchrun."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from neuroanp.errors import InputError
from neuroanp.losses.reward import MinusReward
from neuroanp.registry import registered
from neuroanp.training.crew import Hands
from neuroanp.training.distributed import Sharing, group_of
from neuroanp.training.ranks import Place

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


def refuse_crew(experiment: Experiment) -> None:
    """Raise InputError where other processes cannot become copies of a run: it names what only this one knows."""
    group_of(experiment)
    compute, world = experiment.config.compute, isinstance(experiment.task.loss, MinusReward)
    if compute.shards > 1 and world:
        raise InputError(
            f"compute.shards: task '{experiment.config.task_name}' is a world, and the length of its episodes is "
            "counted over all passes; leave shards out"
        )
    if compute.workers == 1 and Place.found() is None:
        return
    if experiment.config.hardware.on_bench:
        raise InputError(
            f"hardware.substrate: {experiment.config.hardware.resource} is one instrument, and several processes would "
            "drive it; start one process"
        )
    if world:
        raise InputError(
            f"compute.workers: task '{experiment.config.task_name}' is a world, and how long its episodes last on the "
            "chip is counted by one process; leave workers out"
        )
    disturb = experiment.profile.disturb
    if disturb is not None and disturb.read and "read_disturb" in experiment.config.hardware.effects():
        raise InputError(
            f"compute.workers: reads disturb the devices of profile '{experiment.profile.name}', and each process "
            "would disturb those of its own chip alone; leave workers out, or switch read_disturb off"
        )
    if compute.workers == 1:  # those of torchrun ran the same script
        return
    words = {*_texts(experiment.config.to_plain()), *(str(leaf.value) for leaf in experiment.profile.leaves())}
    if own := sorted(name for _, name, _ in registered() if name in words):
        raise InputError(
            f"compute.workers: {', '.join(own)} {'is' if len(own) == 1 else 'are'} registered in this process alone, "
            "and workers are other ones; announce it as an entry point of a package, or leave workers out"
        )


def _texts(plain: Any) -> Iterator[str]:
    """Yield all texts among plain values."""
    if isinstance(plain, str):
        yield plain
    elif isinstance(plain, Mapping | list):
        for each in plain.values() if isinstance(plain, Mapping) else plain:
            yield from _texts(each)
