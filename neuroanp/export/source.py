"""Take the network out of a run's record, for an exporter."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroanp.backends.neuron import LIF
from neuroanp.errors import InputError
from neuroanp.export.model import Model
from neuroanp.tasks.scoring import squared_error
from neuroanp.training.revisit import restored

if TYPE_CHECKING:
    from neuroanp.records.run_dir import RunDir
    from neuroanp.tasks.protocol import Batch
    from neuroanp.training.build import Experiment
    from neuroanp.training.trainer import Trainer


def model_of(record: RunDir) -> Model:
    """Return the network of a run's newest checkpoint, with its held-out inputs.

    The weights are the digital targets; what the run's device made of them is in `chip`.

    Raises:
        InputError: no checkpoint, units given by equations, or data that have changed since the run.
    """
    experiment, trainer = restored(record)
    neuron = experiment.config.neuron
    if neuron is not None and not isinstance(neuron, LIF):
        raise InputError(f"{record.path}: neuron: units given by equations cannot be exported; train with neuron 'lif'")
    result = record.result or {}
    recorded = result.get("test_loss_noise_free")
    model = _model(record.path.name, experiment, trainer, neuron)
    return replace(model, recorded=float(recorded)) if isinstance(recorded, int | float) else model


def plain(**given: Any) -> dict[str, Any]:
    """Return arguments with numbers of numpy as Python's own.

    >>> plain(finetune=np.int64(3), g_min="1 uS")
    {'finetune': 3, 'g_min': '1 uS'}
    """
    return {name: value.item() if isinstance(value, np.generic) else value for name, value in given.items()}


def check_words(format: Any, force: Any) -> None:
    """Raise InputError where a format's name is no text, or `force` neither True nor False."""
    from neuroanp.export.protocol import EXPORTERS

    if not isinstance(format, str):
        raise InputError(f"format: {format!r:.80} is no name (known: {', '.join(EXPORTERS.names())})")
    if not isinstance(force, bool):
        raise InputError(f"force: {force!r:.80} is neither True nor False")


def _model(name: str, experiment: Experiment, trainer: Trainer, neuron: LIF | None) -> Model:
    task, config = experiment.task, experiment.config
    held = task.test(trainer.streams.generator("test"))

    def score(y: np.ndarray) -> dict[str, float]:
        return scores(task, y, held)

    differ = sorted(getattr(trainer.substrate, "neurons", {}))
    notes = (f"the units of the run's device differ in {', '.join(differ)}; those exported are all alike",)
    weights = {key: W.detach().double().cpu().numpy() for key, W in trainer.substrate.targets.items()}
    return Model(
        name=name,
        weights=weights,
        bias=config.network.bias,
        neuron=neuron,
        dt=config.dt,
        spikes_in=config.encoder.spikes,
        inputs=np.asarray(held.inputs, dtype=np.float64),
        score=score,
        notes=notes if differ else (),
        chip=trainer.substrate,
        backend=config.backend,
    )


def scores(task: object, y: np.ndarray, held: Batch) -> dict[str, float]:
    """Return the loss of outputs (T, B, O), and the task's own scores of them."""
    found = {"loss": float(squared_error(y, held))}
    return found | {key: float(value) for key, value in task.score(y, held).items() if key != "loss"}  # pyright: ignore
