"""Take inputs from a user: arrays, tensors, lists; say all that is wrong with them at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from neuroanp.errors import InputError


def as_inputs(given: Any, width: int, dtype: torch.dtype = torch.float32) -> tuple[np.ndarray, bool]:
    """Return inputs as (T, B, I) float64, and whether one sequence (T, I) was given.

    Args:
        given: numpy array, torch tensor, or nested lists of numbers.
        width: I, the values of a step.
        dtype: precision of the network that they are for.

    Raises:
        InputError: no numbers, another shape, nothing in it, or numbers that are not finite in that precision.

    >>> as_inputs([[0.5], [1.0]], 1)[0].shape
    (2, 1, 1)
    >>> as_inputs(np.full((3, 2), np.nan), 4)
    Traceback (most recent call last):
    ...
    neuroanp.errors.InputError: inputs: shape (3, 2) cannot be presented; give (T, B, 4): steps, sequences, values
      inputs: 2 values a step, the network takes 4
      inputs: 6 of 6 numbers are not finite, the first at [0, 0]
    """
    values = _numbers(given)
    shape = values.shape
    problems = []
    if values.ndim not in (2, 3):
        remedy = "; write inputs[:, None] for one value a step" if values.ndim == 1 and width == 1 else ""
        problems.append(f"inputs: {values.ndim} dimensions, neither (T, B, {width}) nor (T, {width}){remedy}")
    elif shape[-1] != width:
        problems.append(f"inputs: {shape[-1]} values a step, the network takes {width}")
    if values.ndim in (2, 3) and not all(shape[:-1]):
        problems.append("inputs: no step or no sequence in it; give at least one of each")
    most = torch.finfo(dtype).max
    wrong = ~(np.abs(values) <= most)
    if wrong.any():
        first = [int(i) for i in np.argwhere(wrong)[0]]
        what = "not finite" if not np.isfinite(values[wrong]).any() else f"not finite in {dtype}".replace("torch.", "")
        problems.append(f"inputs: {int(wrong.sum())} of {values.size} numbers are {what}, the first at {first}")
    if problems:
        give = f"give (T, B, {width}): steps, sequences, values"
        raise InputError(f"inputs: shape {shape} cannot be presented; {give}", problems)
    return (values[:, None] if values.ndim == 2 else values), values.ndim == 2


def _numbers(given: Any) -> np.ndarray:
    """Return anything that is a table of numbers as float64; InputError for what is none."""
    if isinstance(given, torch.Tensor):
        given = given.detach().cpu()
        given = given.numpy() if given.dtype != torch.bfloat16 else given.float().numpy()
    if isinstance(given, np.ma.MaskedArray) and np.ma.getmaskarray(given).any():
        raise InputError("inputs: some numbers are masked; fill them, e.g. with inputs.filled(0.0)")
    try:
        values = np.asarray(given)
    except (ValueError, TypeError) as error:
        raise InputError(f"inputs: no table of numbers ({error}); give an array (T, B, I)") from None
    if values.dtype.kind not in "biufO":
        raise InputError(f"inputs: {values.dtype} are no real numbers; give an array (T, B, I) of them")
    try:
        return np.array(values, dtype=np.float64, order="C")  # a copy: the caller's stays as it is
    except (ValueError, TypeError) as error:
        raise InputError(f"inputs: no table of numbers ({error}); give an array (T, B, I)") from None
