"""Draw random numbers from named, counter-based streams.

A draw is addressed, not queued: (seed, stream name, up to three indices) names a place in one
Philox sequence, so that any part of a run can be drawn again, in any order, on any worker.
Changing one stream shifts no other.

Source: Salmon et al., Parallel random numbers: as easy as 1, 2, 3, SC 2011 (Philox 4x64 for what is drawn once, 4x32
for the noise of passes).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from neuroanp.kernels.draws import Kind, draw, draw_doubles, draw_passes
from neuroanp.kernels.philox import Address

if TYPE_CHECKING:
    from torch import Tensor

VERSION = 2
"""Of the streams that passes draw their noise from: what a seed gives. The others' are numpy's, in all versions."""
VERSIONS = {1: "numpy's Philox 4x64 in blocks of 64 steps", 2: "Philox 4x32 by pass, step and unit"}
OF_DEVICES = ("d2d/", "process/")
"""Streams of what makes one device another: drawn once, and again at a resume."""


@dataclass(frozen=True)
class Streams:
    """The random streams of one seed.

    Args:
        seed: the run's seed, a non-negative integer.
        device_seed: of what a device is and stays (`OF_DEVICES`), where that is another; None: the same.

    >>> bool(Streams(0).generator("init").integers(1000) == Streams(0).generator("init").integers(1000))
    True
    >>> a, b = (Streams(0).generator("data", update).integers(1 << 40) for update in (1, 2))
    >>> bool(a == b)
    False
    """

    seed: int
    device_seed: int | None = None

    def generator(self, name: str, *index: int) -> np.random.Generator:
        """Return the generator at (name, index); at most three indices, each below 2^64."""
        if len(index) > 3:
            raise ValueError(f"at most three indices address a stream, got {index}")
        own = self.seed if self.device_seed is None or not name.startswith(OF_DEVICES) else self.device_seed
        digest = blake2b(f"{own}/{name}".encode(), digest_size=16).digest()
        counter = np.zeros(4, dtype=np.uint64)
        counter[1 : 1 + len(index)] = index  # word 0 counts the draws themselves
        return np.random.Generator(np.random.Philox(key=np.frombuffer(digest, dtype=np.uint64), counter=counter))


@dataclass(frozen=True)
class PassStreams:
    """The streams that the passes of one update draw their noise from.

    A draw is a function of its address alone: seed, phase and name (the key), update, pass, step of time and position
    within the step. See `neuroanp.kernels.draws` for the numbers that lie there.

    Args:
        streams: the run's streams.
        phase: prefix of the stream names ("train", "test"): evaluation shifts no training draw.
        update: the update's number.
        update_there: int64 (1,), the same number where it lies on a GPU, for kernels that are recorded; None: nowhere.

    >>> import torch
    >>> test, like = PassStreams(Streams(7), "test", update=3), torch.zeros(1, dtype=torch.float32)
    >>> whole = test.normal("hidden", 0, 0, 6, (2,), "float32")
    >>> bool((whole[4:] == test.normal("hidden", 0, 4, 2, (2,), "float32")).all())  # however time is cut
    True
    >>> both = test.normals("hidden", (0, 1), (1.0, -1.0), 0, 6, (2,))
    >>> bool((both[:, 0] == whole).all()), test.tensors("normal", "hidden", (0,), 0, 6, (2,), like).shape
    (True, torch.Size([6, 1, 2]))
    >>> u, there = test.uniform("hidden", 0, 0, 1000, (), "float64"), test.at("hidden", 1, 4)
    >>> bool(0 <= u.min() < u.max() < 1), there.update, there.stream, there.t
    (True, 3, 1, 4)
    >>> W = torch.zeros(3, 2)
    >>> moved = test.moved(W, 0.5, "signs", 0)  # each weight by +-1/2
    >>> moved.abs().unique(), torch.equal(test.add_signs(W, (0.5,), "signs", (0,)), moved)
    (tensor([0.5000]), True)
    """

    streams: Streams
    phase: str
    update: int
    update_there: Tensor | None = None

    def at(self, name: str, pass_stream: int, t0: int = 0) -> Address:
        """Return where the draws of a step t0 of a pass lie: those of stream `name`, pass_stream as a plan has it."""
        digest = blake2b(f"{self.streams.seed}/{self.phase}/{name}".encode(), digest_size=8).digest()
        return Address(int.from_bytes(digest, "little"), self.update, pass_stream, t0)

    def normal(
        self, name: str, pass_stream: int, t0: int, steps: int, shape: tuple[int, ...], dtype: npt.DTypeLike
    ) -> np.ndarray:
        """Draw standard normals for time steps t0 .. t0+steps-1 of one pass.

        The value at a step depends on the step alone, never on how time is cut into calls.

        Args: name: of the stream. pass_stream: of the pass, as its plan has it. t0, steps: which steps.
            shape: of the draws of one step. dtype: float32 or float64.

        Returns: array (steps, *shape).
        """
        return draw("normal", self.at(name, pass_stream, t0), steps, shape, dtype)

    def normals(
        self, name: str, pass_streams: Sequence[int], factors: Sequence[float], t0: int, steps: int,
        shape: tuple[int, ...],
    ) -> np.ndarray:  # fmt: skip
        """Draw at once what `normal` draws of several passes, times their factors: float32, (steps, passes, *shape).

        Args: name, t0, steps, shape: as of `normal`. pass_streams, factors: of each pass.
        """
        return draw_passes(self.at(name, 0, t0), pass_streams, factors, steps, shape)

    def uniform(
        self, name: str, pass_stream: int, t0: int, steps: int, shape: tuple[int, ...], dtype: npt.DTypeLike
    ) -> np.ndarray:
        """Draw uniforms in [0, 1) for time steps t0 .. t0+steps-1 of one pass; as `normal`.

        Args: name, pass_stream, t0, steps, shape, dtype: as of `normal`.

        Returns: array (steps, *shape).
        """
        return draw("uniform", self.at(name, pass_stream, t0), steps, shape, dtype)

    def tensors(
        self,
        kind: Kind,
        name: str,
        pass_streams: Sequence[int],
        t0: int,
        steps: int,
        shape: tuple[int, ...],
        like: Tensor,
    ) -> Tensor:
        """Draw what `normal` or `uniform` draws of several passes, or signs, where a tensor lies.

        On a CPU numpy's memory is shared; elsewhere the draws are made there, with the same bits in single precision.

        Args: kind: normal, uniform or rademacher. name, t0, steps, shape: as of `normal`. pass_streams: of each pass.
            like: gives dtype and device.

        Returns: (steps, passes, *shape).
        """
        import torch

        if like.device.type == "cpu":
            if like.dtype == torch.float64 and kind != "rademacher":
                return torch.from_numpy(draw_doubles(kind, self.at(name, 0, t0), pass_streams, steps, shape))
            precision = torch.empty((), dtype=like.dtype).numpy().dtype
            drawn = [draw(kind, self.at(name, m, t0), steps, shape, precision) for m in pass_streams]
            return torch.from_numpy(drawn[0][:, None] if len(drawn) == 1 else np.stack(drawn, 1))
        from neuroanp.kernels import device_draws

        return device_draws.draw(kind, self.at(name, 0, t0), steps, pass_streams, shape, like, self.update_there)

    def moved(self, W: Tensor, factor: float, name: str, pass_stream: int, out: Tensor | None = None) -> Tensor:
        """Return W + factor z with signs z, those that `tensors` draws at step 0 of a pass; no array of them is made.

        Args:
            W: any shape, where it lies. factor: as a number of W's precision. name, pass_stream: as of `normal`.
            out: where the result goes, of the shape of W; None: new.
        """
        from neuroanp.kernels import moving

        return moving.moved(W, factor, self.at(name, pass_stream), out)

    def add_signs(self, total: Tensor, factors: Sequence[float], name: str, pass_streams: Sequence[int]) -> Tensor:
        """Return total += sum_j factor_j z_j, in place, with the signs z_j of several passes as `moved` has them.

        Args: total: any shape. factors, pass_streams: of each pass. name: as of `normal`.
        """
        from neuroanp.kernels import moving

        return moving.add(total, factors, self.at(name, 0), pass_streams)

    def times(
        self, name: str, pass_streams: Sequence[int], factors: Sequence[float], t0: int, steps: int,
        shape: tuple[int, ...], like: Tensor, drive: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        """Draw what `normal` draws of several passes, times their factors, on the device of a tensor that is no CPU.

        Args:
            name, t0, steps, shape: as of `normal`. pass_streams, factors: of each pass. like: gives dtype and device.
            drive: (steps, 1 or passes, *shape), what is added; None: nothing.

        Returns: (steps, passes, *shape), drive + factor normal.

        >>> import torch
        >>> if torch.cuda.is_available():
        ...     like, test = torch.zeros(1, device="cuda"), PassStreams(Streams(0), "test", 0)
        ...     one, none = test.times("h", (0, 1), (1.0, 0.0), 0, 4, (3,), like).unbind(1)
        ...     assert bool((none == 0).all())
        ...     assert bool((one.cpu() == test.tensors("normal", "h", (0,), 0, 4, (3,), like)[:, 0].cpu()).all())
        """
        from neuroanp.kernels import device_draws

        at = self.at(name, 0, t0)
        return device_draws.noisy(at, steps, pass_streams, factors, shape, like, self.update_there, drive)
