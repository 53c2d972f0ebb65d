"""What hardware must provide for a rule, in words that all rules share: the one list.

A rule says by `needs` which of these its options ask for. What a simulator has for nothing and a chip may not have is
here; the products of pre- and postsynaptic factors are not, for every rule needs them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal, get_args, get_origin

SCALAR_LOSS = "a scalar loss at every step"
TRIAL_LOSS = "a scalar loss at the end of a presentation"
RETURN = "the return of an episode, when it is over"
SIGNED_ERROR = "the signed error of each output"
ACTIVITY_CHANGE = "each unit's activity, compared between passes"
SQUARED_NORM = "a sum of squares over units, told to each of them"
OWN_INNOVATION = "each unit's own innovation (weights held digitally)"
IDENTIFIED_INNOVATION = (
    "each unit's own innovation, of arrays that it identifies by least squares: m^2 numbers for m lines that it hears"
)
OWN_NOISE = "each unit's own innovation (weights held digitally), of units that spike the noise sample"
KNOWN_NOISE = "the noise sample of each unit"
NOISE_LEVEL = "the standard deviation of the noise"
SIGN_CONTROL = "control of the sign of the noise"
GROUP_CONTROL = "noise that is switched on for one group of units at a time"
SILENT_TWIN = "a noise-free twin"
REPEATING_INPUTS = "inputs that repeat"
TRACE = "an eligibility trace per synapse"
WEIGHT_PERTURBATION = "a weight perturbation that is programmed and taken back"
FOR_EVERY_SEQUENCE = "another one for every sequence"
AT_EVERY_STEP = "another one at every step (no array does that)"
WANDERING = "a perturbation of each weight that wanders on from one presentation to the next"
OWN_CONDUCTANCE = "each device's own conductance as it is now, read against its programmed mean"
REWARD_MEAN = "a running mean of the reward"
LEAST_SQUARES = "a host that solves least squares for the outputs"
ECHOES = "the outputs' signed errors and changes, told to every unit"
DECORRELATION = "a matrix per layer that decorrelates its activity, and its covariance"


SWITCHED_ON: Mapping[str, Any] = {"eta": 1.0, "decorrelation": {"lr": 1e-2}}
"""Options that are no words and off by default, with a value that switches them on."""
ALONGSIDE: Mapping[str, Mapping[str, Any]] = {"weights identified": {"difference": "innovation"}}
"""Choices that are of another one alone, with that."""


def moves_weights(method: Any) -> bool:
    """Return whether a method, a `neuroanp.method.Method`, explores by weights that move, and needs no noise of units.

    It moves them by itself, or devices do that by their own noise.

    >>> from neuroanp.learning.anp import ANP
    >>> from neuroanp.learning.weight_perturbation import WP
    >>> moves_weights(WP()), moves_weights(ANP(preset="default"))
    (True, False)
    """
    return not {WEIGHT_PERTURBATION, OWN_CONDUCTANCE}.isdisjoint(method.needs)


def memory_per_unit(numbers: str) -> str:
    """Say that each unit must remember so many numbers.

    >>> memory_per_unit("T")
    'memory per unit: T numbers'
    """
    return f"memory per unit: {numbers} numbers"


def by_choice(model: Any) -> dict[str, tuple[str, ...]]:
    """Return what each choice among words asks for that the default options of a method do not.

    Args:
        model: the class of its options, a `neuroanp.method.Method`.

    Returns: by "option word", or the option that is set at all, those that ask for something; a choice that needs
        other options beside it has those of ALONGSIDE, and names them, or is left out.

    >>> from neuroanp.learning.node_perturbation import NP
    >>> by_choice(NP)["reference silent"]
    ('a noise-free twin',)
    >>> by_choice(NP)["decorrelation"]
    ('a matrix per layer that decorrelates its activity, and its covariance',)
    """
    usual, found = model().needs, {}
    for choice, chosen in _choices(model):
        if more := tuple(need for need in chosen.needs if need not in usual):
            found[choice] = more
    return found


def feedback_by_choice(model: Any) -> dict[str, str]:
    """Return the class of feedback of each choice with which it is another than that of the default options.

    Args:
        model: the class of a method's options.

    >>> from neuroanp.learning.node_perturbation import NP
    >>> feedback_by_choice(NP)
    {'readout delta': 'S+', 'readout rls': 'S+'}
    """
    usual = model().feedback
    return {choice: chosen.feedback for choice, chosen in _choices(model) if chosen.feedback != usual}


def _choices(model: Any) -> Iterator[tuple[str, Any]]:
    """Yield a method with each choice that its default options are not, by what that is called."""
    for name, field in model.model_fields.items():
        words = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
        choices = {f"{name} {word}": word for word in words if word != field.default}
        for choice, value in {**choices, **({name: SWITCHED_ON[name]} if name in SWITCHED_ON else {})}.items():
            if name == "name":
                continue
            usual = {key: model.model_fields[key].default for key in ALONGSIDE.get(choice, {})}
            beside = {key: word for key, word in ALONGSIDE.get(choice, {}).items() if usual[key] != word}
            try:
                yield (
                    " with ".join([choice, *(f"{k} {v}" for k, v in beside.items())]),
                    model(**{name: value, **beside}),
                )
            except ValueError:  # goes with other options alone
                continue
