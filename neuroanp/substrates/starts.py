"""Where noise with a memory stands when each presentation of a batch begins."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Protocol

import torch
from torch import Tensor

from neuroanp.devices.rtn import Telegraph

Draws = tuple[Tensor | None, Tensor | None]
"""Uniforms and normals of one step, None where a process takes none."""


class Startable(Protocol):
    """A stationary process, exact over any step."""

    def start(self, u: Tensor | None, xi: Tensor | None) -> Tensor: ...
    def run(self, state: Tensor, u: Tensor | None, xi: Tensor | None, dt: float) -> tuple[Tensor, Tensor]: ...


def starts(
    process: Startable, draws: Mapping[int, Draws], stream_of: Sequence[int], batch: int, apart: float, axis: int
) -> dict[int, Tensor]:
    """Return the state of each stream before its first step, one row a sequence.

    Presentations follow one another, sequence after sequence and the passes of one in turn; each start
    follows from the one before over the time between them, so that what is slow is common to them,
    as it is on a chip. Infinitely far apart, they are independent.

    Args:
        process: what the sources follow.
        draws: uniforms and normals of a start, by stream.
        stream_of: the stream that each pass listens to; a stream starts where its first pass stands.
        batch: B sequences.
        apart: seconds from the start of a presentation to that of the next.
        axis: where the sequences are in states and draws, counted from the end.
    """
    if math.isinf(apart):
        return {stream: process.start(*draw) for stream, draw in draws.items()}
    first = {stream: stream_of.index(stream) for stream in stream_of if stream in draws}
    if isinstance(process, Telegraph) and not process.drawn:
        u = torch.stack([given(draws[stream][0]) for stream in first]).movedim(axis, 1)
        if u.device.type == "cpu":
            places = list(first.values())
            steps = [places[0] - places[-1] + len(stream_of), *(b - a for a, b in pairwise(places))]
            return dict(zip(first, process.chain(u, [apart * step for step in steps]).movedim(1, axis), strict=True))
    rows: dict[int, list[Tensor]] = {stream: [] for stream in first}
    state, now = None, 0
    for b in range(batch):
        for stream, place in first.items():
            u, xi = (None if draw is None else draw.narrow(axis, b, 1) for draw in draws[stream])
            then = b * len(stream_of) + place
            if state is None:
                state = process.start(u, xi)
            else:
                gap = apart * (then - now)
                _, state = process.run(state, one_step(u), one_step(xi), gap)
            now = then
            rows[stream].append(state)
    return {stream: torch.cat(states, axis) for stream, states in rows.items()}


def given(draw: Tensor | None) -> Tensor:
    """Return draws that a process takes.

    >>> import torch
    >>> given(torch.ones(1)).item()
    1.0
    """
    assert draw is not None
    return draw


def one_step(draw: Tensor | None) -> Tensor | None:
    """Return the draws of one step as those of a run of one.

    >>> import torch
    >>> one_step(torch.zeros(2, 3)).shape, one_step(None)
    (torch.Size([1, 2, 3]), None)
    """
    return None if draw is None else draw.unsqueeze(0)
