"""From the fitted steps of devices to the parameters of the laws LinearStep and SoftBounds."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from neuroanp.fitting.estimate import normal_quantile
from neuroanp.fitting.kalman import OWN, Trains
from neuroanp.fitting.result import Choice, Parameter
from neuroanp.fitting.spread import Interval, spread
from neuroanp.fitting.steps import Steps, fit, integrated, path
from neuroanp.units import format_quantity

SAME = 1e-6
"""Reads nearer than this, in device units, are the same."""
REPEATS = 3
"""Pulses without effect at an extreme that show it to be a bound."""
CURVED = 0.15
"""Relative error of the noise of steps above which its likelihood is too lopsided for a curvature."""
ALONE = "one device was measured; the spread between devices is not known"


class Unfit(ValueError):
    """The record does not hold the law; says what of it, in the words of the record."""


class Scale(NamedTuple):
    """How device units are made: w = (G - middle) / half, siemens."""

    middle: float
    half: float

    def step(self, w: float) -> str:
        """Return a difference in device units as a conductance."""
        return format_quantity(w * self.half, "S", 3)

    def at(self, w: float) -> str:
        """Return where w lies."""
        return format_quantity(self.middle + w * self.half, "S", 3)


class Section(NamedTuple):
    """What goes into a profile's update section.

    Args:
        parameters, choices: of the section.
        notes: what a reader should know.
        doubts: why the law does not describe the record.
        model: the fitted model as the parameters have it.
    """

    parameters: tuple[Parameter, ...]
    choices: tuple[Choice, ...]
    notes: tuple[str, ...]
    doubts: tuple[str, ...]
    model: Steps


class Population(NamedTuple):
    """Mean of a parameter over devices and, where there are several, its standard deviation.

    Args:
        mean: with what the reads of each device leave open of it.
        sd: of the devices.
        common: (S,) what a change of the parameters common to all devices makes of the mean.
    """

    mean: Interval
    sd: Interval | None
    common: np.ndarray


def soft_bounds(model: Steps, trains: Trains, scale: Scale) -> Section:
    """Return the parameters of SoftBounds.

    up s+ (1 - w / w_max), down s- (1 - w / w_min): w_max = s+ / k+, w_min = -s- / k-.

    Raises:
        Unfit: the steps do not shrink, or are no larger than chance makes them.
    """
    model, noise = weighed(model, trains)
    model, bounds = pinned(model, trains)
    refuse_unclear(model, scale)
    step, parameters, choices = steps_of(model, noise, lognormal=True)
    notes: list[str] = []
    for side, at in (("up", 0), ("down", 2)):
        s, k = model.own[:, at], model.own[:, at + 1]
        seen = np.isfinite(bounds[:, at // 2])
        known = seen | (k > 2 * np.sqrt(model.own_covariance[:, at + 1, at + 1]))
        if known.sum() < max(1, len(s) / 2):
            raise Unfit(
                f"{side} steps do not shrink towards a bound, as soft_bounds has it; record longer trains, "
                "or fit --law linear_step"
            )
        if not known.all():
            notes.append(f"bound_{side}: {int((~known).sum())} devices that show no loss of the step are left out")
        slope = np.zeros((len(s), OWN))
        slope[:, at], slope[:, at + 1] = 1 / k, -s / k**2
        bound = _population(s / k, slope, model, np.where(seen, SAME, 0.0), known)
        parameters.append(parameter_of(f"bound_{side}", _whole(bound, model)))
        _add_spread(f"bound_{side}_d2d", bound, bound.mean.value, parameters, choices)
    refuse_coarse(model, sum(p.value for p in parameters if p.key in ("update.bound_up", "update.bound_down")), scale)
    choices.append(tolerance_of(step.value, "half a step, and no less than twice the scatter of the reads", model))
    return Section(tuple(parameters), (*choices, *rest_of(model, step.value)), tuple(notes), (), model)


def pinned(model: Steps, trains: Trains) -> tuple[Steps, np.ndarray]:
    """Return the model with bounds that are seen outright, and which they are: (D, 2), up and down; NaN elsewhere.

    A law cuts a step off at the bound: a device that stands there reads the same extreme again and
    again. Where that is so, and reads do not scatter, the bound is known, and step s and slope k are
    tied by s = k bound.
    """
    bounds = np.full((len(model.own), 2), np.nan)
    if model.seen:
        return model, bounds
    for side, sign in ((0, 1.0), (1, -1.0)):
        v = sign * trains.v
        ends = (trains.direction == sign) & (v[1:] >= v.max(0) - SAME)
        at_bound = (ends[1:] & ends[:-1]).sum(0) >= REPEATS
        bounds[at_bound, side] = v.max(0)[at_bound]
        a = np.zeros((len(bounds), OWN))
        a[:, 2 * side], a[:, 2 * side + 1] = 1.0, -v.max(0)
        model = model.held(a, at_bound)
    return model, bounds


def linear_step(model: Steps, trains: Trains, scale: Scale) -> Section:
    """Return the parameters of LinearStep.

    up s+ (1 - gamma w / w_max): gamma = w_max k+ / s+, with w_max the largest w of the record, or
    where the step comes to zero if that is nearer. Where a line would rise towards its bound, which
    the law does not know, the step is constant, and fitted as such.

    Raises:
        Unfit: the steps are no larger than chance makes them, or the record lies beside the middle of its range.
    """
    model, noise = weighed(model, trains)
    refuse_unclear(model, scale)
    lost = [lost_part(model, at) for at in (0, 2)]
    doubts = [
        f"{side} steps grow towards the bound, by {-of.value:.2g} of their size a unit, which linear_step denies"
        for side, of in zip(("up", "down"), lost, strict=True) if of.high < 0
    ]  # fmt: skip
    constant = tuple(at + 1 for at, of in zip((0, 2), lost, strict=True) if of.value < 0)
    if constant:
        model, noise = weighed(fit(trains, model.form, near=model, zero=constant), trains, constant)
        refuse_unclear(model, scale)
    states = path(trains, model)
    gammas, choices, width = [], [], 0.0
    for side, at, sign, before in (("up", 0, 1.0, lost[0]), ("down", 2, -1.0, lost[1])):
        of, reach = before if at + 1 in constant else lost_part(model, at), float((sign * states).max())
        if reach <= 0:
            raise Unfit(
                f"{side} pulses never pass {scale.at(0.0)}, the middle of the range; set --g-min and --g-max "
                "about the record"
            )
        bound = min(reach, 1 / of.value) if of.value > 0 else reach
        gamma = Interval(min(1.0, max(0.0, bound * of.value)), bound * of.low, max(0.0, bound * of.high))
        gammas.append(parameter_of(f"gamma_{side}", gamma))
        width += bound
        extreme = "largest" if sign > 0 else "smallest"
        source, status = f"the {extreme} conductance that the reads lead to; devices may go further", "measured"
        spread = "not measured: no train runs into its bound"
        if bound < reach:
            source, status = "where the fitted step comes to zero", "fitted"
            spread = "not known: the bound is that of all devices together"
        choices.append(Choice(f"update.bound_{side}", float(f"{bound:.5g}"), source, status))
        choices.append(Choice(f"update.bound_{side}_d2d", 0.0, spread))
    refuse_coarse(model, width, scale)
    step, parameters, more = steps_of(model, noise, lognormal=False)
    choices += [
        *more,
        Choice("update.dw_distribution", "normal", "a choice; the spread does not tell it from lognormal"),
        Choice("update.reference", "zero", "conductances as recorded, nothing subtracted", fallback=True),
        tolerance_of(step.value, "half a step, and no less than twice the scatter of the reads", model),
    ]
    return Section((*parameters, *gammas), (*choices, *rest_of(model, step.value)), (), tuple(doubts), model)


def lost_part(model: Steps, at: int) -> Interval:
    """Return the part of a step that is lost a unit of w, k / s, on average over devices."""
    s, k = model.own[:, at], model.own[:, at + 1]
    slope = np.zeros((len(s), OWN))
    slope[:, at], slope[:, at + 1] = -k / s**2, 1 / s
    return _whole(_population(k / s, slope, model), model)


def refuse_unclear(model: Steps, scale: Scale) -> None:
    """Refuse steps at the middle of the range that are no larger than chance makes them.

    Raises:
        Unfit: says how large the steps are and how well the record tells.
    """
    for side, at in (("up", 0), ("down", 2)):
        slope = np.zeros((len(model.own), OWN))
        slope[:, at] = 1.0
        mean = _whole(_population(model.own[:, at], slope, model), model)
        if mean.low <= 0:
            raise Unfit(
                f"{side} pulses step by {scale.step(mean.value)} at {scale.at(0.0)}, the middle of the range, "
                f"with a 95 % interval from {scale.step(mean.low)} to {scale.step(mean.high)}: no more than chance; "
                f"record more {side} pulses through the middle, average several reads after each, or set --g-min "
                "and --g-max about the record"
            )


def refuse_coarse(model: Steps, width: float, scale: Scale) -> None:
    """Refuse reads that scatter more than the pulses move the device in all.

    Raises:
        Unfit: no target could be told from another in such reads.
    """
    step = float(np.maximum(model.own[:, 0], model.own[:, 2]).mean())
    if max(2 * model.seen, step) >= width:
        raise Unfit(
            f"reads scatter by {scale.step(model.seen)} and steps are {scale.step(step)}, where all pulses "
            f"together move the device by {scale.step(width)}: record longer trains, or average several reads "
            "after each pulse"
        )


def steps_of(model: Steps, noise: Interval, lognormal: bool) -> tuple[Interval, list[Parameter], list[Choice]]:
    """Return dw, and the parameters of the steps' size, asymmetry and noise.

    S = (s+ + s-) / 2 = dw (gd - |b| / 2),  D = (s+ - s-) / 2 = dw (b / 2 + rho)
    """
    up, down = model.own[:, 0], model.own[:, 2]
    of_half = np.zeros((len(up), OWN))
    of_half[:, 0], of_half[:, 2] = 0.5, -0.5
    half = _population((up - down) / 2, of_half, model)
    m, of_size = half.mean.value, np.abs(of_half)
    of_size = of_size + np.sign(m) * of_half if half.sd is None else of_size
    size, aside = (up + down) / 2 + abs(m), 0.0 if half.sd is None else _error(half.mean)
    if lognormal:
        gain = _population(np.log(size), of_size / size[:, None], model, aside / size)
        step = Interval(*(math.exp(x) for x in gain.mean))
        whole = Interval(*(math.exp(x) for x in _whole(gain, model)))
        unit, common = 1.0, gain.common * step.value
    else:
        gain = _population(size, of_size, model, np.full(len(size), aside))
        step, whole, unit, common = gain.mean, _whole(gain, model), gain.mean.value, gain.common
    if half.sd is None:
        whole = _larger(model, whole)
    b = 2 * m / step.value
    wide = _asymmetry_error(half, step, b) if half.sd is not None else _own_asymmetry_error(model)
    shift = (2 * half.common - b * common) / step.value
    wide = normal_quantile() * math.sqrt(
        wide**2 + (shift @ model.shared_covariance @ shift if half.sd is not None else 0.0)
    )
    choices: list[Choice] = []
    parameters = [parameter_of("dw", whole)]
    _add_spread("dw_d2d", gain, unit, parameters, choices)
    parameters.append(parameter_of("up_down", Interval(b, b - wide, b + wide)))
    _add_spread("up_down_d2d", half, step.value, parameters, choices)
    parameters.append(parameter_of("c2c", noise))
    if model.seen:
        relative = math.hypot(math.sqrt(model.shared_covariance[-1, -1]), _error(whole) / step.value)
        parameters.append(parameter_of("write_noise", _log_interval(model.seen / step.value, relative)))
    return step, parameters, choices


def _larger(model: Steps, of_larger: Interval) -> Interval:
    """Return the interval of the larger of two steps of one device: which is larger may be chance.

    The estimate, the larger of two, lies above the truth where they are equal; so the interval goes
    down to the lower end of both steps' mean where the record does not tell them apart.
    """
    slope = np.zeros((1, OWN))
    slope[0, 0] = slope[0, 2] = 0.5
    mean = _whole(_population(model.own[:, [0, 2]].mean(1), slope, model), model)
    return of_larger._replace(low=min(of_larger.low, mean.low))


def _asymmetry_error(half: Population, step: Interval, b: float) -> float:
    """Return the standard error of up_down of several devices, common parameters apart."""
    return math.hypot(2 * _error(half.mean), b * _error(step)) / step.value


def _own_asymmetry_error(model: Steps) -> float:
    """Return the standard error of up_down of one device, 1 - s- / s+ or s+ / s- - 1."""
    (up, _, down, _), slope = model.own[0], np.zeros((1, OWN))
    slope[0, 0], slope[0, 2] = (down / up**2, -1 / up) if up >= down else (1 / down, -up / down**2)
    alone = _population(np.zeros(1), slope, model)
    return _error(_whole(alone, model))


def weighed(model: Steps, trains: Trains, zero: tuple[int, ...] = ()) -> tuple[Steps, Interval]:
    """Return the model and c2c, with the noise of steps integrated over where its curvature says little.

    Where up and down steps scatter differently c2c is the root of their mean square, with both in
    the interval.
    """
    if not (np.diagonal(model.shared_covariance) >= 0).all():
        raise Unfit(
            "the reads do not tell how steps scatter: no scatter is the likeliest; look for rows in another "
            "unit, jumps or clipped reads"
        )
    both = [
        _log_interval(float(np.exp(x)), math.sqrt(v))
        for x, v in zip(model.shared, np.minimum(np.diagonal(model.shared_covariance), 100.0), strict=True)
    ][: 2 - model.form.tied]
    vague = [i for i in range(len(both)) if not 0 < math.log(both[i].high / both[i].value) < normal_quantile() * CURVED]
    for which in vague if model.seen else ():
        model, low, high = integrated(trains, model, which, zero)
        both[which] = Interval(float(np.exp(model.shared[which])), low, high)
    value = math.sqrt(sum(x.value**2 for x in both) / len(both))
    return model, Interval(value, min(x.low for x in both), max(x.high for x in both))


def _population(
    x: np.ndarray, slope: np.ndarray, model: Steps, aside: np.ndarray | float = 0.0, known: np.ndarray | None = None
) -> Population:
    """Return mean and spread over devices of a function of their own parameters.

    Args:
        x: (D,) its values.
        slope: (D, 4) its derivatives.
        model: the fit.
        aside: standard errors from elsewhere.
        known: (D,) bool, the devices that count; all where None.
    """
    on = np.ones(len(x), bool) if known is None else known
    variance = np.einsum("di,dij,dj->d", slope, model.own_covariance, slope)[on]
    errors = np.hypot(np.sqrt(np.maximum(variance, 0.0)), np.broadcast_to(aside, x.shape)[on])
    common = np.einsum("di,dis->ds", slope, model.pull)[on].mean(0)
    x = x[on]
    if len(on) == 1:
        half = normal_quantile() * float(errors[0])
        return Population(Interval(float(x[0]), float(x[0]) - half, float(x[0]) + half), None, common)
    if len(x) == 1:
        raise Unfit("one device alone shows what the spread of several is asked for; record more devices")
    return Population(*spread(x, errors), common)


def _whole(found: Population, model: Steps) -> Interval:
    """Return the mean with what the common parameters leave open of it as well."""
    common = normal_quantile() ** 2 * float(found.common @ model.shared_covariance @ found.common)
    value, low, high = found.mean
    return Interval(
        value, value - math.hypot(value - low, math.sqrt(common)), value + math.hypot(high - value, math.sqrt(common))
    )


def _add_spread(name: str, found: Population, unit: float, parameters: list[Parameter], choices: list[Choice]) -> None:
    """Add a spread between devices, in units of its mean, to the parameters, or say that it is not known."""
    if found.sd is None:
        choices.append(Choice(f"update.{name}", 0.0, ALONE))
    else:
        parameters.append(parameter_of(name, Interval(*(x / unit for x in found.sd))))


def rest_of(model: Steps, dw: float) -> list[Choice]:
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


def tolerance_of(dw: float, source: str, model: Steps) -> Choice:
    return Choice(
        "update.tolerance", float(f"{max(dw / 2, 2 * model.seen):.3g}"), f"a choice of the controller; {source}"
    )


def parameter_of(name: str, interval: Interval) -> Parameter:
    return Parameter(f"update.{name}", *interval)


def _log_interval(value: float, error: float) -> Interval:
    factor = math.exp(normal_quantile() * float(error))
    return Interval(value, value / factor, value * factor)


def _error(interval: Interval) -> float:
    return (interval.high - interval.low) / (2 * normal_quantile())
