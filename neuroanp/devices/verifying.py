"""Write and verify devices that pulses step up and down: pulse what is off its target, look, until all is within.

The draws of a device are at its place in the array: whatever else is written changes none of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from neuroanp.kernels import transforms


class Stepped(Protocol):
    """What is asked of a law; see `neuroanp.devices.pulsed.PulsedLaw`."""

    fraction: ClassVar[Literal["bound", "linear", "exponential"] | None]
    dw: float
    c2c: float
    write_noise: float
    tolerance: float
    max_pulses: int

    @property
    def additive(self) -> bool: ...

    def step(
        self, w: Tensor, direction: Tensor, up: Tensor, down: Tensor, w_max: Tensor, w_min: Tensor, xi: Tensor
    ) -> Tensor: ...

    def coefficients(self, rises: Tensor, w_max: Tensor, w_min: Tensor) -> tuple[Tensor, ...]: ...


def verify(
    law: Stepped, devices: Mapping[str, Tensor], moves: Tensor, seen: Tensor, target: Tensor, key: int,
    effects: frozenset[str],
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Return w, what is seen of it, and the pulses of each device when the loop ends.

    Args:
        law: steps, bounds, tolerance and the most pulses; who cannot get there has had these.
        devices: "w", "up", "down", "w_max", "w_min" of an array, any shape, device units.
        moves: which are pulsed: those that are off their targets and can move.
        seen, target: device units. key: 64 bits of the draws.
        effects: without `c2c` steps do not scatter, without `write_noise` what is seen does not.
    """
    compiled = seen.device.type == "cpu" and seen.dtype == torch.float32 and law.fraction is not None
    return (fast if compiled else plain)(law, devices, moves, seen, target, key, effects)


def plain(
    law: Stepped, devices: Mapping[str, Tensor], moves: Tensor, seen: Tensor, target: Tensor, key: int,
    effects: frozenset[str],
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Do it for any law, on any device and in any precision; see `verify`."""
    at = moves.flatten().nonzero().squeeze(1)
    w, shown = devices["w"].flatten().clone(), seen.flatten().clone()
    pulses = torch.zeros_like(shown, dtype=torch.int32)
    live = {k: v.flatten()[at] for k, v in {**devices, "seen": seen, "target": target}.items()}
    for sent in range(1, law.max_pulses + 1):
        if not len(at):
            break
        xi, eta = (x.to(seen) for x in draws(key, at, sent, seen))
        state = [live[k] for k in ("up", "down", "w_max", "w_min")]
        live["w"] = law.step(live["w"], live["target"] - live["seen"], *state, xi if "c2c" in effects else 0 * xi)
        live["seen"] = live["w"] + _sigma(law, effects) * eta
        w[at], shown[at], pulses[at] = live["w"], live["seen"], sent
        left = ((live["seen"] - live["target"]).abs() > law.tolerance).nonzero().squeeze(1)
        at, live = at[left], {k: v.index_select(0, left) for k, v in live.items()}
    return w.view(seen.shape), shown.view(seen.shape), pulses.view(seen.shape)


def fast(
    law: Stepped, devices: Mapping[str, Tensor], moves: Tensor, seen: Tensor, target: Tensor, key: int,
    effects: frozenset[str],
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Do what `plain` does by compiled loops, in single precision."""
    from neuroanp.kernels import verify_loops

    assert law.fraction is not None
    w, shown = (x.clone(memory_format=torch.contiguous_format) for x in (devices["w"], seen))
    pulses = torch.zeros_like(w, dtype=torch.int32)
    rises = torch.ones_like(moves)
    ways = [law.coefficients(up, devices["w_max"], devices["w_min"]) for up in (rises, ~rises)]
    fixed = [target, *(devices[k] for k in ("up", "down", "w_min", "w_max")), *(of[k] for k in (0, -1) for of in ways)]
    given = tuple(x.contiguous().view(-1).numpy() for x in fixed)
    found = (x.view(-1).numpy() for x in (w, shown, pulses))
    c2c = law.c2c if "c2c" in effects else 0.0
    figures = np.array([c2c, _sigma(law, effects), law.tolerance], np.float32)
    at = moves.flatten().nonzero().squeeze(1).numpy().astype(np.uint32)
    kind = verify_loops.KINDS.index(law.fraction)
    verify_loops.verify(kind, law.additive, figures, law.max_pulses, words_of(key), at, *found, given)  # pyright: ignore
    return w, shown, pulses


def draws(key: int, at: Tensor, sent: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Return the normals of the step and of what is seen of pulse number `sent` (from 1), each (k,).

    In single precision a call of the generator makes those of two pulses, in double of one.
    """
    from neuroanp.kernels import verify_loops

    single = like.dtype == torch.float32
    words = np.empty((len(at), 4), np.uint32)
    places = at.cpu().numpy().astype(np.uint32)
    verify_loops.words_at(places, words_of(key), (sent - 1) // 2 if single else sent - 1, words)
    made = torch.from_numpy(transforms.normals(words) if single else transforms.normals64(words))
    first = 2 * ((sent - 1) % 2) if single else 0
    return made[:, first], made[:, first + 1]


def uniforms(key: int, at: Tensor, sent: int) -> tuple[np.ndarray, np.ndarray]:
    """Return two uniforms of pulse number `sent` (from 1) to each device, (k,) each, in double precision.

    Args:
        key: 64 bits of the draws.
        at: (k,) places in the array.
        sent: number of the pulse.
    """
    from neuroanp.kernels import verify_loops

    words = np.empty((len(at), 4), np.uint32)
    verify_loops.words_at(at.cpu().numpy().astype(np.uint32), words_of(key), sent - 1, words)
    made = transforms.uniforms64(words)
    return made[:, 0].copy(), made[:, 1].copy()


def words_of(key: int) -> tuple[int, int]:
    """Return a key as two words, low first."""
    return key & 0xFFFFFFFF, key >> 32


def _sigma(law: Stepped, effects: frozenset[str]) -> float:
    """Return the standard deviation of what is seen about w, device units."""
    return law.write_noise * law.dw if "write_noise" in effects else 0.0
