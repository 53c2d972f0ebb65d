"""Digits: name a handwritten digit of 8 x 8 pixels that is shown over time."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from copy import copy
from functools import cache
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

import numpy as np
from pydantic import BaseModel, Field, model_validator

from neuroanp.errors import InputError
from neuroanp.noise import Streams
from neuroanp.tasks.options import TaskOptions
from neuroanp.tasks.pixels import pixel_order
from neuroanp.tasks.protocol import Batch, Held, HoldsOut
from neuroanp.tasks.scoring import class_scores

if TYPE_CHECKING:
    from neuroanp.tasks.protocol import Task

SIDE = 8
PIXELS = SIDE * SIDE
CLASSES = 10
IMAGES = 1797
MAX_PIXEL = 16
"""A pixel counts the dark points of a 4 x 4 block of the scanned image."""


class DigitsConfig(TaskOptions):
    """Options of the digits task."""

    unsaid: ClassVar[frozenset[str]] = frozenset({"permute"})

    mode: Literal["rates", "rows", "pixels"] = Field(
        default="rates",
        description=(
            "rates: all 64 pixels at once, constant over all steps; rows: one row of 8 pixels after the other; "
            "pixels: one pixel after the other"
        ),
    )
    steps: int = Field(default=40, ge=1, le=100_000, description="steps of a presentation; mode pixels: 64 by default")
    window: int = Field(
        default=8,
        ge=1,
        description=(
            "scored steps at the end; mode rows shows its rows in the steps before, mode pixels, where 1 is the "
            "default, its last pixels meanwhile"
        ),
    )
    permute: int | None = Field(
        default=None,
        ge=0,
        description="with modes rows and pixels: seed of the one order of all images' pixels; unset: row by row",
    )
    test_size: int = Field(default=360, ge=1, le=IMAGES - 1, description="images held out as the test set")
    split_seed: int = Field(default=0, ge=0, description="which images are held out")

    @model_validator(mode="before")
    @classmethod
    def _one_pixel_a_step(cls, data: Any) -> Any:
        """Fill in the lengths of mode pixels, so that a run's record says which they were."""
        if isinstance(data, Mapping) and data.get("mode") == "pixels":
            return {"steps": PIXELS, "window": 1, **data}
        return data

    @model_validator(mode="after")
    def _fits(self) -> DigitsConfig:
        if self.window > self.steps:
            raise ValueError(f"window {self.window} is longer than the {self.steps} steps; lower window")
        shown = self.steps - self.window
        if self.mode == "rows" and (shown == 0 or shown % SIDE):
            raise ValueError(
                f"mode rows needs steps - window to be a multiple of {SIDE} above 0 (equal times for the {SIDE} rows), "
                f"not {shown}; set e.g. steps: {SIDE * max(1, -(-shown // SIDE)) + self.window}"
            )
        if self.mode == "pixels" and self.steps % PIXELS:
            raise ValueError(
                f"mode pixels needs steps to be a multiple of {PIXELS} (equal times for the {PIXELS} pixels), not "
                f"{self.steps}; set e.g. steps: {PIXELS * -(-self.steps // PIXELS)}"
            )
        if self.permute is not None and self.mode == "rates":
            raise ValueError("permute goes with modes rows and pixels; rates shows all pixels at once: leave it out")
        return self


class Digits(HoldsOut):
    """Name a handwritten digit shown over time.

    Inputs are pixels in [0, 1]. Mode "rates" holds all 64 through the whole presentation: an encoder
    makes them spike rates. Mode "rows" shows 8 pixels a row, top to bottom, (steps - window)/8 steps
    each, and nothing in the window: the network must remember. Mode "pixels" shows one pixel after the
    other on one line, steps/64 steps each, 1 by default; the window is the end of the last ones. With
    `permute` the pixels of all images are put in the one order that this seed draws (permuted sequential
    digits): what is near in the image is no longer near in time. Ten outputs; the target in the window is
    one-hot, and only the window is scored.

    The data are scikit-learn's 1797 images, the test part of UCI's optical recognition of handwritten
    digits. A permutation that `split_seed` alone decides holds `test_size` of them out; the writers of
    training and test images are the same people, so this is not accuracy on new hands. Pixels are
    never negative: set `signed: false` on the encoder, or half of its lines stay silent.

    Args:
        options: the task's options.

    Raises:
        InputError: scikit-learn is not installed, or its data file is not the one known.

    Source: Alpaydin and Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning
    Repository (1998), doi 10.24432/C50P49.

    >>> for options in DigitsConfig(mode="rows"), DigitsConfig(mode="pixels", permute=0):
    ...     batch = Digits(options).test(np.random.default_rng(0))
    ...     print(batch.inputs.shape, batch.targets.shape, int(batch.mask.sum()))
    (40, 360, 8) (40, 360, 10) 8
    (64, 360, 1) (64, 360, 10) 1
    """

    config: ClassVar[type[BaseModel]] = DigitsConfig
    table: ClassVar[None] = None
    name = "digits"
    forecast = False

    def __init__(self, options: DigitsConfig) -> None:
        self.options, self.loss = options, options.made_loss()
        self.inputs = {"rates": PIXELS, "rows": SIDE, "pixels": 1}[options.mode]
        self.outputs, self.steps = CLASSES, options.steps
        self._pixels, self._labels = load_digits(digits_path())
        order = Streams(options.split_seed).generator("digits").permutation(IMAGES)
        self._test, self._train = np.split(order, [options.test_size])
        self._order = pixel_order(options.permute, "digits", PIXELS)

    def sample(self, rng: np.random.Generator, batch: int) -> Batch:
        """Draw `batch` training images, each independently."""
        return self._encode(self._train[rng.integers(len(self._train), size=batch)])

    def test(self, rng: np.random.Generator) -> Batch:
        """Return the held-out images; nothing is drawn."""
        return self._encode(self._test)

    @property
    def spare(self) -> int:
        """How many validation images there can be: half of the training images."""
        return len(self._train) // 2

    def hold_out(self, size: int) -> Held:
        """Keep the last training images of the permutation that the split is made by."""
        rest, (left, kept) = copy(self), np.split(self._train, [len(self._train) - size])
        rest._learn_from(left)
        return Held(cast("Task", rest), self._encode(kept), f"{size:,} of {len(self._train):,} training images")

    def _learn_from(self, images: np.ndarray) -> None:
        self._train = images

    def score(self, y: np.ndarray, batch: Batch) -> dict[str, float]:
        """Return `accuracy`, the share of images whose output of largest mean over the window is right, and `loss`."""
        return class_scores(y, batch, self.loss)

    def persistence(self, batch: Batch) -> None:
        """Return None: nothing here goes on by itself."""

    def fingerprint(self) -> str:
        """Return the SHA-256 of pixels and labels, whatever file they came in."""
        return sha256(self._pixels.tobytes() + self._labels.tobytes()).hexdigest()

    def account(self) -> tuple[str, ...]:
        """Return (): the data are no file of a user's."""
        return ()

    def _encode(self, images: np.ndarray) -> Batch:
        """Show images (B,) over time."""
        options = self.options
        pixels = (self._pixels[images] / MAX_PIXEL)[:, self._order]
        inputs = np.zeros((self.steps, len(images), self.inputs))
        shown = self.steps - options.window
        if options.mode == "rates":
            inputs[:] = pixels
        else:
            until = shown if options.mode == "rows" else self.steps
            parts = pixels.reshape(len(images), -1, self.inputs).transpose(1, 0, 2)
            inputs[:until] = np.repeat(parts, until // len(parts), axis=0)
        targets = np.zeros((self.steps, len(images), CLASSES))
        targets[shown:] = np.eye(CLASSES)[self._labels[images]]
        return Batch(inputs, targets, (np.arange(self.steps) >= shown).astype(float))


def digits_path() -> Path:
    """Return the path of scikit-learn's digits.csv.gz without importing the package (which takes 1.5 s).

    Raises:
        InputError: the package or the file in it is missing.
    """
    spec = find_spec("sklearn")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder) / "datasets" / "data" / "digits.csv.gz"
        if path.is_file():
            return path
    raise InputError(
        "task digits needs the images that the package scikit-learn brings (1.9.1): pip install scikit-learn"
    )


@cache
def load_digits(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read pixels (1797, 64), 0 .. 16, and labels (1797,), 0 .. 9, both uint8 and read-only.

    Raises:
        InputError: the file cannot be read, or holds something else.
    """
    try:
        with gzip.open(path, "rt", encoding="ascii") as file:
            table = np.loadtxt(file, delimiter=",")
    except (OSError, EOFError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({error})", ["pip install --force-reinstall scikit-learn"]) from None
    highest = np.array([MAX_PIXEL] * PIXELS + [CLASSES - 1])
    if table.shape != (IMAGES, len(highest)) or not ((table >= 0) & (table <= highest) & (table % 1 == 0)).all():
        raise InputError(
            f"{path}: not the {IMAGES} images of {SIDE} x {SIDE} pixels and a label; use scikit-learn 1.9.1"
        )
    parts = table[:, :-1].astype(np.uint8), table[:, -1].astype(np.uint8)
    for part in parts:
        part.setflags(write=False)
    return parts
