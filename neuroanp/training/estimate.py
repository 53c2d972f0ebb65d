"""Say what a run will take before it runs: passes, operations, memory, time."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from neuroanp.backends.reads import draw_bytes
from neuroanp.baselines.regression import CHUNK, HELD_OUT
from neuroanp.devices.protocol import ReadLaw, remembers
from neuroanp.devices.rtn import Telegraph
from neuroanp.errors import InputError
from neuroanp.learning.cdrge import CDRGE
from neuroanp.learning.echo import Echo
from neuroanp.learning.passes import PassRule
from neuroanp.network.network import OUTPUT
from neuroanp.noise import PassStreams, Streams
from neuroanp.substrates.chip import DeviceChip
from neuroanp.substrates.crossbar import Crossbar
from neuroanp.substrates.protocol import ReadPlan
from neuroanp.substrates.read import Reader, normals
from neuroanp.substrates.tiling import Tiling
from neuroanp.tasks.encoding import own_task
from neuroanp.training.batches import ROOM, Batches
from neuroanp.training.build import Experiment, build_trainer, passes_at_once, plan_of, stored_memory
from neuroanp.training.computed import memory as computed_memory
from neuroanp.training.config import RunConfig
from neuroanp.training.crews import crew_of
from neuroanp.training.decorrelating import decorrelated_groups
from neuroanp.training.described import describe
from neuroanp.training.identifying import numbers_remembered
from neuroanp.training.learner import make_learner
from neuroanp.training.looking import look, sentence
from neuroanp.training.memory import available_memory, keep_freed_memory
from neuroanp.training.ranks import Place
from neuroanp.training.readout import is_world, readout_trainer
from neuroanp.training.reward_learner import RewardLearner
from neuroanp.training.running import remembered
from neuroanp.training.sharded_learner import ShardedLearner, learner_of
from neuroanp.training.under_noise import UnderNoise
from neuroanp.training.updates import updates
from neuroanp.trajectory import Weights
from neuroanp.units import format_quantity

if TYPE_CHECKING:
    from neuroanp.training.trainer import Trainer

TIMED = 3
LOOKS, SHOWN = 2, 32
"""Looks at outputs that are fitted, at the least: before and after; sequences shown to time that."""
INTERPRETER = 400 << 20
"""Bytes of a process that has loaded this package and torch, beside the arrays of its run (measured)."""
SAMPLE = 32
"""Hidden units of the chip that shows how many bytes the devices of a profile take for each weight."""
OF_WORLDS = ("episodes", "traces")
"""What only runs in worlds hold."""
COPIES = 3
"""Sets of cells beside the array's own at the peak of a write (measured): new ones, draws, targets, pulses."""


def estimate(config: RunConfig) -> dict[str, Any]:
    """Return what a run will take; a few updates are done and timed, nothing is written to the disk.

    The memory is computed from the sizes first: a run that does not fit is neither built nor timed.

    Returns: passes, multiply_accumulates of them and of looks at validation sequences, memory_bytes and its parts (see
        `memory_of`), available_bytes (None: unknown), fits, replayed (whether passes are run twice), stored (what is
        done with them, in words; None where nothing is to be stored), seconds (None where it does not fit),
        chip_time_s of the reads, and what perturbs the units.

    Raises:
        InputError: the profile or the data cannot be read.
    """
    experiment = Experiment.of(config)
    memory, available = memory_of(experiment), available_memory(config.compute.device)
    needed = sum(memory.values())
    fits = available is None or needed <= available
    if fits:
        notes, seconds = _tried(experiment)
    else:
        shown = [format_quantity(float(size), "B", 3) for size in (needed, available or 0)]
        notes, seconds = [f"does not fit: needs {shown[0]}, {shown[1]} available"], None
    looked = look(experiment)
    notes = notes if looked is None else [*notes, sentence(looked)]
    if (place := Place.found()) is not None:
        notes = [*notes, f"torchrun: {place.size} processes share updates; memory and time are of one that does all"]
    steps, batch, plan = experiment.task.steps, config.training.batch, plan_of(experiment)
    passes = config.training.updates * learner_of(config.rule, config.compute).passes
    presented = passes * batch + _looked_at(config) + _fitted_to(config)
    weights = sum(n * m for n, m in _shapes(experiment).values())
    return {
        "run": experiment.directory,
        "updates": config.training.updates,
        "passes": passes,
        "multiply_accumulates": presented * steps * weights,
        "memory_bytes": needed,
        "memory": memory,
        "available_bytes": available,
        "fits": fits,
        "replayed": plan is not None and plan.replayed > 0,
        "stored": None if plan is None else f"passes are {plan}",
        "seconds": seconds,
        "chip_time_s": presented * steps * config.dt,
        "notes": notes,
        **({} if looked is None else {"instrument": looked}),
    }


def refuse_size(experiment: Experiment) -> None:
    """Raise InputError where a run of CD-RGE, or in a world, whose sizes may be large, needs more than can be had.

    Raises: InputError: what it needs, what there is, what takes most of it, and what takes less.
    """
    config = experiment.config
    if not (isinstance(config.rule, CDRGE) or is_world(experiment)):
        return
    memory, available = memory_of(experiment), available_memory(config.compute.device)
    needed = sum(memory.values())
    if available is None or needed <= available:
        return
    shown = [format_quantity(float(size), "B", 3) for size in (needed, available)]
    most = sorted(memory, key=lambda name: -memory[name])[:3]
    fewer = " or compute.workers" if config.compute.workers > 1 else ""
    if most[0] in OF_WORLDS:
        what = {"episodes": "task.steps or task.test_size", "traces": "training.batch or network.hidden"}[most[0]]
        raise InputError(f"{what}: the run needs {shown[0]}, {shown[1]} available (most of it: {most[0]}); lower it")
    raise InputError(
        f"network.hidden: the run needs {shown[0]}, {shown[1]} available (most of it: {', '.join(most)}); use fewer "
        f"units{fewer}, optimizer.name: sgd, which has no moments, or training.controls: false"
    )


def _looked_at(config: RunConfig) -> int:
    """Return how many validation sequences the chip is shown, where training does not stop early."""
    training = config.training
    if training.validation is None:
        return 0
    looks = 1 + -(-training.updates // training.evaluate_every)
    return (looks + training.restore + (training.refit is not None)) * training.validation


def _fitted_to(config: RunConfig) -> int:
    """Return how many sequences the chip is shown to fit its outputs, where the first fit is as good as exact."""
    refit = config.training.refit
    return 0 if refit is None else refit + LOOKS * min(CHUNK, refit // HELD_OUT)


def memory_of(experiment: Experiment) -> dict[str, int]:
    """Return the bytes that a run takes, by what takes them, from its sizes alone.

    weights: digital targets. moved: weights of a presentation, where CD-RGE moves them. optimizer: its moments. update:
    the gradient, new moments and step beside the old, what decays, and matrices that decorrelate. shards: what those of
    a process found, until they are added. readout: of least
    squares, the sums and their solution; at the end what units did in the sequences that outputs are fitted to, piece
    by piece. identified: sums of what units heard that find out what arrays do, as they were, of the update, and as
    they will be. devices: cells of the arrays. copies: what a write or a checkpoint holds beside these. control:
    weights and devices of the second chip that trains the readout alone. workers: of other processes that share
    updates, each with a chip. batches: those that are kept for it. validation: its sequences, and the best weights
    where they are to be written back. reads: plans and the readers' transposes. passes: those stored for the credit,
    and averages of earlier ones. noise: the largest draw of read noise. chunk: what units did in the steps that are
    simulated at once. recorded: on a GPU, what a recorded update has of weights and reads for itself. Noise and chunk
    are bounds: an update in compiled calls makes less. Of a world besides, episodes: what came of the test episodes,
    as it is simulated and in double. traces: one of each synapse and episode, and a step of those of the largest array.

    >>> from neuroanp.training.configure import configure
    >>> memory = memory_of(Experiment.of(configure({"task": "copy", "network": {"hidden": 20_000}, "profile": "pcm"})))
    >>> memory["weights"] // 4 // 20_000**2  # float32
    1
    """
    config, training = experiment.config, experiment.config.training
    shapes = _shapes(experiment)
    sample = _sample(experiment)
    size = sample.like.element_size()
    weights = size * sum(n * m for n, m in shapes.values())
    kept = 0 if training.validation is None else _bytes_of(experiment, training.validation)
    adam = config.optimizer.name == "adam"
    devices = sum(_scaled(sample.arrays[name].cells, sample.arrays[name].shape, shapes[name]) for name in shapes)
    plans = sample.prepare(experiment.window_s(), PassStreams(Streams(config.seed), "train", 0))
    reads = sum(_scaled(_of_reader(plans[name]), sample.arrays[name].shape, shapes[name]) for name in shapes)
    moments, step = (2 * weights, 4 * weights) if adam else (0, weights)
    step += (weights if config.optimizer.weight_decay else 0) + _matrices(experiment, size)
    moved = weights if isinstance(config.rule, CDRGE) else 0
    others = config.compute.workers - 1
    chunk = _chunk_bytes(experiment, size)
    stored = min(_stored(experiment), stored_memory(config))
    shards = _shards_bytes(experiment)
    each = weights + moved + moments + step + shards + (1 + COPIES) * devices + reads + chunk + stored + INTERPRETER
    return {
        "weights": weights,
        "moved": moved,
        "optimizer": moments,
        "update": step,
        "shards": shards,
        "workers": others * each,
        "readout": _least_squares_bytes(experiment, size),
        "identified": 3 * 8 * numbers_remembered(config.rule, experiment.network),
        "devices": devices,
        "copies": COPIES * devices + weights,
        "control": devices + weights if training.trains_readout else 0,
        "validation": kept + (weights if training.restore else 0),
        "batches": training.trains_readout * min(ROOM, training.updates * _bytes_of(experiment, training.batch)),
        "reads": reads,
        "passes": stored + _remembered_bytes(experiment),
        "noise": _noise_bytes(experiment, [_wide(sample.arrays[name], plans[name], shapes[name]) for name in shapes]),
        "chunk": chunk,
        "recorded": 0 if config.compute.device == "cpu" else weights + reads,
        **_world_bytes(experiment, size),
    }


def _world_bytes(experiment: Experiment, size: int) -> dict[str, int]:
    """Return what a run in a world holds besides; {} of data."""
    if not is_world(experiment):
        return {}
    held, rule = experiment.task.test(Streams(experiment.config.seed).generator("test")), experiment.config.rule
    T, B, _ = held.inputs.shape
    shapes = [n * m for n, m in _shapes(experiment).values()]
    task, encoder = own_task(experiment.task)
    numbers = task.outputs + 1 + experiment.task.inputs + (0 if encoder is None else task.inputs)
    traced = isinstance(make_learner(rule), RewardLearner)
    return {
        "episodes": T * B * numbers * (8 + 2 * size),
        "traces": size * experiment.config.training.batch * (sum(shapes) + max(shapes)) * traced,
    }


def _shards_bytes(experiment: Experiment) -> int:
    """Return what a process holds of its shards; 0 of an update that has none."""
    config, network = experiment.config, experiment.network
    learner = learner_of(config.rule, config.compute)
    if not isinstance(learner, ShardedLearner):
        return 0
    dtype = getattr(torch, config.compute.dtype)
    shapes = Weights(
        {name: torch.empty(n, m, dtype=dtype, device="meta") for name, (n, m) in network.shapes.items()}, network
    )
    steps, batch = experiment.task.steps, config.training.batch
    return learner.bytes_held(learner.init(shapes), shapes, steps, batch, config.compute.workers)


def _least_squares_bytes(experiment: Experiment, size: int) -> int:
    """Return what readouts by least squares take.

    In every update what it remembers before and after, the system, its factors, G; in the end two sums, their join,
    eigenvectors and the system, and what the lines carried in a piece of the sequences, as it was and in double.
    """
    rule, refit = experiment.config.rule, experiment.config.training.refit
    lines = sum(experiment.network.shapes[p.name][1] for p in experiment.network.feed(OUTPUT))
    online = (5 * 8 + size) * lines**2 if isinstance(rule, PassRule | Echo) and rule.readout == "rls" else 0
    training = experiment.config.training
    online += computed_memory(rule, experiment.network, experiment.task.steps, training.batch)
    if refit is None:
        return online
    return online + 5 * 8 * lines**2 + (2 * 8 + size) * min(CHUNK, refit) * experiment.task.steps * lines


def _matrices(experiment: Experiment, size: int) -> int:
    """Return what decorrelation takes: matrices, second moments, and the matrices that follow."""
    network = experiment.network
    return 3 * size * sum(network.units[name] ** 2 for name in decorrelated_groups(experiment.config.rule, network))


def _chunk_bytes(experiment: Experiment, size: int) -> int:
    """Return what a chunk of time takes: what arrives, h, x and how they differ, of all passes."""
    rows = passes_at_once(experiment.config) * experiment.config.training.batch
    steps = min(experiment.chunk, experiment.task.steps)
    return 4 * steps * rows * sum(experiment.network.lines.values()) * size


def _shapes(experiment: Experiment) -> dict[str, tuple[int, int]]:
    """Return (n, m) of each array."""
    return experiment.network.shapes


def _sample(experiment: Experiment) -> DeviceChip:
    """Make a chip of the same hardware with few hidden units."""
    config = experiment.config
    few: dict[str, Any] = {"hidden": min(SAMPLE, config.network.hidden), "weights": None}
    if config.network.layers is not None:
        few["layers"] = [
            layer.model_copy(update={"units": min(SAMPLE, layer.units)}) for layer in config.network.layers
        ]
    network = config.network.model_copy(update=few)
    small = replace(experiment, config=config.model_copy(update={"network": network}), start=None)
    return small.chip(Streams(config.seed))


def _scaled(tensors: Mapping[str, Tensor], sample: tuple[int, int], shape: tuple[int, int]) -> int:
    """Return the bytes of tensors that hold so much for each weight of a sample, for a matrix of another shape."""
    held = sum(t.numel() * t.element_size() for t in tensors.values())
    return held * (shape[0] * shape[1]) // (sample[0] * sample[1])


def _of_reader(read: ReadPlan) -> dict[str, Tensor]:
    """Return what reading an array holds for each weight: moments and their transposes."""
    reader = Reader(read)
    found = {"W": read.W, "wt": reader.wt, "sigma2": read.sigma2, "st": reader.st, "sigma": reader.sigma}
    return {name: t for name, t in {**found, "process": read.process}.items() if t is not None}


def _wide(array: Crossbar, read: ReadPlan, shape: tuple[int, int]) -> ReadPlan:
    """Return the plan of an array for a matrix of another shape, without its values."""
    most = array.profile.array
    widths = Tiling.of(shape, most.max_rows, most.max_columns).widths

    def wide(t: Tensor | None) -> Tensor | None:
        return None if t is None else t.new_empty((*t.shape[:-2], *shape), device="meta")

    return replace(
        read, W=read.W.new_empty(shape, device="meta"), sigma2=wide(read.sigma2), process=wide(read.process),
        age=wide(read.age), widths=widths if len(widths) > 1 else (),
    )  # fmt: skip


def _stored(experiment: Experiment) -> int:
    """Return what storing how the passes differ takes; credit that looks at its own step alone needs none."""
    plan = plan_of(experiment)
    return 0 if plan is None else plan.needed


def _remembered_bytes(experiment: Experiment) -> int:
    """Return what a learner remembers of earlier passes."""
    config, task = experiment.config, experiment.task
    numbers = task.steps * config.training.batch * remembered(config.rule, experiment.network)
    return numbers * getattr(torch, config.compute.dtype).itemsize


def _bytes_of(experiment: Experiment, sequences: int) -> int:
    """Return the bytes of so many sequences: inputs, targets and the mask of their steps."""
    config, task = experiment.config, experiment.task
    numbers = task.steps * (sequences * (task.inputs + task.outputs) + 1)
    return numbers * getattr(torch, config.compute.dtype).itemsize


def _noise_bytes(experiment: Experiment, plans: Iterable[ReadPlan]) -> int:
    """Return what the largest draw of read noise takes: (T_chunk, M, B, n, m) where every device is drawn."""
    learner, training = learner_of(experiment.config.rule, experiment.config.compute), experiment.config.training
    if not learner.noisy:  # a digital twin has no noise
        return 0
    rows, steps = passes_at_once(experiment.config) * training.batch, min(experiment.chunk, experiment.task.steps)
    noisy = [read for read in plans if normals(read) or read.process is not None]
    later = _drawn_as_read(experiment)
    drawn = max((draw_bytes(read, rows, steps, later=later)[1] for read in noisy), default=0)
    return drawn + rows * _states_bytes(experiment, noisy, later)


def _states_bytes(experiment: Experiment, plans: Sequence[ReadPlan], later: bool) -> int:
    """Return where the processes of all devices stand in a sequence, and, but for those drawn later, a step's draws.

    As many processes as make the noise of a device, of one that is a day old where its age matters.
    """
    law: ReadLaw | None = experiment.profile.read  # pyright: ignore
    with_memory = [read.process for read in plans if read.process is not None]
    if law is None or law.process is None or not with_memory:
        return 0
    process = law.process()
    each = sum(math.prod(shape) for shape in (process.uniforms((1,)), process.normals((1,))) if shape is not None)
    devices = sum(sigma.numel() for sigma in with_memory)
    draws = 0 if later else max(sigma.numel() for sigma in with_memory)
    return each * (devices + draws) * with_memory[0].element_size()


def _drawn_as_read(experiment: Experiment) -> bool:
    """Return whether devices with a memory are drawn while they are read, and their states of a chunk never stored."""
    law, compute = experiment.profile.read, experiment.config.compute
    if law is None or not remembers(law):  # pyright: ignore[reportArgumentType]
        return False
    telegraph = isinstance(law.process(), Telegraph)  # pyright: ignore
    return telegraph and compute.dtype == "float32" and compute.device == "cpu"


def _tried(experiment: Experiment) -> tuple[list[str], float]:
    """Return what is said about the choices made, and the seconds that all updates take: a few are timed."""
    config = experiment.config
    torch.set_num_threads(config.compute.threads)
    keep_freed_memory()
    _, notes = describe(experiment)  # makes a chip of its own: gone before the trainer makes the next
    trainer, fits = replace(build_trainer(experiment), crew=crew_of(experiment)), 0.0
    if config.training.refit is not None:
        fits = _fitted_to(config) * _seconds_a_sequence(trainer)
    if not config.training.updates:
        return notes, fits
    seconds = _seconds_an_update(trainer)
    if config.training.trains_readout and config.training.refit is None:
        seconds += _seconds_an_update(readout_trainer(experiment, Batches()))
    return notes, seconds * config.training.updates + fits * (1 + config.training.trains_readout)


def _seconds_a_sequence(trainer: Trainer) -> float:
    """Return the seconds that a sequence takes to which outputs are fitted: a piece is timed, once all is set up."""
    chip = UnderNoise(trainer.substrate, trainer.backend, trainer.streams, "timed", trainer.dt)
    inputs = trainer.task.sample(trainer.streams.generator("timed"), SHOWN).inputs
    chip(trainer.substrate.weights, inputs)
    start = time.perf_counter()
    chip(trainer.substrate.weights, inputs)
    return (time.perf_counter() - start) / SHOWN


def _seconds_an_update(trainer: Trainer) -> float:
    few = replace(trainer, updates=trainer.update + 1 + TIMED)  # the first one pays for what is set up once
    ends = [time.perf_counter() for _ in updates(few)]
    return median(after - before for before, after in pairwise(ends))
