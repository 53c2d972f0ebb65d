"""The network that a run's table scores, to look at and to present inputs to: its own chip, as it was left.

One forward pass serves the evaluation at the end of a training, `neuroanp evaluate` and what is here
(`evaluate.outputs`): held-out inputs give the reported losses to the last bit, where noise is of the same streams.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch

from neuroanp.backends.chip_network import ChipNetwork
from neuroanp.errors import InputError
from neuroanp.losses import named
from neuroanp.tasks.encoding import own_task
from neuroanp.tasks.protocol import Batch
from neuroanp.training.configure import load_config
from neuroanp.training.evaluate import HeldOutBatch, loss, plain
from neuroanp.training.presented import as_inputs, as_numbers
from neuroanp.training.results import fitted_to
from neuroanp.training.revisit import looked_at, note_noise
from neuroanp.training.start import of_record
from neuroanp.trajectory import Weights
from neuroanp.units import format_quantity

if TYPE_CHECKING:
    from torch import Tensor

    from neuroanp.records.run_dir import RunDir
    from neuroanp.substrates.chip import DeviceChip
    from neuroanp.substrates.protocol import ReadPlan
    from neuroanp.tasks.protocol import Task
    from neuroanp.training.build import Experiment
    from neuroanp.training.trainer import Trainer


@dataclass(frozen=True, repr=False)
class RunWeights(Weights):
    """The matrices of a run, and which network they are.

    Networks of one layer of tanh units compute, from x_0 = 0, with a constant 1 below u_t and x_t where there is a bias
    line,

        h_t = W_in [u_t; 1] + W x_{t-1},   x_t = tanh(h_t),   y_t = W_out [x_t; 1];

    others what their cells say (`neuroanp.network`). Where `complete`, these lines are the network that was scored,
    without its noise, to the rounding of sums. Elsewhere they are not, and `predict` is. Spiking units:
    `neuroanp.export.model` has their equations.

    Args:
        arrays, network: as in `Weights`; torch tensors of the run's own precision, on the CPU.
        origin: which weights these are: "digital targets ...", or "weights as held by ...".
        scored: whether these matrices are those that the noise-free loss of the run was measured with.
        beside: what the network that was scored has beside these matrices, a sentence each.
        unscored: what these are where they are not what was scored.

    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from neuroanp.training.configure import configure
    >>> from neuroanp.training.launch import launch
    >>> task = {"name": "copy", "length": 1, "delay": 1, "symbols": 2, "test_size": 8}
    >>> network, training = {"hidden": 6, "bias": True}, {"updates": 2, "controls": False}
    >>> tiny = {"task": task, "network": network, "rule": "anp", "training": training}
    >>> quiet = {"profile": "pcm", "hardware.without": ["dac", "adc"]}
    >>> with TemporaryDirectory() as folder:
    ...     record = launch(configure(tiny, quiet), Path(folder))
    ...     weights, batch, row = weights_of(record), held_out(record), record.result
    >>> print(weights)
    w_in (6, 4), w (6, 6), w_out (2, 7), bias line in w_in and w_out
    weights as held by pcm after update 2, 532 us of its time, without read noise: what was scored
    >>> weights.complete  # nothing stands between these matrices and the units
    True
    >>> W = {name: part.numpy() for name, part in weights.items()}
    >>> one = np.ones((batch.inputs.shape[1], 1))
    >>> x, outputs = np.zeros((len(one), weights.network.hidden)), []
    >>> for u in batch.inputs:
    ...     x = np.tanh(np.hstack([u, one]) @ W["w_in"].T + x @ W["w"].T)
    ...     outputs.append(np.hstack([x, one]) @ W["w_out"].T)
    >>> abs(batch.loss(outputs) / row["test_loss_noise_free"] - 1.0) < 1e-5
    True
    """

    origin: str = ""
    scored: bool = False
    beside: tuple[str, ...] = field(default=())
    unscored: str = "not what was scored, where the device errs"

    @property
    def complete(self) -> bool:
        """Whether these matrices and their cells are all that the network has that was scored, its noise aside."""
        return self.scored and not self.beside

    def __repr__(self) -> str:
        sizes = ", ".join(f"{name} {tuple(W.shape)}" for name, W in self.items())
        biased = [p.name for p in self.network.projections if p.bias]
        line = f"bias line in {' and '.join(biased)}" if biased else "no bias line"
        which = "what was scored" if self.scored else self.unscored
        said = [f"{sizes}, {line}", f"{self.origin}: {which}", *(f"beside them: {part}" for part in self.beside)]
        return "\n".join(said)

    def _repr_html_(self) -> str:
        from neuroanp.markup import lines, table

        rows = [
            [
                name,
                " × ".join(map(str, W.shape)),
                *(f"{float(each):.3g}" for each in (W.abs().max(), W.square().mean().sqrt())),
            ]
            for name, W in self.items()
        ]
        return table(["array", "shape", "largest", "rms"], rows) + lines(repr(self).split("\n")[1:])


@dataclass(frozen=True)
class HeldOut:
    """The held-out sequences of a run, in steps of its task, and how outputs on them are scored.

    Args:
        inputs: (T, B, I) float64; targets: (T, B, O) float64; mask: (T,) 1 where a step is scored.

    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from neuroanp.training.configure import configure
    >>> from neuroanp.training.launch import launch
    >>> tiny = {"task": {"name": "copy", "test_size": 4}, "network": {"hidden": 4}, "training": {"controls": False}}
    >>> with TemporaryDirectory() as folder:
    ...     batch = held_out(launch(configure(tiny, {"training.updates": 1}), Path(folder)))
    >>> batch.inputs.shape, batch.loss_name, batch.loss(batch.targets), batch.score(batch.targets)["accuracy"]
    ((9, 4, 5), 'mean squared error', 0.0, 1.0)
    """

    inputs: np.ndarray
    targets: np.ndarray
    mask: np.ndarray
    _task: Task = field(repr=False)
    _held: HeldOutBatch = field(repr=False)

    @classmethod
    def of(cls, task: Task, held: HeldOutBatch) -> HeldOut:
        """Return a task's held-out sequences as a user sees them: before an encoder made spikes of them.

        Raises:
            InputError: a world has none.

        >>> from neuroanp.noise import Streams
        >>> from neuroanp.tasks.xor import TemporalXor
        >>> task = TemporalXor(TemporalXor.config(test_size=3))
        >>> batch = task.test(Streams(0).generator("test"))
        >>> found = HeldOut.of(task, HeldOutBatch.of(batch, torch.zeros(1, dtype=torch.float64), task.loss))
        >>> found.loss(np.zeros_like(found.targets)) == float((found.targets[found.mask > 0] ** 2).mean())
        True
        """
        if held.batch.world is not None:
            raise InputError(
                f"task '{task.name}' is a world, which answers the outputs: it has no held-out sequences; present "
                "inputs of your own, and see the run's metrics for returns"
            )
        raw = held.batch.raw or held.batch
        return cls(raw.inputs.copy(), raw.targets.copy(), raw.mask.copy(), task, held)

    def loss(self, outputs: Any) -> float:
        """Return the loss that tables show, of outputs (T, B, O): mean of the task's over scored steps and sequences.

        Raises:
            InputError: no numbers, or outputs of another shape.
        """
        y = torch.from_numpy(self._every_step(outputs)).to(self._held.targets.device)  # where the run summed them
        return loss(y.unsqueeze(1), self._held)

    @property
    def loss_name(self) -> str:
        """What `loss` is: "mean squared error"."""
        return named(self._held.loss)

    def score(self, outputs: Any) -> dict[str, float]:
        """Return the task's own scores of outputs (T, B, O), the headline first; InputError as `loss`."""
        return self._task.score(self._every_step(outputs), self._held.batch)

    def _every_step(self, outputs: Any) -> np.ndarray:
        """Return outputs at each step of the simulation; those between the task's own steps are not scored."""
        y = as_numbers(outputs, "outputs", "(T, B, O)")
        if y.shape != self.targets.shape:
            raise InputError(f"outputs: shape {y.shape}, the held-out targets have {self.targets.shape}, (T, B, O)")
        return np.ascontiguousarray(np.repeat(y, len(self._held.mask) // len(self.mask), axis=0))


def held_out(record: RunDir) -> HeldOut:
    """Return the held-out sequences that a run was scored on.

    Raises:
        InputError: the run has no checkpoint that can be read, or its data have changed.
    """
    with looked_at(record) as found:
        return HeldOut.of(found.experiment.task, _held(found.experiment, found.trainer))


def predict(record: RunDir, inputs: Any, noise: bool = True) -> np.ndarray:
    """Present inputs to the network that was scored: the run's own chip, as its newest checkpoint left it.

    The noise is that of the evaluation at the end (the same streams; of a run whose streams were of another version
    that cannot be, and a warning says so), drawn for as many steps and sequences as are
    presented. Nothing is written, and no chip time passes.

    Args:
        record: the run. inputs: (T, B, I), or (T, I) of one sequence, in the task's own numbers: the run's encoder
            makes spikes or currents of them. noise: False leaves out all noise of reads and units.

    Returns: outputs (T, B, O), or (T, O), float64 numbers of the run's own precision.

    Raises:
        InputError: inputs of another shape or that are not finite, no checkpoint that can be read, changed data.
    """
    noise = as_switch(noise, "noise")
    with looked_at(record) as found:
        trainer = found.trainer
        lines, single, hold = presented_by(found.experiment, trainer, inputs)
        if noise:
            note_noise(record, trainer)
        y = plain(trainer.outputs(lines, noise))
    y = y[hold - 1 :: hold]  # an encoder holds each step for some of the simulation's
    return np.ascontiguousarray(y[:, 0] if single else y)


def as_switch(given: Any, what: str) -> bool:
    """Return True or False, which may be numpy's; InputError for anything else."""
    if not isinstance(given, bool | np.bool_):
        raise InputError(f"{what}: {given!r:.80} is neither True nor False")
    return bool(given)


def presented_by(experiment: Experiment, trainer: Trainer, inputs: Any) -> tuple[Tensor, bool, int]:
    """Return what a run's input lines carry for inputs of a user's.

    Returns: (T hold, B, lines) in the precision of the network; whether one sequence was given; hold, steps of the
        simulation for each of the task's.

    Raises:
        InputError: inputs of another shape or that are not finite.
    """
    task, like = experiment.task, trainer.substrate.weights.like
    given, single = as_inputs(inputs, _width(task), like.dtype)
    lines = torch.from_numpy(_lines(task, given, trainer)).to(like)
    return lines, single, len(lines) // len(given)


def weights_of(record: RunDir, as_held: bool = True) -> RunWeights:
    """Return the matrices of a run's newest checkpoint.

    Args:
        record: the run. as_held: those of the network that was scored, as its chip holds them; False: the digital
            targets that they were written from.

    Raises:
        InputError: no checkpoint that can be read, or (`as_held`) changed data.
    """
    if as_switch(as_held, "as_held"):
        with looked_at(record) as found:
            return held_by(found.experiment, found.trainer, record.result, fitted_to(record))
    arrays, update = of_record(record)
    config = load_config(record.config_path)
    return RunWeights(arrays.arrays, arrays.network, targets_after(update, config.hardware.write, fitted_to(record)))


def held_by(
    experiment: Experiment, trainer: Trainer, result: Mapping[str, Any] | None = None, fitted: int | None = None
) -> RunWeights:
    """Return the matrices that a noise-free presentation sees on a trainer's chip, as its clock stands.

    Args:
        experiment, trainer: the run's. result: its row, which tells what was scored; None: nothing was.
        fitted: how many sequences its outputs were fitted to after the last update; None: they were not.
    """
    reads, network = trainer.reads(), trainer.substrate.network
    W = Weights({name: read.effective for name, read in reads.items()}, network)
    if isinstance(trainer.backend, ChipNetwork):
        W = trainer.backend.rounded(W)
    chip = cast("DeviceChip", trainer.substrate)
    name = experiment.profile.name
    holder = f"{name} and rounded by {trainer.backend.name}" if isinstance(trainer.backend, ChipNetwork) else name
    when = f"{format_quantity(chip.now, 's', 3)} of its time, without read noise"
    said = f"weights as held by {holder} {_after(trainer.update, fitted)}, {when}"
    row = result or {}
    last = row.get("updates") if row.get("test_loss_noise_free") is not None else None
    known = "not known to be what was scored: the run has no result that can be read"
    unscored = known if last is None else f"not what was scored, which was update {last}"
    beside = (*converters(reads), *_around(experiment))
    return RunWeights(
        {part: matrix.cpu() for part, matrix in W.items()}, network, said, last == trainer.update, beside, unscored
    )


def targets_after(update: int, write: str, fitted: int | None = None) -> str:
    """Say which weights the digital targets of a run are; with pulses in place it keeps none.

    Args:
        update: the last one. write: `hardware.write`. fitted: as of `held_by`.

    >>> targets_after(3, "verify"), targets_after(3, "pulse")
    ('digital targets after update 3', 'weights as pulses in place left them after update 3')
    >>> targets_after(0, "verify", 2560)
    'digital targets after update 0 and a fit of the outputs to 2560 sequences'
    """
    which = "weights as pulses in place left them" if write == "pulse" else "digital targets"
    return f"{which} {_after(update, fitted)}"


def _after(update: int, fitted: int | None) -> str:
    return f"after update {update}{'' if fitted is None else f' and a fit of the outputs to {fitted} sequences'}"


def converters(reads: Mapping[str, ReadPlan]) -> tuple[str, ...]:
    """Say what stands between a chip's matrices and its units in a noise-free presentation, a sentence each."""
    said = []
    for what, has in (
        ("inputs of {} pass a DAC, which clips and rounds them", lambda read: read.dac is not None),
        ("outputs of {} pass an ADC, which clips and rounds them", lambda read: read.adc is not None),
        ("devices of {} conduct more than in proportion to their voltage", lambda read: not read.ohmic),
        ("the ADCs of {} have gains or offsets", lambda read: read.gain is not None or read.offset is not None),
        ("codes of the ADCs of {} differ in width", lambda read: read.transitions is not None),
    ):
        names = [name for name, read in reads.items() if has(read)]
        if names:
            said.append(what.format(", ".join(names)))
    return tuple(said)


def _around(experiment: Experiment) -> list[str]:
    """Say what a network has that is no tanh unit and no input as it is given."""
    said = []
    task, config = experiment.task, experiment.config
    if own_task(task)[1] is not None:
        name, hold = config.to_plain()["encoder"]["name"], config.encoder.hold
        said.append(f"encoder {name} makes {task.inputs} lines of {_width(task)} values, {hold} steps of each")
    if config.neuron is not None:
        said.append(f"the units are those of backend {config.backend}, no tanh")
    return said


def _held(experiment: Experiment, trainer: Trainer) -> HeldOutBatch:
    batch: Batch = experiment.task.test(trainer.streams.generator("test"))
    return HeldOutBatch.of(batch, trainer.substrate.weights.like, experiment.task.loss)


def _width(task: Task) -> int:
    """Return how many values a step of the task's own inputs has, before any encoder."""
    return own_task(task)[0].inputs


def _lines(task: Task, given: np.ndarray, trainer: Trainer) -> np.ndarray:
    """Return what the input lines carry, with the random spikes of the held-out sequences."""
    encoded = own_task(task)[1]
    return given if encoded is None else encoded.lines(given, trainer.streams.generator("test"))
