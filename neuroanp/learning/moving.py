"""What is said of rules that move weights by themselves, on top of what arrays hold."""

from __future__ import annotations

from typing import Any

from neuroanp.learning import cdrge, oua, requirements, weight_perturbation
from neuroanp.learning.cdrge import CDRGE
from neuroanp.learning.oua import OUA


def by_itself(rule: Any) -> bool:
    """Return whether a rule's options are of one that moves weights by itself, and not the devices by their noise.

    >>> from neuroanp.learning.weight_perturbation import WP
    >>> by_itself(WP()), by_itself(CDRGE()), by_itself(OUA()), by_itself(OUA(source="device"))
    (True, True, True, False)
    """
    return requirements.WEIGHT_PERTURBATION in rule.needs


def of_weights(rule: Any, own: bool) -> str:
    """Say what moves the weights of such a rule; own: whether devices have noise of their own.

    >>> from neuroanp.learning.weight_perturbation import WP
    >>> of_weights(WP(), own=False) == weight_perturbation.of_weights(WP(), False)
    True
    """
    if isinstance(rule, CDRGE):
        return cdrge.of_signs(rule, own)
    return oua.of_weights(rule, own) if isinstance(rule, OUA) else weight_perturbation.of_weights(rule, own)
