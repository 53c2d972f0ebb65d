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
    values = as_numbers(given, "inputs", "(T, B, I)")
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


KINDS = {"U": "words", "S": "bytes", "M": "dates", "m": "lengths of time", "c": "complex numbers"}
"""What numpy's kinds of data are in words."""


def as_numbers(given: Any, what: str, axes: str) -> np.ndarray:
    """Return anything that is a table of numbers as float64.

    Args:
        given: numpy array, torch tensor, or nested lists of numbers.
        what: its name, and axes: its dimensions, for messages ("inputs", "(T, B, I)").

    Raises:
        InputError: it is none, or some numbers are masked.

    >>> as_numbers("x", "outputs", "(T, B, O)")
    Traceback (most recent call last):
    ...
    neuroanp.errors.InputError: outputs: words are no real numbers; give an array (T, B, O) of them
    """
    if given is None:
        raise InputError(f"{what}: None is no table of numbers; give an array {axes}")
    if isinstance(given, torch.Tensor):
        given = given.detach().cpu()
        given = given.numpy() if given.dtype != torch.bfloat16 else given.float().numpy()
    if isinstance(given, np.ma.MaskedArray) and np.ma.getmaskarray(given).any():
        raise InputError(f"{what}: some numbers are masked; fill them, e.g. with {what}.filled(0.0)")
    try:
        values = np.asarray(given)
    except (ValueError, TypeError) as error:
        ragged = "its parts differ in length" if "inhomogeneous" in str(error) else str(error)
        raise InputError(f"{what}: no table of numbers ({ragged}); give an array {axes}") from None
    if values.dtype.kind == "O":
        raise InputError(f"{what}: Python objects are no table of numbers; give an array {axes} of floats")
    if values.dtype.kind not in "biuf":
        kind = KINDS.get(values.dtype.kind, str(values.dtype))
        raise InputError(f"{what}: {kind} are no real numbers; give an array {axes} of them")
    return np.array(values, dtype=np.float64, order="C")  # a copy: the caller's stays as it is
