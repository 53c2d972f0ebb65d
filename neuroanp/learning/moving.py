"""Which rules explore by weights that move, and by no noise of units."""

from __future__ import annotations

from typing import Any

from neuroanp.learning import oua, weight_perturbation
from neuroanp.learning.oua import OUA
from neuroanp.learning.weight_perturbation import WP

MOVE_WEIGHTS = (WP, OUA)
"""Rules whose exploration is in the weights, made by themselves or by the devices: noise of the units is none of it."""


def moves_weights(rule: Any) -> bool:
    """Return whether a rule's options are of one that moves weights by itself, on top of what arrays hold.

    >>> moves_weights(WP()), moves_weights(OUA()), moves_weights(OUA(source="device"))
    (True, True, False)
    """
    return isinstance(rule, WP) or (isinstance(rule, OUA) and rule.source == "own")


def of_weights(rule: Any, own: bool) -> str:
    """Say what moves the weights of such a rule; own: whether devices have noise of their own."""
    return oua.of_weights(rule, own) if isinstance(rule, OUA) else weight_perturbation.of_weights(rule, own)
