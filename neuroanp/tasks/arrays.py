"""Sequences of one's own, as arrays in a file: what `neuroanp.task(X, Y)` writes of arrays in memory."""

from __future__ import annotations

from copy import copy
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, cast

import numpy as np
from pydantic import BaseModel, Field

from neuroanp.errors import InputError
from neuroanp.files import opening, read_regular
from neuroanp.losses import mean_loss
from neuroanp.tasks.labels import label_scores
from neuroanp.tasks.options import TaskOptions
from neuroanp.tasks.protocol import Batch, Held, HoldsOut
from neuroanp.tasks.scoring import nrmse
from neuroanp.yaml_io import display

if TYPE_CHECKING:
    from neuroanp.tasks.protocol import Task

LARGEST = 4 << 30
"""Bytes of a file."""
NAMES = ("train/inputs", "train/targets", "test/inputs", "test/targets", "mask")
"""What such a file holds."""


class ArraysConfig(TaskOptions):
    """Options of the task `arrays`."""

    path: Path | None = Field(
        default=None, description=f"safetensors file of {', '.join(NAMES)}, float64; it must be given"
    )
    classes: tuple[str, ...] | None = Field(
        default=None,
        min_length=2,
        description="names of the outputs, of one-hot targets; unset: they are numbers",
    )


class Arrays(HoldsOut):
    """Learn sequences of one's own: arrays of inputs (T, B, I) and of targets (T, B, O).

    `neuroanp.task(X, Y)` writes the file. Numbers go to the network as they are: scale them to about [-1, 1] before.
    Training sequences are drawn one by one, each with the same probability.

    Args:
        options: the task's options.

    Raises:
        InputError: no such file, or not five float64 arrays that go together, all of them told at once.
    """

    config: ClassVar[type[BaseModel]] = ArraysConfig
    table: ClassVar[None] = None
    name = "arrays"
    forecast = False

    def __init__(self, options: ArraysConfig) -> None:
        self.options, self.loss = options, options.made_loss()
        if options.path is None:
            remedy = "set task.path to what neuroanp.task(X, Y) wrote, or pass what it returns as task"
            raise InputError(f"task arrays needs a file of {', '.join(NAMES)}", [remedy])
        arrays, self._sha256 = _read(options.path)
        self._train, self._test = ((arrays[f"{part}/inputs"], arrays[f"{part}/targets"]) for part in ("train", "test"))
        self._mask = arrays["mask"]
        self.steps, _, self.inputs = self._train[0].shape
        self.outputs = self._train[1].shape[2]
        label = display(options.path)
        if options.classes is not None and len(options.classes) != self.outputs:
            raise InputError(f"task.classes: {len(options.classes)} names, and {label} has {self.outputs} outputs")
        self._learned = self._train[0].shape[1]
        sizes = f"{self._learned:,} training and {self._test[0].shape[1]:,} test sequences of {self.steps} steps"
        self._account = (f"{label}: {sizes}, {self.inputs} inputs, {self.outputs} outputs", *self._far())

    def sample(self, rng: np.random.Generator, batch: int) -> Batch:
        """Draw `batch` training sequences, each independently."""
        which = rng.integers(self._learned, size=batch)
        return Batch(self._train[0][:, which], self._train[1][:, which], self._mask)

    def test(self, rng: np.random.Generator) -> Batch:
        """Return the test sequences; nothing is drawn."""
        return Batch(self._test[0], self._test[1], self._mask)

    @property
    def spare(self) -> int:
        """How many validation sequences there can be: half of the training sequences."""
        return self._train[0].shape[1] // 2

    def hold_out(self, size: int) -> Held:
        """Keep the last training sequences."""
        rest, there = copy(self), self._train[0].shape[1]
        rest._learn_first(there - size)
        inputs, targets = (part[:, there - size :] for part in self._train)
        where = f"the last {size:,} of {there:,} training sequences"
        return Held(cast("Task", rest), Batch(inputs, targets, self._mask), where)

    def _learn_first(self, sequences: int) -> None:
        self._learned = sequences

    def score(self, y: np.ndarray, batch: Batch) -> dict[str, float]:
        """Return of labels `accuracy`, the share of scored steps that are right, else `nrmse`; and `loss`."""
        if self.options.classes is not None:
            return label_scores(y, batch, self.loss)
        return {"nrmse": nrmse(y, batch), "loss": mean_loss(self.loss, y, batch)}

    def persistence(self, batch: Batch) -> None:
        """Return None: targets are no later inputs."""

    def fingerprint(self) -> str:
        """Return the SHA-256 of names, shapes and numbers, whatever file they came in."""
        return self._sha256

    def account(self) -> tuple[str, ...]:
        """Return how many sequences there are, of what sizes."""
        return self._account

    def _far(self) -> list[str]:
        far = max(float(np.abs(part[0]).max()) for part in (self._train, self._test))
        said = "units saturate there, and weights must be small; scale them to about [-1, 1]"
        return [f"warning: inputs reach {far:.3g}: {said}"] if far > 10 else []


def digest_of(arrays: dict[str, np.ndarray]) -> str:
    """Return the SHA-256 of named arrays: names, shapes, numbers.

    >>> one = {"a": np.ones(2)}
    >>> len(digest_of(one)), digest_of(one) == digest_of({"a": np.ones((1, 2))})
    (64, False)
    """
    digest = sha256()
    for name in sorted(arrays):
        digest.update(f"{name}{arrays[name].shape}".encode())
        digest.update(np.ascontiguousarray(arrays[name], dtype="<f8").tobytes())
    return digest.hexdigest()


def problems_of(arrays: dict[str, np.ndarray]) -> list[str]:
    """Say what keeps named arrays from being sequences to learn, a line each.

    >>> problems_of({})
    ['train/inputs, train/targets, test/inputs, test/targets, mask: missing']
    """
    lacking = [name for name in NAMES if name not in arrays]
    if lacking:
        return [f"{', '.join(lacking)}: missing"]
    found = [f"{name}: {arrays[name].dtype}, not float64" for name in NAMES if arrays[name].dtype != np.float64]
    found += [f"{name}: {arrays[name].ndim} dimensions, not 3" for name in NAMES[:4] if arrays[name].ndim != 3]
    if found:
        return found
    T = len(arrays["mask"]) if arrays["mask"].ndim == 1 else -1
    for part in ("train", "test"):
        u, y = arrays[f"{part}/inputs"], arrays[f"{part}/targets"]
        if u.shape[:2] != y.shape[:2]:
            found.append(f"{part}: inputs {u.shape} and targets {y.shape} differ in steps or sequences")
        if not u.size or not y.size:
            found.append(f"{part}: no sequence, step or value in it")
        elif len(u) != T:
            found.append(f"{part}: {len(u)} steps, and the mask is {arrays['mask'].shape}")
    for kind in ("inputs", "targets"):
        sizes = {arrays[f"{part}/{kind}"].shape[2] for part in ("train", "test")}
        if len(sizes) > 1:
            found.append(f"{kind}: {' and '.join(map(str, sorted(sizes)))} values a step in the two parts")
    found += [f"{name}: numbers that are not finite" for name in NAMES if not np.isfinite(arrays[name]).all()]
    if not np.isin(arrays["mask"], (0.0, 1.0)).all() or not arrays["mask"].any():
        found.append("mask: 1 where a step is scored, 0 elsewhere, and some step must be")
    elif not found and T > 0 and np.ptp(arrays["test/targets"][arrays["mask"] > 0], axis=(0, 1)).max() == 0:
        found.append("test/targets: constant where they are scored: there is nothing to learn")
    return found


def _read(path: Path) -> tuple[dict[str, np.ndarray], str]:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    label = display(path)
    with opening(label, "a folder; name a safetensors file", f"no such file (looked in {path.absolute().parent})"):
        data = read_regular(path, LARGEST, "name a safetensors file")
    if len(data) > LARGEST:
        raise InputError(f"{label}: more than the {LARGEST >> 30} GiB allowed; give fewer sequences")
    try:
        arrays = load(data)
    except SafetensorError as error:
        raise InputError(f"{label}: not a safetensors file ({str(error)[:120]}); write it with neuroanp.task") from None
    except (KeyError, ValueError, TypeError) as error:  # a type that numpy lacks
        raise InputError(f"{label}: arrays of another type than float64 ({str(error)[:80]})") from None
    if problems := problems_of(arrays):
        raise InputError(f"{label}: no sequences to learn", problems)
    return arrays, digest_of(arrays)
