"""Fit steps that go with conductance as exponentials, and give them as the law ExponentialStep has them.

    up   s+ - k+ h(w) = S+ (1 - A+ e^(gamma+ w)),   S+ = s+ + k+ / gamma+,   A+ =  k+ / (gamma+ S+)
    down s- + k- h(w) = S- (1 - A- e^(gamma- w)),   S- = s- - k- / gamma-,   A- = -k- / (gamma- S-)

with h of `kalman`. The law has z = 2 a w / (w_max - w_min) + b and gamma_up, gamma_down >= 0: with b = 0 and
a = +-(w_max - w_min) / 2 they are |gamma+| and |gamma-|. So these must be of opposite signs, and both S positive.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from neuroanp.fitting.estimate import normal_quantile
from neuroanp.fitting.kalman import OWN, Trains
from neuroanp.fitting.pulse_laws import (
    Scale,
    Section,
    Unfit,
    lost_part,
    parameter_of,
    refuse_coarse,
    refuse_unclear,
    rest_of,
    steps_of,
    tolerance_of,
    weighed,
)
from neuroanp.fitting.result import Choice
from neuroanp.fitting.spread import Interval
from neuroanp.fitting.steps import Steps, fit, path

_LEAST = 0.02
"""Smallest S that is admitted, in steps at the middle of the range: below, A and dw mean nothing each by itself."""
_MOST = 60.0
"""Largest S, likewise: above, the steps are straight lines."""
_COUNTED = 2.0
"""How far a step at the middle may be from dw before it is said that pulses are counted in dw."""

_NOISY = 8.0
"""Scatter of the reads, in dw, above which the interval of c2c is known to be too narrow."""


def bent_fit(trains: Trains, near: Steps) -> Steps | None:
    """Return the fit with exponents, on tangents at its own way of the state; None where the law cannot hold it.

    Args:
        trains: the data.
        near: the fit of straight lines with multiplicative noise.
    """
    form = near.form._replace(bent=True)
    model = replace(near, form=form, shared=np.insert(near.shared, form.bends.start, [0.0, 0.0]))
    for _ in range(2):
        model = fit(trains, form, correct=False, near=model)
        trains = replace(trains, at=path(trains, model)[:-1])
    return model if _admitted(model) else None


def _admitted(model: Steps) -> bool:
    gamma = model.shared[model.form.bends]
    sizes = model.own[:, [0, 2]]
    with np.errstate(divide="ignore", invalid="ignore"):
        whole = sizes + model.own[:, [1, 3]] / (gamma * (1, -1))
    return bool(gamma[0] * gamma[1] < 0 and (whole > _LEAST * sizes).all() and (whole < _MOST * sizes).all())


def exponential_step(model: Steps, trains: Trains, scale: Scale) -> Section:
    """Return the parameters of ExponentialStep.

    Raises:
        Unfit: the steps are no larger than chance makes them, or bend as no such law does.
    """
    model, noise = weighed(model, trains)
    refuse_unclear(model, scale)
    if not _admitted(model):
        raise Unfit(
            "the steps do not bend as exponential_step has it; fit another --law, or leave it to the likelihood"
        )
    states, middle = path(trains, model), float(model.own[:, [0, 2]].mean())
    width, bounds = 0.0, []
    for side, sign, extreme in (("up", 1.0, "largest"), ("down", -1.0, "smallest")):
        reach = float((sign * states).max())
        if reach <= 0:
            raise Unfit(
                f"{side} pulses never pass {scale.at(0.0)}, the middle of the range; set --g-min and --g-max "
                "about the record"
            )
        source = f"the {extreme} conductance that the reads lead to; devices may go further"
        bounds.append(Choice(f"update.bound_{side}", float(f"{reach:.5g}"), source, "measured"))
        bounds.append(Choice(f"update.bound_{side}_d2d", 0.0, "not measured: no train runs into its bound"))
        width += float(f"{reach:.5g}")
    refuse_coarse(model, width, scale)
    whole = _as_exponentials(model)
    step, parameters, choices = steps_of(whole, noise, lognormal=False)
    first = model.form.bends.start
    for at, side in ((0, "up"), (2, "down")):
        parameters.append(parameter_of(f"A_{side}", lost_part(whole, at)))
        place = first + at // 2
        gamma = abs(float(model.shared[place]))
        error = normal_quantile() * float(np.sqrt(model.shared_covariance[place, place]))
        parameters.append(parameter_of(f"gamma_{side}", Interval(gamma, gamma - error, gamma + error)))
    choices += [
        *bounds,
        Choice(
            "update.a", float(np.sign(model.shared[first]) * width / 2),
            "half the width of the range, so that z is +-w: the signs of the fitted exponents", "fitted",
        ),
        Choice("update.b", 0.0, "a choice; A_up and A_down hold what another offset would"),
        Choice("update.dw_distribution", "normal", "a choice; the spread does not tell it from lognormal"),
        Choice("update.reference", "zero", "conductances as recorded, nothing subtracted", fallback=True),
        tolerance_of(middle, "half a step at the middle, and no less than twice the scatter of the reads", model),
        *rest_of(model, middle),
    ]  # fmt: skip
    notes = []
    if not 1 / _COUNTED < middle / step.value < _COUNTED:
        notes.append(
            f"a step at {scale.at(0.0)}, the middle of the range, is {middle / step.value:.2g} dw; the pulses of an "
            "update are counted in dw"
        )
    if model.seen > _NOISY * step.value:
        notes.append(
            f"reads scatter by {model.seen / step.value:.2g} dw: the interval of c2c is too narrow then (of 25 "
            "simulated records whose reads scatter by 13 dw, 12 held the truth; the other parameters 24 or 25); "
            "average several reads after each pulse"
        )
    return Section(tuple(parameters), tuple(choices), tuple(notes), (), model)


def _as_exponentials(model: Steps) -> Steps:
    """Return the model with S and S A of both directions in the place of s and k, and their errors with them."""
    places, (up, down) = model.form.bends, model.shared[model.form.bends]
    turned, moved = np.eye(OWN), np.zeros((len(model.own), OWN, len(model.shared)))
    for at, gamma, place, sign in ((0, up, places.start, 1.0), (2, down, places.start + 1, -1.0)):
        turned[at, at + 1] = turned[at + 1, at + 1] = sign / gamma
        moved[:, at, place] = moved[:, at + 1, place] = -sign * model.own[:, at + 1] / gamma**2
    return replace(
        model,
        own=model.own @ turned.T,
        own_covariance=turned @ model.own_covariance @ turned.T,
        pull=turned @ model.pull + moved,
    )
