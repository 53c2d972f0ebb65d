"""The control that trains the readout alone, by the run's rule, from its start, on its data."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from neuroanp.learning.outputs import for_outputs
from neuroanp.losses.reward import MinusReward
from neuroanp.records.environment import arithmetic
from neuroanp.records.identity import code_version, identity
from neuroanp.training.build import Experiment, build_trainer
from neuroanp.training.crews import crew_of
from neuroanp.training.sharding import without_workers

if TYPE_CHECKING:
    from neuroanp.network.network import Network
    from neuroanp.training.batches import Batches
    from neuroanp.training.trainer import Trainer

UNSEEN = ("checkpoint_every", "evaluate_every", "log_every", "controls", "frozen", "evaluate_after")
"""Keys of `training` that change what is written down, and nothing that learns.

Where sequences are kept for validation, when they are looked at decides when training stops, and what the chip does.
"""


def readout_trainer(experiment: Experiment, batches: Batches) -> Trainer:
    """Return the trainer of the control, at update 0.

    It does what the run did with all arrays but those of the readout left as they were drawn: the same batches, the
    same noise of the units. What only others would use is left out: outer products, credit over time, the books.

    Args:
        experiment: the run's. batches: what the run kept of its batches.
    """
    config = experiment.config
    own = replace(experiment, config=config.model_copy(update={"rule": for_outputs(config.rule, is_world(experiment))}))
    trained = frozenset(experiment.network.readout)
    return replace(build_trainer(own, trained=trained), batches=batches, books=False, crew=crew_of(own, trained))


def is_world(experiment: Experiment) -> bool:
    """Return whether a world answers the outputs of a run's network."""
    return isinstance(experiment.task.loss, MinusReward)


def key_of(experiment: Experiment) -> str:
    """Return 16 hex digits of all that decides the control's number.

    Two runs have the same if their configurations differ in nothing but what the control does not see: how often a run
    is evaluated and saved, and options that `for_outputs` takes out. Profile, data, first weights and code count by
    their content, as in a run's identity; so does what decides the last bits of a sum.
    """
    config = experiment.config
    plain: dict[str, Any] = config.model_copy(
        update={"rule": for_outputs(config.rule, is_world(experiment))}
    ).to_plain()
    plain["profile"] = experiment.profile.name
    plain["task"].pop("path", None)  # the data's fingerprint counts
    plain["network"]["weights"] = None if experiment.start is None else experiment.start.digest
    seen = () if experiment.validation is None else ("evaluate_every",)
    unseen = [name for name in UNSEEN if name not in seen]
    plain["training"] = {name: value for name, value in plain["training"].items() if name not in unseen}
    plain["compute"] = without_workers(plain["compute"])
    plain["arithmetic"] = arithmetic(config.compute.device, config.compute.threads)
    return identity(plain, experiment.profile.text, experiment.task.fingerprint(), code_version())


def frozen_control(network: Network) -> str:
    """Return what the control is called in which all that does not reach the output stays as it was drawn.

    >>> from neuroanp.network.compose import Stacked, stack
    >>> from neuroanp.network.tanh import Tanh
    >>> [frozen_control(stack(1, [Stacked(Tanh(), 2, recurrent)], 1)) for recurrent in (True, False)]
    ['frozen_recurrence', 'frozen_layers']
    """
    recurrent = any(network.recurrence(layer.name) is not None for layer in network.layers)
    return "frozen_recurrence" if recurrent else "frozen_layers"
