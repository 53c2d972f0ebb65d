"""What echo keeps of a presentation: blocks of time that no chunk moves, stored as far as they fit, else run again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, cast

import torch

from neuroanp.errors import InputError
from neuroanp.learning.credit import differences
from neuroanp.learning.echo import Noise, perturbed
from neuroanp.learning.innovation import innovation
from neuroanp.training.decorrelating import known_weights, matrices
from neuroanp.training.outer_products import block_steps
from neuroanp.training.presynaptic import Presynaptic, over_passes
from neuroanp.training.told_outputs import Told
from neuroanp.trajectory import LayerActivity, Trajectory

if TYPE_CHECKING:
    from torch import Tensor

    from neuroanp.learning.echo import Echo
    from neuroanp.network.cell import Cell
    from neuroanp.training.lab import Lab
    from neuroanp.trajectory import PassPlan

UNKNOWN = (
    "rule: echo of units that spike listens to noise that it knows, and what perturbs the units here is not known; use "
    "perturbation.name: gaussian or a profile with node noise, or rule 'anp'"
)


class Block(NamedTuple):
    """What happened in some steps, of all passes.

    Args:
        t0: the first step. dy: (T, M, B, O) how outputs differ. losses: (T, M, B). errors: (T, M, B, O), or None.
        noise: what own noise did, by layer. change: (T, M, B, lines) by layer, what a share of perturbation is about.
        of_outputs: (T, B, O) what outputs learn by perturbation; None: they do not.
        presynaptic: what arrays had before them. told: what outputs knew that learn by their errors; else None.
    """

    t0: int
    dy: Tensor
    losses: Tensor
    errors: Tensor | None
    noise: Mapping[str, Noise]
    change: Mapping[str, Tensor]
    of_outputs: Tensor | None
    presynaptic: Presynaptic
    told: Told | None

    @property
    def time(self) -> slice:
        """Its steps."""
        return slice(self.t0, self.t0 + len(self.dy))


def keep_of(lab: Lab) -> str:
    """Return what trajectories must carry: of units that spike the noise as well."""
    return "noise" if lab.network.spikes else "all"


def presented(rule: Echo, plan: PassPlan, lab: Lab, book: bool = True, until: int | None = None) -> Iterator[Block]:
    """Run the passes, up to a step or to the end, and yield block after block; book: it is the first time."""
    until = lab.steps if until is None else until
    if not until:
        return
    for chunk in blocks(lab.run(plan, keep_of(lab), book), block_steps(lab.batch), lab.steps):
        block = block_of(chunk, rule, plan, lab)
        if lab.identifying is not None and book:  # once for every step
            lab.identifying.add(chunk, {name: noise.i for name, noise in block.noise.items()})
        yield block
        if chunk.t0 + len(chunk.y) >= until:
            return


def block_of(chunk: Trajectory, rule: Echo, plan: PassPlan, lab: Lab) -> Block:
    """Return what echo needs to know of some steps."""
    errors = lab.errors(chunk) if rule.hears_errors else None
    noise = {name: _noise(name, chunk, plan, lab) for name in chunk.layers}
    dy, losses, of_outputs, told = differences(chunk.y, plan), lab.losses(chunk), None, None
    change = {name: each.i for name, each in noise.items()} if rule.eta else {}
    if rule.readout == "perturb" or (rule.eta and rule.difference == "activity"):
        whole = {name: differences(_activity(layer), plan) for name, layer in chunk.activities.items()}
        change = whole if rule.eta and rule.difference == "activity" else change
        of_outputs = perturbed(differences(losses, plan), whole, dy) if rule.readout == "perturb" else None
    if errors is not None and rule.readout != "perturb":
        told = Told.of(chunk, errors, lab.network, plan, matrices(lab))
    return Block(chunk.t0, dy, losses, errors, noise, change, of_outputs, Presynaptic.of(chunk, plan), told)


def _activity(layer: LayerActivity) -> Tensor:
    return layer.h if layer.z is None else layer.z


def _noise(name: str, chunk: Trajectory, plan: PassPlan, lab: Lab) -> Noise:
    """Return what the own noise of a layer's units did: of rates what arrays did not bring, of spikes what is known."""
    layer = lab.network.layer(name)
    assert layer is not None
    if layer.cell.spikes:
        if chunk.noise is None or name not in chunk.noise or not (chunk.noise_sigma or {}).get(name):
            raise InputError(UNKNOWN)
        return Noise(differences(chunk.noise[name], plan), None)
    h = chunk.activities[name].h
    i = innovation(name, differences(h, plan), chunk, known_weights(lab), plan)
    return Noise(i, cast("Cell", layer.cell).derivative(over_passes(h, plan)))


# ---- blocks that begin at multiples of the same number, whatever chunks they come in ----


def blocks(chunks: Iterable[Trajectory], size: int, steps: int) -> Iterator[Trajectory]:
    """Yield the chunks of a presentation anew, in blocks of `size` steps and what is left at its end, step `steps`."""
    waiting: list[Trajectory] = []
    for chunk in chunks:
        waiting.append(chunk)
        end = chunk.t0 + len(chunk.y)
        if end - waiting[0].t0 < size and end < steps:
            continue
        here = whole(waiting)
        at, many = 0, len(here.y)
        while many - at >= size or (at < many and end == steps):
            yield part(here, at, min(at + size, many))
            at += size
        waiting = [part(here, at, many)] if at < many else []


def whole(chunks: list[Trajectory]) -> Trajectory:
    """Return chunks that follow one another as one."""
    first, *more = chunks
    if not more:
        return first

    def join(parts: Iterable[Tensor | None]) -> Tensor | None:
        there = [x for x in parts if x is not None]
        return torch.cat(there) if there else None

    def layer(name: str) -> LayerActivity:
        parts = [chunk.activities[name] for chunk in chunks]
        h, x = join(p.h for p in parts), join(p.x for p in parts)
        assert h is not None
        assert x is not None
        return LayerActivity(h, x, parts[0].x_prev, join(p.z for p in parts))

    u, y = join(chunk.u for chunk in chunks), join(chunk.y for chunk in chunks)
    assert u is not None
    assert y is not None
    noise = None
    if first.noise is not None:
        noise = {name: _there(join((c.noise or {})[name] for c in chunks)) for name in first.noise}
    return replace(
        first, u=u, y=y, noise=noise, loss=join(chunk.loss for chunk in chunks),
        layers={name: layer(name) for name in first.layers},
        pre={name: _there(join(chunk.pre[name] for chunk in chunks)) for name in first.pre},
    )  # fmt: skip


def part(chunk: Trajectory, start: int, stop: int) -> Trajectory:
    """Return the steps from start to stop of a chunk."""
    if start == 0 and stop == len(chunk.y):
        return chunk
    time = slice(start, stop)

    def layer(of: LayerActivity) -> LayerActivity:
        before = of.x[start - 1] if start else of.x_prev
        return LayerActivity(of.h[time], of.x[time], before, None if of.z is None else of.z[time])

    return replace(
        chunk, u=chunk.u[time], y=chunk.y[time], t0=chunk.t0 + start,
        noise=None if chunk.noise is None else {name: x[time] for name, x in chunk.noise.items()},
        loss=None if chunk.loss is None else chunk.loss[time],
        layers={name: layer(of) for name, of in chunk.activities.items()},
        pre={name: x[time] for name, x in chunk.pre.items()},
    )  # fmt: skip


def _there(x: Tensor | None) -> Tensor:
    assert x is not None
    return x
