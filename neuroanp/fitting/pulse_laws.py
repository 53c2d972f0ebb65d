"""From the fitted steps of devices to the parameters of the laws LinearStep and SoftBounds."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from neuroanp.fitting.estimate import normal_quantile
from neuroanp.fitting.result import Choice, Parameter
from neuroanp.fitting.spread import Interval, spread
from neuroanp.fitting.steps import Steps, Trains

SAME = 1e-6
"""Reads nearer than this, in device units, are the same."""
REPEATS = 3
"""Pulses without effect at an extreme that show it to be a bound."""
ALONE = "one device was measured; the spread between devices is not known"


class Section(NamedTuple):
    """What goes into a profile's update section."""

    parameters: tuple[Parameter, ...]
    choices: tuple[Choice, ...]
    notes: tuple[str, ...]


class Population(NamedTuple):
    """Mean of a parameter over devices and, where there are several, its standard deviation."""

    mean: Interval
    sd: Interval | None


def soft_bounds(model: Steps, bounds: np.ndarray) -> Section | str:
    """Return the parameters of SoftBounds, or in words why the data do not hold them.

    up s+ (1 - w / w_max), down s- (1 - w / w_min): w_max = s+ / k+, w_min = -s- / k-.

    Args:
        model: the fitted steps.
        bounds: (D, 2) w_max and -w_min where they are seen outright, else NaN; see `pinned`.
    """
    step, parameters, choices = _steps(model, lognormal=True)
    notes: list[str] = []
    for side, at in (("up", 0), ("down", 2)):
        s, k = model.own[:, at], model.own[:, at + 1]
        seen = np.isfinite(bounds[:, at // 2])
        known = seen | ((s > 0) & (k > 2 * np.sqrt(model.own_covariance[:, at + 1, at + 1])))
        if known.sum() < max(1, len(s) / 2):
            return (
                f"{side} steps do not shrink towards a bound, as soft_bounds has it; record longer trains, "
                "or fit --law linear_step"
            )
        if not known.all():
            notes.append(f"bound_{side}: {int((~known).sum())} devices that show no loss of the step are left out")
        slope = np.zeros((len(s), 4))
        slope[:, at], slope[:, at + 1] = 1 / k, -s / k**2
        variance = np.einsum("di,dij,dj->d", slope, model.own_covariance, slope)
        errors = np.where(seen, SAME, np.sqrt(np.maximum(variance, 0.0)))
        bound = _population((s / k)[known], errors[known])
        parameters.append(_parameter(f"bound_{side}", bound.mean))
        _add_spread(f"bound_{side}_d2d", bound, bound.mean.value, parameters, choices)
    choices.append(_tolerance(step.value, "half a step, and no less than twice the scatter of the reads", model))
    return Section(tuple(parameters), (*choices, *_rest(model, step.value)), tuple(notes))


def pinned(model: Steps, trains: Trains) -> tuple[Steps, np.ndarray]:
    """Return the model with bounds that are seen outright, and which they are: (D, 2), up and down; NaN elsewhere.

    A law cuts a step off at the bound: a device that stands there reads the same extreme again and
    again. Where that is so the bound is known, and step s and slope k are tied by s = k bound: the
    estimate is conditioned on it,

        theta' = theta - C a (a^T C a)^-1 a^T theta,  a = (1, -bound).
    """
    own, covariance = model.own.copy(), model.own_covariance.copy()
    bounds = np.full((len(own), 2), np.nan)
    for side, sign in ((0, 1.0), (1, -1.0)):
        v = sign * trains.v
        ends = (trains.direction == sign) & (v[1:] >= v.max(0) - SAME)
        at_bound = (ends[1:] & ends[:-1]).sum(0) >= REPEATS
        for device in np.flatnonzero(at_bound):
            bounds[device, side] = bound = float(v[:, device].max())
            a = np.zeros(4)
            a[2 * side], a[2 * side + 1] = 1.0, -bound
            c = covariance[device] @ a
            own[device] -= c * (a @ own[device]) / (a @ c)
            covariance[device] -= np.outer(c, c) / (a @ c)
    return replace(model, own=own, own_covariance=covariance), bounds


def linear_step(model: Steps, trains: Trains) -> Section | str:
    """Return the parameters of LinearStep.

    up s+ (1 - gamma w / w_max): gamma = w_max k+ / s+, with w_max the largest w of the record, or
    where the step comes to zero if that is nearer.
    """
    step, parameters, choices = _steps(model, lognormal=False)
    notes: list[str] = []
    for side, at, sign in (("up", 0, 1.0), ("down", 2, -1.0)):
        s, k = model.own[:, at], model.own[:, at + 1]
        slope = np.zeros((len(s), 4))
        slope[:, at], slope[:, at + 1] = -k / s**2, 1 / s
        errors = np.sqrt(np.einsum("di,dij,dj->d", slope, model.own_covariance, slope))
        lost, reach = _population(k / s, errors).mean, float((sign * trains.v).max())
        if reach <= 0:
            return f"{side} pulses never pass the middle of the range; set --g-min and --g-max about the record"
        bound = min(reach, 1 / lost.value) if lost.value > 0 else reach
        gamma = Interval(*(bound * x for x in lost))
        if gamma.high < 0:
            notes.append(
                f"gamma_{side}: {side} steps grow towards the bound, which linear_step does not know; 0 is taken"
            )
        gamma = Interval(min(1.0, max(0.0, gamma.value)), gamma.low, gamma.high)
        parameters.append(_parameter(f"gamma_{side}", gamma))
        source = f"the {'largest' if sign > 0 else 'smallest'} conductance of the record; devices may go further"
        choices.append(Choice(f"update.bound_{side}", float(f"{bound:.5g}"), source, "measured"))
        choices.append(Choice(f"update.bound_{side}_d2d", 0.0, "not measured: no train runs into its bound"))
    choices += [
        Choice("update.dw_distribution", "normal", "a choice; the spread does not tell it from lognormal"),
        Choice("update.reference", "zero", "conductances as recorded, nothing subtracted", fallback=True),
        _tolerance(step.value, "half a step, and no less than twice the scatter of the reads", model),
    ]
    return Section(tuple(parameters), (*choices, *_rest(model, step.value)), tuple(notes))


def _steps(model: Steps, lognormal: bool) -> tuple[Interval, list[Parameter], list[Choice]]:
    """Return dw, and the parameters of the steps' size, asymmetry and noise.

    S = (s+ + s-) / 2 = dw (gd - |b| / 2),  D = (s+ - s-) / 2 = dw (b / 2 + rho)
    """
    up, down, cov = model.own[:, 0], model.own[:, 2], model.own_covariance
    variances = cov[:, 0, 0], cov[:, 2, 2], cov[:, 0, 2]
    half = _population((up - down) / 2, np.sqrt((variances[0] + variances[1] - 2 * variances[2]) / 4))
    m = half.mean.value
    if half.sd is None:
        error = np.sqrt(variances[0] if m >= 0 else variances[1])
    else:
        error = np.sqrt((variances[0] + variances[1] + 2 * variances[2]) / 4 + _error(half.mean) ** 2)
    size = (up + down) / 2 + abs(m)
    if lognormal:
        log = _population(np.log(np.maximum(size, 1e-12)), error / np.maximum(size, 1e-12))
        step, gain = Interval(*(math.exp(x) for x in log.mean)), Population(log.mean, log.sd)
        unit = 1.0
    else:
        gain = _population(size, error)
        step, unit = gain.mean, gain.mean.value
    b = 2 * m / step.value
    wide = normal_quantile() * math.hypot(2 * _error(half.mean), b * _error(step)) / step.value
    choices: list[Choice] = []
    parameters = [_parameter("dw", step)]
    _add_spread("dw_d2d", gain, unit, parameters, choices)
    parameters.append(_parameter("up_down", Interval(b, b - wide, b + wide)))
    _add_spread("up_down_d2d", half, step.value, parameters, choices)
    errors = np.sqrt(np.diagonal(model.shared_covariance))
    parameters.append(_parameter("c2c", _log_interval(model.noise, errors[0])))
    if model.seen:
        relative = math.hypot(errors[1], _error(step) / step.value)
        parameters.append(_parameter("write_noise", _log_interval(model.seen / step.value, relative)))
    return step, parameters, choices


def _population(x: np.ndarray, errors: np.ndarray) -> Population:
    if len(x) == 1:
        half = normal_quantile() * float(errors[0])
        return Population(Interval(float(x[0]), float(x[0]) - half, float(x[0]) + half), None)
    return Population(*spread(x, errors))


def _add_spread(name: str, found: Population, unit: float, parameters: list[Parameter], choices: list[Choice]) -> None:
    """Add a spread between devices, in units of its mean, to the parameters, or say that it is not known."""
    if found.sd is None:
        choices.append(Choice(f"update.{name}", 0.0, ALONE))
    else:
        parameters.append(_parameter(name, Interval(*(x / unit for x in found.sd))))


def _rest(model: Steps, dw: float) -> list[Choice]:
    """Return what the section needs and the record does not hold."""
    most = max(1, min(10_000, math.ceil(4 / dw)))
    rest = [
        Choice("update.max_pulses", most, "a choice of the controller; twice the way from end to end"),
        Choice("update.reference_sd", 0.0, "not measured: conductances without a reference device", fallback=True),
    ]
    if not model.seen:
        rest.append(
            Choice("update.write_noise", 0.0, "no scatter of the reads shows beside that of the steps", "fitted")
        )
    return rest


def _tolerance(dw: float, source: str, model: Steps) -> Choice:
    return Choice(
        "update.tolerance", float(f"{max(dw / 2, 2 * model.seen):.3g}"), f"a choice of the controller; {source}"
    )


def _parameter(name: str, interval: Interval) -> Parameter:
    return Parameter(f"update.{name}", *interval)


def _log_interval(value: float, error: float) -> Interval:
    factor = math.exp(normal_quantile() * float(error))
    return Interval(value, value / factor, value * factor)


def _error(interval: Interval) -> float:
    return (interval.high - interval.low) / (2 * normal_quantile())
