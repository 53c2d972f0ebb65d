"""How true the mean update of each cell is: the first part of benchmarks/cells.py.

Of cells of rates the truth is the exact gradient of the loss. Spikes have none: what ANP and node perturbation estimate
is the gradient of the MEAN loss under the noise that they learn with, dE[L]/dW, which is smooth. It is taken here
weight by weight, (E[L(W + d)] - E[L(W - d)]) / 2 d, both means over the same noise, and twice over independent noise:
how well the two agree bounds what any update can reach.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import nan, sqrt
from pathlib import Path
from statistics import median
from typing import Any, cast

import torch
from common import rows_of_networks, table, verdict
from torch import Tensor

from neuroanp.backends.neuron import NeuronModel
from neuroanp.network.network import INPUT, Projection
from neuroanp.noise import PassStreams
from neuroanp.training.build import Experiment, build_trainer
from neuroanp.training.configure import configure
from neuroanp.training.evaluate import NOISY, SILENT
from neuroanp.training.lab import Lab
from neuroanp.training.learner import make_learner
from neuroanp.training.trainer import Trainer

Arrays = Mapping[str, Tensor]

RATES: dict[str, Any] = {
    "task": {"name": "copy", "length": 2, "delay": 2, "symbols": 3}, "profile": "ideal",
    "training": {"updates": 1, "batch": 4}, "perturbation": {"sigma": 1e-3}, "compute": {"dtype": "float64"},
    "rule": {"name": "anp", "K": 64},
}  # fmt: skip
CELLS = ("tanh", "leaky_tanh", "relu", "gru", "lstm")

SPIKES: dict[str, Any] = {
    "task": {"name": "xor", "start": 0, "pulse": 5, "gap": 2, "delay": 2, "window": 10, "draw": "balanced"},
    "backend": "lif", "profile": "ideal", "training": {"updates": 1, "batch": 4},
    "neuron": {"name": "lif", "drive": 2.0, "input_gain": 6.0},
}  # fmt: skip
"""Driven by two thresholds a unit spikes by itself, every 14 steps; all else is by default but the gain of inputs."""
UNITS, COPIES = 6, 1024
"""Units a layer; copies of the four sequences in each mean loss."""
K, UPDATE_COPIES, UPDATES = 16, 32, 40
"""Differences, copies and draws of each mean update."""
NP = "np, whole return"
BY_SPIKES: dict[str, dict[str, Any]] = {
    NP: {"name": "np", "gamma": 1.0},
    "np, preset": {"name": "np"},
    "anp, preset": {"name": "anp"},
    "anp, preset, reference silent": {"name": "anp", "reference": "silent"},
    "anp, whole return": {"name": "anp", "gamma": 1.0},
    "anp, whole return, reference silent": {"name": "anp", "gamma": 1.0, "reference": "silent"},
    "anp, whole return, activity h": {"name": "anp", "gamma": 1.0, "activity": "h"},
    "bptt, surrogate, no noise": {"name": "bptt"},
}
CEILING = "ceiling"
STEP = 0.15
"""How far a weight is moved, in thresholds of current that it brings; half as far, the cosine to it is above .995."""
NEAR = 0.9
"""The least that the ceiling and NP may reach."""


def layers(cell: str | dict[str, Any], *units: int) -> dict[str, Any]:
    """Return a network of layers of one cell."""
    return {"layers": [{"cell": cell, "units": n} for n in units]}


def cosine(a: Tensor, b: Tensor) -> float:
    """Return the cosine of the angle between two arrays; nan where one is zero."""
    size = float(a.norm() * b.norm())
    return float((a * b).sum()) / size if size else nan


def shown(value: float) -> str:
    """Write a cosine, and "none" where there is no update to compare."""
    return "none" if value != value else f"{value:.2f}"


def mean_update(rule: Any, lab: Lab, trainer: Trainer, draws: int) -> dict[str, Tensor]:
    """Return the sum of a rule's updates over draws of the noise."""
    total = {name: torch.zeros_like(W) for name, W in lab.substrate.weights.items()}
    for draw in range(draws):
        streams = PassStreams(trainer.streams, "train", 1 + draw)
        _, update = make_learner(rule).learn({}, replace(lab, streams=streams))
        for name, dW in update.arrays.items():
            total[name] += dW
    return total


# ---- cells of rates ----


def of_rates(draws: int) -> str:
    """Return the table of the cosines to the exact gradient."""
    rows = []
    for cell in CELLS:
        for depth in (1, 2):
            trainer = build_trainer(Experiment.of(configure(RATES, network=layers(cell, *[8] * depth), seed=0)))
            lab = trainer.lab()
            exact = mean_update(configure(RATES, rule="bptt").rule, lab, trainer, 1)
            found = mean_update(configure(RATES).rule, lab, trainer, draws)
            by_array = (f"{name} {shown(cosine(dW, exact[name]))}" for name, dW in found.items())
            rows.append([cell, str(depth), ", ".join(by_array)])
    lead = (
        f"Cells of rates, to the exact gradient: copy 2, 8 units a layer, untrained, float64, ANP two passes x 64 x "
        f"{draws} draws, sigma 1e-3; the credit is the whole return."
    )
    return f"{lead}\n\n" + table(["cell", "layers", "by array"], rows)


# ---- units that spike ----


@dataclass(frozen=True)
class Network:
    """What one untrained network of spiking units gives.

    Args:
        depth: layers. spikes: of a unit and sequence without noise, by layer. cosines: by row, then by array.
    """

    depth: int
    spikes: Mapping[str, float]
    cosines: Mapping[str, Mapping[str, float]]


def repeated(lab: Lab, copies: int) -> Lab:
    """Return a lab whose batch holds each sequence many times, each time with noise of its own."""
    assert isinstance(lab.source, Tensor)
    return replace(lab, source=lab.source.repeat(1, copies, 1), targets=lab.targets.repeat(1, copies, 1))


def mean_loss(lab: Lab) -> float:
    """Return the loss of a noisy pass, summed over the steps, its mean over the batch."""
    return sum(float(lab.losses(chunk).double().sum(0).mean()) for chunk in lab.run(NOISY, "loss", book=False))


def slopes(lab: Lab, p: Projection) -> Iterator[tuple[int, float]]:
    """Yield the difference quotient of the mean loss for each weight of an array, and its index."""
    read, cell = lab.reads[p.name], cast("NeuronModel", lab.network.layers[0].cell)
    step = STEP / (cell.input_gain if p.pre == INPUT else cell.synapse_gain)
    for index in range(read.W.numel()):
        found = []
        for sign in (1, -1):
            W = read.W.clone()
            W.view(-1)[index] += sign * step
            found.append(mean_loss(replace(lab, reads={**lab.reads, p.name: replace(read, W=W)})))
        yield index, (found[0] - found[1]) / (2 * step)


def gradient_of_mean(lab: Lab) -> dict[str, Tensor]:
    """Return dE[L]/dW by central differences, all of them under the same noise: the streams of the lab."""
    found = {p.name: torch.zeros_like(lab.reads[p.name].W) for p in lab.network.projections}
    for p in lab.network.projections:
        for index, slope in slopes(lab, p):
            found[p.name].view(-1)[index] = slope
    return found


def spiking_network(job: tuple[int, int, Path]) -> list[Network]:
    """Compare the rules of one untrained network with the gradient of its mean loss."""
    torch.set_num_threads(1)
    depth, seed, _ = job
    config = configure(SPIKES, network=layers("lif", *[UNITS] * depth), seed=seed)
    trainer = build_trainer(Experiment.of(config))
    lab = trainer.lab()
    fired = [chunk.fired or {} for chunk in lab.run(SILENT, book=False)]
    spikes = {name: sum(float(chunk[name].sum()) for chunk in fired) for name in fired[0]}
    many = repeated(lab, COPIES)
    one, two = (gradient_of_mean(replace(many, streams=PassStreams(trainer.streams, "truth", i))) for i in (0, 1))
    truth = {name: one[name] + two[name] for name in one}
    cosines = {CEILING: {name: ceiling(cosine(one[name], two[name])) for name in truth}}
    for label, options in BY_SPIKES.items():
        same = options["name"] == "bptt"  # without noise every update is the same
        rule = configure(SPIKES, rule=options if same else {"K": K, **options}).rule
        update = mean_update(rule, lab if same else repeated(lab, UPDATE_COPIES), trainer, 1 if same else UPDATES)
        cosines[label] = {name: cosine(update[name], truth[name]) for name in truth}
    each = UNITS * lab.batch
    return [Network(depth, {name: count / each for name, count in spikes.items()}, cosines)]


def ceiling(halves: float) -> float:
    """Return the cosine of the exact gradient to the mean of two estimates of it whose own cosine is `halves`.

    >>> ceiling(1.0)
    1.0
    """
    return sqrt(2 * halves / (1 + halves)) if halves > 0 else 0.0


def of_spikes(options: argparse.Namespace) -> tuple[str, list[str]]:
    """Return the tables of the cosines to the gradient of the mean loss, and the claims."""
    found: list[Network] = rows_of_networks(spiking_network, (1, 2), options)
    task, neuron = configure(SPIKES).task, SPIKES["neuron"]
    lead = (
        "Units that spike, to the gradient of the mean loss under the noise that the rules learn with (current .5 "
        f"thresholds, outputs .1), by central differences: temporal XOR in {task.steps} steps of 1 ms, {UNITS} LIF "
        f"units a layer, untrained, drive {neuron['drive']:g}, input_gain {neuron['input_gain']:g}, all else by "
        f"default; median [lowest .. highest] of {options.seeds} networks. Each mean loss is over {4 * COPIES} "
        f"sequences, each mean update over {K} differences x {4 * UPDATE_COPIES} sequences x {UPDATES} draws. Preset: "
        "credit is each step's own loss (of np a trace of 20 ms), and whole return all later losses. Ceiling: what "
        "the gradient itself would reach, from how well two halves of the truth agree; none: no update at all."
    )
    tables = [by_array([network for network in found if network.depth == depth]) for depth in (1, 2)]
    return "\n\n".join([lead, *tables]), claims(found)


def by_array(networks: Sequence[Network]) -> str:
    """Return the table of networks of one depth: a row an update, a column an array."""
    first = networks[0].cosines
    rows = [
        [label, *(spread_of([network.cosines[label][name] for network in networks]) for name in arrays)]
        for label, arrays in first.items()
    ]
    return table([f"lif, {'one layer' if networks[0].depth == 1 else 'two layers'}", *first[CEILING]], rows)


def spread_of(cosines: Sequence[float]) -> str:
    """Write median [lowest .. highest] of those networks that have an update."""
    there = [value for value in cosines if value == value]
    if not there:
        return "none"
    return f"{median(there):.2f} [{min(there):.2f} .. {max(there):.2f}]"


def claims(networks: Sequence[Network]) -> list[str]:
    """Return what must hold for the tables to say anything."""
    least = min(count for network in networks for count in network.spikes.values())
    check = [value for network in networks for label in (CEILING, NP) for value in network.cosines[label].values()]
    return [
        verdict(f"every layer spikes without noise, {least:.2f} times a unit and sequence or more", least > 0),
        verdict(
            f"the ceiling, and {NP}, which estimates that gradient but for the trace of the synapses, are at least "
            f"{NEAR:g} in every array of every network (lowest {min(check):.2f})",
            all(value >= NEAR for value in check),
        ),
    ]
