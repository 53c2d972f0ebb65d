"""MNIST: name a handwritten digit that is shown at once or one pixel after the other, from files of one's own."""

from __future__ import annotations

from copy import copy
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, cast

import numpy as np
from pydantic import BaseModel, Field, model_validator

from neuroanp.errors import InputError
from neuroanp.tasks.mnist_files import CLASSES, KNOWN, Images, read_set
from neuroanp.tasks.options import TaskOptions
from neuroanp.tasks.pixels import pixel_order, pooled
from neuroanp.tasks.protocol import Batch, Held, HoldsOut
from neuroanp.tasks.scoring import class_scores

if TYPE_CHECKING:
    from neuroanp.tasks.protocol import Task

WHITE = 255


class MnistConfig(TaskOptions):
    """Options of the MNIST task."""

    unsaid: ClassVar[frozenset[str]] = frozenset({"mode", "steps"})

    path: Path | None = Field(
        default=None,
        description="folder with the four IDX files, plain or .gz; or the file of training images beside the others",
    )
    mode: Literal["pixels", "rates"] = Field(
        default="pixels", description="pixels: one after the other; rates: all at once, constant over all steps"
    )
    steps: int = Field(
        default=1, ge=1, le=100_000, description="mode rates: steps of a presentation, 1 for a network without memory"
    )
    permute: int | None = Field(
        default=None, ge=0, description="seed of the one order in which all images show their pixels; unset: row by row"
    )
    pool: int = Field(
        default=1, ge=1, description="side of the blocks of pixels that are averaged: 2 for 14 x 14 of 28 x 28"
    )
    window: int = Field(default=1, ge=1, description="scored steps at the end; 1: only when the last pixel is shown")
    test_size: int = Field(
        default=1_000, ge=1, le=1_000_000, description="test images, spread evenly over those of the file"
    )

    @model_validator(mode="after")
    def _of_mode(self) -> MnistConfig:
        if self.mode == "pixels" and self.steps != 1:
            raise ValueError(
                f"steps {self.steps} is of mode rates; mode pixels has a step for each pixel: leave it out"
            )
        if self.mode == "rates" and self.permute is not None:
            raise ValueError("permute goes with mode pixels; rates shows all pixels at once: leave it out")
        return self


class Mnist(HoldsOut):
    """Name a handwritten digit that is shown one pixel after the other, or at once.

        u_t = p[order_t],   t = 0 .. T - 1

    One input, a pixel in [0, 1] each step; T is the number of pixels, 784 of 28 x 28, or 196 with pool 2,
    which averages blocks of 2 x 2. Row by row this is sequential MNIST; with `permute` all images show
    their pixels in the one order that this seed draws, and near in the image is no longer near in time:
    permuted sequential MNIST. With mode "rates" there is an input for each pixel, which shows it at all
    `steps`: of one step it is the still image that feed-forward networks get. Ten outputs; the target in
    the last `window` steps is one-hot, and only these are scored. Training images are drawn from the
    training file, and test images from the test file alone, every n/test_size-th of its n.

    No data come with neuroanp: `path` names files in the format of MNIST (Fashion-MNIST and the digits of
    EMNIST fit, too). Task `digits` with mode `pixels` is the same of 8 x 8 pixels and needs no file.

    Args:
        options: the task's options.

    Raises:
        InputError: files are missing or not what they should be, or the options do not fit them.

    Source: LeCun, Bottou, Bengio and Haffner, Proceedings of the IEEE 86, 2278 (1998) for the images; Le,
    Jaitly and Hinton, arXiv 1504.00941 (2015), section 4.2, for the two tasks.
    """

    config: ClassVar[type[BaseModel]] = MnistConfig
    table: ClassVar[None] = None
    name = "mnist"
    forecast = False
    outputs = CLASSES

    def __init__(self, options: MnistConfig) -> None:
        self.options, self.loss = options, options.made_loss()
        if options.path is None:
            remedy = "set task.path to the folder with them, or take task digits with mode pixels, which needs none"
            raise InputError(f"task mnist needs files ({KNOWN}, plain or .gz)", [remedy])
        self._train, self._test = read_set(options.path)
        pixels = _pixels(self._train, options.pool)
        self.inputs, self.steps = (1, pixels) if options.mode == "pixels" else (pixels, options.steps)
        if options.window > self.steps:
            raise InputError(f"task.window {options.window} is longer than the {self.steps} steps; lower window")
        if options.test_size > len(self._test.labels):
            there = f"the {len(self._test.labels):,} images of {self._test.label}"
            raise InputError(f"task.test_size {options.test_size:,} is more than {there}; lower test_size")
        self._order = pixel_order(options.permute, "mnist", pixels)
        self._learned = len(self._train.labels)
        self._sha256 = _digest(self._train, self._test)

    def sample(self, rng: np.random.Generator, batch: int) -> Batch:
        """Draw `batch` training images, each independently."""
        return self._encode(self._train, rng.integers(self._learned, size=batch))

    def test(self, rng: np.random.Generator) -> Batch:
        """Return the test images; nothing is drawn."""
        size = self.options.test_size
        return self._encode(self._test, np.arange(size) * len(self._test.labels) // size)

    @property
    def spare(self) -> int:
        """How many validation images there can be: half of the training images."""
        return len(self._train.labels) // 2

    def hold_out(self, size: int) -> Held:
        """Keep the last training images of the files."""
        rest, images = copy(self), len(self._train.labels)
        rest._learn_first(images - size)
        kept = self._encode(self._train, np.arange(images - size, images))
        return Held(cast("Task", rest), kept, f"the last {size:,} of {images:,} training images")

    def _learn_first(self, images: int) -> None:
        self._learned = images

    def score(self, y: np.ndarray, batch: Batch) -> dict[str, float]:
        """Return `accuracy`, the share of images whose output of largest mean over the window is right, and `loss`."""
        return class_scores(y, batch, self.loss)

    def persistence(self, batch: Batch) -> None:
        """Return None: nothing here goes on by itself."""

    def fingerprint(self) -> str:
        """Return the SHA-256 of all images and labels, whether the files are packed or not."""
        return self._sha256

    def account(self) -> tuple[str, ...]:
        """Return how many images of which files are trained on and tested on."""
        sizes = " x ".join(map(str, self._train.pixels.shape[1:]))
        train, test, tested = len(self._train.labels), len(self._test.labels), self.options.test_size
        return (
            f"{self._train.label}: {train:,} training images of {sizes} pixels",
            f"{self._test.label}: {tested:,} of {test:,} test images",
        )

    def _encode(self, images: Images, which: np.ndarray) -> Batch:
        """Show images `which` (B,) pixel by pixel, or at once."""
        pixels = pooled(images.pixels[which], self.options.pool)[:, self._order]
        targets = np.zeros((self.steps, len(which), CLASSES))
        scored = np.arange(self.steps) >= self.steps - self.options.window
        targets[scored] = np.eye(CLASSES)[images.labels[which]]
        one_by_one = self.options.mode == "pixels"
        shown = pixels.T[:, :, None] if one_by_one else np.broadcast_to(pixels, (self.steps, *pixels.shape))
        return Batch(shown / WHITE, targets, scored.astype(float))


def _pixels(images: Images, pool: int) -> int:
    """Return the number of pixels that are shown; InputError where blocks do not divide an image."""
    rows, columns = images.pixels.shape[1:]
    if rows % pool or columns % pool:
        fit = [str(n) for n in range(1, min(rows, columns) + 1) if rows % n == columns % n == 0]
        raise InputError(
            f"task.pool {pool} does not divide the {rows} x {columns} pixels of {images.label}; "
            f"allowed: {', '.join(fit)}"
        )
    return rows * columns // pool**2


def _digest(*parts: Images) -> str:
    digest = sha256()
    for part in parts:
        digest.update(repr(part.pixels.shape).encode())
        digest.update(part.pixels.tobytes())
        digest.update(part.labels.tobytes())
    return digest.hexdigest()
