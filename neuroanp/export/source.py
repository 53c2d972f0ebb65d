"""Take the network out of a run's record, for an exporter."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from neuroanp.backends.neuron import LIF
from neuroanp.baselines.network import rate_outputs
from neuroanp.errors import InputError
from neuroanp.export.episodes import followed
from neuroanp.export.model import Model
from neuroanp.export.protocol import DeviceExporter, Exporter
from neuroanp.losses import mean_loss
from neuroanp.training.configure import load_config
from neuroanp.training.decorrelating import FOLDED, folded
from neuroanp.training.evaluate import HeldOutBatch
from neuroanp.training.forward import converters, held_by, targets_after
from neuroanp.training.readout import is_world
from neuroanp.training.results import fitted_to
from neuroanp.training.revisit import restored

if TYPE_CHECKING:
    from neuroanp.records.run_dir import RunDir
    from neuroanp.tasks.protocol import Batch, Task
    from neuroanp.training.build import Experiment
    from neuroanp.training.trainer import Trainer


WEIGHTS = ("targets", "as_held")
"""Which weights of a run are exported: its digital targets, or what its own device made of them."""


def model_of(record: RunDir, weights: str = "targets") -> Model:
    """Return the network of a run's newest checkpoint, with its held-out inputs.

    Args:
        record: the run. weights: its digital "targets", or those of the network that was scored, "as_held" by its
            device, which is in `chip` in any case.

    Raises:
        InputError: no checkpoint, units that spike and are no LIF, units that a backend of one's own simulates in its
            own way, or data that have changed since the run.
    """
    experiment, trainer = restored(record)
    network = trainer.substrate.network
    config = experiment.config
    for k, layer in enumerate(network.layers):
        if layer.cell.spikes and not isinstance(layer.cell, LIF):
            key = config.network.key_of_units(k)
            raise InputError(f"{record.path}: {key}: units given by equations cannot be exported; train with 'lif'")
    if not network.spikes and trainer.backend.differentiable(network) is not rate_outputs:
        backend = trainer.backend.name
        raise InputError(f"{record.path}: the units of backend '{backend}' are its own: no format here can hold them")
    model = _model(record.path.name, experiment, trainer, weights, fitted_to(record))
    if is_world(experiment):
        return model  # its returns are no loss of outputs
    return replace(model, recorded=_scored(record, experiment, trainer))


def _scored(record: RunDir, experiment: Experiment, trainer: Trainer) -> float:
    """Return the noise-free loss of a run's network as it is: as recorded, or measured where it is not the last one."""
    result = record.result or {}
    recorded = result.get("test_loss_noise_free")
    if isinstance(recorded, int | float) and result.get("updates") == trainer.update:
        return float(recorded)
    task = experiment.task
    held = HeldOutBatch.of(task.test(trainer.streams.generator("test")), trainer.substrate.weights.like, task.loss)
    return trainer.evaluate(held).test_loss_noise_free


def check_weights(weights: Any, name: str, chosen: Exporter, record: RunDir) -> str:
    """Return which weights are to be exported; InputError for what is none of WEIGHTS, or not for this format."""
    if weights not in WEIGHTS:
        raise InputError(f"--weights: {weights!r:.80} is not one of {', '.join(WEIGHTS)}")
    if weights == "as_held":
        if isinstance(chosen, DeviceExporter):
            raise InputError(
                f"--weights: {name} has conductances, the device's own where it holds any (--set source=...); leave it "
                "out"
            )
        if load_config(record.config_path).backend == name:
            raise InputError(
                f"--weights: the run learned with the numbers of {name}, to which its targets are rounded; leave it out"
            )
    return weights


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


def _model(name: str, experiment: Experiment, trainer: Trainer, which: str, fitted: int | None = None) -> Model:
    task, config = experiment.task, experiment.config
    held = task.test(trainer.streams.generator("test"))
    went = None if held.world is None else followed(trainer, held)
    if went is not None:
        inputs, score = went.inputs, went.score
    else:
        inputs, score = np.asarray(held.inputs, dtype=np.float64), partial(scores, task, held=held)
    own = {} if experiment.start is None else experiment.start.factors
    differ = sorted({name for layer, each in trainer.substrate.neurons.items() for name, factor in each.items()
                     if not _same_factor(factor, own.get(layer, {}).get(name))})  # fmt: skip
    exported = "as the weights it began from say" if own else "all alike"
    notes = (f"the units of the run's device differ in {', '.join(differ)}; those exported are {exported}",) * bool(
        differ
    )
    D = trainer.substrate.decorrelation
    if went is not None:
        notes = (*notes, went.note)
    targets = {key: W.detach().cpu() for key, W in folded(trainer.substrate.weights, D).items()}
    if D:
        notes = (*notes, FOLDED)
    as_held = which == "as_held"
    device = held_by(experiment, trainer, fitted=fitted)
    matrices = device if as_held else targets
    alike = as_held or all(_rounded_alike(W, device[key]) for key, W in targets.items())
    return Model(
        name=name,
        weights={key: W.detach().double().numpy() for key, W in matrices.items()},
        origin=device.origin if as_held else targets_after(trainer.update, config.hardware.write, fitted),
        as_held=alike,
        beside=(*converters(trainer.reads()), *notes) if alike else (),
        network=trainer.substrate.network,
        dt=config.dt,
        spikes_in=config.encoder.spikes,
        inputs=inputs,
        score=score,
        notes=notes,
        chip=None if D else trainer.substrate,  # its conductances are W alone
        backend=config.backend,
        keys={layer.name: config.network.key_of_units(k) for k, layer in enumerate(trainer.substrate.network.layers)},
        factors={layer: {name: f.double().numpy() for name, f in each.items()} for layer, each in own.items()},
    )


def _same_factor(factor: torch.Tensor, own: torch.Tensor | None) -> bool:
    """Tell whether a device's units differ in something by themselves alone, without its mismatch."""
    return own is not None and torch.equal(factor.cpu(), own)


def _rounded_alike(W: torch.Tensor, held: torch.Tensor) -> bool:
    """Tell whether a device held a matrix as it was wanted, but for a few roundings on the way to conductances."""
    few = 4 * torch.finfo(W.dtype).eps * W.abs().max()
    return bool((W.double() - held.double()).abs().max() <= few)


def scores(task: Task, y: np.ndarray, held: Batch) -> dict[str, float]:
    """Return the loss of outputs (T, B, O), and the task's own scores of them."""
    found = {"loss": mean_loss(task.loss, y, held)}
    return found | {key: float(value) for key, value in task.score(y, held).items() if key != "loss"}
