"""What of a rule's options the outputs alone see: the control that trains only them needs, and shares, no more."""

from __future__ import annotations

from typing import Any

from neuroanp.learning.anp import ANP
from neuroanp.learning.echo import Echo
from neuroanp.learning.identification import WEIGHTS_FORGET
from neuroanp.learning.iterative import INP
from neuroanp.learning.node_perturbation import NP
from neuroanp.learning.weight_perturbation import WP


def for_outputs(rule: Any, world: bool = False) -> Any:
    """Return options of a rule that teach the outputs the same, to the bit, at no more cost.

    Of ANP and (iterative) node perturbation a discount is of the hidden units' credit alone: outputs learn from their
    step's own loss, or from that of the trial. Without it no pass has to be kept until the last loss is known, where
    the loss of every step is. What is left as it was drawn is not decorrelated either. Echo with frozen units is the
    readout alone, which needs no echoes; it is the same to rounding. Of rules that somebody else wrote, or derived from
    these, nothing is known: they stay as they are. In a world outputs, too, are credited with all that follows, and the
    discount is theirs.

    >>> for_outputs(ANP(gamma=0.9)) == for_outputs(ANP(gamma=1.0)) == ANP(gamma=0.0)
    True
    >>> for_outputs(NP(gamma=0.9, trace="3 us")) == NP(gamma=0.0)
    True
    """
    if world:
        return rule.model_copy(update={"decorrelation": None}) if type(rule) in (ANP, INP, NP, WP) else rule
    if type(rule) in (ANP, INP):
        held = {"weights": "held", "weights_forget": WEIGHTS_FORGET} if type(rule) is ANP else {}
        return rule.model_copy(update={"gamma": 0.0, "decorrelation": None, **held})
    if type(rule) is Echo:
        return ANP(reference="mean", K=rule.K, gamma=0.0, readout=rule.readout, forget=rule.forget, ridge=rule.ridge)
    if type(rule) is NP:
        return rule.model_copy(update={"gamma": 0.0, "trace": None, "decorrelation": None})
    return rule.model_copy(update={"decorrelation": None}) if type(rule) is WP else rule
