"""Let Optuna propose points: its sampler TPE over ranges and lists, from what was tried so far.

Source: Akiba et al., Optuna: a next-generation hyperparameter optimization framework, KDD 2019; TPE is of Bergstra et
al., Algorithms for hyper-parameter optimization, NeurIPS 2011.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from neuroanp.comparing.settings import Axis


def suggest(
    axes: Sequence[Axis], told: Sequence[tuple[Mapping[str, Any], float]], number: int, seed: int
) -> list[dict[str, Any]]:
    """Return the points that TPE proposes next, given what was tried.

    The study is made anew of what is told, in memory. Of one call's points each knows those before it as tried and bad
    (the constant liar), so that they spread out; the first of them do not depend on how many are asked for.

    Args:
        axes: what is searched over; a list is a choice among its places, whatever its values are.
        told: points with their losses, lower being better; infinite is the worst. number: of points. seed: of TPE.
    """
    spaces = {axis.key: _space(axis) for axis in axes}
    with _quiet():
        sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=1, constant_liar=True)
        study = optuna.create_study(sampler=sampler, direction="minimize")
        study.add_trials(
            [
                optuna.trial.create_trial(
                    params={axis.key: _to(axis, point[axis.key]) for axis in axes}, distributions=spaces, value=loss
                )
                for point, loss in told
            ]
        )
        asked = [study.ask(spaces) for _ in range(number)]
    return [{axis.key: _from(axis, one.params[axis.key]) for axis in axes} for one in asked]


def _space(axis: Axis) -> BaseDistribution:
    if axis.over is None:
        return CategoricalDistribution(range(len(axis.values)))
    low, high = axis.over.ends
    if axis.over.whole:
        return IntDistribution(int(low), int(high), log=axis.over.log)
    return FloatDistribution(low, high, log=axis.over.log)


def _to(axis: Axis, value: Any) -> Any:
    """Return a value as Optuna has it: the place of one of a list."""
    return value if axis.over is not None else next(i for i, own in enumerate(axis.values) if repr(own) == repr(value))


def _from(axis: Axis, value: Any) -> Any:
    """Return what Optuna proposes as a value of the key."""
    return axis.values[value] if axis.over is None else axis.over.rounded(value)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Optuna's own notes and warnings off the screen while the block runs."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # version 4 calls the liar so
            yield
    finally:
        optuna.logging.set_verbosity(before)
