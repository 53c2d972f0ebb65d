"""Losses: what an output costs against its target, a file each; tasks say which one is theirs."""

from neuroanp.losses.mean import errors_of_steps, mean_loss, named, of_steps
from neuroanp.losses.protocol import LOSSES, Loss
from neuroanp.losses.squared_error import SQUARED_ERROR, SquaredError, is_squared_error

__all__ = [
    "LOSSES",
    "SQUARED_ERROR",
    "Loss",
    "SquaredError",
    "errors_of_steps",
    "is_squared_error",
    "mean_loss",
    "named",
    "of_steps",
]
